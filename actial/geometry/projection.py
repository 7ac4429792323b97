"""Pinhole intrinsics and projection into pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from actial.geometry.conventions import opencv_from_blender
from actial.geometry.poses import inverse, transformed, unit
from actial.records import Floats


def intrinsics(width_px: int, height_px: int, fov_deg: float) -> np.ndarray:
    """(3, 3) `K` of a centred pinhole camera whose longer side spans `fov_deg` (Blender's `camera.angle`, sensor fit AUTO)."""
    f_px = max(width_px, height_px) / 2 / np.tan(np.radians(fov_deg) / 2)
    return np.array([[f_px, 0, width_px / 2], [0, f_px, height_px / 2], [0, 0, 1.0]])


def project(p_world: np.ndarray, K: np.ndarray, T_world_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where world points appear in the picture: x = K (R X + t) in OpenCV's axes, as `cv2.projectPoints` without distortion.

    Args:
        p_world: (n, 3) metres.
        K: (3, 3) pixels.
        T_world_cam: (4, 4), Blender's axes.

    Returns:
        (n, 2) pixels and (n,) planar depth in metres. A pixel is NaN where the depth is not positive.
    """
    p_cam = transformed(inverse(opencv_from_blender(T_world_cam)), np.asarray(p_world, float))
    depth_m = p_cam[:, 2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        uv = (p_cam @ K.T)[:, :2] / depth_m[:, None]
    uv[depth_m <= 0] = np.nan
    return uv, depth_m


def pixel_of(p_world: Sequence[float], K: Floats, T_world_cam: Floats) -> tuple[float, float]:
    """`project` of a single point, in plain numbers, which takes a fiftieth of the time: NaN where the depth is not positive.

    Args:
        p_world: three numbers, metres.
        K, T_world_cam: row-major, as a `Camera` has them.
    """
    x, y, z = p_world[0] - T_world_cam[3], p_world[1] - T_world_cam[7], p_world[2] - T_world_cam[11]
    right = T_world_cam[0] * x + T_world_cam[4] * y + T_world_cam[8] * z
    down = -(T_world_cam[1] * x + T_world_cam[5] * y + T_world_cam[9] * z)
    depth_m = -(T_world_cam[2] * x + T_world_cam[6] * y + T_world_cam[10] * z)
    if depth_m <= 0:
        return math.nan, math.nan
    u, v = (K[row] * right + K[row + 1] * down + K[row + 2] * depth_m for row in (0, 3))
    return u / depth_m, v / depth_m


def about_subject(eye: np.ndarray, subject: np.ndarray, p_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points as a level camera at `eye` sees them that faces the subject's middle, whatever the real camera's aim.

    Args:
        eye: (3,) metres, not straight above or below the subject.
        subject: (3,) metres.
        p_world: (n, 3) metres.

    Returns:
        How far right of the middle points appear, brought to the subject's distance; and how much nearer than the middle they are. Both (n,), metres.
    """
    facing = unit((subject - eye) * [1.0, 1.0, 0.0])
    right = np.array([facing[1], -facing[0], 0.0])  # facing x UP
    distance_m = (subject - eye) @ facing
    depth_m = (p_world - eye) @ facing
    return (p_world - eye) @ right / depth_m * distance_m, distance_m - depth_m
