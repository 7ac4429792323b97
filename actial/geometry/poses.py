"""Making and taking apart camera poses (`T_world_cam`, 4x4, see `conventions`)."""

from __future__ import annotations

import numpy as np

from actial.geometry.conventions import UP


def unit(v: np.ndarray) -> np.ndarray:
    """`v` scaled to length 1 along its last axis.

    Raises:
        ValueError: a vector has no length.
    """
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    if np.any(length < 1e-12):
        raise ValueError("a vector without length has no direction")
    return v / length


def look_at(eye: np.ndarray, target: np.ndarray, roll_rad: float = 0.0) -> np.ndarray:
    """Pose of a camera at `eye` that looks at `target`, its picture level except for `roll_rad`.

    Args:
        eye: (3,) world, metres.
        target: (3,) world, metres.
        roll_rad: turn about the viewing direction; positive tips the camera's right side down.

    Returns:
        (4, 4) `T_world_cam`.

    Raises:
        ValueError: eye and target coincide, or one stands straight above the other.
    """
    forward = unit(np.asarray(target, float) - np.asarray(eye, float))
    right = np.cross(forward, UP)
    if np.linalg.norm(right) < 1e-9:
        raise ValueError("a camera that looks straight up or down has no level picture")
    right = unit(right)
    up = np.cross(right, forward)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    T = np.eye(4)
    T[:3, 0] = c * right - s * up
    T[:3, 1] = s * right + c * up
    T[:3, 2] = -forward
    T[:3, 3] = eye
    return T


def rotated_about(axis: np.ndarray, angle_rad: float) -> np.ndarray:
    """(3, 3) rotation by `angle_rad` about `axis`, counter-clockwise seen from the axis' tip (Rodrigues)."""
    x, y, z = unit(np.asarray(axis, float))
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle_rad) * k + (1 - np.cos(angle_rad)) * (k @ k)


CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
"""Of a unit cube around the origin."""


def box_corners(T_world_obj: np.ndarray, size_m: tuple[float, ...]) -> np.ndarray:
    """(8, 3) corners of a box that is centred on an object's origin, world, metres."""
    return transformed(T_world_obj, CORNERS * size_m)


def passes_through_box(eye: np.ndarray, p_world: np.ndarray, T_world_obj: np.ndarray, size_m: np.ndarray) -> np.ndarray:
    """(..., n) bool: whether the way from `eye` (3,) to each of `p_world` (n, 3) leads through boxes (..., 4, 4) and (..., 3), each centred on its origin (slab
    test). Their axes need not be at right angles."""
    R, t, half = np.swapaxes(np.linalg.inv(T_world_obj[..., :3, :3]), -1, -2), T_world_obj[..., :3, 3], size_m[..., None, :] / 2
    start, ways = (eye - t)[..., None, :] @ R, (p_world - eye) @ R
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (-half - start) / ways, (half - start) / ways
    enter, leave = np.fmax.reduce(np.minimum(*ends), axis=-1), np.fmin.reduce(np.maximum(*ends), axis=-1)
    return np.asarray((enter < leave) & (leave > 0) & (enter < 1))


def transformed(T_a_b: np.ndarray, p_b: np.ndarray) -> np.ndarray:
    """Points (..., 3) in b, in a's coordinates."""
    return p_b @ T_a_b[:3, :3].T + T_a_b[:3, 3]


def inverse(T_a_b: np.ndarray) -> np.ndarray:
    """`T_b_a` of a rigid `T_a_b`. Shape (..., 4, 4)."""
    R_t = np.swapaxes(T_a_b[..., :3, :3], -1, -2)
    T = np.zeros_like(T_a_b)
    T[..., :3, :3] = R_t
    T[..., :3, 3] = -np.einsum("...ij,...j->...i", R_t, T_a_b[..., :3, 3])
    T[..., 3, 3] = 1.0
    return T


def is_rigid(T: np.ndarray, tolerance: float = 1e-6) -> bool:
    """Whether `T` (4, 4) is a rotation and a translation, finite, right-handed."""
    if T.shape != (4, 4) or not np.all(np.isfinite(T)) or not np.allclose(T[3], [0, 0, 0, 1], atol=tolerance):
        return False
    R = T[:3, :3]
    return bool(np.allclose(R @ R.T, np.eye(3), atol=tolerance) and np.linalg.det(R) > 0)
