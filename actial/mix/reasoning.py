"""Chains of thought written from true geometry.

The evidence is motion parallax about the subject. Turn both cameras, in thought, so that they face the subject's middle: whatever aim
the pictures really have then drops out. When the camera goes to its right around the subject, parts on the near side slide left against the
subject's middle and parts on the far side slide right; when it does not go sideways, all keep their place. Near and far are meant at the
middle of the way, so this holds for wide steps too. A turn is the way around plus how the whole subject slid in the picture:
turn = orbit + slide, with left turns, counter-clockwise orbits and slides to the right positive.

A chain speaks of parts whose evidence is clear and agrees with its conclusion; it is not written where the others are as many.
Whether a chain is true is decided elsewhere (`verification`), by other code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actial.geometry.angles import motion_between
from actial.geometry.projection import about_subject
from actial.mix.descriptions import Grid, located_in_both, middle_in_both
from actial.questions.sight import has_sides, sightings, spoken_names
from actial.records import Question, View

MOVED_SHARE, STILL_SHARE = 0.05, 0.025
"""A part moved, or kept its place, when it slid by more or less than these shares of the subject's extent."""
NEAR_SHARE = 0.05
"""A part is on the near or far side when it is more than this share of the subject's extent from its middle."""
SLID_DEG, NOT_SLID_DEG = 2.5, 1.2
"""The whole subject slid, or did not, when its bearing changed by more or less than these."""
FEWEST_PARTS = 2


class NoChain(Exception):
    """No chain can be written; the message is the reason it is counted under."""


@dataclass(frozen=True)
class Evidence:
    """What one part tells."""

    name: str
    near: bool
    slid: str
    clarity: float
    places: tuple[str, ...] = ()
    """Where it is in each picture; empty where chains do not quote."""
    offsets: tuple[int, ...] = ()
    """How far right of the subject's middle it is in each picture (`descriptions.offset`); empty where chains do not quote."""

    @property
    def implied(self) -> str:
        """The way the camera went around the subject."""
        if self.slid == "none":
            return "none"
        return "right" if self.near == (self.slid == "left") else "left"


@dataclass(frozen=True)
class Story:
    """What a chain says, before it is put into words."""

    kind: str
    middle: tuple[str, ...]
    """Where the subject's middle is in each picture; empty where chains do not quote."""
    evidence: tuple[Evidence, ...]
    """Left to right as in the first picture."""
    went: str
    """The way the camera went around the subject, to its own left or right."""
    slid: str
    """How the whole subject slid in the picture; told for turns, empty otherwise."""
    compared: str
    """`less`, `more` or `as much`: the slide against the way around, where it counts the other way."""
    label: str
    """The answer."""


def tell(question: Question, first: View, second: View, with_shape: bool, most_parts: int, grid: Grid | None = None) -> Story:
    """The story of a question.

    Args:
        with_shape: call parts by colour and shape even where the colour is enough.
        most_parts: parts whose evidence is told.
        grid: on which places are quoted; None to quote none.

    Raises:
        NoChain: too few named parts are seen, their evidence is unclear, or it contradicts the answer.
    """
    label = question.label_of(question.truth)
    went, slid, compared = label, "", ""
    if question.kind == "turn":
        went, slid, compared = _turn_terms(first, second)
    elif question.kind != "lateral":
        went = _OPPOSITE[label]
    clear = _evidence(first, second, with_shape)
    agreeing = [e for e in clear if e.implied == went]
    if len(agreeing) < FEWEST_PARTS or most_parts < FEWEST_PARTS:
        raise NoChain("too few parts with clear evidence")
    if 2 * len(agreeing) <= len(clear):
        raise NoChain("evidence of the parts contradicts the answer")
    clearest = sorted(agreeing, key=lambda e: -e.clarity)[:most_parts]
    told = [e for e in agreeing if e in clearest]
    if not grid:
        return Story(question.kind, (), tuple(told), went, slid, compared, label)
    located = located_in_both(first, second, grid, with_shape)
    quoting = tuple(replace(e, places=located[e.name].places, offsets=located[e.name].offsets) for e in told)
    return Story(question.kind, middle_in_both(first, second, grid), quoting, went, slid, compared, label)


_OPPOSITE: dict[str, str] = {"left": "right", "right": "left", "none": "none"}
"""Counter-clockwise (label left) is to the camera's right when it faces the subject; so is the left of an object that faces the camera."""


def _evidence(first: View, second: View, with_shape: bool) -> list[Evidence]:
    """Clear evidence of the parts seen in both pictures, left to right as in the first."""
    names = spoken_names(first.objects, with_shape)
    seen_first, seen_second = sightings(first), sightings(second)
    parts = [s.part for name, s in seen_first.items() if name in seen_second and name in names]
    if len(parts) < FEWEST_PARTS:
        raise NoChain("fewer than two named parts seen in both pictures")
    p_world = np.stack([part.center() for part in parts])
    subject, extent_m = first.objects[0].center(), max(first.objects[0].size_m)
    eyes = [view.camera.pose()[:3, 3] for view in (first, second)]
    if not (has_sides(first) and has_sides(second)):
        raise NoChain("camera above or below the subject")
    (x1, near1), (x2, near2) = (about_subject(eye, subject, p_world) for eye in eyes)
    slide, nearness = (x2 - x1) / extent_m, (near1 + near2) / 2 / extent_m
    found = []
    for part, s, n in zip(parts, slide, nearness, strict=True):
        if abs(n) <= NEAR_SHARE:  # keeps its place whatever the camera does
            continue
        if abs(s) < STILL_SHARE:
            found.append(Evidence(names[part.name], n > 0, "none", abs(n)))
        elif abs(s) > MOVED_SHARE:
            found.append(Evidence(names[part.name], n > 0, "right" if s > 0 else "left", min(abs(s), abs(n))))
    return found


def _turn_terms(first: View, second: View) -> tuple[str, str, str]:
    """The way around, the slide of the subject, and how they compare."""
    T1, T2, O = first.camera.pose()[None], second.camera.pose()[None], first.objects[0].center()  # noqa: E741  # the subject's centre in DESIGN's formulas
    there, back = motion_between(T1, T2, O), motion_between(T2, T1, O)
    orbit_deg = float(there.orbit_deg[0])
    slide_deg = float(there.bearing_deg[0] - back.bearing_deg[0])
    went: str = "none" if abs(orbit_deg) < NOT_SLID_DEG else "right" if orbit_deg > 0 else "left"
    if NOT_SLID_DEG <= abs(slide_deg) <= SLID_DEG:
        raise NoChain("slide of the subject unclear")
    slid: str = "none" if abs(slide_deg) < NOT_SLID_DEG else "right" if slide_deg > 0 else "left"
    compared = ""
    if went != "none" and slid != "none" and orbit_deg * slide_deg < 0:
        turn_deg = float(there.turn_deg[0])
        compared = "as much" if abs(turn_deg) < NOT_SLID_DEG else "less" if abs(slide_deg) < abs(orbit_deg) else "more"
    return went, slid, compared
