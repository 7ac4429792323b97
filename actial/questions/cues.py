"""2D cues: what the two pictures suggest about the movement to somebody who does not know what is near and what is far.

A cue is right often, so a model may learn it in place of the geometry. Every question says whether its cue agrees with the truth
(`aligned`) or misleads (`conflict`); `none` where the truth is none or the cue has no direction. A model that only follows the cue
gets all of the first and nothing of the second right.

A cue looks at the subject's parts (at its centre, where it has none) whose centres lie inside both pictures, hidden or not.
Positions are in picture widths: x to the right, y upward. Each rule changes its sign with the order of the pictures.

Kinds without a cue: `front` (which side a movement is on depends on where the object faces, which no shift in the pictures says), `moved` and `turned`
(whatever changes in the pictures, either may have caused it, and a yes has no direction), `consistency` and `alteration` (neither has a direction).
That of the kinds about three views is in `triples`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from actial.questions.kinds import KINDS
from actial.records import Cue, Label

LEAST_SHIFT = 0.01
"""A cue below this many picture widths has no direction: 0.8 pixels of 84."""

CUE_WORDS: tuple[Cue, ...] = ("none", "aligned", "conflict")


@dataclass(frozen=True)
class CueRule:
    """How two pictures are read without depth."""

    name: str
    text: str
    """For the dataset card."""
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """(n, p, 2) places of p points in the first and in the second picture, NaN where a point is not in both -> (n,) picture widths."""


@dataclass(frozen=True)
class Suggestion:
    """What a cue says of a kind's answer."""

    rule: CueRule
    positive: Label
    """What a positive value suggests."""
    negative: Label


