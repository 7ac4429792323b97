"""The six stages as programs (`python -m tasks.<stage>`), and their caching, versions and tracking."""
