"""Where cameras stand around an object: azimuths about its vertical axis, and the arc that holds three of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Arc(NamedTuple):
    """The shortest arc about the object that holds three cameras, of n triples."""

    order: np.ndarray
    """(n, 3) places of the three, counter-clockwise from above along the arc."""
    gaps_deg: np.ndarray
    """(n, 2) from the first to the second and from the second to the third; each in [0, 360), together at most 240."""


def azimuth_deg(C_world: np.ndarray, object_center: np.ndarray) -> np.ndarray:
    """(...) direction from the object's vertical axis to camera centres (..., 3), counter-clockwise from above from the world's +X, in (-180, 180]."""
    a = C_world - object_center
    return np.degrees(np.arctan2(a[..., 1], a[..., 0]))


def arc_of_three(azimuths_deg: np.ndarray) -> Arc:
    """The arc of each triple of azimuths (n, 3), degrees: the whole circle without the widest of the three gaps between neighbours."""
    angle = np.mod(azimuths_deg, 360.0)
    around = np.argsort(angle, axis=1, kind="stable")
    ascending = np.take_along_axis(angle, around, axis=1)
    gap = np.mod(np.roll(ascending, -1, axis=1) - ascending, 360.0)  # from each to the next, the last to the first
    turned = (np.argmax(gap, axis=1)[:, None] + 1 + np.arange(3)) % 3
    return Arc(np.take_along_axis(around, turned, axis=1), np.take_along_axis(gap, turned[:, :2], axis=1))
