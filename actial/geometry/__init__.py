"""Exact camera geometry: conventions, poses, angles between views, projection."""
