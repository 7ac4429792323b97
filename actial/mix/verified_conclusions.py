"""What chains of thought in whole sentences conclude: it must be so, and it must follow from numbers said before in the same chain."""

from __future__ import annotations

import cmath
import math
import re

from actial.mix.checked_scene import FalseClaim, Scene
from actial.mix.verified_evidence import Check, Facts, require, said, signed, state, wrapped
from actial.records import Question


def around(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = signed(match, "deg", "side", "counter-clockwise")
    before, after = (said(facts, f"line {nth}", match)[0] for nth in ("first", "second"))
    require(wrapped(told - (before - after)) == 0 and abs(wrapped(told - scene.orbit_deg)) < 1.02, match)
    state(facts, "around", match, told)


def ahead(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    """And the answer: forward where less is ahead than before."""
    told = [signed(match, f"{w}h", f"{w}side", "ahead") for w in "ab"]
    require(all(abs(h - true) < 0.16 for h, true in zip(told, scene.ahead_h(), strict=True)), match)
    require(all(abs(h - reckoned) < 0.051 for h, reckoned in zip(told, _reckoned_ahead(facts, match), strict=True)), match)
    way = match["way"]
    require((told[0] - told[1]) * (1 if way == "forward" else -1) > 0.2 and scene.way_h()[1] * (1 if way == "forward" else -1) > 0, match)
    _answer(facts, match, "ahead", "back" if way == "backward" else way)


def _reckoned_ahead(facts: Facts, match: re.Match[str]) -> tuple[float, float]:
    """From what was said: how far ahead the object is of both places, along the first camera's direction."""
    first, second = _reckoned_on_map(facts, match)
    return first.real, second.real


def _reckoned_on_map(facts: Facts, match: re.Match[str]) -> tuple[complex, complex]:
    """From what was said: the ways from both places to the object, with the first camera's direction as 1 and its left as i."""
    (right,), (around_deg,) = (said(facts, name, match) for name in ("ahead_first", "around"))
    near, far = said(facts, "stands", match)
    return cmath.rect(near, -math.radians(right)), cmath.rect(far, math.radians(around_deg - right))


def parts_of_way(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = [signed(match, w, f"{w}side", positive) for w, positive in (("a", "right"), ("b", "forward"), ("c", "up"))]
    require(all(abs(h - true) < 0.2 for h, true in zip(told, scene.way_h(), strict=True)), match)
    step = complex.__sub__(*_reckoned_on_map(facts, match))
    eyes = said(facts, "eyes", match)
    reckoned = (-step.imag, step.real, eyes[1] - eyes[0])
    require(all(abs(h - true) < 0.101 for h, true in zip(told, reckoned, strict=True)), match)
    state(facts, "parts_of_way", match, *told)


def mainly(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    require(match.groupdict().get("again") in (None, match["way"]), match)
    for told in (said(facts, "parts_of_way", match), scene.way_h()):
        right, forward, up = told
        by = {"right": right, "left": -right, "forward": forward, "backward": -forward, "up": up, "down": -up}
        require(max(by, key=by.__getitem__) == match["way"], match)
    _answer(facts, match, "mainly", "back" if match["way"] == "backward" else match["way"])


def sides(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = [signed(match, f"{w}h", f"{w}side", "left") for w in "ab"]
    faces = [said(facts, f"faces {nth}", match)[0] for nth in ("first", "second")]
    away = said(facts, "stands", match)
    for i, h in enumerate(told):
        require(abs(h + away[i] * math.sin(math.radians(faces[i]))) < 0.051 and abs(h - scene.left_h(i)) < 0.15, match)
    state(facts, "sides", match, *told)


def went_to_side(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    first, second = said(facts, "sides", match)
    sign = 1 if match["side"] == "left" else -1
    require((second - first) * sign > 0.2 and (scene.left_h(1) - scene.left_h(0)) * sign > 0, match)
    _answer(facts, match, "went_to_side", match["side"])


def turned(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    slid, told = signed(match, "slid", "slidside", "right"), signed(match, "deg", "side", "left")
    before, after = said(facts, "middles", match)
    around = said(facts, "around", match)[0]
    require(slid == after - before and wrapped(told - around - slid) == 0 and abs(wrapped(told - scene.turn_deg)) < 2.05, match)
    state(facts, "turned", match, told)


def tilted(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    (low, high), (low2, high2) = (said(facts, f"horizon {nth}", match) for nth in ("first", "second"))
    swung = scene.horizon(1)[1] - scene.horizon(0)[1]
    way = "up" if match.groupdict().get("up") else "down" if match.groupdict().get("down") else "none"
    holds = {"up": low2 - high >= 6 and swung > 5, "down": low - high2 >= 6 and swung < -5, "none": max(high2 - low, high - low2) <= 2 and abs(swung) < 3}
    require(holds[way], match)
    require(match["said"] == {"up": "tilted up", "down": "tilted down", "none": "did not tilt"}[way], match)
    _answer(facts, match, "tilted", way)


def rolled(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    before, after = (said(facts, f"leans {nth}", match)[0] for nth in ("first", "second"))
    rolled = scene.horizon(1)[2] - scene.horizon(0)[2]
    way = match["way"] if "way" in match.groupdict() else "none"
    holds = {"clockwise": after - before >= 6 and rolled > 5, "counter-clockwise": before - after >= 6 and rolled < -5}
    require(holds.get(way, abs(after - before) <= 2 and abs(rolled) < 3.1), match)
    if match.groupdict().get("rise"):
        require({"down": "clockwise", "up": "counter-clockwise", "lower": "clockwise", "higher": "counter-clockwise"}[match["rise"]] == way, match)
    _answer(facts, match, "rolled", way)


def rose(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    before, after = said(facts, "eyes", match)
    sign = 1 if match["way"] == "up" else -1
    require(round((after - before) * sign, 1) == float(match["by"]) and float(match["by"]) > 0.15 and scene.way_h()[2] * sign > 0.05, match)
    if match.groupdict().get("than"):
        require((match["than"] == "higher") == (sign > 0), match)
    _answer(facts, match, "rose", match["way"])


def distance(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    farther = scene.farther_log()
    closer = match["farther"] is None
    require(farther * (-1 if closer else 1) > 0.02, match)
    _ground_of_distance(facts, match, closer)
    _answer(facts, match, "distance", "closer" if closer else "farther")


def _ground_of_distance(facts: Facts, match: re.Match[str], closer: bool) -> None:
    """Sizes, through one lens or of a near part against a far one, must say that distance changed that way."""
    if "growth" in facts.numbers:
        near, far = facts.numbers["growth"]
    else:
        said(facts, "lens", match)
        near, far = said(facts, "drawn", match)[0], 1.0
    require(near > far * 1.02 if closer else near < far * 0.98, match)


def went_on(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    """What is ahead was come nearer to without going around it or changing height."""
    forward = match["way"] == "forward"
    require((match["how"].startswith(("coming", "came"))) == forward, match)
    before, after = said(facts, "eyes", match)
    require(abs(after - before) < 0.15 and abs(said(facts, "ahead_first", match)[0]) <= 15, match)
    _ground_of_distance(facts, match, forward)
    require(scene.way_h()[1] * (1 if forward else -1) > 0.05, match)
    _answer(facts, match, "went_on", "forward" if forward else "back")


def same_distance(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    if "kept" not in facts.numbers:
        said(facts, "lens", match)
        require(abs(said(facts, "drawn", match)[0] - 1) < 0.035, match)
    require(abs(scene.farther_log()) < 0.03, match)
    _answer(facts, match, "same_distance", "none")


def stayed(name: str, label: str) -> Check:
    def check(scene: Scene, match: re.Match[str], facts: Facts) -> None:
        said(facts, "kept", match)
        require(scene.moved_r < 0.03, match)
        _answer(facts, match, name, label)

    return check


def did_move(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    said(facts, "shifts", match)
    require(scene.moved_r > 0.05, match)
    _answer(facts, match, "did_move", "yes")


def did_turn(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    swings = [abs(facts.numbers["turned"][0])] if "turned" in facts.numbers else []
    for what in ("horizon", "leans"):
        if f"{what} second" in facts.numbers:
            swings.append(abs(said(facts, f"{what} second", match)[0] - said(facts, f"{what} first", match)[0]))
    require(bool(swings) and max(swings) >= 8 and scene.rotated_deg() > 7, match)
    _answer(facts, match, "did_turn", "yes")


def did_not_turn(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    require(abs(said(facts, "turned", match)[0]) <= 2, match)
    for what in ("horizon", "leans"):
        before, after = (said(facts, f"{what} {nth}", match)[0] for nth in ("first", "second"))
        require(abs(after - before) <= 2, match)
    require(scene.rotated_deg() < 3, match)
    _answer(facts, match, "did_not_turn", "no")


def offered(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    """The option that is said to be nearest to the angle reckoned before; which it is of all options is seen by `concluded`."""
    text = match["option"]
    turn = text.endswith(("left", "right")) or (text == "0 degrees" and "turned" in facts.numbers)
    (degrees,) = said(facts, "turned" if turn else "around", match)
    state(facts, "offered turn" if turn else "offered around", match, degrees)
    _answer(facts, match, "offered", text)


def reason(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    """A sentence about cameras at large: true of any."""


def _degrees_of(option: str) -> float:
    """An option's angle, counter-clockwise or to the left."""
    match = re.fullmatch(r"(\d+) degrees(?: (?:to the )?(?P<way>left|right|clockwise|counter-clockwise))?", option)
    if not match:
        raise FalseClaim(f"no angle: {option!r}")
    return float(match[1]) * (-1 if match["way"] in ("right", "clockwise") else 1)


def _answer(facts: Facts, match: re.Match[str], name: str, label: str) -> None:
    if facts.answer:
        raise FalseClaim(f"answers twice: {match[0]!r}")
    facts.answer = name, label


_MAP = ("line first", "line second", "ahead_first", "lens", "stands", "around")
_GROUNDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("pitch", "tilted"): ("horizon first", "horizon second"),
    ("roll", "rolled"): ("leans first", "leans second"),
    ("vertical", "rose"): ("eyes",),
    ("vertical", "stayed"): ("eyes", "kept"),
    ("forward", "stayed"): ("kept",),
    ("forward", "went_on"): ("growth", "ahead_first", "eyes"),
    ("forward", "ahead"): _MAP,
    ("direction", "stayed"): ("kept",),
    ("direction", "mainly"): (*_MAP, "eyes", "parts_of_way"),
    ("radial", "same_distance"): (),
    ("radial", "distance"): (),
    ("front", "stayed_before"): ("kept", "faces first", "faces second"),
    ("front", "went_to_side"): ("faces first", "faces second", "lens", "stands", "sides"),
    ("orbit_angle", "offered"): ("around", "offered around"),
    ("turn_angle", "offered"): ("around", "middles", "turned", "offered turn"),
    ("moved", "did_not_move"): ("kept",),
    ("moved", "did_move"): ("lens", "shifts"),
    ("turned", "did_not_turn"): ("horizon first", "horizon second", "leans first", "leans second", "turned"),
    ("turned", "did_turn"): (),
}
"""The answers of each kind, and what must be said before them beside what they ask for themselves."""
KINDS = frozenset(kind for kind, _ in _GROUNDS)
"""The kinds that are told by such sentences."""


def concluded(question: Question, facts: Facts) -> str:
    """The label that a chain comes to.

    Raises:
        FalseClaim: it comes to none, or to one that its kind is not asked about, or leaves out what it needs.
    """
    if facts.answer is None:
        raise FalseClaim("concludes nothing")
    name, label = facts.answer
    for ground in _GROUNDS.get((question.kind, name), ("its kind",)):
        if ground not in facts.numbers:
            raise FalseClaim(f"concludes {label} without {ground}")
    if name != "offered":
        return label
    if label not in question.options:
        raise FalseClaim(f"concludes {label}, which is not offered")
    (degrees,) = facts.numbers["offered turn" if question.kind == "turn_angle" else "offered around"]
    nearest = min(question.options, key=lambda option: abs(wrapped(degrees - _degrees_of(option))))
    if label != nearest:
        raise FalseClaim(f"calls {label} the nearest, which is {nearest}")
    return question.labels[question.options.index(label)]
