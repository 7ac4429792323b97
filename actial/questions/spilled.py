"""Rows by the million: a few of their columns in memory, all of them in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

AT_ONCE = 65_536
"""Rows that are read, or compared with each other, at a time: what bounds the memory of a step."""
_GAP = 256
"""Rows between two that are wanted: with as many or more, those between are not read."""


class SpilledRows:
    """Rows of one dtype, added in runs and then only read."""

    def __init__(self, file: BinaryIO, dtype: np.dtype, in_memory: Sequence[str]) -> None:
        """Rows in an empty file; the columns named stay in memory, too."""
        self._file, self._dtype = file, dtype
        self._columns = {name: [np.empty(0, dtype)[name]] for name in in_memory}
        self.starts: list[int] = []
        """Place of the first row of each run."""
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, rows: np.ndarray) -> None:
        """Put a run of rows behind the others."""
        self.starts.append(self._n)
        self._n += len(rows)
        self._file.write(rows.tobytes())
        for name, parts in self._columns.items():
            parts.append(rows[name].copy())
            while len(parts) > 1 and len(parts[-2]) <= 2 * len(parts[-1]):  # few parts, and nothing copied often
                parts[-2:] = [np.concatenate(parts[-2:])]

    def __getitem__(self, name: str) -> np.ndarray:
        """A column of those in memory."""
        parts = self._columns[name]
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return parts[0]

    def read(self, places: np.ndarray) -> np.ndarray:
        """The rows at ascending places, as they were added."""
        rows = np.empty(len(places), self._dtype)
        at = 0
        for run in np.split(places, np.flatnonzero(np.diff(places) > _GAP) + 1) if len(places) else ():
            first, last = int(run[0]), int(run[-1])
            self._file.seek(first * self._dtype.itemsize)
            found = np.frombuffer(self._file.read((last + 1 - first) * self._dtype.itemsize), self._dtype)
            rows[at : at + len(run)] = found[run - first]
            at += len(run)
        return rows

    def chunks(self, places: np.ndarray) -> Iterator[np.ndarray]:
        """The rows at ascending places, `AT_ONCE` at a time."""
        return (self.read(places[start : start + AT_ONCE]) for start in range(0, len(places), AT_ONCE))


class SpilledLines:
    """What JSON can hold, a line each, added one by one and then only read. Nothing of it stays in memory."""

    def __init__(self, file: BinaryIO) -> None:
        """Lines in an empty file."""
        self._file, self._end = file, 0

    def add(self, value: Any) -> int:
        """Put a value behind the others; returns where it stands, which is further on for every later one."""
        start, line = self._end, json.dumps(value, allow_nan=False).encode() + b"\n"
        self._file.write(line)
        self._end += len(line)
        return start

    def read(self, start: int) -> Any:
        """The value that stands there; numbers as they were added, tuples as lists."""
        self._file.seek(start)
        return json.loads(self._file.readline())


def blocks(places: np.ndarray) -> list[np.ndarray]:
    """Runs of nearly the same length, as few as hold at most `AT_ONCE` each."""
    return np.array_split(places, max(1, -(-len(places) // AT_ONCE)))
