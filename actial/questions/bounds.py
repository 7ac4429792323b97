"""What an answer bounds: differences between quantities of views, which `contradictions` chains.

Angles on the map: azimuth is where a camera stands about the subject, heading where it looks, and the way from one view to another is the direction of its
level step. Kinds: `orbit`, `perspective` and `orbit_angle` bound differences of azimuth, `turn` and `turn_angle` of heading, `pitch` of elevation, `roll` of
the horizon's tilt, `radial` of the logarithm of the distance r, `between` and `arc_order` three azimuths. `lateral`, `forward` and `direction` bound the way
against the first camera's heading.

Lengths are told in r of the camera that a step starts from, which differ. `vertical`, `direction` and `front` bound positions (upwards, and to the subject's
left), all kinds about steps how far apart two cameras are: each in r of the camera where a step begins that is no "none". A "none" is short in that unit, too:
the pairs of a family follow each other around it, a camera that stays keeps its r, and so the next step that is none begins at (nearly) the same r.

Distances between cameras, and rotations (`turned`), are kept as seen from each view k: by the triangle inequality two views differ in their distance from k by
no more than they lie apart.

Not reasoned about: how far a camera went, but against answers that it stayed; how steeply; where in the pictures the subject's own front points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from actial.geometry.angles import Motion, motion_between
from actial.params_questions import Band, BuildQA
from actial.questions.contradictions import AZIMUTH, CIRCULAR, ELEVATION, HEADING, LOG_DISTANCE, TILT, WAY, Bound, Claim
from actial.questions.cues import in_picture
from actial.questions.deciding import band_of
from actial.questions.kinds import KINDS
from actial.records import Question, View

BEARING_KNOWN_TO_DEG = 5.0
"""How exactly a picture tells the direction to the subject's middle against that of the camera: the lens is not told."""
LEVEL = f"{ELEVATION} of the horizon"
HEIGHT, ASIDE, APART, ROTATED = "height", "aside", "apart", "rotated"
"""Up; to the subject's left; the distance from another camera; the rotation from another camera, degrees."""
UNBOUNDED = {ELEVATION: 180.0, LOG_DISTANCE: 100.0, HEIGHT: 1e9, ASIDE: 1e9, APART: 1e9, ROTATED: 180.0}
"""More than any two cameras differ by: degrees, a ratio of e^100, and r of some camera."""

_DIFFERENCES = {
    "orbit": (AZIMUTH, "left"),
    "perspective": (AZIMUTH, "left"),
    "turn": (HEADING, "left"),
    "pitch": (ELEVATION, "up"),
    "roll": (TILT, "clockwise"),
    "radial": (LOG_DISTANCE, "farther"),
}
"""Which quantity's difference a kind asks for, and the label of positive ones."""
_ANGLES = {"orbit_angle": AZIMUTH, "turn_angle": HEADING}
_OF_THREE = ("between", "arc_order")
_WAYS_DEG = {"forward": 0.0, "left": 90.0, "back": 180.0, "right": -90.0}
"""Left of what the way is measured against."""
_BY_HEADING = frozenset({"lateral", "forward", "direction"})
_POSITIONS = {
    ("vertical", "up"): (HEIGHT, 1),
    ("vertical", "down"): (HEIGHT, -1),
    ("direction", "up"): (HEIGHT, 1),
    ("direction", "down"): (HEIGHT, -1),
    ("front", "left"): (ASIDE, 1),
    ("front", "right"): (ASIDE, -1),
}
"""Along what an answer says that the camera went, and which way."""
_STEPS = frozenset({*_BY_HEADING, "vertical", "front", "moved"})
CONSTRAINING = frozenset({*_DIFFERENCES, *_ANGLES, *_OF_THREE, *_STEPS, "turned"})
"""Kinds whose answers are bounds."""


def motion_of(view: View) -> Motion:
    """Of one camera alone: where it sees the subject, and how far from its vertical axis."""
    T = view.camera.pose()[None]
    return motion_between(T, T, view.objects[0].center())


def facts_of(views: Sequence[View], questions: Sequence[Question], settings: BuildQA) -> Iterator[Claim]:
    """What holds whatever is answered: cameras are not pitched far, and see the subject where their pictures show it.

    A step from level distance and azimuth (ρ1, a1) to (ρ2, a2) is made of ρ2 along a2 and ρ1 along a1 + 180°, and that from A to C of A to B and B to C.
    """
    yield (tuple(_shown(views, settings)),)
    number = {view.view_id: place for place, view in enumerate(views)}
    steps = {(min(pair), max(pair)) for q in questions if q.kind in _BY_HEADING for pair in [tuple(number[v] for v in q.view_ids)]}
    for i, j in sorted(steps):
        yield _between(_way(i, j)[0], f"{AZIMUTH} {j}", f"{AZIMUTH} {i}", 180.0)
    if steps == {(0, 1), (1, 2), (0, 2)}:
        yield _between(_way(0, 2)[0], _way(0, 1)[0], _way(1, 2)[0], 0.0)


