"""What a chain of thought says of three pictures whose cameras stand on one arc around the object.

One way between two parts is drawn on a map from each picture, told from the way to that camera: it swings by as much as one camera stands around the object
from another. So the angles between the places follow, and from these the order on the arc, and which place is in the middle. As in `evidence`, the answer is
never looked at before a label is concluded, and numbers are rounded first and reckoned with as they are told.
"""

from __future__ import annotations

from collections.abc import Sequence

from actial.mix.evidence import LEVEL_DEG, NTH, STEEP_R, Chain, Claim, told_line, wrapped
from actial.mix.measures import Picture, longest_line
from actial.mix.reasoning import NoChain
from actial.questions.sight import has_sides, shows_subject, sightings, spoken_names
from actial.records import Question, SceneObject, View

LEAST_GAP_DEG, WIDEST_DEG = 5, 170
"""Neighbours on the arc that are told are at least so far apart, and all three within so much of the circle, degrees."""


def reasoned_on_arc(question: Question, views: Sequence[View]) -> Chain:
    """The chain of a question about three views, in the order of their pictures.

    Raises:
        NoChain: the pictures do not show two parts that a map can be drawn by, the places are too close or too wide apart, or they contradict the answer.
    """
    if not all(map(shows_subject, views)):
        raise NoChain("subject not in all three pictures")
    pictures = [Picture(view) for view in views]
    if not all(map(has_sides, views)) or any(picture.level_share < STEEP_R for picture in pictures):
        raise NoChain("camera above or below the subject")
    if any(abs(picture.tilt_deg) > LEVEL_DEG for picture in pictures):
        raise NoChain("camera rolled")
    line = longest_line(pictures, _seen_in_all(views))
    if line is None:
        raise NoChain("no two named parts far enough apart")
    lines, right_deg = zip(*(told_line(line, i) for i in range(3)), strict=True)
    at_deg = [wrapped(right_deg[0] - deg) for deg in right_deg]
    on_arc = sorted(range(3), key=at_deg.__getitem__)
    start_deg, middle_deg, end_deg = (at_deg[i] for i in on_arc)
    if min(middle_deg - start_deg, end_deg - middle_deg) < LEAST_GAP_DEG or end_deg - start_deg > WIDEST_DEG:
        raise NoChain("places on the arc unclear")
    order = [i + 1 for i in on_arc]
    answer, label = _between(order) if question.kind == "between" else _in_order(order)
    if label != question.label_of(question.truth):
        raise NoChain("evidence contradicts the answer")
    places = Claim("places_on_arc", {"second": at_deg[1], "third": at_deg[2]})
    arc = Claim("order_on_arc", {"deg": end_deg - start_deg, "order": _spelled(order)})
    return Chain(tuple(lines), (places, arc, answer), label)


def _between(order: Sequence[int]) -> tuple[Claim, str]:
    return Claim("in_the_middle", {"middle": order[1]}), NTH[order[1] - 1]


def _in_order(order: Sequence[int]) -> tuple[Claim, str]:
    return Claim("offered_order", {"order": _spelled(order)}), "-".join(map(str, order))


def _spelled(order: Sequence[int]) -> str:
    return ", ".join(map(str, order))


def _seen_in_all(views: Sequence[View]) -> dict[str, SceneObject]:
    """The named parts that all pictures show, by what they are called."""
    names, (first, *others) = spoken_names(views[0].objects, with_shape=True), [sightings(view) for view in views]
    return {names[name]: s.part for name, s in first.items() if name in names and all(name in other for other in others)}
