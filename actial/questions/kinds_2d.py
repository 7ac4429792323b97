"""Questions that need no third dimension: where a part appears in a picture, on which side of another, which way
one went in the picture, alone and against another, and how the part that stands lowest in the pictures went against the one that stands highest.

They are the tiny base's schooling, and in every test they tell "it cannot see" from "it cannot answer": a model that reads pictures and knows
the form of question and answer does well here while it stays at chance about the camera.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from actial import ids
from actial.questions.sight import lowness, sightings, spoken_names
from actial.records import LETTERS, SUFFIX_2D, Label, Question, View, is_viewpoint
from actial.rng import generator_for

PLACE, ORDER, SHIFT, DRIFT, LEAN = (name + SUFFIX_2D for name in ("place", "order", "shift", "drift", "lean"))
LABELS: tuple[Label, ...] = ("left", "right", "none")
ASKED_FROM, NONE_BELOW = 0.1, 0.03
"""Shares of the picture's width: sideways distances beyond the first are left or right, those within the second neither; between them nothing is asked."""
PAIRS_AT_ONCE = 65_536
LOWER_BY = 0.02
"""So much of the picture's height, on the mean of both pictures, the part lowest on the ground is lower than any other, and the highest is higher."""

TEXTS = {
    PLACE: "Where is {a} in picture {n}?",
    ORDER: "In picture {n}, on which side of {a} is {b}?",
    SHIFT: "Which way did {a} go in the picture?",
    DRIFT: "Which way did {a} go against {b}?",
    LEAN: "Which way did the lowest part on the ground go against the highest?",
}
OPTIONS = {
    PLACE: ("left", "right", "in the middle"),
    ORDER: ("left", "right", "straight above or below"),
    SHIFT: ("left", "right", "it stayed in place"),
    DRIFT: ("left", "right", "it went with it"),
    LEAN: ("left", "right", "it went with it"),
}


@dataclass(frozen=True)
class Asked:
    """A question, and which named parts and pictures it is about."""

    question: Question
    parts: tuple[str, ...]
    """What they are called."""
    pictures: tuple[int, ...]
    """Places of the pictures asked about: 0, 1 or both."""


@dataclass(frozen=True)
class _Choice:
    parts: tuple[str, ...]
    pictures: tuple[int, ...]
    value: float
    """What decides: a sideways distance as a share of the picture's width, to the right positive."""

    @property
    def label(self) -> Label | None:
        if abs(self.value) < NONE_BELOW:
            return "none"
        if abs(self.value) < ASKED_FROM:
            return None
        return "right" if self.value > 0 else "left"

    @property
    def margin(self) -> float:
        return 1 - abs(self.value) / NONE_BELOW if self.label == "none" else abs(self.value) / ASKED_FROM - 1


def questions_2d(first: View, second: View, seed: int) -> list[Asked]:
    """One question of each kind about an ordered pair, where one can be asked.

    Part, picture and label are drawn by the seed and the question's id; every label that some part offers is equally likely.

    Raises:
        ValueError: a view has no pose.
    """
    seen = _seen(first), _seen(second)
    asked = []
    for kind, choices in _CHOICES.items():
        question_id = ids.question_id(ids.group_id(first.view_id, second.view_id), kind)
        generator = generator_for(seed, question_id)
        by_label: dict[Label, list[_Choice]] = {}
        for choice in choices(*seen):
            if choice.label:
                by_label.setdefault(choice.label, []).append(choice)
        if by_label:
            label = sorted(by_label)[int(generator.integers(len(by_label)))]
            choice = by_label[label][int(generator.integers(len(by_label[label])))]
            asked.append(Asked(_question(kind, question_id, choice, label, first, second, generator), choice.parts, choice.pictures))
    return asked


def pairs_asked(questions: Iterable[Question]) -> np.ndarray:
    """(n,) bytes: "ID ID" for the views of each ordered pair that a viewpoint question is about, each pair once, sorted; some 40 bytes for each."""
    asked = (" ".join(q.view_ids).encode() for q in questions if is_viewpoint(q.kind) and len(q.view_ids) == 2)
    pairs = np.empty(0, "S1")
    while some := list(itertools.islice(asked, PAIRS_AT_ONCE)):
        pairs = np.unique(np.concatenate([pairs, np.array(some)]))
    return pairs


