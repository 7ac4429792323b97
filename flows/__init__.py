"""Prefect flows and the `actial` command."""
