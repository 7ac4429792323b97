"""Which things of a scene a picture shows clearly enough to be spoken of, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from actial.geometry.conventions import UP
from actial.geometry.poses import box_corners, transformed, unit
from actial.geometry.projection import project
from actial.records import SceneObject, View

SHAPES = ("box", "sphere", "cylinder", "cone")
"""Shapes that people name; of others the outline is not known."""
VISIBLE = 0.6
"""A thing is spoken of where its pixels in the mask are at least so much of its whole outline, as it would appear with nothing before it and no border, …"""
LEAST_SHARE = 0.0015
"""… and at least so much of the picture: 19 pixels of 112 x 112."""
UNSEEN = 0.02
"""Below this share of its outline a thing is not in the picture; between the two nobody can say whether it counts."""
LEVEL_M = 0.05
"""What stands no higher than this above the lowest thing stands on the ground."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A solid with a colour and shape of its own, in one picture."""

    name: str
    """Colour and shape; no other thing of the scene has both."""
    row: SceneObject
    center: np.ndarray
    """(3,) world, metres."""
    across: float
    """Of its centre, share of the picture's width from the left; NaN behind the camera."""
    share: float
    """Of its outline that is seen."""
    is_clear: bool
    """Whether it is seen well enough to be spoken of."""
    on_ground: bool

    @property
    def shape(self) -> str:
        return self.row.shape

    @property
    def height_m(self) -> float:
        return self.row.size_m[2]


@dataclass(frozen=True)
class Scenery:
    """A view, and the things in it."""

    view: View
    things: tuple[Thing, ...]
    """All that have a name, whether seen or not, in the order of the view's objects."""

    @cached_property
    def clear(self) -> list[Thing]:
        """Those that can be spoken of."""
        return [thing for thing in self.things if thing.is_clear]

    @cached_property
    def eye(self) -> np.ndarray:
        """(3,) the camera's place, metres."""
        return self.view.camera.pose()[:3, 3]

    @cached_property
    def ahead(self) -> np.ndarray:
        """(3,) the camera's viewing direction, made level and unit."""
        return unit(-self.view.camera.pose()[:3, 2] * [1.0, 1.0, 0.0])

    @property
    def pitch_deg(self) -> float:
        return float(np.degrees(np.arcsin(np.clip(-self.view.camera.pose()[2, 2], -1, 1))))


def scenery(view: View, mask: np.ndarray) -> Scenery:
    """The named things of a view.

    Args:
        mask: (h, w) uint8, the place in `view.objects` of what each pixel shows.

    Raises:
        ValueError: the view has no pose.
    """
    solids = [(place, o) for place, o in enumerate(view.objects) if place and o.color and o.shape in SHAPES]
    looks = [(o.color, o.shape) for _, o in solids]
    n_px = np.bincount(mask.ravel(), minlength=256)
    floor_m = min((_lowest_m(o) for _, o in solids), default=0.0)
    return Scenery(view, tuple(_thing(view, o, int(n_px[place]), floor_m) for place, o in solids if looks.count((o.color, o.shape)) == 1))


def bearing_deg(eye: np.ndarray, ahead: np.ndarray, target: np.ndarray) -> float:
    """How far to the left one must turn at `eye` (3,) from the level direction `ahead` (3,) to face `target` (3,): in (-180, 180], seen from above."""
    way = target - eye
    return float(np.degrees(np.arctan2(UP @ np.cross(ahead, way), ahead @ way)))


def level_way(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3,) the level direction from one point to another.

    Raises:
        ValueError: one stands straight above the other.
    """
    return unit((end - start) * [1.0, 1.0, 0.0])


def outline_area_px(row: SceneObject, view: View) -> float:
    """Area of a solid's whole outline in the picture's plane, pixels, beyond the picture's border, too; infinite where some of it is behind the camera."""
    import cv2

    points = transformed(np.array(row.T_world_obj).reshape(4, 4), _SURFACES[row.shape] * row.size_m)
    uv, depth_m = project(points, view.camera.intrinsics(), view.camera.pose())
    return float(cv2.contourArea(cv2.convexHull(uv.astype(np.float32)))) if (depth_m > 0).all() else np.inf


def _thing(view: View, o: SceneObject, n_px: int, floor_m: float) -> Thing:
    camera = view.camera
    uv, _ = project(o.center()[None], camera.intrinsics(), camera.pose())
    share = n_px / max(outline_area_px(o, view), 1.0)
    is_clear = share >= VISIBLE and n_px >= LEAST_SHARE * camera.width_px * camera.height_px
    return Thing(f"{o.color} {o.shape}", o, o.center(), float(uv[0, 0]) / camera.width_px, share, is_clear, _lowest_m(o) - floor_m <= LEVEL_M)


def _lowest_m(o: SceneObject) -> float:
    return float(box_corners(np.array(o.T_world_obj).reshape(4, 4), o.size_m)[:, 2].min())


def _ring(z: float) -> np.ndarray:
    angle_rad = 2 * np.pi * np.arange(48) / 48
    return np.column_stack([np.cos(angle_rad) / 2, np.sin(angle_rad) / 2, np.full(48, z)])


def _ball() -> np.ndarray:
    heights = np.sin(np.radians(np.arange(-85, 90, 5)))
    rings = [np.column_stack([_ring(0.0)[:, :2] * np.sqrt(1 - h * h), np.full(48, h / 2)]) for h in heights]
    return np.concatenate(rings)


_SURFACES = {
    "box": np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]),
    "sphere": _ball(),
    "cylinder": np.concatenate([_ring(-0.5), _ring(0.5)]),
    "cone": np.concatenate([_ring(-0.5), [[0.0, 0.0, 0.5]]]),
}
"""(n, 3) points of each shape in a unit cube, whose convex hull it is."""
