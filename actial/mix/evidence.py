"""What a chain of thought says of the kinds that are told in whole sentences alone: claims of what the pictures show, then what follows from them.

Each kind has a teller that looks at the pictures, never at the answer, and concludes a label from evidence with a margin; a chain is told where that is the
answer. So evidence that could mean something else is found: no teller may ever conclude another label than the true one (a test asks them about cameras
anywhere). Numbers are rounded first and reckoned with as they are told.

What tells motions apart that look alike: a lens draws what is near and what is far larger alike, coming closer the near more than the far; tilting moves the
horizon and things together, rising moves the horizon against things, since it stays at the height of the eye; turning moves no part against another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actial.mix.measures import Depth, Line, Measures
from actial.mix.reasoning import NoChain
from actial.questions.sight import has_sides
from actial.records import Question

LEVEL_DEG = 3.0
"""Of a picture tilted by more, left and right, above and below are not told."""
LENS_LOG = 0.08
"""Lenses are called the same where the logarithms of their focal lengths differ by no more."""
STEEP_R = 0.65
"""From higher above the object than this level distance, in shares of the whole distance, little is told of it."""
EDGE = 0.03
"""The horizon is seen where it is farther from the upper and lower edge, in picture heights."""
LEAST_GAP = 0.15
"""The far part is behind the near one by this share of the camera's distance."""
KEPT = 0.012
"""The near part keeps its place against the far one when it goes by less, as a tangent; and they grow alike when the logarithms of how much do."""
NO_WAY_AROUND = 0.06
"""Nor has the camera gone around when it shifts sideways by less than this share of the gap."""
GROWS_MORE = 0.12
"""One of the two grows more than the other when the logarithms of how much differ by this share of the gap."""
CLEAR_DEG, NONE_DEG = 6, 2
"""Differences of told angles that are a motion, from, and that are none, up to."""
CLEAR_H, EYE_H = 0.25, 0.2
"""Told distances, and heights of the eye, that differ by so many of the object's heights are a motion."""


@dataclass(frozen=True)
class Claim:
    """One sentence's worth: what is claimed, and the words and numbers that it is claimed with."""

    name: str
    told: dict[str, str | int | float]


@dataclass(frozen=True)
class Chain:
    """A chain before it is put into words."""

    evidence: tuple[Claim, ...]
    """What the pictures show."""
    conclusions: tuple[Claim, ...]
    """What follows for the camera, the object or the world, the answer last."""
    label: str


Teller = Callable[[Measures, Question], Chain]
NTH = ("first", "second", "third")


def reasoned(question: Question, measures: Measures) -> Chain:
    """The chain of a question.

    Raises:
        NoChain: the pictures do not show what its kind is told by, their evidence is unclear, or it contradicts the answer.
    """
    if not measures.shown:
        raise NoChain("subject not in both pictures")
    if not all(map(has_sides, measures.views)) or any(picture.level_share < STEEP_R for picture in measures.pictures):
        raise NoChain("camera above or below the subject")
    chain = TELLERS[question.kind](measures, question)
    if chain.label != question.label_of(question.truth):
        raise NoChain("evidence contradicts the answer")
    return chain


def _pitch(m: Measures, _: Question) -> Chain:
    _held_level(m)
    evidence, slopes = _horizons(m)
    if slopes[0] is None or slopes[1] is None:
        seen = 0 if slopes[1] is None else 1
        least = int(slopes[seen] or 0) + int(m.pictures[1 - seen].half_height_deg)  # so much at least the other picture looks down more steeply
        swung = least if seen == 1 else -least
        if least < CLEAR_DEG:
            raise NoChain("tilt unclear")
    else:
        swung = slopes[1] - slopes[0]
    label = _sided(swung, "up", "down", "tilt")
    return Chain(evidence, (Claim("horizon_fixed", {}), Claim("tilted", {"way": label})), label)


