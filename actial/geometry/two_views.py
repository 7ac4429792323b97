"""Whether two pictures can show one rigid thing: how far their points are, at the least, from what any movement of a camera explains.

Nothing is known of the points' depths: a point of the first picture may lie anywhere on its ray before both cameras, so a movement explains a pair of points
unless the second lies off the first's epipolar line, or on it where only a point behind a camera would appear. Scale is free, too. Axes are OpenCV's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actial.geometry.poses import rotated_about

NORMS = ((2, 8), (4, 6), (10, 10))
"""The largest residual of all things is approached through their p-norm, by so many steps for each p."""
STEP = 1e-6
"""Of the finite differences, radians."""
AT_ONCE = 256
"""Pairs, which a processor's cache holds."""
LONGEST_RAD = 0.3
"""A step of the search is no longer."""
WORST_PX = 1e4
"""Residuals count no more than this."""
_ACROSS_DEG, _UP_DEG = (-20, 20, -50, 50, 0, 0, -80, 80, -35, 35, -35, 35), (0, 0, 0, 0, -20, 20, 0, 0, 20, 20, -20, -20)
ORBITS_DEG = tuple(zip(_ACROSS_DEG, _UP_DEG, strict=True))
"""Other starts: the second camera carried around the things, about its own vertical and sideways axis."""


