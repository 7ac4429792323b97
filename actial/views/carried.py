"""Folders that a job names: which are read and written, and the same job for a machine where they are elsewhere."""

from __future__ import annotations

from typing import Any

from actial.views.supervisor import Job


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
