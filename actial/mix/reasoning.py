"""Chains of thought written from true geometry.

The evidence is motion parallax between two parts: of those seen in both pictures, the nearest and the farthest. Whichever way a camera turns, the two shift
together; when it goes to its right, the near one slides left against the far one; when it does not go sideways, they keep their distance. How near a part
is shows in where the ground below it appears: the lower in the picture, the nearer. A turn is the way around plus how the whole subject slid in the
picture: turn = orbit + slide, with left turns, counter-clockwise orbits and slides to the right positive. Where the two are against each other, their sizes
decide; what there is to go by is how far the subject slid, held against how far the near part slid against the far one.

Where places are quoted, what follows upon the choice of the two parts follows from what was quoted. A chain is written only where its evidence is clear and
agrees with the answer. Whether it is true is decided elsewhere (`verification`), by other code.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from actial.geometry.angles import level_motion_of, tilt_deg
from actial.mix.descriptions import Both, Grid, Places, columns_slid, located, middle_in_both, seen_in_both
from actial.questions.sight import has_sides, lowness, nearness, pixel_in, shows_subject
from actial.records import Question, SceneObject, View

SLID_SHARE, STILL_SHARE = 0.05, 0.03
"""The near part slid against the far one, or did not, when it went more, or less, than these shares of the picture's width beyond it."""
SLID_COLUMNS = 2
"""Where places are quoted, their columns must show at least so many for a slide, and fewer for none."""
NEARER_SHARE = 0.08
"""In each picture the near part is nearer than the far one by at least this share of the subject's extent."""
LEVEL_DEG = 3.0
"""In a picture tilted by more, columns do not tell sideways."""
TURNED_DEG, NOT_TURNED_DEG = 2.5, 1.2
"""The whole subject slid, or did not, when its bearing changed by more or less than these."""


class NoChain(Exception):
    """No chain can be written; the message is the reason it is counted under."""


@dataclass(frozen=True)
class Story:
    """What a chain says, before it is put into words."""

    kind: str
    near: str
    far: str
    """What the nearest and the farthest part are called."""
    slid: str
    """The way the near part went against the far one in the picture."""
    went: str
    """The way the camera went around the subject, to its own left or right."""
    all_slid: str
    """How the whole subject slid in the picture; told for turns, empty otherwise."""
    compared: str
    """`less`, `more` or `as much`: that slide against the way around, where it counts the other way."""
    label: str
    """The answer."""
    near_at: Places | None = None
    far_at: Places | None = None
    """Where the two parts are; None where chains do not quote."""
    middle_at: Places | None = None
    """Where the subject's middle is, if a chain quotes and tells how the whole subject slid."""


def tell(question: Question, first: View, second: View, with_shape: bool, grid: Grid | None = None) -> Story:
    """The story of a question.

    Args:
        with_shape: call parts by colour and shape even where the colour is enough.
        grid: on which places are quoted; None to quote none.

    Raises:
        NoChain: a picture does not show the subject or is tilted, too few named parts are seen, their evidence is unclear, or it contradicts the answer.
    """
    if not (shows_subject(first) and shows_subject(second)):
        raise NoChain("subject not in both pictures")
    if _is_rolled(first) or _is_rolled(second):
        raise NoChain("camera rolled")
    label = question.label_of(question.truth)
    went, all_slid, compared = label, "", ""
    if question.kind == "turn":
        went, all_slid, compared = _turn_terms(first, second)
    elif question.kind != "lateral":
        went = _OPPOSITE[label]
    if not (has_sides(first) and has_sides(second)):
        raise NoChain("camera above or below the subject")
    near, far, slid, places = _parallax(first, second, with_shape, grid)
    if slid != _OPPOSITE[went]:
        raise NoChain("evidence of the parts contradicts the answer")
    story = Story(question.kind, near, far, slid, went, all_slid, compared, label)
    if not grid:
        return story
    if (slid == "none") != (columns_slid(places[near], places[far]) < SLID_COLUMNS):
        raise NoChain("slide of the near part unclear")
    return replace(story, near_at=places[near], far_at=places[far], middle_at=middle_in_both(first, second, grid) if all_slid else None)


@functools.lru_cache(maxsize=256)
def _is_rolled(view: View) -> bool:
    return bool(np.abs(tilt_deg(view.camera.pose()[None]))[0] > LEVEL_DEG)


@functools.lru_cache(maxsize=16)
def _parallax(first: View, second: View, with_shape: bool, grid: Grid | None) -> tuple[str, str, str, Mapping[str, Places]]:
    """The evidence of a pair, the same for every kind: the near part and the far one, which way the one went against the other, and where both are."""
    both = seen_in_both(first, second, with_shape)
    if len(both) < 2:
        raise NoChain("fewer than two named parts seen in both pictures")
    near, far = _extremes(both, first, second)
    slid = _slide(both[near], both[far], first, second)
    return near, far, slid, located({name: both[name] for name in (near, far)}, first, second, grid) if grid else {}


_OPPOSITE: dict[str, str] = {"left": "right", "right": "left", "none": "none"}
"""What is near slides against the camera. Counter-clockwise (label left) is to the camera's right when it faces the subject; so is the left of an object
that faces the camera."""


def _extremes(both: Both, first: View, second: View) -> tuple[str, str]:
    """The nearest and the farthest part: the ground below which is lowest and highest on the mean of both pictures."""
    low = {name: lowness(a.center_m, first) + lowness(b.center_m, second) for name, (a, b) in both.items()}
    near, far = max(low, key=low.__getitem__), min(low, key=low.__getitem__)
    for view, near_part, far_part in zip((first, second), both[near], both[far], strict=True):
        if nearness(view)[near_part.name] - nearness(view)[far_part.name] < NEARER_SHARE:
            raise NoChain("no part clearly nearer than another")
    return near, far


def _slide(near: tuple[SceneObject, SceneObject], far: tuple[SceneObject, SceneObject], first: View, second: View) -> str:
    """Which way the near part went against the far one."""
    u = [[pixel_in(view, part.center_m)[0] / view.camera.width_px for part in (near[i], far[i])] for i, view in enumerate((first, second))]
    share = (u[1][0] - u[0][0]) - (u[1][1] - u[0][1])
    if STILL_SHARE <= abs(share) <= SLID_SHARE:
        raise NoChain("slide of the near part unclear")
    return "none" if abs(share) < STILL_SHARE else "right" if share > 0 else "left"


def _turn_terms(first: View, second: View) -> tuple[str, str, str]:
    """The way around, the slide of the subject, and how they compare."""
    assert first.camera.T_world_cam and second.camera.T_world_cam, "it shows the subject"
    orbit_deg, turn_deg, bearing_deg = level_motion_of(first.camera.T_world_cam, second.camera.T_world_cam, first.objects[0].center_m)
    slide_deg = bearing_deg[0] - bearing_deg[1]
    went: str = "none" if abs(orbit_deg) < NOT_TURNED_DEG else "right" if orbit_deg > 0 else "left"
    if NOT_TURNED_DEG <= abs(slide_deg) <= TURNED_DEG:
        raise NoChain("slide of the subject unclear")
    slid: str = "none" if abs(slide_deg) < NOT_TURNED_DEG else "right" if slide_deg > 0 else "left"
    compared = ""
    if went != "none" and slid != "none" and orbit_deg * slide_deg < 0:
        compared = "as much" if abs(turn_deg) < NOT_TURNED_DEG else "less" if abs(slide_deg) < abs(orbit_deg) else "more"
    return went, slid, compared