def _roll(m: Measures, _: Question) -> Chain:
    leans = _leans(m)
    _see_horizon(m)
    evidence = tuple(Claim("leans", {"nth": NTH[i], "deg": lean}) for i, lean in enumerate(leans))
    label = _sided(leans[1] - leans[0], "clockwise", "counter-clockwise", "roll")
    return Chain(evidence, (Claim("level_world", {}), Claim("rolled", {"way": label})), label)


def _vertical(m: Measures, _: Question) -> Chain:
    eyes, rise_h = _eyes(m)
    if kept := _kept(m):
        if abs(rise_h) >= EYE_H - 0.05:
            raise NoChain("rise unclear")
        return Chain((eyes, *kept), (Claim("eye_height", {}), Claim("stayed", {})), "none")
    if abs(rise_h) < EYE_H - 0.05:
        raise NoChain("rise unclear")
    label = "up" if rise_h > 0 else "down"
    return Chain((eyes,), (Claim("eye_height", {}), Claim("rose", {"way": label, "by": round(abs(rise_h), 1)})), label)


def _radial(m: Measures, _: Question) -> Chain:
    if kept := _kept(m):
        return Chain(kept, (Claim("alike", {}), Claim("same_distance", {})), "none")
    if growth := _growth(m):
        evidence, closer = growth
        label = "closer" if closer else "farther"
        return Chain(evidence, (Claim("not_zoom", {}), Claim("distance", {"way": label})), label)
    lens, grown = _lens(m), round(m.grown, 2)
    label = "closer" if grown >= 1.12 else "farther" if grown <= 0.89 else "none" if 0.97 <= grown <= 1.03 else ""
    if not label:
        raise NoChain("change of size unclear")
    last = Claim("same_distance", {}) if label == "none" else Claim("distance", {"way": label})
    return Chain((lens, Claim("drawn", {"times": grown})), (Claim("sizes", {}), last), label)


def _forward(m: Measures, _: Question) -> Chain:
    if kept := _kept(m):
        return Chain(kept, (Claim("alike", {}), Claim("stayed", {})), "none")
    _held_level(m)
    aside_deg = round(m.pictures[0].right_deg)
    growth = _growth(m)
    if growth and abs(aside_deg) <= 15 and _sees_horizon(m) and abs(_eyes(m)[1]) < 0.15:
        evidence, closer = growth
        label = "forward" if closer else "back"
        shown = (Claim("ahead_first", {"right": aside_deg}), *evidence, _eyes(m)[0])
        return Chain(shown, (Claim("not_zoom", {}), Claim("went_on", {"way": label})), label)
    evidence, around_deg, _right_h, ahead_h = _on_map(m)
    if abs(ahead_h[1] - ahead_h[0]) < CLEAR_H:
        raise NoChain("way ahead unclear")
    label = "forward" if ahead_h[1] < ahead_h[0] else "back"
    so = Claim("ahead", {"before": ahead_h[0], "after": ahead_h[1], "way": label})
    return Chain(evidence, (Claim("around", {"ccw": around_deg}), so), label)


def _direction(m: Measures, _: Question) -> Chain:
    if kept := _kept(m):
        return Chain(kept, (Claim("alike", {}), Claim("stayed", {})), "none")
    evidence, around_deg, right_h, ahead_h = _on_map(m)
    eyes, rise_h = _eyes(m)
    parts = {"right": right_h, "forward": round(ahead_h[0] - ahead_h[1], 1), "up": rise_h}
    sizes = sorted(map(abs, parts.values()))
    if sizes[2] < CLEAR_H or sizes[2] - sizes[1] < 0.2:
        raise NoChain("no direction leads clearly")
    name, size = max(parts.items(), key=lambda part: abs(part[1]))
    label = name if size > 0 else {"right": "left", "forward": "back", "up": "down"}[name]
    went = Claim("parts_of_way", {"right": parts["right"], "forward": parts["forward"], "up": parts["up"]})
    return Chain((*evidence, eyes), (Claim("around", {"ccw": around_deg}), went, Claim("mainly", {"way": label})), label)


