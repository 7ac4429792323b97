"""Files in the zip archives that a benchmark's pictures are published in, read where they are: nothing is unpacked."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Mapping
from pathlib import Path

from actial.errors import UserError


def archived(folder: Path, name: str) -> bytes | None:
    """What the archives of a folder hold under a name; None where none does.

    Raises:
        UserError: an archive cannot be read.
    """
    path = _holders(folder).get(name)
    if path is None:
        return None
    try:
        return _opened(path).read(name)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:  # what zipfile raises: damaged, cut, packed oddly, encrypted
        raise UserError(f"{name} in {path} cannot be read ({error}): fetch the archive again") from None


@functools.lru_cache(maxsize=8)
def _holders(folder: Path) -> Mapping[str, Path]:
    """By the name of a file the archive that holds it."""
    return {name: path for path in sorted(folder.glob("*.zip")) for name in _opened(path).namelist()}


@functools.lru_cache(maxsize=8)
def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is not a readable archive ({error}): fetch it again") from None