def mean_shift(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How far the mean of the points moves to the right."""
    return _mean(second[..., 0] - first[..., 0])


def shift_with_height(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Σ h s / √(n Σ h²), with h a point's height in the pictures (the mean of both) and s its shift to the right, both relative to their means
    over the n points: how far a point slides, relative to the others, that stands one standard deviation higher than they do.
    """
    return slope(second[..., 0] - first[..., 0], (first[..., 1] + second[..., 1]) / 2)


def slope(values: np.ndarray, height: np.ndarray) -> np.ndarray:
    """(n,) how much larger the value of a point is that stands one standard deviation higher than the others, of (n, p); NaN left out."""
    h, s = height - _mean(height)[:, None], values - _mean(values)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return _mean(h * s) / np.sqrt(_mean(h * h))


def lowest_and_highest(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in each row of (n, p) of the lowest and the highest point; NaN left out, 0 where nothing is left."""
    known = ~np.isnan(height)
    return np.where(known, height, np.inf).argmin(axis=1), np.where(known, height, -np.inf).argmax(axis=1)


def mean_rise(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How far the mean of the points moves upward."""
    return _mean(second[..., 1] - first[..., 1])


def growth(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By how much the points' root mean square distance from their mean grows."""
    return _spread(second) - _spread(first)


def tilt(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How far the points turn about their mean, counter-clockwise, at a point as far from it as is typical: Σ p × q / (n √(r s)), with p and q a point's
    places in both pictures relative to the means, r and s the root mean square distances.
    """
    (px, py), (qx, qy) = (_from_mean(first), _from_mean(second))
    with np.errstate(divide="ignore", invalid="ignore"):
        return _mean(px * qy - py * qx) / np.sqrt(_spread(first) * _spread(second))


def _from_mean(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = points[..., 0], points[..., 1]
    return x - _mean(x)[:, None], y - _mean(y)[:, None]


def _spread(points: np.ndarray) -> np.ndarray:
    x, y = _from_mean(points)
    return np.sqrt(_mean(x * x + y * y))


def _mean(values: np.ndarray) -> np.ndarray:
    """Means of rows, NaN left out; NaN where nothing is left."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=1) / known.sum(axis=1)


SLIDE = CueRule("slide", "the subject slides left in the picture: right; it slides right: left", mean_shift)
FLOOR = CueRule(
    "floor",
    "what stands higher in the picture counts as farther: higher parts slide right against lower ones: left (counter-clockwise); they slide left: right",
    shift_with_height,
)
RISE = CueRule("rise", "the subject sinks in the picture: up; it rises: down", mean_rise)
SIZE = CueRule("size", "the parts of the subject spread out in the picture: forward, or closer; they draw together: back, or farther", growth)
TILT = CueRule("tilt", "the parts of the subject turn counter-clockwise in the picture: clockwise; they turn clockwise: counter-clockwise", tilt)
_SLIDES, _FLOORS = Suggestion(SLIDE, "left", "right"), Suggestion(FLOOR, "left", "right")
_RISES, _GROWS = Suggestion(RISE, "down", "up"), Suggestion(SIZE, "forward", "back")
CUES: dict[str, tuple[Suggestion, ...]] = {
    "lateral": (_SLIDES,),
    "turn": (_SLIDES,),
    "turn_angle": (_SLIDES,),
    "orbit": (_FLOORS,),
    "orbit_angle": (_FLOORS,),
    "perspective": (_FLOORS,),
    "forward": (_GROWS,),
    "radial": (Suggestion(SIZE, "closer", "farther"),),
    "vertical": (_RISES,),
    "pitch": (_RISES,),
    "roll": (Suggestion(TILT, "clockwise", "counter-clockwise"),),
    "direction": (_SLIDES, _GROWS, _RISES),
}
"""The cues of each kind that has any: one for each axis of its labels."""


def cue_codes(kind: str, first: np.ndarray, second: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(n,) int8 places in `CUE_WORDS`.

    Args:
        first, second: (n, p, 2), see `CueRule.value`.
        label: (n,) places of the truth in the kind's labels.
    """
    labels = KINDS[kind].labels
    code = np.full(len(label), CUE_WORDS.index("none"), dtype=np.int8)
    for cue in CUES.get(kind, ()):
        value = cue.rule.value(first, second)
        positive, negative = labels.index(cue.positive), labels.index(cue.negative)
        told = (np.abs(value) >= LEAST_SHIFT) & ((label == positive) | (label == negative))
        aligned = np.where(value > 0, positive, negative) == label
        code[told] = np.where(aligned, CUE_WORDS.index("aligned"), CUE_WORDS.index("conflict"))[told]
    return code


def in_picture(p_world: np.ndarray, T_world_cam: np.ndarray, K: np.ndarray, size_px: np.ndarray) -> np.ndarray:
    """(n, p, 2) places in picture widths, x to the right and y upward; NaN for a point outside its picture.

    Args:
        p_world: (n, p, 3) metres; NaN for a point that does not exist.
        T_world_cam: (n, 4, 4).
        K: (n, 3, 3) pixels.
        size_px: (n, 2) width and height.
    """
    p_cam = (p_world - T_world_cam[:, None, :3, 3]) @ T_world_cam[:, :3, :3]
    depth, width = -p_cam[..., 2], size_px[:, None, 0]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = K[:, None, 0, 0] * p_cam[..., 0] / depth + K[:, None, 0, 2]
        v = K[:, None, 1, 2] - K[:, None, 1, 1] * p_cam[..., 1] / depth
        inside = (depth > 0) & (u >= 0) & (u <= width) & (v >= 0) & (v <= size_px[:, None, 1])
    return np.where(inside[..., None], np.stack([u, -v], axis=-1) / width[..., None], np.nan)


def ends(places: np.ndarray) -> np.ndarray:
    """(n, 4) left, right, lower and upper end of points (n, p, 2); NaN left out, NaN where nothing is left."""
    x, y = np.moveaxis(places, -1, 0)
    return np.column_stack([_least(x), -_least(-x), _least(y), -_least(-y)])


def _least(values: np.ndarray) -> np.ndarray:
    """(n,) smallest of each row, NaN left out; NaN where nothing is left."""
    least = np.where(np.isnan(values), np.inf, values).min(axis=1)
    return np.where(np.isinf(least), np.nan, least)