def _front(m: Measures, _: Question) -> Chain:
    faces = _faces(m)
    if kept := _kept(m):
        return Chain((*_facing(faces), *kept), (Claim("alike", {}), Claim("stayed_before", {})), "none")
    _held_level(m)
    far_h = [round(picture.distance_h, 1) for picture in m.pictures]
    left_h = [round(-d * math.sin(math.radians(deg)), 1) for d, deg in zip(far_h, faces, strict=True)]
    if abs(left_h[1] - left_h[0]) < CLEAR_H:
        raise NoChain("side of the object unclear")
    label = "left" if left_h[1] > left_h[0] else "right"
    evidence = (*_facing(faces), _lens(m), Claim("stands", {"first": far_h[0], "second": far_h[1]}))
    sides = Claim("sides", {"first": left_h[0], "second": left_h[1]})
    return Chain(evidence, (sides, Claim("went_to_side", {"way": label})), label)


def _orbit_angle(m: Measures, question: Question) -> Chain:
    _held_level(m)
    lines, around_deg = _lines(m)
    label, size_deg = _offered(question, around_deg)
    return Chain(lines, (Claim("around", {"ccw": around_deg}), Claim("offered_around", {"deg": size_deg})), label)


def _turn_angle(m: Measures, question: Question) -> Chain:
    _held_level(m)
    lines, around_deg = _lines(m)
    middles, slid_deg = _middles(m)
    turn_deg = wrapped(around_deg + slid_deg)
    label, size_deg = _offered(question, turn_deg)
    turned = Claim("turned", {"ccw": around_deg, "slid": slid_deg, "left": turn_deg})
    return Chain((*lines, middles), (Claim("around", {"ccw": around_deg}), turned, Claim("offered_turn", {"deg": size_deg})), label)


def _moved(m: Measures, _: Question) -> Chain:
    if kept := _kept(m):
        return Chain(kept, (Claim("alike", {}), Claim("did_not_move", {})), "no")
    _held_level(m)
    depth = _depth(m)
    right, up = (shift / depth.gap for shift in depth.shifted)
    if max(abs(right), abs(up)) < 0.12:
        raise NoChain("shift of the near part unclear")
    way = ("right" if right > 0 else "left") if abs(right) > abs(up) else "up" if up > 0 else "down"
    shift = Claim("shifts", {"near": depth.near, "far": depth.far, "way": way})
    return Chain((_lens(m), shift), (Claim("only_moving", {}), Claim("did_move", {})), "yes")


def _turned(m: Measures, _: Question) -> Chain:
    leans = _leans(m)
    _see_horizon(m)
    leaning = tuple(Claim("leans", {"nth": NTH[i], "deg": lean}) for i, lean in enumerate(leans))
    if abs(leans[1] - leans[0]) >= 8:
        return Chain(leaning, (Claim("level_world", {}), Claim("did_turn", {})), "yes")
    _held_level(m)
    horizons, slopes = _horizons(m)
    assert slopes[0] is not None and slopes[1] is not None  # the horizon is seen
    if abs(slopes[1] - slopes[0]) >= 8:
        return Chain(horizons, (Claim("horizon_fixed", {}), Claim("did_turn", {})), "yes")
    lines, around_deg = _lines(m)
    middles, slid_deg = _middles(m)
    turn_deg = wrapped(around_deg + slid_deg)
    follows = (Claim("around", {"ccw": around_deg}), Claim("turned", {"ccw": around_deg, "slid": slid_deg, "left": turn_deg}))
    if abs(turn_deg) >= 8:
        return Chain((*lines, middles), (*follows, Claim("did_turn", {})), "yes")
    if max(abs(leans[1] - leans[0]), abs(slopes[1] - slopes[0]), abs(turn_deg)) > NONE_DEG:
        raise NoChain("turn unclear")
    return Chain((*leaning, *horizons, *lines, middles), (*follows, Claim("did_not_turn", {})), "no")


