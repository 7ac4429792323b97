"""VLMEvalKit's TSV of multiple-choice questions with several pictures each, for a folder that `LMUData` names.

Its docs/en/Development.md is the schema. What its loader does besides (`vlmeval/dataset/image_base.py`, commit e8e78f05): it reads the file with pandas;
an `image` that begins with `[` is a list; one of at most 64 characters is the index of a row with the same pictures; pictures are written under the names in
`image_path`, which it does not write again where such a file stands, so that our names carry a checksum; above 1 GB it takes another way, which fails
where rows share pictures.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from actial.export.pictures import Picture, Pictures
from actial.export.tally import Tally
from actial.records import LETTERS, Question
from actial.tables import count_rows, stream_questions
from actial.views.progress import ViewProgress

FILE_BYTES = 1_000_000_000
"""A file ends before it is larger than this."""
PICTURES_FOLDER = "images"
"""VLMEvalKit's own, below `LMUData`."""
MISSING = frozenset(["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None"])
MISSING |= {"n/a", "nan", "null"}
"""Texts that pandas reads as no text; an option would vanish."""
TEXT_BYTES = 20_000
"""Room left for the texts of a row."""
_CUE = {"aligned": "2D cue aligned", "conflict": "2D cue in conflict", "none": "no 2D cue"}


def dataset_name(split: str, number: int = 1) -> str:
    """What VLMEvalKit calls a split, or its n-th file."""
    return f"actial_{split}" + (f"_{number}" if number > 1 else "")


def write_vlmeval(folder: Path, splits: Mapping[str, Path], pictures: Pictures, tally: Tally) -> None:
    """Write `actial_<split>.tsv`; rows that show a broken picture, or that VLMEvalKit would misread, are set aside."""
    with ViewProgress(sum(map(count_rows, splits.values())), 0, "question", "export") as progress:
        for split, path in splits.items():
            with _TsvWriter(folder, split, _most_options(path)) as writer:
                for question in stream_questions(path):
                    shown = pictures.open_all(question.view_ids)
                    reason = _unfit(question) if shown else "questions with a picture that is missing or cannot be read"
                    if reason:
                        tally.aside[reason] += 1
                    else:
                        tally.add(split, question, shown or ())
                        writer.add(question, shown or [])
                    progress.add(1, set_aside=reason is not None)


def _most_options(path: Path) -> int:
    return max((len(question.options) for question in stream_questions(path)), default=0)


def _unfit(question: Question) -> str | None:
    if not question.options:
        return "questions without options"
    if MISSING.intersection((question.text, *question.options)):
        return "questions with a text that VLMEvalKit takes for a missing one"
    return None


class _TsvWriter:
    """Writes one split. A file is opened with its first row."""

    def __init__(self, folder: Path, split: str, n_options: int) -> None:
        self.folder, self.split = folder, split
        self.letters = LETTERS[:n_options]
        self.header = ["index", "image", "image_path", "question", "hint", *self.letters, "answer", "category", "l2-category", "split"]
        self.header += ["question_id", "licences"]
        self._n_files, self._n_rows, self._n_bytes = 0, 0, 0
        self._file: TextIO | None = None
        self._writer: Any = None
        self._first_row: dict[tuple[str, ...], int] = {}
        """Of this file: the row that holds the pictures."""

    def __enter__(self) -> _TsvWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, question: Question, shown: Sequence[Picture]) -> None:
        encoded = [base64.b64encode(picture.data).decode() for picture in shown]
        self._make_room(sum(map(len, encoded)) + TEXT_BYTES)
        first = self._first_row.setdefault(question.view_ids, self._n_rows)
        row = {
            "index": self._n_rows,
            "image": _as_list(encoded) if first == self._n_rows else first,
            "image_path": _as_list([_file_name(picture) for picture in shown]),
            "question": question.text,
            "hint": "",
            **dict(zip(self.letters, question.options, strict=False)),
            "answer": question.truth,
            "category": question.kind,
            "l2-category": _CUE[question.cue],
            "split": self.split,
            "question_id": question.question_id,
            "licences": ", ".join(sorted({picture.view.licence for picture in shown})),
        }
        self._n_bytes += self._writer.writerow(row)
        self._n_rows += 1

    def _make_room(self, n_bytes: int) -> None:
        """Begin a file where there is none, or where the present one would become too large."""
        if self._file is not None and self._n_bytes + n_bytes > FILE_BYTES:
            self._file.close()
            self._file, self._first_row, self._n_rows, self._n_bytes = None, {}, 0, 0
        if self._file is None:
            self._n_files += 1
            path = self.folder / f"{dataset_name(self.split, self._n_files)}.tsv"
            self._file = path.open("w", encoding="utf-8", newline="")
            self._writer = csv.DictWriter(self._file, self.header, delimiter="\t", lineterminator="\n")
            self._writer.writeheader()


def _file_name(picture: Picture) -> str:
    """Where VLMEvalKit puts a picture: it writes PNG here whatever the picture was, which changes no pixel."""
    return f"{picture.view.view_id}-{hashlib.sha256(picture.data).hexdigest()[:8]}.png"


def _as_list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{text}'" for text in texts) + "]"
