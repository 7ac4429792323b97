"""One person's answers: kept in a log that only grows, so that a review can be stopped at any time, and goes on where it was."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actial.errors import UserError
from actial.records import LETTERS, Question
from actial.report.reviews import Review, Reviewed, pictures_of, pictures_sha256
from actial.shards import ViewStore


@dataclass(frozen=True)
class Said:
    """To a question: a letter, or None where it cannot be answered, and why not."""

    letter: str | None
    note: str


class Session:
    """The questions drawn for a person, and what they said so far.

    Args:
        log: file of answers; more of them are added to it. One process at a time has it.
        questions: in the order to be asked.

    Raises:
        UserError: another process has the log, or a line of it is damaged.
    """

    def __init__(self, log: Path, questions: Sequence[Question], views: ViewStore, reviewer: str) -> None:
        self.log, self.questions, self.reviewer = log, questions, reviewer
        self._pictures = {q.question_id: pictures_sha256(views, q.view_ids) for q in questions}
        self._said: dict[str, Said] = {}
        """By question, in the order of answering."""
        self._final: set[str] = set()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(log, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise UserError(f"{log} is in use by another `actial review`: answer there, or stop it first") from None
        for line in self._whole_lines():
            self._take(line)

    def close(self) -> None:
        os.close(self._file)

    @property
    def n_said(self) -> int:
        """Of the questions drawn, how many have an answer."""
        return sum(q.question_id in self._said for q in self.questions)

    def said_ids(self) -> set[str]:
        """The questions with an answer, whether drawn this time or not."""
        return set(self._said)

    def waiting_to_be_final(self) -> set[str]:
        """The questions whose answers can still be changed."""
        return set(self._said) - self._final

    @property
    def is_final(self) -> bool:
        """Whether the results may be shown: of those answered none can be changed any more, and there are some."""
        return bool(self.final())

    def current(self) -> int | None:
        """Place of the first question without an answer; None where all have one."""
        return next((i for i, q in enumerate(self.questions) if q.question_id not in self._said), None)

    def undoable(self) -> int | None:
        """Place of the question answered last that can still be changed."""
        places = {q.question_id: i for i, q in enumerate(self.questions)}
        return next((places[name] for name in reversed(self._said) if name in places and name not in self._final), None)

    def answer(self, place: object, letter: object, note: str = "") -> None:
        """Keep an answer to the question at a place, which must be the current one.

        Raises:
            ValueError: it is not, or has no such option.
        """
        if not isinstance(place, int) or place != self.current():
            raise ValueError(f"question {place} is not the one to be answered")
        question = self.questions[place]
        if letter is not None and letter not in [*LETTERS[: len(question.options)]]:
            raise ValueError(f"question {place} has no option {letter}")
        self._append(question_id=question.question_id, pictures=self._pictures[question.question_id], answer=letter, note=note)

    def undo(self) -> None:
        """Take the last answer back, if it can be."""
        place = self.undoable()
        if place is not None:
            self._append(question_id=self.questions[place].question_id, undone=True)

    def finish(self) -> None:
        """Make what was said final; the results may be shown from now on."""
        self._append(final=sorted(self._said))

    def final(self) -> list[tuple[Question, Said]]:
        """Of the questions drawn, those whose answers are final."""
        return [(q, self._said[q.question_id]) for q in self.questions if q.question_id in self._final]

    def review(self, views: ViewStore, split: str, questions_sha256: str) -> Review:
        """The final answers."""
        answers = tuple(
            Reviewed(q.question_id, q.view_ids, q.kind, q.scene_id, q.label_of(q.truth), None if said.letter is None else q.label_of(said.letter), said.note)
            for q, said in self.final()
        )
        return Review(self.reviewer, split, questions_sha256, pictures_sha256(views, pictures_of(answers)), answers)

    def _append(self, **line: Any) -> None:
        row = {"reviewer": self.reviewer} | line
        os.write(self._file, (json.dumps(row, ensure_ascii=False) + "\n").encode())
        os.fsync(self._file)
        self._take(row)

    def _take(self, line: dict[str, Any]) -> None:
        if line["reviewer"] != self.reviewer:
            return
        if "final" in line:
            self._final |= set(line["final"]) & set(self._said)
        elif line.get("undone"):
            self._said.pop(line["question_id"], None)
        elif line["pictures"] == self._pictures.get(line["question_id"], line["pictures"]):  # an answer about a picture that has changed since is none
            self._said.pop(line["question_id"], None)
            self._said[line["question_id"]] = Said(line["answer"], line["note"])

    def _whole_lines(self) -> list[dict[str, Any]]:
        """The log's lines. What a crash cut off at its end is cut off for good."""
        text = self.log.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            os.ftruncate(self._file, len(whole))
        lines = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = json.loads(line)
                if not ("final" in row or row.get("undone") or row.keys() >= {"question_id", "pictures", "answer", "note"}) or "reviewer" not in row:
                    raise ValueError("it lacks a field")
                lines.append(row)
            except (ValueError, AttributeError, TypeError) as error:
                raise UserError(f"{self.log}, line {number} is no answer ({error}): remove that line") from None
        return lines
