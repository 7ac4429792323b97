"""A capture's own world brought to ours: up becomes +Z, the object's centre the origin, the median camera distance 1.

Up        A camera that is held level has a horizontal right axis, whatever its pitch and wherever it stands. So up is the direction that is most
          nearly perpendicular to all right axes x_i: the eigenvector of Σ x_i x_iᵀ with the smallest eigenvalue, its sign that of the cameras' own
          up axes. (The mean of the up axes leans towards where more cameras stand, the normal of the orbit's plane follows every change of height.)
Centre    The point with the least squared distance from all viewing axes: Σ (I - f fᵀ) p = Σ (I - f fᵀ) C. Where a reconstruction has enough points that
          nearly every picture shows, it is the middle of their bounding box instead (2 % of them left out at each end, and the plane they stand on),
          as long as the two places are not too far apart.
Errors    Of up and of the axes' meeting point: the root mean square error of the least-squares estimate (σ² tr A⁻¹, A its normal matrix), σ the
          residuals' scatter in the capture itself, never below half a degree: nobody holds a camera better, and cameras that agree by chance or all
          look alike must not pass for certainty. Of the points' middle: its distance from their mean, two answers to where the object's centre is.

A tilt that all cameras share cancels out once around the object, and goes unnoticed along an arc.
All of it turns, moves and scales with the capture: the result does not depend on the world the reconstruction happened to choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from actial.errors import RefusedCapture
from actial.geometry.poses import unit
from actial.views.capture_photos import Lens

LEAST_SCATTER_RAD = np.radians(0.5)
UPRIGHT_SHARE = 0.9
"""Share of the cameras that must be held upright against the up they agree on, and that must look towards the centre."""
SHOWN_SHARE = 0.9
"""A point counts to the object when at least this share of the cameras has it in its field of view, …"""
NEAR_R = 0.75
"""… it is nearer to the object's middle than this share of the median camera distance, …"""
GROUND_SHARE, GROUND_R = 0.25, 0.02
"""… and it stands above the plane that holds this share of such points within this height."""
ENDS = (0.02, 0.98)
"""Shares of the object's points between which its bounding box lies, along each axis."""
TURNS = 5
"""How often the object's points and their middle are found from each other."""
UP_UNKNOWN, CENTER_UNKNOWN = "up not known", "object's centre not known"
"""Reasons for refusing a capture, in a few words."""
LEAST_POINTS = 50
"""With fewer points of the object its centre and extent are taken from the cameras alone."""
AXIS_ERRORS, AIM_R = 3, 0.05
"""How far from the place where the axes meet the points' middle may lie, in errors of that place, to which AIM_R is added: people aim at an object, not at its
middle."""


