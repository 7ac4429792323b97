"""Is a chain of thought about three pictures true? Every claim is checked against the three cameras and the projected parts, and against what was said before.

Shares no code with what writes such chains (`arc_evidence`): the cameras' places are angles of complex numbers, by pairs of pictures, as in `checked_scene`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from actial.mix.checked_scene import FalseClaim, NotUnderstood, Scene, scene_of
from actial.mix.verified_claims import lines_of, sentences_of
from actial.mix.verified_evidence import Facts, line_in, require, said, state, wrapped
from actial.records import Question, View

NTH = ("first", "second", "third")
HALF_CIRCLE_DEG = 180.0
TWICE_ROUNDED_DEG = 1.02
"""A difference of two angles that were rounded to degrees is off by less."""
_ANSWER_OF = {"between": "in the middle", "arc_order": "in order"}
_NO_CELLS = (1, 1)
"""No places on a grid are quoted."""


def verify_on_arc(chain: str, question: Question, views: Sequence[View]) -> None:
    """Check every claim of a chain about three views, and that its conclusion is the truth of the question.

    Raises:
        FalseClaim: the first claim that is false, not understood, or without ground.
    """
    scenes = [scene_of(views[0], views[i], _NO_CELLS) for i in (1, 2)]
    facts = Facts()
    for sentence in sentences_of(chain):
        if facts.answer:
            raise FalseClaim(f"goes on after its answer: {sentence!r}")
        _check(sentence, scenes, facts)
    if facts.answer is None or facts.answer[0] != _ANSWER_OF[question.kind]:
        raise FalseClaim("does not say what was asked")
    if facts.answer[1] != question.label_of(question.truth):
        raise FalseClaim(f"concludes {facts.answer[1]}")


def _check(sentence: str, scenes: Sequence[Scene], facts: Facts) -> None:
    for pattern, check in _RULES:
        if match := pattern.fullmatch(sentence):
            return check(scenes, match, facts)
    raise NotUnderstood(f"not understood: {sentence!r}")


def _line(scenes: Sequence[Scene], match: re.Match[str], facts: Facts) -> None:
    if match["nth"] == "first":
        return line_in(scenes[0], 0, match, facts)
    line_in(scenes[NTH.index(match["nth"]) - 1], 1, match, facts)


def _places(scenes: Sequence[Scene], match: re.Match[str], facts: Facts) -> None:
    """Both by the ways on the map as they were told, and as the cameras stand."""
    (first,), *others = (said(facts, f"line {nth}", match) for nth in NTH)
    told = [float(match[f"{w}deg"]) * (1 if match[f"{w}side"] == "counter-clockwise" else -1) for w in "ab"]
    for deg, (other,), scene in zip(told, others, scenes, strict=True):
        require(abs(deg) < HALF_CIRCLE_DEG and wrapped(first - other - deg) == 0, match)
        require(abs(wrapped(scene.orbit_deg - deg)) < TWICE_ROUNDED_DEG, match)
    state(facts, "places", match, *told)


def _order(scenes: Sequence[Scene], match: re.Match[str], facts: Facts) -> None:
    order = _numbers(match)
    for at_deg in ((0.0, *said(facts, "places", match)), (0.0, *(scene.orbit_deg for scene in scenes))):
        along = [at_deg[i - 1] for i in order]
        require(along[0] < along[1] < along[2] < along[0] + HALF_CIRCLE_DEG, match)
    told = said(facts, "places", match)
    require(float(match["deg"]) == max(0.0, *told) - min(0.0, *told), match)
    state(facts, "order", match, *order)


def _in_order(scenes: Sequence[Scene], match: re.Match[str], facts: Facts) -> None:
    order = _numbers(match)
    require(tuple(order) == said(facts, "order", match), match)
    facts.answer = "in order", "-".join(map(str, order))


def _in_the_middle(scenes: Sequence[Scene], match: re.Match[str], facts: Facts) -> None:
    middle = int(match["middle"])
    require(middle == said(facts, "order", match)[1], match)
    facts.answer = "in the middle", NTH[middle - 1]


def _numbers(match: re.Match[str]) -> list[int]:
    order = [int(number) for number in match["order"].split(", ")]
    require(sorted(order) == [1, 2, 3], match)
    return order


def _by(group: str) -> str:
    return rf"(?P<{group}deg>\d+) degrees? (?P<{group}side>counter-clockwise|clockwise)"


_ORDER, _SPAN = r"(?P<order>[123], [123], [123])", r"(?P<deg>\d+) degrees?"
_RULES: list[tuple[re.Pattern[str], Callable[[Sequence[Scene], re.Match[str], Facts], None]]] = [
    (re.compile(pattern), check)
    for pattern, check in (
        *((pattern, _line) for pattern in lines_of(*NTH)),
        (rf"The object stands still, so going around it from the first camera, the second is {_by('a')}, and the third is {_by('b')}\.", _places),
        (rf"As these are maps of one object, counted around it from the first camera the second stands {_by('a')} and the third {_by('b')}\.", _places),
        (rf"Laid over each other, the maps have the second camera {_by('a')} of the first, and the third {_by('b')} of the first\.", _places),
        (rf"The shortest arc past all three spans {_SPAN}, and on it they come counter-clockwise in the order {_ORDER}\.", _order),
        (rf"All three stand on an arc of {_SPAN}; from its clockwise end to the other one passes {_ORDER}\.", _order),
        (rf"So counter-clockwise from above the cameras stand in the order {_ORDER}\.", _in_order),
        (rf"Seen from above and against the clock, that is {_ORDER}\.", _in_order),
        (r"So the camera of picture (?P<middle>[123]) stood between the other two\.", _in_the_middle),
        (r"That leaves picture (?P<middle>[123]) in the middle\.", _in_the_middle),
    )
]
