"""Rows of files as they were published: Parquet, VLMEvalKit's TSV with pictures in base64, JSON, JSON lines; one at a time, however large the file."""

from __future__ import annotations

import ast
import base64
import binascii
import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actial.errors import UserError
from actial.questions.external_files import batches, column_of, open_parquet
from actial.questions.external_rows import RefusedRow, decoded

MOST_CELL_CHARS = 2**31 - 1
REFERENCE_CHARS = 64
"""A picture's cell of at most so many characters is no picture but the `index` of the row that holds it (VLMEvalKit, `vlmeval/dataset/image_base.py`)."""
IMAGE_COLUMN, INDEX_COLUMN = "image", "index"
_NO_TEXT = ("", "nan")
"""How a cell without an option is written."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file."""

    folder: Path
    """What the files lie in."""
    path: Path
    number: int
    """From 0, over all files."""
    cells: Mapping[str, Any]

    def text(self, column: str) -> str:
        """A cell's text.

        Raises:
            RefusedRow: it is missing, no text, or not UTF-8.
        """
        return decoded(self.cells.get(column), column)

    def texts(self, column: str) -> tuple[str, ...]:
        """A cell's list of texts.

        Raises:
            RefusedRow: it is missing, no list of texts, or not UTF-8.
        """
        value = self.cells.get(column)
        if not isinstance(value, list):
            raise RefusedRow(f"no {column}" if value is None else f"{column} that are no list")
        return tuple(decoded(part, column) for part in value)

    def word(self, column: str) -> str:
        """A cell's text, empty where there is none."""
        return "" if self.cells.get(column) is None else self.text(column)

    def lettered(self, letters: str) -> tuple[str, ...]:
        """Options that have a column each, `A`, `B`, …: those before the first empty one.

        Raises:
            RefusedRow: an option stands behind an empty one.
        """
        found = [self.word(letter) for letter in letters]
        given = [option for option in found if option.lower() not in _NO_TEXT]
        if [option.lower() in _NO_TEXT for option in found[: len(given)]].count(True):
            raise RefusedRow("an option behind an empty one")
        return tuple(given)

    def base64_pictures(self, column: str = IMAGE_COLUMN) -> list[bytes]:
        """The pictures of a TSV file's cell: one in base64, or a list of them.

        Raises:
            RefusedRow: there is none, or it is no base64.
        """
        written = self.text(column)
        if not written:
            raise RefusedRow("no picture")
        try:
            return [base64.b64decode(one, validate=True) for one in (ast.literal_eval(written) if written.startswith("[") else [written])]
        except (binascii.Error, ValueError, SyntaxError, TypeError):
            raise RefusedRow("a picture that cannot be read") from None


def published_rows(
    title: str, folder: Path, patterns: Sequence[str], columns: Sequence[str], optional: Sequence[str] = (), *, at_least_one: bool = False
) -> Iterator[Row]:
    """The rows of a benchmark's files; of Parquet files only the columns named, text as bytes.

    Args:
        title: what the benchmark is called, for messages.
        at_least_one: whether one of the patterns is enough.

    Raises:
        UserError: see `published_files`; or a file is unreadable, holds no row, or lacks one of `columns`.
    """
    number = 0
    for path in published_files(title, folder, patterns, at_least_one=at_least_one):
        first = number
        for cells in _READERS[path.suffix](title, path, columns, optional):
            yield Row(folder, path, number, cells)
            number += 1
        if number == first:
            raise UserError(f"{path} holds no rows: fetch {title} again")


def gathered(rows: Iterable[Row], key: Callable[[Row], str]) -> Iterator[Row]:
    """Rows of one key one after the other, keys in the order of their first rows."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return itertools.chain.from_iterable(found.values())


def published_files(title: str, folder: Path, patterns: Sequence[str], *, at_least_one: bool = False) -> list[Path]:
    """The files that patterns name, in their order and then by name, each once.

    Raises:
        UserError: a pattern names none (with `at_least_one`: all of them do).
    """
    found = {pattern: sorted(folder.glob(pattern)) for pattern in patterns}
    missing = [pattern for pattern, paths in found.items() if not paths]
    if missing and (not at_least_one or len(missing) == len(patterns)):
        raise UserError(f"{folder} lacks {' and '.join(missing)}, which {title} is published in: put the files there as they are published")
    return list(dict.fromkeys(path for paths in found.values() for path in paths))


def _parquet(title: str, path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    names = open_parquet(path).schema_arrow.names
    _refuse_if_lacking(title, path, columns, names)
    for batch in batches(path, [*columns, *(place for place in optional if column_of(place, names) is not None)]):
        for i in range(batch.num_rows):
            yield batch.slice(i, 1).to_pylist()[0]


def _tsv(title: str, path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """A cell of pictures that refers to another row gets that row's, wherever it stands in the file."""
    _refuse_if_lacking(title, path, columns, list(next(_tsv_rows(title, path), {})))
    wanted = {_reference(cells) for cells in _tsv_rows(title, path)} - {None}
    pictures = {cells[INDEX_COLUMN]: cells[IMAGE_COLUMN] for cells in _tsv_rows(title, path) if cells.get(INDEX_COLUMN) in wanted} if wanted else {}
    for cells in _tsv_rows(title, path):
        reference = _reference(cells)
        yield cells if reference is None else {**cells, IMAGE_COLUMN: pictures.get(reference)}


def _reference(cells: Mapping[str, str | None]) -> str | None:
    """The index of the row that holds a row's pictures; None where it holds them itself, or holds none."""
    written = cells.get(IMAGE_COLUMN) or ""
    return written if 0 < len(written) <= REFERENCE_CHARS else None


def _tsv_rows(title: str, path: Path) -> Iterator[dict[str, str | None]]:
    csv.field_size_limit(MOST_CELL_CHARS)  # a setting of the whole process: it only allows more
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines, delimiter="\t")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise UserError(f"{path} is not a readable TSV file ({error}): fetch {title} again") from None


def _jsonl(title: str, path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                cells = json.loads(line)
            except ValueError:
                raise UserError(f"line {number} of {path} is not JSON: fetch {title} again") from None
            if not isinstance(cells, dict):
                raise UserError(f"line {number} of {path} is not a JSON object: fetch {title} again")
            _refuse_if_lacking(title, path, columns, list(cells), f" in line {number}")
            yield cells


def _refuse_if_lacking(title: str, path: Path, columns: Sequence[str], names: Sequence[str], where: str = "") -> None:
    if names and (lacking := [column for column in columns if column_of(column, names) is None]):
        raise UserError(f"{path} has no column {lacking[0]}{where}, which {title} is published with; it has {', '.join(names)}: fetch it again")


def _json(title: str, path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """A list of objects, read as one."""
    try:
        rows = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not JSON ({error}): fetch {title} again") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path} is not a list of JSON objects: fetch {title} again")
    for number, cells in enumerate(rows):
        _refuse_if_lacking(title, path, columns, list(cells), f" in row {number}")
        yield cells


_READERS = {".parquet": _parquet, ".tsv": _tsv, ".jsonl": _jsonl, ".json": _json}