def _between(way: str, a: str, b: str, more: float) -> Claim:
    """A step that is made of one along angle a and one along b + more leads between the two. Angles up to whole turns do not tell a corner of 0° whose middle
    lies opposite from one of 180°, so wide corners are alternatives of their own.
    """
    corners = ((0.0, 120.0, 120.0), (120.0, 180.0, 180.0))
    left = [(Bound(a, b, low - more, high - more), Bound(a, way, 0.0, part), Bound(way, b, -more, part - more)) for low, high, part in corners]
    right = [(Bound(a, b, -high - more, -low - more), Bound(a, way, -part, 0.0), Bound(way, b, -part - more, -more)) for low, high, part in corners]
    return (*left, *right)


def _shown(views: Sequence[View], settings: BuildQA) -> Iterator[Bound]:
    for place, view in enumerate(views):
        yield Bound(LEVEL, f"{ELEVATION} {place}", -settings.max_pitch_deg, settings.max_pitch_deg)
        center, T = view.objects[0].center(), view.camera.pose()[None]
        size_px = np.array([[view.camera.width_px, view.camera.height_px]], dtype=float)
        if np.isfinite(in_picture(center[None, None], T, view.camera.intrinsics()[None], size_px)).all():
            towards_deg = round(180.0 - float(motion_of(view).bearing_deg[0]), 6)  # of the heading against the azimuth
            yield Bound(f"{AZIMUTH} {place}", f"{HEADING} {place}", towards_deg - BEARING_KNOWN_TO_DEG, towards_deg + BEARING_KNOWN_TO_DEG)


def claim_of(question: Question, label: str, option: str, number: Mapping[str, int], settings: BuildQA) -> Claim:
    """What an answer says of the cameras.

    Args:
        number: of each view of the family.
    """
    places = [number[view_id] for view_id in question.view_ids]
    if question.kind in _OF_THREE:
        return tuple(_along_arc([places[i] for i in order], settings) for order in _orders(label))
    i, j = places
    if question.kind in _STEPS:
        return (tuple(_step(question, label, i, j, len(number), settings)),)
    if question.kind == "turned":
        return _rotation(label, i, j, len(number), settings)
    if question.kind in _ANGLES:
        size_deg = int(option.split()[0])
        middle = size_deg if label.startswith("left") else -size_deg
        return (
            (_difference(_ANGLES[question.kind], i, j, middle - 0.5, middle + 0.5),)
            if size_deg
            else (_still(_ANGLES[question.kind], i, j, question.kind, settings),),
        )
    quantity, positive = _DIFFERENCES[question.kind]
    if label == "none":
        return ((_still(quantity, i, j, question.kind, settings),),)
    band = band_of(KINDS[question.kind], settings)
    low, high = band.asked_from, band.asked_to or (180.0 if quantity in CIRCULAR else UNBOUNDED[quantity])
    return ((_difference(quantity, i, j, low, high) if label == positive else _difference(quantity, i, j, -high, -low),),)


def _difference(quantity: str, i: int, j: int, low: float, high: float) -> Bound:
    return Bound(f"{quantity} {i}", f"{quantity} {j}", low, high)


def _still(quantity: str, i: int, j: int, kind: str, settings: BuildQA) -> Bound:
    band: Band = band_of(KINDS[kind], settings)
    return _difference(quantity, i, j, -band.none_below, band.none_below)


def _at_least(quantity: str, low: float, i: int, j: int) -> list[Bound]:
    """Two views lie so far apart."""
    return [Bound(f"{quantity} {a} from {a}", f"{quantity} {b} from {a}", low, UNBOUNDED[quantity]) for a, b in ((i, j), (j, i))]


def _at_most(quantity: str, high: float, i: int, j: int, n_views: int) -> list[Bound]:
    return [Bound(f"{quantity} {i} from {k}", f"{quantity} {j} from {k}", -high, high) for k in range(n_views)]


def _way(i: int, j: int) -> tuple[str, float]:
    """The way from one view to another: a node, and what is added to it."""
    return f"{WAY} {min(i, j)}-{max(i, j)}", 0.0 if i < j else 180.0