TELLERS: dict[str, Teller] = {
    "forward": _forward,
    "vertical": _vertical,
    "direction": _direction,
    "pitch": _pitch,
    "roll": _roll,
    "front": _front,
    "radial": _radial,
    "orbit_angle": _orbit_angle,
    "turn_angle": _turn_angle,
    "moved": _moved,
    "turned": _turned,
}


def _held_level(m: Measures) -> None:
    if any(abs(picture.tilt_deg) > LEVEL_DEG for picture in m.pictures):
        raise NoChain("camera rolled")


def _leans(m: Measures) -> list[int]:
    return [round(picture.tilt_deg) for picture in m.pictures]


def _sees_horizon(m: Measures) -> bool:
    return all(EDGE < picture.horizon < 1 - EDGE for picture in m.pictures)


def _see_horizon(m: Measures) -> None:
    if not _sees_horizon(m):
        raise NoChain("horizon not in both pictures")


def _sided(difference: int, positive: str, negative: str, what: str) -> str:
    if NONE_DEG < abs(difference) < CLEAR_DEG:
        raise NoChain(f"{what} unclear")
    return "none" if abs(difference) <= NONE_DEG else positive if difference > 0 else negative


def _horizons(m: Measures) -> tuple[tuple[Claim, ...], list[int | None]]:
    """Where the horizon is in both pictures, and so how steeply they look up, degrees; None in the one of them that looks down too steeply to show it."""
    claims: list[Claim] = []
    slopes: list[int | None] = []
    for i, picture in enumerate(m.pictures):
        if EDGE < picture.horizon < 1 - EDGE:
            slope = round(picture.slope_deg)
            slopes.append(slope)
            claims.append(Claim("horizon", {"nth": NTH[i], "percent": round(100 * picture.horizon), "up": slope}))
        elif picture.horizon < -EDGE:
            slopes.append(None)
            claims.append(Claim("no_horizon", {"nth": NTH[i], "half": int(picture.half_height_deg)}))
        else:
            raise NoChain("horizon at the edge of a picture")
    if slopes == [None, None]:
        raise NoChain("horizon not in both pictures")
    return tuple(claims), slopes


def _eyes(m: Measures) -> tuple[Claim, float]:
    """How high the horizon is above the object's foot, and by how much higher in the second picture, in the object's heights."""
    _held_level(m)
    _see_horizon(m)
    first, second = (round(picture.eye_h, 1) for picture in m.pictures)
    return Claim("eyes", {"first": first, "second": second}), round(second - first, 1)


def _lens(m: Measures) -> Claim:
    if abs(m.zoom_log) > LENS_LOG:
        raise NoChain("lens zoomed")
    return Claim("lens", {"deg": round(sum(picture.width_deg for picture in m.pictures) / 2)})


def _depth(m: Measures) -> Depth:
    if m.depth is None:
        raise NoChain("fewer than two named parts seen in both pictures")
    if m.depth.gap < LEAST_GAP:
        raise NoChain("no part clearly nearer than another")
    return m.depth


def _kept(m: Measures) -> tuple[Claim, ...]:
    """That nothing shifts against anything; empty where it does. Asked of held cameras alone: of a rolled one, sideways is not told."""
    _held_level(m)
    depth = _depth(m)
    if max(map(abs, depth.shifted)) > KEPT or abs(math.log(depth.grown[0] / depth.grown[1])) > KEPT:
        return ()
    return (Claim("kept", {"near": depth.near, "far": depth.far, "times": round(sum(depth.grown) / 2, 1)}),)