class AlignmentLimits(Protocol):
    """How well a capture's up and centre must be known."""

    @property
    def max_up_error_deg(self) -> float: ...
    @property
    def max_center_error_r(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where a capture's cameras and its object are in our world, and how well that is known."""

    T_world_cam: np.ndarray
    """(n, 4, 4), +Z up, the object's centre at the origin, median camera distance 1; the first camera stands above +X."""
    size: tuple[float, float, float]
    """The object's extent along the world's axes: the box of its points; without points, the largest cube that half of the pictures show whole."""
    up_error_deg: float
    center_error_r: float
    """In median camera distances."""
    n_object_points: int
    """Sparse points that centre and extent were taken from; 0: they are from the cameras alone."""


def align(poses: np.ndarray, lenses: list[Lens], points: np.ndarray, limits: AlignmentLimits) -> Alignment:
    """Bring a capture's world to ours.

    Args:
        poses: (n, 4, 4), the capture's own world, n at least 3.
        lenses: of the n pictures.
        points: (m, 3), the capture's own world.
        limits: beyond these the capture is refused.

    Raises:
        RefusedCapture: up or the object's centre is not known well enough; one sentence, without the capture's name.
    """
    up, up_error_deg = _up(poses, limits.max_up_error_deg)
    center, error_r = _center(poses[:, :3, 3], -poses[:, :3, 2])
    poses, points = _brought(poses, points, _level_axes(up, poses[0, :3, 3] - center), center)
    middle, reach, of_object = _middle_of_object(poses, lenses, points)
    size = np.full(3, 2 * max(reach, 0.0) / np.sqrt(3))
    if len(of_object) and np.linalg.norm(middle) > min(AXIS_ERRORS * np.hypot(error_r, AIM_R), NEAR_R):
        of_object = of_object[:0]
    elif len(of_object):
        poses, of_object = _brought(poses, of_object, np.eye(3), middle)
        size = np.ptp(np.quantile(of_object, ENDS, axis=0), axis=0)
        error_r = float(np.linalg.norm(of_object.mean(axis=0)))
    if not error_r <= limits.max_center_error_r:
        raise RefusedCapture(
            f"the object's centre is known to within {error_r:.2g} of the camera distance, the limit is {limits.max_center_error_r:g}: "
            "the cameras look at no common point, or from too few sides",
            CENTER_UNKNOWN,
        )
    return Alignment(poses, (float(size[0]), float(size[1]), float(size[2])), up_error_deg, error_r, len(of_object))


def _up(poses: np.ndarray, limit_deg: float) -> tuple[np.ndarray, float]:
    """(3,) unit vector and its error, degrees."""
    right, cam_up, n = poses[:, :3, 0], poses[:, :3, 1], len(poses)
    values, vectors = np.linalg.eigh(right.T @ right)
    up = vectors[:, 0]
    up = up * np.sign(cam_up.sum(axis=0) @ up or 1.0)
    scatter_rad = max(float(np.sqrt(values[0].clip(0) / (n - 2))), LEAST_SCATTER_RAD)
    error_deg = float(np.degrees(scatter_rad * np.sqrt((1 / values[1:]).sum()))) if values[1] > 1e-9 else float("inf")
    if not error_deg <= limit_deg:
        raise RefusedCapture(
            f"up is known to within {error_deg:.2g} degrees, the limit is {limit_deg:g}: "
            "the pictures are not held level, lie on their side, or look in too few directions",
            UP_UNKNOWN,
        )
    upright = int(np.count_nonzero(cam_up @ up > 0))
    if upright < UPRIGHT_SHARE * n:
        raise RefusedCapture(f"{upright} of {n} cameras are held upright against the up they agree on, at least {UPRIGHT_SHARE:.0%} must be", UP_UNKNOWN)
    return up, error_deg


def _center(eyes: np.ndarray, aims: np.ndarray) -> tuple[np.ndarray, float]:
    """(3,) point nearest to all viewing axes and its error, in median camera distances."""
    across = np.eye(3) - aims[:, :, None] * aims[:, None, :]
    values, vectors = np.linalg.eigh(across.sum(axis=0))
    if values[0] < 1e-6 * len(eyes):
        raise RefusedCapture("the object's centre is not determined: all cameras look the same way", CENTER_UNKNOWN)
    center = vectors @ (vectors.T @ np.einsum("nij,nj->i", across, eyes) / values)
    off = np.einsum("nij,nj->ni", across, center - eyes)
    distance = float(np.median(np.linalg.norm(eyes - center, axis=1)))
    facing = int(np.count_nonzero(np.einsum("ni,ni->n", center - eyes, aims) > 0))
    if not distance > 0 or facing < UPRIGHT_SHARE * len(eyes):
        raise RefusedCapture(
            f"{facing} of {len(eyes)} cameras look towards the point where their axes meet, at least {UPRIGHT_SHARE:.0%} must: they look outwards",
            CENTER_UNKNOWN,
        )
    scatter = max(float(np.sqrt((off**2).sum() / (2 * len(eyes) - 3))) / distance, LEAST_SCATTER_RAD)
    return center, scatter * float(np.sqrt((1 / values).sum()))


def _level_axes(up: np.ndarray, way: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that takes `up` to +Z and `way` above +X (any level direction where it is vertical)."""
    level = way - (way @ up) * up
    if np.linalg.norm(level) < 1e-6 * np.linalg.norm(way):
        level = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    x = unit(level)
    return np.stack([x, np.cross(up, x), up])


def _brought(poses: np.ndarray, points: np.ndarray, R: np.ndarray, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses and points turned by R, `center` at the origin, median camera distance 1."""
    scale = 1 / float(np.median(np.linalg.norm(poses[:, :3, 3] - center, axis=1)))
    brought = poses.copy()
    brought[:, :3, :3] = R @ poses[:, :3, :3]
    brought[:, :3, 3] = scale * (poses[:, :3, 3] - center) @ R.T
    return brought, scale * (points - center) @ R.T


def _margins(poses: np.ndarray, lenses: list[Lens], points: np.ndarray) -> np.ndarray:
    """(n, m) distances of points from the nearest side of each camera's field of view; negative outside of it. Distortion is left out."""
    p = np.einsum("nji,nmj->nmi", poses[:, :3, :3], points - poses[:, None, :3, 3]) * [1, -1, -1]
    K = np.array([lens.K for lens in lenses])[:, :, None]
    size = np.array([(lens.width_px, lens.height_px) for lens in lenses])[:, :, None]
    sides = []
    for axis, focal, middle in ((0, K[:, 0], K[:, 2]), (1, K[:, 4], K[:, 5])):
        for sign, edge in ((1, middle), (-1, size[:, axis] - middle)):
            sides.append((sign * focal * p[..., axis] + edge * p[..., 2]) / np.hypot(focal, edge))
    return np.min(sides, axis=0)


def _middle_of_object(poses: np.ndarray, lenses: list[Lens], points: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Middle of the object's points, the radius of the sphere around the origin that half of the pictures show whole, and the points; none where they are few.

    What counts to the object depends on where its middle is, so both are found in turns.
    """
    shown = np.zeros(len(points))
    for pose, lens in zip(poses, lenses, strict=True):  # a camera at a time: a capture may have 300 of them and a million points
        shown += _margins(pose[None], [lens], points)[0] > 0
    points = points[shown >= SHOWN_SHARE * len(poses)]
    reach = float(np.median(_margins(poses, lenses, np.zeros((1, 3)))))
    middle = np.zeros(3)
    for _ in range(TURNS):
        near = _above_ground(points[np.linalg.norm(points - middle, axis=1) < NEAR_R])
        if len(near) < LEAST_POINTS:
            return np.zeros(3), reach, near[:0]
        middle = np.quantile(near, ENDS, axis=0).mean(axis=0)
    return middle, reach, near


def _above_ground(points: np.ndarray) -> np.ndarray:
    """The points above the level plane that holds most of them, if it holds its share and lies in their lower half; else all."""
    heights = np.sort(points[:, 2])
    in_slab = np.searchsorted(heights, heights + GROUND_R, side="right") - np.arange(len(heights))
    if len(heights) == 0 or in_slab.max() < GROUND_SHARE * len(heights) or in_slab.argmax() > len(heights) / 2:
        return points
    return points[points[:, 2] > heights[in_slab.argmax()] + GROUND_R]