@dataclass(frozen=True)
class Matches:
    """Points of m things, at most p of each, in n pairs of pictures. What is symmetric may be matched in g ways, which look the same."""

    first: np.ndarray
    """(n, m, p, 2) pixels in the first picture."""
    second: np.ndarray
    """(n, m, g, p, 2) pixels in the second, in every way of matching; way 0 is the true one, and what has fewer ways repeats it."""
    known: np.ndarray
    """(n, m, p) bool: whether there is such a point."""
    K_1: np.ndarray
    K_2: np.ndarray
    """(n, 3, 3) without skew."""
    T_2_1: np.ndarray
    """(n, 4, 4) how the cameras really moved: the first start of the search."""
    middle: np.ndarray
    """(n, 3) of the things, in the second camera's axes: other starts go around it."""

    def take(self, rows: np.ndarray) -> Matches:
        """Those of some pairs."""
        return Matches(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def smallest_residual_px(matches: Matches, enough_px: float = 0.0) -> np.ndarray:
    """(n,) the smallest over all movements of a camera of the largest residual of a thing: the root mean square over its points of the root of the sum of
    squares by which a match must be shifted in both pictures until the movement explains it.

    The search goes down from several starts, so that what it returns is at least the minimum.

    Args:
        enough_px: where less was found nothing smaller is looked for.
    """
    least = np.full(len(matches.first), np.inf)
    for start in range(1 + len(ORBITS_DEG)):
        rows = np.flatnonzero(least >= enough_px)
        for at in range(0, len(rows), AT_ONCE):
            chunk = rows[at : at + AT_ONCE]
            some = _compact(matches.take(chunk))
            least[chunk] = np.minimum(least[chunk], _descend(some, _start(some, start)))
    return least


def _compact(matches: Matches) -> Matches:
    """Without the things that have no points in any pair, each pair's own moved to the front."""
    seen = matches.known.any(axis=-1)
    order = np.argsort(~seen, axis=1, kind="stable")[:, : max(1, int(seen.sum(axis=1).max(initial=1)))]
    of = lambda values: np.take_along_axis(values, order.reshape(order.shape + (1,) * (values.ndim - 2)), axis=1)
    return replace(matches, first=of(matches.first), second=of(matches.second), known=of(matches.known))


def residuals_px(matches: Matches, T_2_1: np.ndarray) -> np.ndarray:
    """(n, m) each thing's residual under movements (n, 4, 4), matched in the way that fits best; 0 for a thing without points."""
    seen = _Seen.of(matches)
    return np.sqrt(_best_way(matches, seen, T_2_1[:, :3, :3], _unit(T_2_1[:, :3, 3]))[1])


@dataclass(frozen=True)
class _Seen:
    """Matches as rays of depth 1, with components before points."""

    rays_1: np.ndarray
    """(n, 3, m p)."""
    rays_2: np.ndarray
    """(n, g, 3, m p)."""
    focal_1: np.ndarray
    focal_2: np.ndarray
    """(n, 2, 1) pixels."""
    share: np.ndarray
    """(n, m, p) of each point in its thing's mean."""

    @classmethod
    def of(cls, matches: Matches) -> _Seen:
        n, m, g, p, _ = matches.second.shape
        first = matches.first.reshape(n, m * p, 2)
        second = np.moveaxis(matches.second, 2, 1).reshape(n, g, m * p, 2)
        share = matches.known / np.maximum(matches.known.sum(axis=-1, keepdims=True), 1)
        focal_1, focal_2 = (np.stack([K[:, 0, 0], K[:, 1, 1]], axis=1)[..., None] for K in (matches.K_1, matches.K_2))
        return cls(_rays(first, matches.K_1), _rays(second, matches.K_2[:, None]), focal_1, focal_2, share)


def _rays(uv: np.ndarray, K: np.ndarray) -> np.ndarray:
    """(..., 3, k) of pixels (..., k, 2); points that are not there are put on the axis."""
    x, y = ((uv[..., i] - K[..., i, 2, None]) / K[..., i, i, None] for i in (0, 1))
    return np.nan_to_num(np.stack([x, y, np.ones_like(x)], axis=-2))


def _shifts(rays_1: np.ndarray, rays_2: np.ndarray, focal_1: np.ndarray, focal_2: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(n, k) what each match must be shifted by, pixels, with a sign: to first order (Sampson's distance; Hartley and
    Zisserman, Multiple View Geometry, 11.4.3), or, where it would lie behind a camera, to infinity."""
    t = t[:, :, None]
    a = R @ rays_1
    normal = np.stack([t[:, 1] * a[:, 2] - t[:, 2] * a[:, 1], t[:, 2] * a[:, 0] - t[:, 0] * a[:, 2], t[:, 0] * a[:, 1] - t[:, 1] * a[:, 0]], axis=1)
    b = rays_2
    back = np.stack([b[:, 1] * t[:, 2] - b[:, 2] * t[:, 1], b[:, 2] * t[:, 0] - b[:, 0] * t[:, 2], b[:, 0] * t[:, 1] - b[:, 1] * t[:, 0]], axis=1)
    line_1, line_2 = (np.swapaxes(R, 1, 2) @ back)[:, :2] / focal_1, normal[:, :2] / focal_2
    slope = (line_1**2).sum(axis=1) + (line_2**2).sum(axis=1)
    sampson = (b * normal).sum(axis=1) / np.sqrt(np.maximum(slope, 1e-30))
    ab, ta, tb, aa, bb = (a * b).sum(1), (a * t).sum(1), (b * t).sum(1), (a * a).sum(1), (b * b).sum(1)
    before = (ab * tb > bb * ta) & (aa * tb > ab * ta)  # the depths of the point where the rays come nearest to each other
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        far = np.linalg.norm(focal_2 * (a[:, :2] / a[:, 2:] - b[:, :2]), axis=1) / np.sqrt(2)
    far = np.where(a[:, 2] > 0, far, WORST_PX)
    return np.asarray(np.clip(np.where(before, sampson, far), -WORST_PX, WORST_PX))


def _best_way(matches: Matches, seen: _Seen, R: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3, k) rays in the second picture, each thing's matched in the way that fits best; and (n, m) the mean squares so."""
    n, m, p = matches.known.shape
    g = seen.rays_2.shape[1]
    by_way = [_means(_shifts(seen.rays_1, seen.rays_2[:, way], seen.focal_1, seen.focal_2, R, t), seen.share) for way in range(g)]
    best = np.argmin(by_way, axis=0)
    chosen = np.take_along_axis(seen.rays_2.reshape(n, g, 3, m, p), best[:, None, None, :, None], axis=1)[:, 0]
    return chosen.reshape(n, 3, m * p), np.min(by_way, axis=0)


def _means(shifts: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(n, m) mean squares of the shifts (n, m p) of each thing's points."""
    return np.asarray((shifts.reshape(share.shape) ** 2 * share).sum(axis=-1))


def _descend(matches: Matches, T_2_1: np.ndarray) -> np.ndarray:
    """(n,) the least of the largest residuals of a thing on the way down from movements (n, 4, 4): damped Gauss-Newton steps over rotation and direction of
    the translation, on the p-norm of the things' residuals."""
    seen = _Seen.of(matches)
    n, m, p = matches.known.shape
    R, t = T_2_1[:, :3, :3].copy(), _unit(T_2_1[:, :3, 3])
    damping, least = np.full(n, 1e-3), np.full(n, np.inf)
    for norm, steps in NORMS:
        rays_2, _ = _best_way(matches, seen, R, t)

        def shifts_at(R: np.ndarray, t: np.ndarray, rays_2: np.ndarray = rays_2) -> np.ndarray:
            return _shifts(seen.rays_1, rays_2, seen.focal_1, seen.focal_2, R, t)

        e = shifts_at(R, t)
        for _ in range(steps):
            means = _means(e, seen.share)
            largest = np.maximum(means.max(axis=1), 1e-18)
            least = np.minimum(least, largest)
            weights = np.sqrt(seen.share * (np.maximum(means / largest[:, None], 1e-9) ** (norm / 2 - 1))[..., None]).reshape(n, m * p)
            J = np.stack([(shifts_at(*_stepped(R, t, STEP * np.eye(5)[d])) - e) / STEP for d in range(5)], axis=-1) * weights[..., None]
            J = np.clip(J, -1e6, 1e6)
            H, slope = np.swapaxes(J, 1, 2) @ J, np.swapaxes(J, 1, 2) @ (weights * e)[..., None]
            scale = np.einsum("nii->ni", H).max(axis=1)[:, None, None] + 1e-12
            step = -np.linalg.solve(H + damping[:, None, None] * scale * np.eye(5), slope)[..., 0] / (norm - 1)
            step *= np.minimum(1, LONGEST_RAD / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-12))
            R_next, t_next = _stepped(R, t, step)
            e_next = shifts_at(R_next, t_next)
            goal, goal_next = (((_means(shifts, seen.share) / largest[:, None]) ** (norm / 2)).sum(axis=1) for shifts in (e, e_next))
            better = goal_next < goal
            R[better], t[better], e[better] = R_next[better], t_next[better], e_next[better]
            damping = np.where(better, damping / 4, damping * 8).clip(1e-9, 1e3)
        least = np.minimum(least, _means(e, seen.share).max(axis=1))
    return np.sqrt(least)


def _stepped(R: np.ndarray, t: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (n, 3, 3) and unit translations (n, 3), carried on by (n, 5) or (5,) radians: three about the axes, two along the sphere of directions."""
    step = np.broadcast_to(step, (len(R), 5))
    aside = np.cross(t, np.eye(3)[np.abs(t).argmin(axis=1)])
    aside = _unit(aside)
    other = np.cross(t, aside)
    return _rotations(step[:, :3]) @ R, _unit(t + step[:, 3:4] * aside + step[:, 4:] * other)


def _rotations(rotvec_rad: np.ndarray) -> np.ndarray:
    """(n, 3, 3) of rotation vectors (n, 3) (Rodrigues)."""
    angle = np.linalg.norm(rotvec_rad, axis=1)[:, None, None]
    x, y, z = rotvec_rad.T
    zero = np.zeros_like(x)
    k = np.stack([np.stack(row, axis=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))], axis=1)
    return np.asarray(np.eye(3) + np.sinc(angle / np.pi) * k + np.sinc(angle / 2 / np.pi) ** 2 / 2 * (k @ k))


def _unit(v: np.ndarray) -> np.ndarray:
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12))


def _start(matches: Matches, number: int) -> np.ndarray:
    """(n, 4, 4) where a search starts: how the cameras moved, or with the second camera carried around the things from there."""
    T = matches.T_2_1.copy()
    if number:
        across_deg, up_deg = ORBITS_DEG[number - 1]
        turn = rotated_about(np.array([0.0, 1.0, 0.0]), np.radians(across_deg)) @ rotated_about(np.array([1.0, 0.0, 0.0]), np.radians(up_deg))
        T[:, :3, :3] = turn @ T[:, :3, :3]
        T[:, :3, 3] = (T[:, :3, 3] - matches.middle) @ turn.T + matches.middle
    return T
