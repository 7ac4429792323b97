"""What every page on questions shares: which are shown, their pictures, their outcomes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from actial.ids import question_of
from actial.records import Question, Verdict
from actial.report.outputs import STAND_INS, in_order
from actial.report.page import Html, tag
from actial.report.sketch import top_down
from actial.rng import seed_for
from actial.shards import ViewStore


def sample_of(test: Sequence[Question], asked: Collection[str], n: int) -> list[Question]:
    """At most `n` of the questions that were asked (of all, where none was), drawn by a hash of their ids, in their own order."""
    candidates = [q for q in test if q.question_id in asked] or test
    kept = {q.question_id for q in sorted(candidates, key=lambda q: seed_for(0, q.question_id))[:n]}
    return [q for q in candidates if q.question_id in kept]


def shown_verdicts(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Verdicts by question id, without the stand-ins, in the order of training; a sampled completion counts to its question."""
    by_question: dict[str, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda v: in_order((v.model, v.mode))):
        if verdict.model not in STAND_INS:
            by_question.setdefault(question_of(verdict.question_id), []).append(verdict)
    return by_question


def pair_of_pictures(view_ids: Sequence[str], views: ViewStore | None) -> Html:
    """The pictures in their order (filled in by the script), and the sketch from above where both cameras are known."""
    figures = [
        tag("figure", tag("img", data_view=view_id, alt=f"Picture {i}: {view_id}"), tag("figcaption", tag("b", i), f" {view_id}"))
        for i, view_id in enumerate(view_ids, start=1)
    ]
    if views is not None and len(view_ids) > 1 and all(v in views for v in view_ids):
        sketch = top_down(*(views[v] for v in view_ids))
        if sketch is not None:
            figures.append(tag("figure", sketch, tag("figcaption", "From above; camera 1 looks up the page")))
    return tag("div", *figures, class_="pair")


def outcome(verdict: Verdict) -> str:
    """right, wrong, or unread (no answer could be read, which counts as wrong)."""
    return "right" if verdict.correct else "unread" if verdict.answer is None else "wrong"
