"""Pictures that a row names by their paths: files below the benchmark's folder, or in an archive there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from actial.evaluation.benchmarks.archives import archived
from actial.questions.external_rows import RefusedRow


def named_pictures(folder: Path, names: Sequence[str], without: str = "") -> list[bytes]:
    """The encoded pictures below a folder.

    Args:
        without: a folder's name that the archives do not have, left out where a path begins with it and names no file as it stands.

    Raises:
        RefusedRow: there are none, one is not there, or its path leads out of the folder.
    """
    if not names:
        raise RefusedRow("no picture")
    return [_picture(folder, name, without) for name in names]


def _picture(folder: Path, name: str, without: str) -> bytes:
    whole = PurePosixPath(name.replace("\\", "/"))
    if whole.is_absolute() or ".." in whole.parts:
        raise RefusedRow("a picture outside the benchmark's folder")
    for place in dict.fromkeys((whole, whole.relative_to(without) if without and whole.parts[:1] == (without,) else whole)):
        if (folder / place).is_file():
            return (folder / place).read_bytes()
        if (found := archived(folder, place.as_posix())) is not None:
            return found
    raise RefusedRow("a picture that is not there")
