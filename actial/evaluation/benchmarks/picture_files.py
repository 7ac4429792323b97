"""Pictures that a row names by their paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from actial.questions.external_rows import RefusedRow

NOT_THERE = "a picture that is not there"


def named_pictures(folder: Path, names: Sequence[str], without: str = "") -> list[bytes]:
    """The encoded pictures below a folder.

    Args:
        without: a folder's name that the archives on the hub do not have, left out where a path begins with it and names no file as it stands.

    Raises:
        RefusedRow: there are none, one is not there, or its path leads out of the folder.
    """
    if not names:
        raise RefusedRow("no picture")
    return [_place(folder, name, without).read_bytes() for name in names]


def _place(folder: Path, name: str, without: str) -> Path:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise RefusedRow("a picture outside the benchmark's folder")
    shorter = parts.relative_to(without) if without and parts.parts[:1] == (without,) else parts
    found = next((place for place in (folder / parts, folder / shorter) if place.is_file()), None)
    if found is None:
        raise RefusedRow(NOT_THERE)
    return found
