"""The ways in which the parts of a subject stand together: each function draws parts and the stands that carry them.

Parts stand on every side of the middle, so that from wherever a subject is looked at, some are clearly nearer than others. A row of them has no depth seen
from its front: nothing would shift against anything, and no one could tell how the camera went.

And they rise to one side, uphill. Seen from there what is near stands higher in the picture than what is far, seen from the other side it stands lower:
height in the picture does not tell depth, though the foot of what stands on the ground does.

Lengths in metres, before the whole is scaled, turned and coloured. Nothing overlaps and nothing reaches below the ground: things that touch
keep a gap of a few millimetres, since faces in one plane render as black patches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from actial.geometry.poses import box_corners

Vector = tuple[float, float, float]
GAP_M = 0.004
PART_SHAPES = ("box", "sphere", "cylinder", "cone")


@dataclass(frozen=True, slots=True)
class Solid:
    """A box, sphere, cylinder or cone that stands upright, turned about the vertical, or leans."""

    shape: str
    size_m: Vector
    """Extent of the bounding box along its own axes; a cone's apex points up."""
    center_m: Vector
    """Centre of the bounding box, world."""
    yaw_rad: float
    name: str = ""
    color: str = ""
    rgb: Vector = (0.0, 0.0, 0.0)
    """Linear albedo."""
    lean: tuple[float, float] = (0.0, 0.0)
    """How far its points lie to the side along the world's x and y for each metre of height above its centre: sheared, not turned."""

    def pose(self) -> np.ndarray:
        """(4, 4) `T_world_obj`; the axes of one that leans are not at right angles."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        T = np.eye(4)
        T[:2, :2] = [[c, -s], [s, c]]
        T[:2, 2] = self.lean
        T[:3, 3] = self.center_m
        return T

    def normal_axes(self) -> np.ndarray:
        """(3, 3) the inverse of the transpose of its axes: the axes themselves, where it does not lean."""
        R = self.pose()[:3, :3]
        R[2, :2] -= self.lean @ R[:2, :2]
        R[:2, 2] = 0.0
        return R

    def corners(self) -> np.ndarray:
        """(8, 3) corners of its bounding box, world, metres."""
        return box_corners(self.pose(), self.size_m)

    def half_width_m(self, angle_rad: float) -> float:
        """Half its extent along a horizontal direction."""
        if self.shape != "box":
            return self.size_m[0] / 2
        c, s = np.cos(angle_rad - self.yaw_rad), np.sin(angle_rad - self.yaw_rad)
        return float(abs(c) * self.size_m[0] + abs(s) * self.size_m[1]) / 2

    @property
    def bottom_m(self) -> float:
        return self.center_m[2] - self.size_m[2] / 2

    @property
    def top_m(self) -> float:
        return self.center_m[2] + self.size_m[2] / 2

    def with_look(self, name: str, color: str, rgb: Vector) -> Solid:
        return replace(self, name=name, color=color, rgb=rgb)

    def moved(self, middle: np.ndarray, scale: float, yaw_rad: float, target: np.ndarray) -> Solid:
        """Scaled and turned about the vertical through `middle` (2,), which then lies at `target` (2,)."""
        c, s = np.cos(yaw_rad), np.sin(yaw_rad)
        x, y = scale * (np.array([[c, -s], [s, c]]) @ (np.array(self.center_m[:2]) - middle)) + target
        width, depth, height = self.size_m
        size = (float(width * scale), float(depth * scale), float(height * scale))
        return replace(self, size_m=size, center_m=(float(x), float(y), float(self.center_m[2] * scale)), yaw_rad=float(self.yaw_rad + yaw_rad))


def overlap(a: Solid, b: Solid, clearance_m: float = 0.0) -> bool:
    """Whether two upright solids, cones taken as cylinders, may come nearer than `clearance_m` (separating axes; they turn about the vertical only)."""
    if a.bottom_m >= b.top_m + clearance_m or b.bottom_m >= a.top_m + clearance_m:
        return False
    between = np.array(b.center_m[:2]) - np.array(a.center_m[:2])
    angles = [s.yaw_rad + q for s in (a, b) for q in (0.0, np.pi / 2)] + [float(np.arctan2(between[1], between[0]))]
    for angle in angles:
        distance = abs(between @ [np.cos(angle), np.sin(angle)])
        if distance >= a.half_width_m(angle) + b.half_width_m(angle) + clearance_m:
            return False
    return True


Subject = tuple[list[Solid], list[Solid]]
"""Parts and stands."""


def cluster(rng: np.random.Generator) -> Subject:
    """Parts around a middle, most of them on posts of their own, each at another height."""
    uphill_rad = rng.uniform(-np.pi, np.pi)
    parts: list[Solid] = []
    stands: list[Solid] = []
    for azimuth_rad in _around(rng, int(rng.integers(4, 6))):
        _add_on_post(parts, stands, rng, azimuth_rad, uphill_rad, reach_m=(0.5, 0.9), lift_m=(0.0, 1.3))
    return parts, stands


def tower(rng: np.random.Generator) -> Subject:
    """Three parts on top of one another, off centre, and two or three around them on posts."""
    uphill_rad = rng.uniform(-np.pi, np.pi)
    parts = [_on((0.0, 0.0), 0.0, "box", (rng.uniform(0.5, 0.75), rng.uniform(0.4, 0.6), rng.uniform(0.25, 0.45)), rng)]
    for shape, width in ((str(rng.choice(["box", "cylinder"])), (0.32, 0.42)), (_shape(rng), (0.24, 0.34))):
        below = parts[-1]
        shift = rng.uniform(-0.22, 0.22, size=2) * min(below.size_m[:2])
        parts.append(_on(np.array(below.center_m[:2]) + shift, below.top_m + GAP_M, shape, _size(rng, shape, width), rng))
    stands: list[Solid] = []
    for azimuth_rad in _around(rng, 3)[: int(rng.integers(2, 4))]:
        _add_on_post(parts, stands, rng, azimuth_rad, uphill_rad, reach_m=(0.65, 0.95), lift_m=(0.0, 1.25))
    return parts, stands


def table(rng: np.random.Generator) -> Subject:
    """A slab on four legs, one or two parts on it, one at or under its one long edge and one beside the other."""
    uphill_rad = _either_side(rng)[0]
    length, width, height = rng.uniform(0.9, 1.15), rng.uniform(0.55, 0.75), rng.uniform(0.5, 0.8)
    top = Solid("box", (length, width, 0.1), (0.0, 0.0, height + 0.05), 0.0)
    leg = 0.07
    stands = [
        Solid("box", (leg, leg, height - 2 * GAP_M), (sx * (length - leg) / 2 * 0.94, sy * (width - leg) / 2 * 0.94, height / 2), 0.0)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    parts = [top]
    for side in rng.permutation([-1, 1])[: int(rng.integers(1, 3))]:
        shape = _shape(rng)
        at = (side * rng.uniform(0.2, 0.32) * length, rng.uniform(-0.12, 0.12))
        parts.append(_on(at, top.top_m + GAP_M, shape, _size(rng, shape, (0.26, 0.36)), rng))
    for azimuth_rad, reach_m in zip(_either_side(rng), ((0.3, 0.9), (0.7, 0.95)), strict=True):
        _add_on_post(parts, stands, rng, azimuth_rad, uphill_rad, reach_m, lift_m=(0.0, 1.3), width_m=(0.26, 0.36))
    return parts, stands


def bridge(rng: np.random.Generator) -> Subject:
    """A beam across two pillars, something on the beam or not, and something on either side of it."""
    uphill_rad = _either_side(rng)[0]
    height, span = rng.uniform(0.45, 0.75), rng.uniform(0.4, 0.5)
    parts: list[Solid] = []
    for side in (-1, 1):
        shape = str(rng.choice(["box", "cylinder"]))
        width = rng.uniform(0.24, 0.32)
        parts.append(Solid(shape, (width, width, height - GAP_M), (side * span, 0.0, (height - GAP_M) / 2 + GAP_M / 2), 0.0))
    beam = Solid("box", (2 * span + rng.uniform(0.3, 0.45), 0.32, rng.uniform(0.12, 0.18)), (rng.uniform(-0.05, 0.05), 0.0, 0.0), 0.0)
    beam = replace(beam, center_m=(beam.center_m[0], 0.0, height + GAP_M + beam.size_m[2] / 2))
    parts.append(beam)
    if rng.random() < 0.6:
        shape, side = _shape(rng), rng.choice([-1.0, 1.0])
        parts.append(_on((side * rng.uniform(0.2, 0.45), 0.0), beam.top_m + GAP_M, shape, _size(rng, shape, (0.26, 0.34)), rng))
    stands: list[Solid] = []
    for azimuth_rad in _either_side(rng):
        _add_on_post(parts, stands, rng, azimuth_rad, uphill_rad, reach_m=(0.5, 0.85), lift_m=(0.0, 1.1))
    return parts, stands


def mast(rng: np.random.Generator) -> Subject:
    """A grey mast with parts on arms, each at its own height and in its own direction."""
    while True:
        parts, stands = _mast(rng)
        solids = parts + stands
        if not any(overlap(a, b) for i, a in enumerate(solids) for b in solids[:i]):
            return parts, stands


def _mast(rng: np.random.Generator) -> Subject:
    n, height, pole = int(rng.integers(4, 6)), rng.uniform(1.25, 1.5), 0.08
    stands = [Solid("cylinder", (pole, pole, height - GAP_M), (0.0, 0.0, height / 2 + GAP_M / 2), 0.0)]
    levels = np.linspace(0.26, height - 0.14, n) + rng.uniform(-0.03, 0.03, size=n)
    uphill_rad, around = rng.uniform(-np.pi, np.pi), _around(rng, n)
    rising = around[np.argsort(np.cos(around - uphill_rad) + rng.uniform(-0.6, 0.6, size=n))]
    parts = []
    for level, azimuth in zip(levels, rising, strict=True):
        shape = str(rng.choice(["box", "sphere", "cylinder"]))
        size = _size(rng, shape, (0.27, 0.36), (0.27, 0.36))
        reach = rng.uniform(0.45, 0.65)
        direction = np.array([np.cos(azimuth), np.sin(azimuth)])
        x, y = reach * direction
        parts.append(Solid(shape, size, (float(x), float(y), float(level)), float(azimuth)))
        length = reach - size[0] / 2 - pole / 2 - 2 * GAP_M
        x, y = (pole / 2 + GAP_M + length / 2) * direction
        stands.append(Solid("box", (float(length), 0.045, 0.045), (float(x), float(y), float(level)), float(azimuth)))
    return parts, stands


def steps(rng: np.random.Generator) -> Subject:
    """Three blocks of varied height in a row, something on one of them or not, and something on either side of the row."""
    uphill_rad = _either_side(rng)[0]
    parts = []
    x = 0.0
    for height in rng.permutation([rng.uniform(0.16, 0.26), rng.uniform(0.42, 0.55), rng.uniform(0.75, 0.95)]):
        width, depth = rng.uniform(0.3, 0.38), rng.uniform(0.36, 0.5)
        parts.append(Solid("box", (width, depth, float(height)), (x + width / 2, float(rng.uniform(-0.1, 0.1)), float(height) / 2 + GAP_M), 0.0))
        x += width + 0.03
    if rng.random() < 0.6:
        below, shape = parts[int(rng.integers(3))], _shape(rng)
        parts.append(_on(np.array(below.center_m[:2]), below.top_m + GAP_M, shape, _size(rng, shape, (0.24, 0.3)), rng, yaw_rad=0.0))
    stands: list[Solid] = []
    for azimuth_rad in _either_side(rng):
        _add_on_post(parts, stands, rng, azimuth_rad, uphill_rad, reach_m=(0.55, 0.9), lift_m=(0.2, 1.2), around=np.array([x / 2, 0.0]))
    return parts, stands


ARRANGEMENTS: dict[str, Callable[[np.random.Generator], Subject]] = {
    "cluster": cluster,
    "tower": tower,
    "table": table,
    "bridge": bridge,
    "mast": mast,
    "steps": steps,
}
"""The geometry families, by the name under which one can be held out."""


def _shape(rng: np.random.Generator) -> str:
    return str(rng.choice(PART_SHAPES))


def _size(rng: np.random.Generator, shape: str, width_m: tuple[float, float], height_m: tuple[float, float] = (0.28, 0.48)) -> Vector:
    width = float(rng.uniform(*width_m))
    if shape == "sphere":
        return (width, width, width)
    return (width, float(rng.uniform(*width_m)) if shape == "box" else width, float(rng.uniform(*height_m)))


def _on(at: tuple[float, float] | np.ndarray, floor_m: float, shape: str, size: Vector, rng: np.random.Generator, yaw_rad: float | None = None) -> Solid:
    """A solid that stands on a floor at height `floor_m`."""
    yaw_rad = float(rng.uniform(-np.pi, np.pi)) if yaw_rad is None else yaw_rad
    return Solid(shape, (float(size[0]), float(size[1]), float(size[2])), (float(at[0]), float(at[1]), float(floor_m + GAP_M + size[2] / 2)), yaw_rad)


def _around(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) directions that leave no side empty, rad."""
    return rng.uniform(-np.pi, np.pi) + 2 * np.pi * (np.arange(n) + rng.uniform(-0.25, 0.25, size=n)) / n


