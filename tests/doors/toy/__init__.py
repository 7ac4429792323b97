"""Trivially small stage bodies around the real stage, versioning and job modules."""
