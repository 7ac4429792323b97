"""Replies kept on disk, so that nothing is asked twice: a line each, only ever added to, in whole lines.

A kill in the middle of a line loses that line and no other. The file is read once; texts are fetched from it when they are asked for.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import TracebackType

from actial.endpoint.asking import Reply


class Replies:
    """The replies of one model. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.n_unreadable = 0
        """Lines that were cut or damaged."""
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._places: dict[str, tuple[int, int]] = {}
        """Offset and length of each reply's line, by key."""
        self._end = self._index()

    def __enter__(self) -> Replies:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._file)

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Reply | None:
        """The reply kept under a key, if there is one."""
        if key not in self._places:
            return None
        start, length = self._places[key]
        found = _parsed(os.pread(self._file, length, start))
        assert found is not None, "it was read before"
        return found[1]

    def add(self, key: str, name: str, reply: Reply) -> None:
        """Keep a reply. The first one kept under a key stays."""
        if key in self._places:
            return
        row: dict[str, str | int | None] = {"key": key, "name": name, "text": reply.text, "finish": reply.finish}
        row |= {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
        line = json.dumps(row).encode() + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError(f"{self.path}: a line could not be written whole")
        self._places[key] = (self._end, len(line))
        self._end += len(line)

    def _index(self) -> int:
        """Find every whole line; a last one without an end is ended, so that the next starts afresh. Returns where the file ends."""
        start = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if found := _parsed(line):
                    self._places.setdefault(found[0], (start, len(line)))
                elif line.strip():
                    self.n_unreadable += 1
                start += len(line)
                if not line.endswith(b"\n"):
                    os.write(self._file, b"\n")
                    start += 1
        return start


def replies_file(folder: Path, model: str) -> Path:
    """Where the replies of a model are kept."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', model).strip('.-') or 'model'}.jsonl"


def _parsed(line: bytes) -> tuple[str, Reply] | None:
    try:
        row = json.loads(line)
        key, text, finish, tokens = row["key"], row["text"], row["finish"], (row["prompt_tokens"], row["completion_tokens"])
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(value, str) for value in (key, text, finish)) or not all(n is None or type(n) is int for n in tokens):
        return None
    return key, Reply(text, finish, *tokens)