def _step(question: Question, label: str, i: int, j: int, n_views: int, settings: BuildQA) -> Iterator[Bound]:
    """What a kind about the step from camera i to camera j says."""
    kind, band = question.kind, band_of(KINDS[question.kind], settings)
    if label in ("none", "no"):
        yield from _stays(band.none_below, i, j, n_views, settings)
        return
    yield from _at_least(APART, band.asked_from, i, j)
    if (kind, label) in _POSITIONS:
        quantity, sign = _POSITIONS[kind, label]
        yield _difference(quantity, *((i, j) if sign > 0 else (j, i)), band.asked_from, UNBOUNDED[quantity])
    if kind in _BY_HEADING and label in _WAYS_DEG:
        spread_deg = math.degrees(math.atan(1 / settings.direction_ratio)) if kind == "direction" else 90.0
        way, more = _way(i, j)
        yield Bound(f"{HEADING} {i}", way, _WAYS_DEG[label] - more - spread_deg, _WAYS_DEG[label] - more + spread_deg)
    if kind == "lateral" and question.tied_class:
        yield _sideways(label, i, j)


def _sideways(label: str, i: int, j: int) -> Bound:
    """With the subject at bearing b from camera 1, and camera 2 at orbit o and p times the level distance, the lateral part is p sin(o + b) - sin b of that
    distance. Where b is so small that the second term alone is not asked about (the kinds are tied), the sign of the first decides: that of camera 2's azimuth
    against camera 1's heading.
    """
    low, high = (-180.0, 0.0) if label == "right" else (0.0, 180.0)
    return Bound(f"{HEADING} {i}", f"{AZIMUTH} {j}", low, high)


def _stays(most: float, i: int, j: int, n_views: int, settings: BuildQA) -> Iterator[Bound]:
    """Camera j is less than `most` r of camera i away from it: less than most / (1 - most)² r of the camera that the next step, or the one after it, begins at.
    Twice that is taken, so that whatever settings say two such steps are taken to outweigh a longer one only where they can.
    """
    around_deg = math.degrees(math.asin(min(1.0, most / settings.min_level_distance_r)))
    yield _difference(AZIMUTH, i, j, -around_deg, around_deg)
    yield _difference(LOG_DISTANCE, i, j, math.log(1 - most), math.log(1 + most))
    short = 2 * most / (1 - most) ** 2
    for quantity in (HEIGHT, ASIDE):
        yield _difference(quantity, i, j, -short, short)
    yield from _at_most(APART, short, i, j, n_views)


def _rotation(label: str, i: int, j: int, n_views: int, settings: BuildQA) -> Claim:
    """A rotation by angle θ parts lines of sight by no more than θ, so it changes their elevations e by at most θ, and, since the haversine of their angle is
    hav Δe + cos e1 cos e2 hav(turn), heading by the turn with sin(turn / 2) = sin(θ / 2) / cos(max_pitch). It is made of turn, pitch and roll, so it is at most
    their sum, and the roll at most the sum of the other three: where θ is large, one of the three is at least a third of it.
    """
    band = settings.turned
    if label == "no":
        most = band.none_below
        turn_deg = 2 * math.degrees(math.asin(min(1.0, math.sin(math.radians(most / 2)) / math.cos(math.radians(settings.max_pitch_deg)))))
        by = ((HEADING, turn_deg), (ELEVATION, most), (TILT, turn_deg + 2 * most))
        return ((*_at_most(ROTATED, most, i, j, n_views), *(_difference(of, i, j, -x, x) for of, x in by)),)
    third = band.asked_from / 3
    some = [_difference(of, i, j, third, 360.0 - third) for of in (HEADING, TILT)]
    some += [_difference(ELEVATION, a, b, third, UNBOUNDED[ELEVATION]) for a, b in ((i, j), (j, i))]
    return tuple((*_at_least(ROTATED, band.asked_from, i, j), one) for one in some)


def _orders(label: str) -> tuple[tuple[int, ...], ...]:
    """The counter-clockwise orders, as places of pictures, that a label leaves open."""
    if "-" in label:
        return (tuple(int(picture) - 1 for picture in label.split("-")),)
    middle = ("first", "second", "third").index(label)
    one, other = (place for place in range(3) if place != middle)
    return (one, middle, other), (other, middle, one)


def _along_arc(places: Sequence[int], settings: BuildQA) -> tuple[Bound, ...]:
    a, b, c = places
    gap, whole = settings.three_views.min_gap_deg, settings.three_views.max_arc_deg
    return (_difference(AZIMUTH, a, b, gap, whole - gap), _difference(AZIMUTH, b, c, gap, whole - gap), _difference(AZIMUTH, a, c, 2 * gap, whole))