def balanced_2d(pairs: Iterable[tuple[View, View]], n: int, seed: int) -> list[Question]:
    """At most `n` questions about pairs; of each kind as many of every label as the rarest has, in the order of the pairs.

    Raises:
        ValueError: a view has no pose.
    """
    most = n // (len(TEXTS) * len(LABELS))
    found: dict[tuple[str, str], list[Question]] = {(kind, label): [] for kind in TEXTS for label in LABELS}
    for first, second in pairs:
        for asked in questions_2d(first, second, seed):
            question = asked.question
            same = found[question.kind, question.label_of(question.truth)]
            if len(same) < most:
                same.append(question)
        if all(len(same) == most for same in found.values()):
            break
    rarest = {kind: min(len(found[kind, label]) for label in LABELS) for kind in TEXTS}
    return [question for (kind, _), same in found.items() for question in same[: rarest[kind]]]


def _question(kind: str, question_id: str, choice: _Choice, label: Label, first: View, second: View, generator: np.random.Generator) -> Question:
    order = [int(i) for i in generator.permutation(len(LABELS))]
    words = dict(zip("ab", (f"the {name}" if " " in name else name for name in choice.parts), strict=False))
    return Question(
        question_id=question_id,
        kind=kind,
        family_id=ids.group_id(first.view_id, second.view_id),
        view_ids=(first.view_id, second.view_id),
        text=TEXTS[kind].format(**words, n=choice.pictures[0] + 1),
        options=tuple(OPTIONS[kind][i] for i in order),
        labels=tuple(LABELS[i] for i in order),
        truth=LETTERS[order.index(LABELS.index(label))],
        deciding_quantity="sideways_share",
        deciding_value=round(choice.value, 6),
        margin=round(choice.margin, 6),
        scene_id=first.scene_id,
        tied_class="",
        source=first.source,
    )


@dataclass(frozen=True)
class _Spot:
    """Where a part appears in a picture, as shares of its width from the left and of its height from the top."""

    across: float
    ground: float
    """Of the ground straight below it."""


_Seen = dict[str, _Spot]
"""The parts in a picture, by what they are called; left to right."""


def _seen(view: View) -> _Seen:
    names, width_px = spoken_names(view.objects, with_shape=False), view.camera.width_px
    return {names[n]: _Spot(s.pixel[0] / width_px, lowness(s.part.center_m, view)) for n, s in sightings(view).items() if n in names}


def _places(*pictures: _Seen) -> Iterator[_Choice]:
    for n, seen in enumerate(pictures):
        for name, spot in seen.items():
            yield _Choice((name,), (n,), spot.across - 0.5)


def _orders(*pictures: _Seen) -> Iterator[_Choice]:
    for n, seen in enumerate(pictures):
        for (a, at_a), (b, at_b) in itertools.permutations(seen.items(), 2):
            yield _Choice((a, b), (n,), at_b.across - at_a.across)


def _shifts(first: _Seen, second: _Seen) -> Iterator[_Choice]:
    for name, spot in first.items():
        if name in second:
            yield _Choice((name,), (0, 1), second[name].across - spot.across)


def _drifts(first: _Seen, second: _Seen) -> Iterator[_Choice]:
    for one, other in itertools.permutations(_shifts(first, second), 2):
        yield replace(one, parts=one.parts + other.parts, value=one.value - other.value)


def _leans(first: _Seen, second: _Seen) -> Iterator[_Choice]:
    low = {name: (first[name].ground + second[name].ground) / 2 for name in first if name in second}
    down = sorted(low, key=lambda name: low[name], reverse=True)
    if len(down) > 1 and min(low[down[0]] - low[down[1]], low[down[-2]] - low[down[-1]]) >= LOWER_BY:
        yield next(choice for choice in _drifts(first, second) if choice.parts == (down[0], down[-1]))


_CHOICES: dict[str, Callable[[_Seen, _Seen], Iterator[_Choice]]] = {PLACE: _places, ORDER: _orders, SHIFT: _shifts, DRIFT: _drifts, LEAN: _leans}
