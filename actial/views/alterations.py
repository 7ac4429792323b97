"""Alterations: what may be done to a subject between two states of its scene, so that no movement of the camera explains both.

One part is moved with the stand that carries it, or the whole subject is mirrored about a vertical plane, made larger or smaller, or sheared; what stands
around it stays. Whatever is done, the subject stands on the ground as before, and consists of as many solids in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from actial.views.arrangements import GAP_M, Solid, overlap
from actial.views.fronts import Front

MOVED, MIRRORED, SCALED, SHEARED = "moved", "mirrored", "scaled", "sheared"
ALTERATIONS = (MOVED, MIRRORED, SCALED, SHEARED)
OF_ASSETS = (SCALED, SHEARED)
"""An asset has no parts, and of its records its bounding box is its own mirror image: nobody could tell by them whether the asset is."""
SLIDE_M, SWING_RAD = (0.3, 0.7), (0.6, 1.5)
"""How far a part is moved: on the ground, or about the mast that its arm is fixed to."""
FACTOR = (1.3, 1.5)
"""How many times as large as the other state's the larger subject is."""
LEAN = (0.4, 0.7)
"""Metres to the side a metre of height, of a sheared subject."""
CLEARANCE_M = 0.05
"""Least gap between a part that was moved and everything else."""
TRIES = 60


@dataclass(frozen=True, slots=True)
class Altered:
    """A subject made of parts, altered; solids stand in the order of the subject's own."""

    what: str
    """One of `ALTERATIONS`."""
    parts: tuple[Solid, ...]
    stands: tuple[Solid, ...]
    front: Front | None


def draw_alteration(parts: tuple[Solid, ...], stands: tuple[Solid, ...], front: Front | None, middle: np.ndarray, rng: np.random.Generator) -> Altered:
    """Alter a subject in one of the ways; each is equally likely, but that a part is moved needs one that can be.

    Args:
        middle: (2,) the subject's middle on the ground, metres.
    """
    what = str(rng.choice(ALTERATIONS))
    if what == MOVED:
        moved = _one_moved(parts, stands, front, rng)
        if moved is not None:
            return Altered(MOVED, moved[0], moved[1], front)
        what = str(rng.choice(ALTERATIONS[1:]))
    azimuth_rad, factor, lean = float(rng.uniform(-np.pi, np.pi)), _factor(rng), _lean(rng)
    change: Callable[[Solid], Solid] = {
        MIRRORED: lambda s: mirrored(s, middle, azimuth_rad),
        SCALED: lambda s: s.moved(middle, factor, 0.0, middle),
        SHEARED: lambda s: sheared(s, lean),
    }[what]
    all_of = lambda solids: tuple(map(change, solids))
    face = front
    if front is not None:
        facing = _reflected(np.array(front.direction[:2]), azimuth_rad) if what == MIRRORED else front.direction
        face = Front((float(facing[0]), float(facing[1]), 0.0), all_of(front.head), all_of(front.stands))
    return Altered(what, all_of(parts), all_of(stands), face)


def alter_asset(T_world_asset: np.ndarray, foot_m: np.ndarray, rng: np.random.Generator) -> tuple[float, ...]:
    """Row-major `T_world_asset` of an asset made larger or smaller, or sheared, that stands where it stood.

    Args:
        T_world_asset: (4, 4) as it is, with its scale.
        foot_m: (3,) the middle of its foot, world, metres.
    """
    change = np.eye(4)
    if str(rng.choice(OF_ASSETS)) == SCALED:
        change[:3, :3] *= _factor(rng)
    else:
        change[:2, 2] = _lean(rng)
    change[:3, 3] = foot_m - change[:3, :3] @ foot_m
    return tuple((change @ T_world_asset).ravel().tolist())


