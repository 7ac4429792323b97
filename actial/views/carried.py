"""Folders that a job names, taken along to a machine that does not have them, and what is made there brought back: as bytes, never a shared file system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actial.views.supervisor import Job

Listing = dict[str, int]
"""Size of each file of a folder, bytes, by its path below it."""


def output_of(job: Job) -> str:
    """The folder that a job's workers write into."""
    return str(job["look"]["shelf"] if "look" in job else job["folder"])


def inputs_of(job: Job) -> list[str]:
    """Folders that a job's workers read. One of them may be its output, too."""
    if "look" in job:
        return [job["look"]["root"], job["look"]["shelf"]]
    return [folder for folder in (job["plan"]["assets"], job["plan"]["shelf"]) if folder is not None]


def with_folders(job: Job, moved: dict[str, str]) -> Job:
    """The same job for a machine where some folders are elsewhere."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: told(inner) for name, inner in value.items()}
        return moved.get(value, value) if isinstance(value, str) else value

    return {name: told(value) for name, value in job.items()}


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
