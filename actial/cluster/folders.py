"""Folders taken along to a machine that does not have them, as bytes: no shared file system is needed."""

from __future__ import annotations

from pathlib import Path

Listing = dict[str, int]
"""Size of each file of a folder, bytes, by its path below it."""


def listing(folder: Path) -> Listing:
    """What is in a folder; nothing where there is none."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()}


def pack(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path below it."""
    return {name: (folder / name).read_bytes() for name in listing(folder)}


def unpack(files: dict[str, bytes], folder: Path) -> None:
    """Write them below another folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