def mirrored(solid: Solid, middle: np.ndarray, azimuth_rad: float) -> Solid:
    """The mirror image of an upright solid, which is such a solid itself, in the vertical plane through `middle` (2,) along an azimuth."""
    x, y = _reflected(np.array(solid.center_m[:2]) - middle, azimuth_rad) + middle
    return replace(solid, center_m=(float(x), float(y), solid.center_m[2]), yaw_rad=float(2 * azimuth_rad - solid.yaw_rad))


def sheared(solid: Solid, lean: tuple[float, float]) -> Solid:
    """The solid in a scene sheared along the ground: what is higher lies farther to the side."""
    x, y, z = solid.center_m
    return replace(solid, center_m=(x + lean[0] * z, y + lean[1] * z, z), lean=lean)


def _one_moved(
    parts: tuple[Solid, ...], stands: tuple[Solid, ...], front: Front | None, rng: np.random.Generator
) -> tuple[tuple[Solid, ...], tuple[Solid, ...]] | None:
    """Parts and stands with one part, that nothing stands on, slid over the ground or swung about its mast; None where none has another place."""
    face = () if front is None else front.head + front.stands
    for i in rng.permutation(len(parts)):
        carried = [parts[i], *(s for s in stands if _carries(s, parts[i]))]
        rest = [s for s in (*parts, *stands, *face) if s not in carried]
        on_arm = len(carried) == 2 and carried[1].shape == "box"
        on_ground = min(s.bottom_m for s in carried) < 2 * GAP_M
        raised = replace(parts[i], center_m=(*parts[i].center_m[:2], parts[i].center_m[2] + 3 * GAP_M))
        if not (on_arm or on_ground) or (on_ground and any(overlap(raised, s) for s in rest)):
            continue
        mast = np.array(next((s.center_m[:2] for s in stands if s.shape == "cylinder"), (0.0, 0.0)))
        for _ in range(TRIES):
            if on_arm:
                swing = (-1.0, 1.0)[int(rng.integers(2))] * float(rng.uniform(*SWING_RAD))
                placed = {s: s.moved(mast, 1.0, swing, mast) for s in carried}
            else:
                reach, way = float(rng.uniform(*SLIDE_M)), float(rng.uniform(-np.pi, np.pi))
                placed = {s: _slid(s, reach * np.cos(way), reach * np.sin(way)) for s in carried}
            clear = {s: 0.0 if s.shape == "cylinder" and on_arm else CLEARANCE_M for s in rest}  # an arm all but touches its mast
            if not any(overlap(s, other, clear[other]) for s in placed.values() for other in rest):
                return tuple(placed.get(s, s) for s in parts), tuple(placed.get(s, s) for s in stands)
    return None


def _carries(stand: Solid, part: Solid) -> bool:
    """Whether a stand is the part's own: a foot or post right below it, or an arm that ends at it."""
    below = np.allclose(stand.center_m[:2], part.center_m[:2], atol=1e-6) and stand.top_m < part.center_m[2]
    arm = stand.shape == "box" and np.isclose(stand.center_m[2], part.center_m[2], atol=1e-6) and np.isclose(stand.yaw_rad, part.yaw_rad, atol=1e-6)
    return bool(below or arm)


def _slid(solid: Solid, x_m: float, y_m: float) -> Solid:
    x, y, z = solid.center_m
    return replace(solid, center_m=(float(x + x_m), float(y + y_m), z))


def _reflected(v: np.ndarray, azimuth_rad: float) -> np.ndarray:
    """(2,) a level vector in a mirror that stands along an azimuth."""
    c, s = np.cos(2 * azimuth_rad), np.sin(2 * azimuth_rad)
    return np.array([[c, s], [s, -c]]) @ v


def _factor(rng: np.random.Generator) -> float:
    larger = float(rng.uniform(*FACTOR))
    return larger if rng.random() < 0.5 else 1 / larger


def _lean(rng: np.random.Generator) -> tuple[float, float]:
    lean, way = float(rng.uniform(*LEAN)), float(rng.uniform(-np.pi, np.pi))
    return float(lean * np.cos(way)), float(lean * np.sin(way))