def _growth(m: Measures) -> tuple[tuple[Claim, ...], bool] | None:
    """How much more the near part grows than the far one, and whether it does; None where it is unclear, or the camera went around."""
    depth = _depth(m)
    near, far = (round(g, 2) for g in depth.grown)
    more = math.log(near / far)
    if abs(depth.shifted[0]) > NO_WAY_AROUND * depth.gap or abs(more) < max(GROWS_MORE * depth.gap, 0.03):
        return None
    both_so = min(near, far) >= 1.05 if more > 0 else max(near, far) <= 0.95
    if abs(depth.shifted[1]) > NO_WAY_AROUND * depth.gap and (abs(m.zoom_log) > LENS_LOG or not both_so):
        return None
    return (Claim("growth", {"near": depth.near, "far": depth.far, "times": near, "others": far}),), more > 0


def _lines(m: Measures) -> tuple[tuple[Claim, ...], int]:
    """The same way on the map from both pictures, and how far around the camera went by it: counter-clockwise, degrees."""
    if m.line is None:
        raise NoChain("no two named parts far enough apart")
    (first, before), (second, after) = (told_line(m.line, i) for i in (0, 1))
    return (first, second), wrapped(before - after)


def told_line(line: Line, i: int) -> tuple[Claim, int]:
    """What one picture tells of a way on the map, and where it points there, to the right of the way to the camera, degrees."""
    nearer, beside, deg = line.nearer[i], line.beside[i], wrapped(round(line.right_deg[i]))
    if abs(abs(nearer) - 0.15) < 0.02 or abs(abs(beside) - 0.02) < 0.004:
        raise NoChain("order of two parts unclear")
    depth = "near" if nearer > 0.15 else "far" if nearer < -0.15 else "as near"
    side = "right" if beside > 0.02 else "left" if beside < -0.02 else "in line"
    return Claim("line", {"nth": NTH[i], "end": line.end, "start": line.start, "depth": depth, "side": side, "right": deg}), deg


def _middles(m: Measures) -> tuple[Claim, int]:
    """Where the object's middle is in both pictures, and how far right it slid, degrees."""
    first, second = (round(picture.right_deg) for picture in m.pictures)
    return Claim("middles", {"first": first, "second": second}), second - first


def _on_map(m: Measures) -> tuple[tuple[Claim, ...], int, float, tuple[float, float]]:
    """What a map of both cameras is drawn from; how far around they are, counter-clockwise; how far right the second is of the first, as that looks; and how
    far ahead of each the object is along the first one's direction. Distances in the object's heights."""
    _held_level(m)
    lines, around_deg = _lines(m)
    right_deg = round(m.pictures[0].right_deg)
    first, second = (round(picture.distance_h, 1) for picture in m.pictures)
    at, then = math.radians(right_deg), math.radians(right_deg - around_deg)
    right_h = round(first * math.sin(at) - second * math.sin(then), 1)
    ahead_h = (round(first * math.cos(at), 1), round(second * math.cos(then), 1))
    evidence = (Claim("ahead_first", {"right": right_deg}), *lines, _lens(m), Claim("stands", {"first": first, "second": second}))
    return evidence, around_deg, right_h, ahead_h


def _faces(m: Measures) -> Sequence[int]:
    if m.front_deg is None:
        raise NoChain("front not seen in both pictures")
    return [wrapped(round(deg)) for deg in m.front_deg]


def _facing(faces: Sequence[int]) -> tuple[Claim, ...]:
    return tuple(Claim("faces", {"nth": NTH[i], "right": deg}) for i, deg in enumerate(faces))


def _offered(question: Question, left_deg: int) -> tuple[str, int]:
    """The label and the angle of the option that is nearest to an angle, counter-clockwise or left positive."""
    sizes = {label: int(text.split()[0]) for label, text in zip(question.labels, question.options, strict=True)}
    signed = {label: -deg if label.startswith("right") else deg for label, deg in sizes.items()}
    order = sorted(question.labels, key=lambda label: abs(wrapped(left_deg - signed[label])))
    best, next_best = (abs(wrapped(left_deg - signed[label])) for label in order[:2])
    if next_best - best < 5:
        raise NoChain("two angles are as near")
    return order[0], signed[order[0]]


def wrapped(deg: int) -> int:
    """Brought into (-180, 180]."""
    return 180 - (180 - deg) % 360
