"""The true relative motion between two cameras: DESIGN section 6, for many pairs at once.

u up, C camera centre, O object centre, f viewing direction, F = f made horizontal and unit, X = F x u (the camera's
right), d = C2 - C1, a = (C - O) made horizontal, n the object's own front made horizontal and unit. Lengths are shares of
r = |C1 - O|, so they hold for captures of unknown scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from actial.records import Floats


class Motion(NamedTuple):
    """How the camera moved from view 1 to view 2; every field is (n,) float64."""

    lateral_r: np.ndarray
    """Along the first camera's right, in r."""
    forward_r: np.ndarray
    """Along the first camera's level viewing direction, in r."""
    up_r: np.ndarray
    """Along the world's up, in r."""
    distance_r: np.ndarray
    """|d|, in r."""
    turn_deg: np.ndarray
    """Left positive, in (-180, 180]."""
    pitch_deg: np.ndarray
    """Change of the elevation of the viewing direction; upward positive."""
    roll_deg: np.ndarray
    """Change of the horizon's tilt; positive when the camera's right side goes down."""
    orbit_deg: np.ndarray
    """Counter-clockwise from above positive, the shorter arc, in (-180, 180]."""
    perspective_r: np.ndarray
    """Along the left of the object when it faces camera 1: d·(u x â1), in r. Positive: the camera moved to the object's left."""
    front_r: np.ndarray
    """Along the left of the object as it faces out of its own front: d·(u x n), in r. NaN without a front."""
    front_bearing_deg: np.ndarray
    """Where the object's own front points against the direction to camera 1, left positive, in (-180, 180]. NaN without a front."""
    rotation_deg: np.ndarray
    """Angle of the whole rotation from the one orientation to the other, in [0, 180]."""
    radial_log: np.ndarray
    """ln(|C2 - O| / |C1 - O|); positive farther."""
    bearing_deg: np.ndarray
    """Where the object's centre stands from camera 1: its level direction against the level viewing direction, left positive, in (-180, 180]."""
    max_pitch_deg: np.ndarray
    """The larger |pitch| of the two cameras."""
    min_level_distance_r: np.ndarray
    """The smaller |a| of the two cameras, in r: an orbit about the vertical axis is ill-defined near it."""

    @property
    def main_r(self) -> np.ndarray:
        """The largest of the lateral, forward and upward parts of the movement, without its sign, in r."""
        return np.abs(np.stack([self.lateral_r, self.forward_r, self.up_r])).max(axis=0)


def motion_between(T_world_1: np.ndarray, T_world_2: np.ndarray, object_center: np.ndarray, object_front: np.ndarray | None = None) -> Motion:
    """Relative motion of n ordered pairs of cameras.

    Args:
        T_world_1: (n, 4, 4) poses of the first cameras (Blender's axes).
        T_world_2: (n, 4, 4) poses of the second cameras.
        object_center: (n, 3) or (3,), world, metres.
        object_front: (n, 3) or (3,), world: the way the object faces; NaN, or None for all, where it has no front.

    Returns:
        `Motion` of (n,) arrays. Fields are NaN where they are undefined (a camera that looks straight up or down, or stands on the object's axis; a front
        that is not there, or points straight up or down).
    """
    C1, C2 = T_world_1[:, :3, 3], T_world_2[:, :3, 3]
    f1, f2 = -T_world_1[:, :3, 2], -T_world_2[:, :3, 2]
    F1, F2 = _level_unit(f1), _level_unit(f2)
    d = C2 - C1
    b1, b2 = C1 - object_center, C2 - object_center
    r, r2 = np.linalg.norm(b1, axis=1), np.linalg.norm(b2, axis=1)
    a1, a2 = b1 * _LEVEL, b2 * _LEVEL
    elevation1_deg, elevation2_deg = _elevation_deg(f1), _elevation_deg(f2)
    front_r, front_bearing_deg = np.full((2, len(d)), np.nan) if object_front is None else _by_front(_level_unit(np.atleast_2d(object_front)), d, a1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Motion(
            lateral_r=_dot(d, _right_of(F1)) / r,
            forward_r=_dot(d, F1) / r,
            up_r=d[:, 2] / r,
            distance_r=np.linalg.norm(d, axis=1) / r,
            turn_deg=np.degrees(np.arctan2(_cross_up(F1, F2), _dot(F1, F2))),
            pitch_deg=elevation2_deg - elevation1_deg,
            roll_deg=wrapped_deg(tilt_deg(T_world_2) - tilt_deg(T_world_1)),
            orbit_deg=np.degrees(np.arctan2(_cross_up(a1, a2), _dot(a1, a2))),
            perspective_r=_dot(d, _left_of(_level_unit(b1))) / r,
            front_r=front_r / r,
            front_bearing_deg=front_bearing_deg,
            rotation_deg=_rotation_deg(T_world_1, T_world_2),
            radial_log=np.log(r2 / r),
            bearing_deg=np.degrees(np.arctan2(_cross_up(F1, -a1), _dot(F1, -a1))),
            max_pitch_deg=np.maximum(np.abs(elevation1_deg), np.abs(elevation2_deg)),
            min_level_distance_r=np.minimum(np.linalg.norm(a1, axis=1), np.linalg.norm(a2, axis=1)) / r,
        )


class LevelMotion(NamedTuple):
    """Of a single pair, what `Motion` says of its level part; and `bearing_deg` for both cameras."""

    orbit_deg: float
    turn_deg: float
    bearing_deg: tuple[float, float]


def level_motion_of(T_world_1: Floats, T_world_2: Floats, object_center: Sequence[float]) -> LevelMotion:
    """`motion_between` of a single pair, in plain numbers, which takes a fiftieth of the time. Of cameras that look straight up or down, or stand on the
    object's axis, the angles mean nothing.

    Args:
        T_world_1, T_world_2: row-major, as a `Camera` has them.
        object_center: three numbers, metres.
    """
    x, y, _ = object_center
    aims = [(-T[2], -T[6]) for T in (T_world_1, T_world_2)]
    ways = [(x - T[3], y - T[7]) for T in (T_world_1, T_world_2)]
    first, second = (left_deg(aim, way) for aim, way in zip(aims, ways, strict=True))
    return LevelMotion(left_deg(*ways), left_deg(*aims), (first, second))


def left_deg(a: tuple[float, float], b: tuple[float, float]) -> float:
    """How far to the left of one way on the map another points, in [-180, 180]."""
    return math.degrees(math.atan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1]))


