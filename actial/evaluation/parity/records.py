"""Our records of benchmarks, one JSON line a completion, as `evaluate` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actial.answers import Answer, read_answer
from actial.errors import UserError
from actial.evaluation.benchmarks.benchmark import Item, Scored
from actial.evaluation.parity.reading import Reading
from actial.records import LETTERS, Question

FIELDS = ("benchmark", "row_id", "question_id", "options", "truth", "group", "variant", "strata", "model", "mode", "completion")
"""What a record must have."""


@dataclass(frozen=True)
class Record:
    """One completion of a multiple-choice question."""

    item: Item
    benchmark: str
    model: str
    mode: str
    sample: int | None
    """Which of several samples; None where there is one greedy completion."""
    completion: str
    """Empty where a server gave none."""
    is_control: bool
    """Whether it was asked with less to see than the kits show."""

    @property
    def options(self) -> dict[str, str]:
        """Text by letter."""
        return dict(zip(LETTERS, self.item.question.options, strict=False))

    def ours(self) -> Reading:
        """What our own rules read."""
        found = read_answer(self.completion, self.item.question.options)
        return Reading(found.letter, found.rule) if isinstance(found, Answer) else Reading(None, found.reason)

    def scored(self, reading: Reading) -> Scored:
        """What an answer is worth."""
        return Scored(self.item, float(reading.letter == self.item.question.truth), reading.letter is not None)


def load_records(paths: list[Path], benchmarks: frozenset[str]) -> tuple[dict[tuple[str, str, str, int | None], list[Record]], int]:
    """Records of some benchmarks, by benchmark, model, mode and sample, without controls; and how many lines are no whole record.

    Args:
        paths: files, or folders of .jsonl files however deep.

    Raises:
        UserError: a path does not exist, or there is no record of any of the benchmarks.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist: name a folder of records, such as outputs/evaluate/records, or one of its files")
        files += sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    found: dict[tuple[str, str, str, int | None], list[Record]] = {}
    n_broken = 0
    for file in files:
        for line in file.read_bytes().splitlines():
            record = _record(line)
            if record is None:
                n_broken += 1
            elif record.benchmark in benchmarks and not record.is_control:
                found.setdefault((record.benchmark, record.model, record.mode, record.sample), []).append(record)
    if not found:
        where = " ".join(map(str, paths))
        raise UserError(f"{where} holds no record of {', '.join(sorted(benchmarks))} with {', '.join(FIELDS)}: evaluate one of them first")
    return found, n_broken


def _record(line: bytes) -> Record | None:
    """None where a line is cut, or a record of something else."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or any(name not in row for name in FIELDS):
        return None
    sampling = (row.get("settings") or {}).get("sampling")
    number = None if sampling is None else sampling["number"]
    return Record(_item(row), row["benchmark"], row["model"], row["mode"], number, row["completion"] or "", "condition" in row)


def _item(row: Mapping[str, Any]) -> Item:
    options = tuple(row["options"])
    question = Question(
        question_id=row["question_id"],
        kind=row["benchmark"],
        family_id="",
        view_ids=(),
        text=row.get("question", ""),
        options=options,
        labels=options,
        truth=row["truth"],
        deciding_quantity="",
        deciding_value=float("nan"),
        margin=float("nan"),
        scene_id=row["question_id"].split(".", 1)[0],
        tied_class="",
        source=row["benchmark"],
    )
    return Item(row_id=row["row_id"], question=question, pictures=(), sizes_px=(), group=row["group"], variant=row["variant"], strata=row["strata"])
