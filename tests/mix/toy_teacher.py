"""Teachers for tests: they know every question they can be asked, and answer it well, or as badly as a test wants."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actial.mirror import mirrored_question
from actial.mix.claims import AXES, DECIDING, FORMS, checked, true_of_camera
from actial.mix.teacher import opening
from actial.mix.verification import FalseClaim
from actial.records import Question, View
from actial.shards import ViewStore
from actial.tables import read_questions


class KnownQuestions:
    """The training questions of a project, and their mirror images, found again by what a teacher is told about them."""

    def __init__(self, root: Path, mirrored: bool) -> None:
        self.store = ViewStore(root / "outputs/render_views/views")
        questions = read_questions(root / "outputs/build_qa/train.parquet")
        questions += list(map(mirrored_question, questions)) if mirrored else []
        self.questions: dict[str, Question] = {}
        """By what is told of them; of several that are told alike, the first."""
        for question in questions:
            self.questions.setdefault(opening(question, *self.views(question))[1].content.replace("<image>", ""), question)

    def views(self, question: Question) -> tuple[View, View]:
        return self.store[question.view_ids[0]], self.store[question.view_ids[1]]

    def number(self, body: dict[str, Any]) -> int:
        """A number of what is asked: the same for questions that are told alike."""
        return int(hashlib.sha256(self.asked(body).question_id.encode()).hexdigest(), 16)

    def asked(self, body: dict[str, Any]) -> Question:
        """The question of a request."""
        return self.questions["".join(part.get("text", "") for part in body["messages"][1]["content"])]


def good_reply(question: Question, first: View, second: View) -> str:
    """Reasoning all of whose claims are true, in the form asked for."""
    return in_form(
        f"Compare the two pictures. I see that {seen(question, first, second)}. From that it follows that {decided(question, first, second)}.", question.truth
    )


def in_form(reasoning: str, answer: str) -> str:
    return f"<reasoning>{reasoning}</reasoning>\n<answer>{answer}</answer>"


def decided(question: Question, first: View, second: View) -> str:
    """The true claim that decides the question."""
    wanted = {c for axis in AXES if axis.topic in DECIDING[question.kind] for c in (axis.positive, axis.negative, axis.none)}
    return next(f"[{claim}]" for claim in true_of_camera(first, second) if claim.split(" by about")[0] in wanted)


def seen(question: Question, first: View, second: View) -> str:
    """A true claim about the pictures."""
    end = decided(question, first, second)
    for claim in _claims():
        try:
            checked(f"[{claim}] {end}", question.kind, first, second)
        except FalseClaim:
            continue
        return f"[{claim}]"
    raise AssertionError("nothing can be said of these pictures")


def _claims() -> Sequence[str]:
    sides = [f"the object is {side} the middle of the {n} picture" for side, n in itertools.product(("near", "left of", "right of"), ("first", "second"))]
    looks = [f"the object looks {how} in the second picture" for how in ("as large", "larger", "smaller")]
    assert len(FORMS) >= 3
    return sides + looks
