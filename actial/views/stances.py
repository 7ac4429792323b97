"""How a camera stands and looks, and the arithmetic of drawing one: in plain numbers where that is quicker, since cameras are drawn by the thousand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, slots=True)
class Stance:
    """Where a camera stands and looks."""

    eye: np.ndarray
    yaw_rad: float
    """Direction of view, counter-clockwise from +X."""
    pitch_rad: float
    """Upward positive."""
    fov_deg: float
    roll_rad: float = 0.0
    """About the direction of view; positive tips the right side down."""

    def pose(self) -> np.ndarray:
        """(4, 4) `T_world_cam`."""
        (cy, sy), (cp, sp) = ((math.cos(a), math.sin(a)) for a in (self.yaw_rad, self.pitch_rad))
        x, y, z = self.eye
        T = np.array([[sy, -sp * cy, -cp * cy, x], [-cy, -sp * sy, -cp * sy, y], [0, cp, -sp, z], [0, 0, 0, 1]])
        if self.roll_rad:
            c, s = math.cos(self.roll_rad), math.sin(self.roll_rad)
            T[:, :2] = T[:, :2] @ [[c, s], [-s, c]]
        return T

    def pixels(self, p_world: np.ndarray, size_px: np.ndarray) -> np.ndarray:
        """Where world points (n, 3), metres, appear in a picture of that width and height (2,): (n, 2), NaN behind the camera. As `projection.project` has it,
        but for rounding, in a third of its time: where to frame a subject is asked of many stances that are refused."""
        f_px = size_px.max() / 2 / math.tan(math.radians(self.fov_deg) / 2)
        p_cam = (p_world - self.eye) @ self.pose()[:3, :3]
        backward = p_cam[:, 2:]
        backward[backward >= 0] = np.nan
        return np.asarray(size_px / 2 + p_cam[:, :2] * (-f_px, f_px) / backward)


class Drawn(NamedTuple):
    """What is drawn of a stance at a given azimuth, in one go."""

    elevation_rad: float
    """Of the camera as the subject's middle sees it."""
    r_m: float
    """Distance from there."""
    aim_rad: tuple[float, float]
    """How far the subject sits right of and below the middle of the picture."""
    fov_deg: float


def length(v: np.ndarray) -> float:
    """As `np.linalg.norm` of a vector, to the bit, for a third of its time."""
    return math.sqrt(v.dot(v))


def between(low: float, high: float, share: float) -> float:
    """As `rng.uniform(low, high)`, to the bit, of what `rng.random()` drew, for a fifth of its time."""
    return low + (high - low) * share


def wrapped(angle_rad: float) -> float:
    """The angle in [-pi, pi]."""
    return float(np.arctan2(math.sin(angle_rad), math.cos(angle_rad)))
