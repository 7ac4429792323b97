"""Who answers the very questions that models are asked from less than space: learners trained on the training questions, for the rows beside chance.

The audit (`shortcuts`) asks whether a set of questions leaks; these say what a score on the questions asked is worth. A model that scores no more than one of
them has shown nothing beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from actial.questions.probes import LEARNERS
from actial.questions.readings import ALONE, FLOOR, SHIFT, SIZE, TEXT, Seen, features, look
from actial.questions.shortcuts import answered_by_meaning, drawn_questions, right_answers
from actial.records import LETTERS, Question
from actial.rng import seed_for
from actial.shards import ViewStore

BASELINES: Mapping[str, tuple[tuple[str, int], ...]] = {
    "text only": ((TEXT, 0),),
    "first picture": ((ALONE, 0),),
    "second picture": ((ALONE, 1),),
    "2D probe": ((SHIFT, 0), (SIZE, 0), (FLOOR, 0)),
}
"""By row what it reads, and of which picture: the words; where things are in one picture; how they slide, grow, and slide against their height from picture to
picture."""
LEAST_TAUGHT, MOST_TAUGHT = 300, 3000
"""Training questions of a kind: fewer teach nothing, and more take time."""


def baseline_answers(train: Path, asked: Sequence[Question], store: ViewStore, seed: int) -> dict[str, dict[str, str]]:
    """Letters by baseline and question. Questions are missing where nobody taught their kind, or views do not say where things are.

    Args:
        train: the training questions; there may be none.
        asked: the questions to answer, of any kinds.

    Raises:
        UserError: `train` is no table of questions.
    """
    known = drawn_questions([train], MOST_TAUGHT, seed) if train.exists() else {}
    taught = {kind: [q for q in questions if all(view_id in store for view_id in q.view_ids)] for kind, questions in known.items()}
    taught = {kind: questions for kind, questions in taught.items() if len(questions) >= LEAST_TAUGHT}
    by_kind = {kind: [q for q in asked if q.kind == kind] for kind in sorted({q.kind for q in asked}) if kind in taught}
    view_ids = sorted({view_id for kind in by_kind for q in (*taught[kind], *by_kind[kind]) for view_id in q.view_ids})
    answers: dict[str, dict[str, str]] = {name: {} for name in BASELINES}
    if not view_ids:
        return answers
    seen = look(store, view_ids, open_pictures=False)
    for kind, questions in by_kind.items():
        for name in BASELINES:
            answers[name] |= _answers(name, taught[kind], questions, seen, seed_for(seed, f"{kind}/{name}/baseline"))
    return answers


def _answers(name: str, taught: Sequence[Question], asked: Sequence[Question], seen: Seen, seed: int) -> dict[str, str]:
    """What the learner of a row answers to questions of one kind."""
    from threadpoolctl import threadpool_limits

    both, n = [*taught, *asked], len(taught)
    X, y = _read(name, both, seen), right_answers(both)
    if X is None or len(np.unique(y[:n])) < 2:
        return {}
    with threadpool_limits(1):
        said = LEARNERS["linear"](seed % 2**32).fit(X[:n], y[:n]).predict(X[n:])
    if answered_by_meaning(both):
        return {q.question_id: q.letter_of(label) if label in q.labels else "" for q, label in zip(asked, said, strict=True)}
    return {q.question_id: letter if letter in LETTERS[: len(q.options)] else "" for q, letter in zip(asked, said, strict=True)}


def _read(name: str, questions: Sequence[Question], seen: Seen) -> np.ndarray | None:
    """(n, d) what a row reads of questions; None where they do not offer it."""
    n_pictures = {len(q.view_ids) for q in questions}
    pictures_needed = 1 + max(place for _, place in BASELINES[name]) if len(BASELINES[name]) == 1 else 2
    if name != "text only" and (len(n_pictures) > 1 or min(n_pictures) < pictures_needed):
        return None
    X = np.hstack([features(reading, place, questions, seen, np.zeros(len(questions))) for reading, place in BASELINES[name]])
    return None if np.isnan(X).all() else X
