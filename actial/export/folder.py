"""A folder that is written whole or not at all, and that never takes the place of anything but an earlier export."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from actial.errors import UserError
from actial.json_files import write_json

RECORD = "export.json"
"""What an export says of itself; a folder that has it was made here."""
_MADE_BY = "actial export"
_USERS_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG}


@contextlib.contextmanager
def whole_folder(out: Path, left_by_others: Collection[str] = ()) -> Iterator[Path]:
    """A new folder to write into: it becomes `out` when the block ends, and goes away when the block fails. The block ends with `write_record`.

    Args:
        left_by_others: names in an earlier export that the tool which reads it puts there.

    Raises:
        UserError: `out` is something that no export made or that holds other things, or it cannot be written.
    """
    out = out.resolve()
    refuse_to_overwrite(out, left_by_others)
    partial, replaced = (out.parent / f".{out.name}.{os.getpid()}.{what}" for what in ("partial", "replaced"))
    try:
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rename(replaced)
        partial.rename(out)
    except OSError as error:
        if error.errno not in _USERS_ERRORS:
            raise
        raise UserError(f"{error.filename or out} cannot be written ({error.strerror}): make room, or give another folder with --out") from None
    finally:
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def refuse_to_overwrite(out: Path, left_by_others: Collection[str] = ()) -> None:
    """Check that a folder may be (over)written: it does not exist, is empty, or is an export with nothing added to it.

    Raises:
        UserError: it may not.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file: give a folder with --out")
    found = {path.name for path in out.iterdir()}
    if not found:
        return
    record = _record(out)
    if record is None:
        raise UserError(f"{out} is not empty and was not made by `actial export`: empty it, or give another folder with --out")
    if added := sorted(found - set(record["entries"]) - set(left_by_others)):
        raise UserError(f"{out} holds {added[0]}, which `actial export` did not write there: move it away, or give another folder with --out")


def write_record(folder: Path, told: dict[str, Any]) -> None:
    """Write what an export says of itself, when all else in the folder is written."""
    entries = sorted({path.name for path in folder.iterdir()} | {RECORD})
    write_json(folder / RECORD, {"made_by": _MADE_BY, "entries": entries} | told)


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record if record["made_by"] == _MADE_BY and isinstance(record["entries"], list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
