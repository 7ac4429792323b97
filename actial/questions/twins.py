"""Pairs of views that stay by twos, so that no coarse layout of the pictures gives an answer away.

The twin of a pair shows in its first picture what the pair itself shows in its second, and in its second what the pair shows in its first, as far as a coarse
layout tells: where the subject sits, and on which side its higher parts stand. Yet the answer is the same. Whatever is read off the layout of one picture, or
off what changes between the two, is then right about one of them as often as wrong about the other; what is left to tell them apart is depth. Twins are
matched without replacement, nearest first, within a caliper (Rosenbaum and Rubin, The American Statistician 39, 1985); a pair without one is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from actial.questions.cues import lowest_and_highest, slope

LAYOUT = ("x", "y", "slope", "reach", "middle", "width", "height", "spread_x", "spread_y")
"""What a layout tells of a picture, in picture widths: where the subject's centre is, to the right and upward; how far to the right a part stands that is one
standard deviation higher than the others; how far to the right of the lowest part the highest stands (heights are those of both pictures together). And of the
box around the subject, how high the middle of its outline lies, and its outline's width and height, as logarithms; so are the standard deviations of where its
parts stand."""


class Likeness(NamedTuple):
    """In what twins are alike."""

    scale: Mapping[str, float]
    """Differences that count alike, of some of `LAYOUT`: picture widths; of the logarithms, shares."""
    exchanged: str
    """The one of them that changes to one side from picture to picture in a pair, and to the other in its twin."""


OF_SIDES = Likeness({"x": 0.06, "y": 0.2, "slope": 0.05, "reach": 0.2}, exchanged="slope")
LIKENESSES: Mapping[str, Likeness] = {
    **dict.fromkeys(("lateral_r", "turn_deg", "orbit_deg", "front_r"), OF_SIDES),
    "forward_r": Likeness({"y": 0.06, "middle": 0.06}, exchanged="y"),
    "up_r": Likeness({"y": 0.06, "middle": 0.06}, exchanged="y"),
    "pitch_deg": Likeness({"width": 0.1, "height": 0.1}, exchanged="height"),
}
"""By what decides the answer. Left out is what may tell it (`readings.may_know`): the outline's size tells forward, its shape what is up or down, where the
subject sits tells a pitch. Nothing is left of a camera's distance, which the size tells, and of a roll."""
_DIGITS = 4
"""Decimals of what is compared: matches must not hang on the last bits of a sine."""
_NEIGHBOURS = 24
_AT_ONCE = 1024
_STEP = 0.04
"""Picture widths: where a subject sits is told apart this finely among pairs without twins."""

_CHANGES = ("slope", "reach", "width", "height", "spread_x", "spread_y")
"""Of `LAYOUT`: what a look at the outlines compares."""
N_STRATA = 12
_RIDGE = 1e-2


