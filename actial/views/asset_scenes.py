"""Scenes with an asset as their subject: it stands on the patterned ground or on a plinth, among the surroundings of procedural scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actial.records import MESH, SceneObject
from actial.rng import generator_for
from actial.views.arrangements import GAP_M, Solid
from actial.views.asset_shapes import AssetShape, placed
from actial.views.assets import DIRECTIONS, Asset
from actial.views.companions import ALONE, Companions
from actial.views.scenes import MUTED, PALETTE, PLINTH, Ground, Rgb, Sky, draw_ground, draw_sky, draw_surroundings

RADIUS_M = (1.05, 1.3)
"""Of the sphere around the subject's bounding box, as with procedural subjects."""
PLINTH_SHARE, PLINTH_HEIGHT_M = 0.6, (0.15, 1.1)
"""With everything standing on one floor, height in the picture would give depth away."""


@dataclass(frozen=True, slots=True)
class AssetScene:
    """A scene around one asset; metres, +Z up, the ground at z = 0."""

    scene_id: str
    asset: Asset
    shape: AssetShape
    T_world_asset: tuple[float, ...]
    """Row-major 4x4 with a scale, from the axes of `shape`."""
    rgb: Rgb
    """Linear albedo of what has no material of its own."""
    surroundings: tuple[Solid, ...]
    """The plinth, if any, is the last."""
    ground: Ground
    sky: Sky
    companions: Companions = ALONE
    altered: tuple[float, ...] | None = None
    """`T_world_asset` in a second state, where the asset is altered there; it may have a shear."""

    def in_state(self, state: int) -> AssetScene:
        """The scene with its asset as it is in state 0 or 1; one that is never altered is the same in both."""
        return self if not state or self.altered is None else replace(self, T_world_asset=self.altered, altered=None)

    def subject_corners(self) -> np.ndarray:
        """(n, 3) vertices of the asset's convex hull, of both states where there are two, world, metres."""
        return self.outline() if self.altered is None else np.concatenate([self.outline(), self.in_state(1).outline()])

    def outline(self) -> np.ndarray:
        """(n, 3) points whose convex hull the pixels of a mask fill from side to side, world, metres."""
        T = self._pose()
        return np.array(self.shape.hull) @ T[:3, :3].T + T[:3, 3]

    def subject_center(self) -> np.ndarray:
        """(3,) middle of the bounding box, world, metres."""
        return self.objects()[0].center()

    def sight_points(self) -> np.ndarray:
        """(n, 3) points all over the asset, world, metres: how much of it is seen is the share of them that nothing hides."""
        hull, center = self.subject_corners(), self.subject_center()
        return np.concatenate([center + spread * (hull - center) for spread in (0.3, 0.6, 0.9)])

    def footprints(self) -> tuple[Solid, ...]:
        """What companions stand clear of: the asset's bounding box and its plinth."""
        boxes = [scene._box() for scene in ([self] if self.altered is None else [self, self.in_state(1)])]
        return (*boxes, *(s for s in self.surroundings if s.name == PLINTH))

    def own_colors(self) -> set[str]:
        """Colours that companions do not have: nobody knows those of an asset's own materials."""
        return {color for color, rgb in PALETTE.items() if rgb == self.rgb}

    def objects(self, state: int = 0) -> tuple[SceneObject, ...]:
        """The subject, then its companions."""
        if state and self.altered:
            return self.in_state(state).objects(state)
        T = self._pose()
        scale = np.linalg.norm(T[:3, 0])
        T_world_obj = np.eye(4)
        T_world_obj[:3, :3] = T[:3, :3] / scale
        T_world_obj[:3, 3] = T[:3, :3] @ (np.array(self.shape.low) + self.shape.high) / 2 + T[:3, 3]
        front = None if self.asset.front is None else tuple((T_world_obj[:3, :3] @ DIRECTIONS[self.asset.front]).tolist())
        size_m = tuple((self.shape.extent() * scale).tolist())
        subject = SceneObject("subject", MESH, self.asset.family, "", tuple(T_world_obj.ravel().tolist()), size_m, front=front)
        return (subject, *self.companions.rows(state))

    def foot_m(self) -> np.ndarray:
        """(3,) middle of the foot of the asset's bounding box, world, metres."""
        T, low, high = self._pose(), np.array(self.shape.low), np.array(self.shape.high)
        return np.asarray(T[:3, :3] @ [*(low + high)[:2] / 2, low[2]] + T[:3, 3])

    def _box(self) -> Solid:
        """The asset's bounding box."""
        subject, T = self.objects()[0], self._pose()
        x, y, z = subject.center()
        width, depth, height = subject.size_m
        lean = (float(T[0, 2] / T[2, 2]), float(T[1, 2] / T[2, 2]))
        return Solid("box", (width, depth, height), (float(x), float(y), float(z)), float(np.arctan2(T[1, 0], T[0, 0])), lean=lean)

    def _pose(self) -> np.ndarray:
        return np.array(self.T_world_asset).reshape(4, 4)


def compose_asset_scene(root_seed: int, scene_id: str, asset: Asset, shape: AssetShape) -> AssetScene:
    """Draw a scene around an asset. The result depends on the seed, the id and the asset only."""
    rng = generator_for(root_seed, f"{scene_id}/scene")
    yaw_rad, radius_m = float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(*RADIUS_M))
    x, y = rng.uniform(-0.4, 0.4, size=2)
    surroundings = draw_surroundings(rng)
    foot_m = np.array([x, y, GAP_M])
    if rng.random() < PLINTH_SHARE:
        extent_m = 2 * radius_m * shape.extent() / np.linalg.norm(shape.extent())
        plinth = _plinth(rng, foot_m, yaw_rad, extent_m)
        surroundings, foot_m[2] = (*surroundings, plinth), plinth.top_m + GAP_M
    T = placed(shape, radius_m, yaw_rad, foot_m)
    rgb = PALETTE[str(rng.choice(sorted(PALETTE)))]
    return AssetScene(scene_id, asset, shape, tuple(T.ravel().tolist()), rgb, surroundings, draw_ground(rng), draw_sky(rng))


def _plinth(rng: np.random.Generator, foot_m: np.ndarray, yaw_rad: float, extent_m: np.ndarray) -> Solid:
    """What the asset stands on: a little wider than it is, and turned with it."""
    width, depth = np.maximum(extent_m[:2] * rng.uniform(1.02, 1.2), 0.25)
    height = float(rng.uniform(*PLINTH_HEIGHT_M))
    shape = "box" if rng.random() < 0.5 else "cylinder"
    if shape == "cylinder":
        width = depth = np.hypot(width, depth)
    rgb = MUTED[int(rng.integers(len(MUTED)))]
    return Solid(shape, (float(width), float(depth), height), (float(foot_m[0]), float(foot_m[1]), GAP_M + height / 2), yaw_rad, PLINTH, "", rgb)