def _either_side(rng: np.random.Generator) -> np.ndarray:
    """(2,) directions to the one and to the other side of what stands along the x axis, rad."""
    return rng.permutation([-1.0, 1.0]) * (np.pi / 2 + rng.uniform(-0.6, 0.6, size=2))


def _add_on_post(
    parts: list[Solid],
    stands: list[Solid],
    rng: np.random.Generator,
    azimuth_rad: float,
    uphill_rad: float,
    reach_m: tuple[float, float],
    lift_m: tuple[float, float],
    width_m: tuple[float, float] = (0.28, 0.42),
    around: np.ndarray | None = None,
) -> None:
    """Add a part at a free place in about that direction, on a post with a foot where it is lifted."""
    around = np.zeros(2) if around is None else around
    while True:
        shape, azimuth = _shape(rng), azimuth_rad + rng.uniform(-0.3, 0.3)
        lift = _lift(rng, azimuth - uphill_rad, lift_m)
        at = around + rng.uniform(*reach_m) * np.array([np.cos(azimuth), np.sin(azimuth)])
        part = _on(at, lift, shape, _size(rng, shape, width_m), rng)
        new = [part]
        if lift:
            foot_m = 0.03
            new.append(Solid("cylinder", (0.24, 0.24, foot_m), (part.center_m[0], part.center_m[1], GAP_M + foot_m / 2), 0.0))
            low_m, high_m = 2 * GAP_M + foot_m, lift
            new.append(Solid("cylinder", (0.09, 0.09, high_m - low_m), (part.center_m[0], part.center_m[1], (low_m + high_m) / 2), 0.0))
        if not any(overlap(a, b, clearance_m=0.05) for a in new for b in parts + stands):
            parts.append(part)
            stands.extend(new[1:])
            return


def _lift(rng: np.random.Generator, from_uphill_rad: float, lift_m: tuple[float, float]) -> float:
    """Height of a post: the greatest uphill, the least opposite, give or take a fifth; less than a hand's breadth is none."""
    share = np.clip(0.5 + 0.5 * np.cos(from_uphill_rad) + rng.uniform(-0.2, 0.2), 0, 1)
    lift = float(lift_m[0] + (lift_m[1] - lift_m[0]) * share)
    return lift if lift > 0.1 else 0.0
