"""What the mesh of an asset is like: how large it is, what it takes in a picture, and whether it looks the same from all around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actial.errors import RefusedAsset
from actial.geometry.poses import rotated_about

FLATTEST = 1e-3
"""Smallest extent of a solid thing, as a share of its largest; a sheet of paper, say, has no side to be seen from."""
ROUND_ANGLES_DEG = (23.0, 71.0, 113.0)
"""All of these together bring no object of fewer than eight equal sides onto itself."""
ROUND_SAMPLES = 4000
ROUND_FACTOR = 1.25
"""Turned, a round surface lies no farther from itself than two samples of it lie from each other, times this. Measured: 1.0 for a sphere, 1.2 for eight equal
sides, 1.6 to 2.3 for a can with a knob on a hundredth of its surface, 6 for a mug."""
ROUND_QUANTILE = 0.995
DIGITS = 6


@dataclass(frozen=True, slots=True)
class AssetShape:
    """A mesh in the axes in which Blender shows it, +Z up, at the asset's own scale."""

    n_faces: int
    low: tuple[float, ...]
    """(3,) lowest corner of the bounding box."""
    high: tuple[float, ...]
    hull: tuple[tuple[float, ...], ...]
    """Vertices of the convex hull: the outline of the asset in any picture is that of these."""
    is_round: bool
    """Whether it looks the same from all around the vertical, textures aside."""

    def extent(self) -> np.ndarray:
        """(3,)"""
        return np.array(self.high) - self.low


def shape_of(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> AssetShape:
    """Measure a mesh.

    Args:
        vertices: (n, 3), finite.
        triangles: (m, 3) places in `vertices`.

    Raises:
        RefusedAsset: it has no solid extent.
    """
    if not len(triangles):
        raise RefusedAsset("holds no mesh", "it holds no face")
    from scipy.spatial import ConvexHull, QhullError  # 0.6 s, and most processes that know shapes measure none

    used = vertices[np.unique(triangles)].astype(np.float64)
    low, high = used.min(axis=0), used.max(axis=0)
    extent = high - low
    if not extent.max() > 0 or extent.min() < FLATTEST * extent.max():
        raise RefusedAsset("has no depth", f"its extents are {', '.join(f'{x:.3g}' for x in extent)}: flat things have no sides to be seen from")
    unit = (used - low) / extent.max()  # Qhull's tolerances are for coordinates near 1
    try:
        hull = used[ConvexHull(unit).vertices]
    except QhullError:
        raise RefusedAsset("has no depth", "all its points lie in a plane: flat things have no sides to be seen from") from None
    return AssetShape(len(triangles), _rounded(low), _rounded(high), tuple(map(_rounded, hull)), is_round(vertices, triangles, rng))


def is_round(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether a surface comes onto itself however it is turned about the vertical through its middle."""
    from scipy.spatial import cKDTree

    points, others = (_surface_points(vertices, triangles, rng) for _ in range(2))
    tree = cKDTree(others)
    middle = np.concatenate([points, others]).mean(axis=0)
    apart = lambda p: np.quantile(tree.query(p)[0], ROUND_QUANTILE)
    floor = apart(points)
    turned = [(points - middle) @ rotated_about(np.array([0.0, 0.0, 1.0]), np.radians(angle)).T + middle for angle in ROUND_ANGLES_DEG]
    return bool(max(map(apart, turned)) < ROUND_FACTOR * floor)


def _surface_points(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(ROUND_SAMPLES, 3) points drawn evenly from a surface."""
    a, b, c = (vertices[triangles[:, i]].astype(np.float64) for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = rng.choice(len(triangles), size=ROUND_SAMPLES, p=area / area.sum())
    u, v = rng.random((2, ROUND_SAMPLES, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    return a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen]


def placed(shape: AssetShape, radius_m: float, yaw_rad: float, foot_m: np.ndarray) -> np.ndarray:
    """(4, 4) `T_world_asset` with its scale: the sphere around the bounding box gets `radius_m`, the middle of its foot comes to `foot_m` (3,)."""
    low, high = np.array(shape.low), np.array(shape.high)
    scale = 2 * radius_m / np.linalg.norm(high - low)
    T = np.eye(4)
    T[:3, :3] = scale * rotated_about(np.array([0.0, 0.0, 1.0]), yaw_rad)
    T[:3, 3] = foot_m - T[:3, :3] @ [*(low + high)[:2] / 2, low[2]]
    return T


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """With as many digits as float32 has."""
    return tuple(float(np.format_float_scientific(value, precision=DIGITS)) for value in values)
