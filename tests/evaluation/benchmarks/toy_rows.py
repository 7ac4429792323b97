"""Small benchmarks of the true schemas whose pictures lie in files, and what completions are worth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toy_benchmarks import png

from actial.evaluation.benchmarks.benchmark import Item, Scored
from actial.evaluation.benchmarks.credits import scored


def write_pictures(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(name))


def write_json(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(rows)), encoding="utf-8")
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answered(items: Iterable[Item], completions: Mapping[str, str]) -> list[Scored]:
    """Items with what their completions, by row, are worth."""
    return [scored(item, completions[item.row_id]) for item in items]