def layouts(subject: tuple[np.ndarray, np.ndarray], parts: tuple[np.ndarray, np.ndarray], box: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(n, 2, 9) layouts of both pictures of n pairs; 0 where something is not in both pictures.

    Args:
        subject: (n, 2) places of the subject's centre in the first and in the second pictures, see `cues.in_picture`.
        parts: (n, p, 2) places of its parts.
        box: (n, 4) ends of the box around it, see `cues.ends`.
    """
    in_both = ~np.isnan(parts[0] + parts[1])
    first, second = (np.where(in_both, p, np.nan) for p in parts)
    height = (first[..., 1] + second[..., 1]) / 2
    (low, high), row, pictures = lowest_and_highest(height), np.arange(len(height)), []
    for center, places, (left, right, lower, upper) in zip(subject, (first, second), (box[0].T, box[1].T), strict=True):
        x = places[..., 0]
        with np.errstate(divide="ignore"):
            spread = (np.log(_deviation(places[..., axis])) for axis in (0, 1))
            outline = (lower + upper) / 2, np.log(right - left), np.log(upper - lower), *spread
        pictures.append(np.column_stack([center, slope(x, height), x[row, high] - x[row, low], *outline]))
    return np.nan_to_num(np.stack(pictures, axis=1), neginf=0.0)


def off_middle(layout: np.ndarray) -> np.ndarray:
    """(n,) int: how far off the middle the subject sits sideways, in steps of `_STEP` picture widths: farther in one picture, nearer in the other.

    Pairs between which nothing changed have no side, so no twin; among pairs of the same steps they are as frequent as any other answer.
    """
    nearer, farther = np.sort(np.floor(np.abs(layout[:, :, 0] - 0.5) / _STEP).astype(int), axis=1).T
    return np.asarray(nearer + (farther << 16))


def altered_by_outline(layout: np.ndarray, altered: np.ndarray) -> np.ndarray:
    """(n,) int below `N_STRATA`: how much the outline's change speaks for an alteration, strata of the same size.

    What speaks for it is fitted to these very pairs: least squares on the sizes of the changes and their squares, the same in both orders. Among pairs of one
    stratum nothing fitted so tells the altered from the others (the propensity score: Rosenbaum and Rubin, Biometrika 70, 1983).

    Args:
        altered: (n,) bool.
    """
    change = np.abs(layout[:, 1] - layout[:, 0])[:, [LAYOUT.index(name) for name in _CHANGES]]
    change = np.minimum(change / np.maximum(np.sqrt((change**2).mean(axis=0)), 1e-9), 5)
    told = np.column_stack([np.ones(len(change)), change, change**2])
    weights = np.linalg.solve(told.T @ told / len(told) + _RIDGE * np.eye(told.shape[1]), told.T @ (altered - 0.5) / len(told))
    score = np.round(told @ weights, _DIGITS)
    return np.asarray(np.digitize(score, np.quantile(score, np.arange(1, N_STRATA) / N_STRATA)))


def _deviation(x: np.ndarray) -> np.ndarray:
    """(n,) standard deviations of rows, NaN left out; NaN where nothing is left."""
    known = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        n = known.sum(axis=1)
        off = np.where(known, x - (np.where(known, x, 0).sum(axis=1) / n)[:, None], 0)
        return np.asarray(np.sqrt((off**2).sum(axis=1) / n))


def with_twins(layout: np.ndarray, caliper: float, like: Likeness = OF_SIDES) -> np.ndarray:
    """Places of the pairs that have a twin, ascending.

    Args:
        layout: (n, 2, 9), see `layouts`, of pairs with the same answer.
        caliper: largest distance between a pair and its twin, over both layouts; `like` says what counts as 1.
        like: in what they are alike.
    """
    shown = np.round(layout[..., [LAYOUT.index(name) for name in like.scale]] / np.array(list(like.scale.values())), _DIGITS)
    # a pair whose higher parts slide to one side has its twin among those whose higher parts slide to the other
    exchanged = shown[..., list(like.scale).index(like.exchanged)]
    slides = exchanged[:, 1] - exchanged[:, 0]
    to_left, to_right = np.flatnonzero(slides < 0), np.flatnonzero(slides >= 0)
    if not len(to_left) or not len(to_right):
        return np.empty(0, dtype=int)
    flat = lambda pictures: pictures.reshape(len(pictures), -1)
    one, other = _neighbours(flat(shown[to_left, ::-1]), flat(shown[to_right]), caliper)
    free_left, free_right = np.ones(len(to_left), bool), np.ones(len(to_right), bool)
    for start in range(0, len(one), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        for a, b in zip(one[some].tolist(), other[some].tolist(), strict=True):
            if free_left[a] and free_right[b]:
                free_left[a] = free_right[b] = False
    return np.sort(np.concatenate([to_left[~free_left], to_right[~free_right]]))


def _neighbours(asking: np.ndarray, asked: np.ndarray, caliper: float) -> tuple[np.ndarray, np.ndarray]:
    """Places in points (n, d) and in others (m, d) of those within the caliper of each other, nearest first; of each of n up to `_NEIGHBOURS`."""
    from scipy.spatial import cKDTree

    tree, ranks, found = cKDTree(asked), list(range(1, min(_NEIGHBOURS, len(asked)) + 1)), []
    for start in range(0, len(asking), _AT_ONCE):
        far, near = tree.query(asking[start : start + _AT_ONCE], k=ranks, distance_upper_bound=caliper)
        a, b = np.nonzero(np.isfinite(far))
        found.append((np.round(far[a, b], _DIGITS), (start + a).astype(np.int32), near[a, b].astype(np.int32)))
    far, one, other = (np.concatenate(parts) for parts in zip(*found, strict=True))
    nearest_first = np.lexsort((other, one, far))
    return one[nearest_first], other[nearest_first]