def tilt_deg(T_world_cam: np.ndarray) -> np.ndarray:
    """(n,) how far the right sides of cameras (n, 4, 4) are turned below the horizon, about the viewing direction; NaN where one looks straight up or down."""
    level_right = _right_of(_level_unit(-T_world_cam[:, :3, 2]))
    right, up = T_world_cam[:, :3, 0], T_world_cam[:, :3, 1]
    return np.degrees(np.arctan2(_dot(level_right, up), _dot(level_right, right)))


def wrapped_deg(angle_deg: np.ndarray) -> np.ndarray:
    """`angle_deg` brought into (-180, 180]."""
    return 180.0 - np.mod(180.0 - angle_deg, 360.0)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)


_LEVEL = np.array([1.0, 1.0, 0.0])


def _level_unit(v: np.ndarray) -> np.ndarray:
    flat = v * _LEVEL
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=np.full_like(flat, np.nan), where=length > 1e-9)


# These write out the parts of a cross product that are not zero: `np.cross` takes ten times as long for a single pair.


def _right_of(level: np.ndarray) -> np.ndarray:
    """`level` x UP, of level vectors."""
    return level[:, [1, 0, 2]] * [1.0, -1.0, 0.0] + 0.0  # turns -0 into 0, whose angle is another


def _left_of(level: np.ndarray) -> np.ndarray:
    """UP x `level`."""
    return level[:, [1, 0, 2]] * [-1.0, 1.0, 0.0] + 0.0


def _cross_up(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) the part along UP of a x b."""
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _by_front(front: np.ndarray, d: np.ndarray, a1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the camera went to the left of an object that faces along `front` (level unit vectors, (n, 3) or (1, 3)), and the front's bearing from a1."""
    front = np.broadcast_to(front, d.shape)
    return _dot(d, _left_of(front)), np.degrees(np.arctan2(_cross_up(a1, front), _dot(a1, front)))


def _rotation_deg(T_world_1: np.ndarray, T_world_2: np.ndarray) -> np.ndarray:
    """By the Frobenius norm of the difference of two rotations, 2 sqrt(2) sin(angle / 2): exact near zero, where the trace is not."""
    difference = (T_world_2 - T_world_1)[:, :3, :3]
    norm = np.sqrt(np.einsum("nij,nij->n", difference, difference))
    return np.degrees(2 * np.arcsin(np.clip(norm / np.sqrt(8), 0.0, 1.0)))


def _elevation_deg(f: np.ndarray) -> np.ndarray:
    return np.degrees(np.arcsin(np.clip(f[:, 2], -1.0, 1.0)))
