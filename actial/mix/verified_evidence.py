"""What chains of thought in whole sentences say that pictures show, each checked by measuring it anew. Every number must be the right one, rounded."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from actial.mix.checked_scene import FalseClaim, Scene

STILL_TAN = STILL_LOG = 0.014
"""The near part keeps its place against the far one within this, as a tangent, and both grow alike within this logarithm."""
GAP = 0.14
"""A near part is so much nearer than the far one, as a share of the camera's distance."""


@dataclass
class Facts:
    """What a chain said so far."""

    numbers: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """By what they are about; each thing may be said once."""
    parts: tuple[str, str] | None = None
    """Between which parts a way on the map was drawn."""
    answer: tuple[str, str] | None = None
    """The name of the sentence that answers, and the label, or the text of the option, that it comes to."""


Check = Callable[[Scene, re.Match[str], Facts], None]


def line(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    line_in(scene, which(match), match, facts)


def line_in(scene: Scene, i: int, match: re.Match[str], facts: Facts) -> None:
    """A way on the map, as one of the scene's two pictures shows it."""
    end, start = match["end"], match["start"]
    require(match["again"] == start and match["back"] == end, match)
    require(facts.parts in (None, (end, start)), match)
    facts.parts = (end, start)
    cosine = math.cos(math.radians(scene.way_deg(i, end, start)))
    require({"nearer than": cosine > 0.14, "farther away than": cosine < -0.14, "about as far away as": abs(cosine) < 0.16}[match["depth"]], match)
    beside = scene.beside(i, end, start)
    require({"to its right": beside > 0.019, "to its left": beside < -0.019, "in line with it": abs(beside) < 0.021}[match["beside"]], match)
    state(facts, f"line {match['nth']}", match, _at(match, scene.way_deg(i, end, start)))


def _at(match: re.Match[str], true_deg: float) -> float:
    """The angle told, to the right."""
    if match["deg"]:
        told = float(match["deg"]) * (1 if match["side"] == "right" else -1)
        require(told % 180 != 0, match)
    else:
        told = 180.0 if match["away"] else 0.0
    require(abs(wrapped(told - true_deg)) < 0.51, match)
    return told


def middles(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = [signed(match, f"{w}deg", f"{w}side", "right") for w in "ab"]
    require(all(abs(deg - scene.bearing_deg(i)) < 0.51 for i, deg in enumerate(told)), match)
    state(facts, "middles", match, *told)


def ahead_first(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = signed(match, "adeg", "aside", "right")
    require(abs(told - scene.bearing_deg(0)) < 0.51, match)
    state(facts, "ahead_first", match, told)


def stands(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = [float(match[w]) for w in "ab"]
    require(all(rounds(h, scene.distance_h(i), 1) for i, h in enumerate(told)), match)
    state(facts, "stands", match, *told)


def eyes(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = [float(match[w]) for w in "ab"]
    require(all(0 < scene.horizon(i)[0] < 1 for i in (0, 1)), match)
    require(all(rounds(h, scene.eye_h(i), 1) for i, h in enumerate(told)), match)
    state(facts, "eyes", match, *told)


def horizon(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    row, slope_deg, _ = scene.horizon(which(match))
    told = signed(match, "deg", "side", "up")
    require(0 < row < 1 and rounds(float(match["percent"]), 100 * row, 0) and rounds(told, slope_deg, 0), match)
    state(facts, f"horizon {match['nth']}", match, told, told)


def no_horizon(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    """Only bounds are known of how the camera looks."""
    i = which(match)
    row, slope_deg, _ = scene.horizon(i)
    half_deg = scene.taken_in_deg(i)[1] / 2
    require(row < 0 and slope_deg < -float(match["deg"]) and half_deg - 1 < float(match["deg"]) <= half_deg, match)
    state(facts, f"horizon {match['nth']}", match, -90.0, -float(match["deg"]))


def leans(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    row, _, lean_deg = scene.horizon(which(match))
    told = signed(match, "deg", "side", "rises")
    require(0 < row < 1 and rounds(told, lean_deg, 0), match)
    state(facts, f"leans {match['nth']}", match, told)


def lens(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    require(all(abs(float(match["deg"]) - scene.taken_in_deg(i)[0]) < 2.75 for i in (0, 1)), match)
    state(facts, "lens", match, float(match["deg"]))


def drawn(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    told = float(match["times"] or 1.0)
    require(rounds(told, scene.grown(), 2) and (match["times"] is None or told != 1), match)
    state(facts, "drawn", match, told)


def growth(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    near, far = match["near"], match["far"]
    require(all(match.groupdict().get(again) in (None, name) for again, name in (("nearagain", near), ("faragain", far))), match)
    require(scene.gap(near, far) > GAP, match)
    told = float(match["times"]), float(match["others"])
    require(rounds(told[0], scene.grown(near), 2) and rounds(told[1], scene.grown(far), 2), match)
    state(facts, "growth", match, *told)


def kept(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    near, far = match["near"], match["far"]
    require(scene.gap(near, far) > GAP and all(abs(tangent) < STILL_TAN for tangent in scene.parted(near, far)), match)
    grown = [scene.grown(near), scene.grown(far)]
    require(abs(math.log(grown[0] / grown[1])) < STILL_LOG and rounds(float(match["times"] or 1.0), sum(grown) / 2, 1), match)
    require(match["times"] is None or float(match["times"]) != 1, match)
    state(facts, "kept", match)


def shifts(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    near, far = match["near"], match["far"]
    gap = scene.gap(near, far)
    require(gap > GAP, match)
    right, up = (tangent / gap for tangent in scene.parted(near, far))
    by = {"to the right": (right, up), "to the left": (-right, up), "upward": (up, right), "downward": (-up, right)}[match["way"]]
    require(by[0] > 0.11 and by[0] > abs(by[1]) - 1e-3, match)
    state(facts, "shifts", match)


def faces(scene: Scene, match: re.Match[str], facts: Facts) -> None:
    state(facts, f"faces {match['nth']}", match, _at(match, scene.front_deg(which(match))))


def which(match: re.Match[str]) -> int:
    """Which of the two pictures."""
    return ("first", "second").index(match["nth"])


def signed(match: re.Match[str], number: str, side: str, positive: str) -> float:
    """A number and the side it is to; 0 where none is told."""
    if match[number] is None:
        return 0.0
    return float(match[number]) * (1 if match[side] == positive else -1)


def rounds(told: float, true: float, digits: int) -> bool:
    """Whether a number is told as it rounds to so many digits."""
    return abs(told - true) < 0.51 * 10.0**-digits


def wrapped(deg: float) -> float:
    """Brought into [-180, 180]."""
    return math.remainder(deg, 360.0)


def said(facts: Facts, name: str, match: re.Match[str]) -> tuple[float, ...]:
    """What was said before of that."""
    if name not in facts.numbers:
        raise FalseClaim(f"without ground: {match[0]!r}")
    return facts.numbers[name]


def state(facts: Facts, name: str, match: re.Match[str], *values: float) -> None:
    """Note what is said of that, for the first time."""
    if name in facts.numbers:
        raise FalseClaim(f"said twice: {match[0]!r}")
    facts.numbers[name] = values


def require(holds: bool, match: re.Match[str]) -> None:
    if not holds:
        raise FalseClaim(f"not so: {match[0]!r}")
