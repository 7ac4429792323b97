"""What two pictures tell somebody who can judge angles and distances: the numbers that chains of thought in whole sentences are written from.

Directions on the map are told from the way to the camera (from the object's middle), so that the same way drawn from both pictures swings by as much as the
camera went around. Distances and heights have the object's own height as their unit: whatever the lens, they can be compared. The horizon is as high as the
camera's eye, and as far off as one can see: only tilting and rolling the camera move it, only lifting the camera moves it against things.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from actial.geometry.angles import left_deg, tilt_deg
from actial.geometry.projection import about_subject
from actial.mix.descriptions import Both, seen_in_both
from actial.questions.sight import shows_subject, sightings
from actial.records import SceneObject, View

LEAST_LINE = 0.35
"""The two ends of a way are at least this share of the object's extent apart."""

Two = tuple[float, float]
"""A number for each picture."""


@dataclass(frozen=True)
class Line:
    """The way from one part to another on the map."""

    end: str
    start: str
    """What the parts are called."""
    right_deg: tuple[float, ...]
    """Where it points in each picture: to the right of the way to the camera."""
    nearer: tuple[float, ...]
    """How much nearer than the start the end is, as a share of the way between them."""
    beside: tuple[float, ...]
    """How far right of the start the end appears, in picture widths."""


@dataclass(frozen=True)
class Depth:
    """A part before another, in both pictures."""

    near: str
    far: str
    gap: float
    """How much nearer it is, as a share of the camera's distance; the smaller of both pictures."""
    grown: Two
    """How many times as large the near and the far part are drawn in the second picture."""
    shifted: Two
    """How far to the right, and up, the near part went against the far one, as tangents seen by a level camera that faces the object: neither turning
    nor zooming moves it."""


@dataclass(frozen=True)
class Stand:
    """A part, to a level camera that faces the object; shares are those of the camera's level distance from the object."""

    right: float
    nearer: float
    up: float
    """A tangent."""
    range_m: float


class Picture:
    """One picture, measured."""

    def __init__(self, view: View) -> None:
        self.view, self.subject = view, view.objects[0]
        assert view.camera.T_world_cam, "it shows the object"
        self.T, self.K = view.camera.T_world_cam, view.camera.K
        self.eye_m, self.center_m = (self.T[3], self.T[7], self.T[11]), self.subject.center_m
        self.to_camera = self.eye_m[0] - self.center_m[0], self.eye_m[1] - self.center_m[1]
        """From the object's middle, on the map."""
        self.level_m, self.distance_m = math.hypot(*self.to_camera), math.dist(self.eye_m, self.center_m)

    @cached_property
    def tilt_deg(self) -> float:
        """By how much the horizon rises to the right: the camera's right side hangs down."""
        return float(tilt_deg(self.view.camera.pose()[None])[0])

    @cached_property
    def slope_deg(self) -> float:
        """How far above the horizon the camera looks."""
        return math.degrees(math.asin(min(max(-self.T[10], -1.0), 1.0)))

    @cached_property
    def horizon(self) -> float:
        """Where the horizon crosses the middle column, from the upper edge, in picture heights; beyond 0 and 1 it is out of the picture."""
        above_px = -self.K[4] * math.tan(math.radians(self.slope_deg)) / math.cos(math.radians(self.tilt_deg))
        return (self.K[5] - above_px) / self.view.camera.height_px

    @property
    def half_height_deg(self) -> float:
        """Half of what it takes in from top to bottom."""
        return math.degrees(math.atan(self.K[5] / self.K[4]))

    @property
    def width_deg(self) -> float:
        """What it takes in from side to side."""
        return 2 * math.degrees(math.atan(self.view.camera.width_px / 2 / self.K[0]))

    @property
    def zoom(self) -> float:
        """Focal length in picture widths."""
        return self.K[0] / self.view.camera.width_px

    @property
    def right_deg(self) -> float:
        """How far right of straight ahead the object's middle stands."""
        return left_deg((-self.to_camera[0], -self.to_camera[1]), (-self.T[2], -self.T[6]))

    @property
    def level_share(self) -> float:
        """Level distance of the camera from the object's middle, as a share of its whole distance: the lower, the more from above or below."""
        return self.level_m / self.distance_m

    @property
    def distance_h(self) -> float:
        """Level distance of the camera from the object's middle, in the object's heights."""
        return self.level_m / self.subject.size_m[2]

    @property
    def eye_h(self) -> float:
        """Height of the camera, and so of the horizon, above the object's foot, in the object's heights."""
        return (self.eye_m[2] - self.center_m[2]) / self.subject.size_m[2] + 0.5

    @cached_property
    def stands(self) -> Mapping[str, Stand]:
        """The parts of the object, by name."""
        parts = [o for o in self.view.objects if o.part_of == self.subject.name]
        right_m, nearer_m = about_subject(np.array(self.eye_m), np.array(self.center_m), np.array([o.center_m for o in parts]).reshape(-1, 3))
        return {
            part.name: Stand(
                right / self.level_m,
                nearer / self.level_m,
                (part.center_m[2] - self.eye_m[2]) / (self.level_m - nearer),
                math.dist(part.center_m, self.eye_m),
            )
            for part, right, nearer in zip(parts, right_m.tolist(), nearer_m.tolist(), strict=True)
        }

    def column(self, part: str) -> float:
        """Where a part that it shows appears, in picture widths."""
        return sightings(self.view)[part].pixel[0] / self.view.camera.width_px


_picture_of = functools.lru_cache(maxsize=256)(Picture)


def longest_line(pictures: Sequence[Picture], parts: Mapping[str, SceneObject]) -> Line | None:
    """Between the two parts that are farthest from each other on the map; from the one that is farther on the whole. None where all are close together.

    Args:
        parts: seen in all pictures, by what they are called.
    """
    if len(parts) < 2:
        return None
    called, p_world = list(parts), np.array([part.center_m for part in parts.values()])
    across = p_world[:, None, :2] - p_world[None, :, :2]
    end, start = np.unravel_index(int(np.argmax(np.hypot(across[..., 0], across[..., 1]))), across.shape[:2])
    way: Two = (float(across[end, start, 0]), float(across[end, start, 1]))
    right_deg = tuple(left_deg(picture.to_camera, way) for picture in pictures)
    if sum(math.cos(math.radians(deg)) for deg in right_deg) < 0:
        end, start, back = start, end, (-way[0], -way[1])
        right_deg = tuple(left_deg(picture.to_camera, back) for picture in pictures)
    if math.hypot(*way) < LEAST_LINE * max(pictures[0].subject.size_m):
        return None
    one, other = (parts[called[i]].name for i in (end, start))
    beside = tuple(picture.column(one) - picture.column(other) for picture in pictures)
    nearer = tuple(math.cos(math.radians(deg)) for deg in right_deg)
    return Line(called[end], called[start], right_deg, nearer, beside)


class Measures:
    """A pair of pictures, measured."""

    def __init__(self, first: View, second: View) -> None:
        self.views = first, second

    @cached_property
    def pictures(self) -> tuple[Picture, Picture]:
        return _picture_of(self.views[0]), _picture_of(self.views[1])

    def both(self, what: Callable[[Picture], float]) -> Two:
        """A number of each picture."""
        return what(self.pictures[0]), what(self.pictures[1])

    @property
    def shown(self) -> bool:
        """Whether both pictures show the object's middle."""
        return shows_subject(self.views[0]) and shows_subject(self.views[1])

    @property
    def zoom_log(self) -> float:
        """Logarithm of how many times as long, for its picture, the second lens is."""
        first, second = self.pictures
        return math.log(second.zoom / first.zoom)

    @property
    def grown(self) -> float:
        """How many times as large the object is drawn in the second picture."""
        first, second = self.pictures
        return math.exp(self.zoom_log - math.log(second.distance_m / first.distance_m))

    @property
    def front_deg(self) -> Two | None:
        """Where the object's front points: to the right of the way to the camera; None where it has none, or a picture does not show what marks it."""
        front = self.views[0].objects[0].front
        if front is None or not all("face" in sightings(view) for view in self.views):
            return None
        return self.both(lambda picture: left_deg(picture.to_camera, (front[0], front[1])))

    @cached_property
    def line(self) -> Line | None:
        """The longest between parts that both pictures show."""
        return longest_line(self.pictures, {called: part for called, (part, _) in self._parts.items()})

    @cached_property
    def depth(self) -> Depth | None:
        """Of the two parts that are farthest behind each other in both pictures."""
        if len(self._parts) < 2:
            return None
        called, names = list(self._parts), [part.name for part, _ in self._parts.values()]
        nearness = np.array([[picture.stands[name].nearer for name in names] for picture in self.pictures])
        gaps = (nearness[:, :, None] - nearness[:, None, :]).min(axis=0)
        near, far = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
        (a1, a2), (b1, b2) = ([picture.stands[names[i]] for picture in self.pictures] for i in (near, far))
        zoomed = math.exp(self.zoom_log)
        grown = zoomed * a1.range_m / a2.range_m, zoomed * b1.range_m / b2.range_m
        shifted = (a2.right - a1.right) - (b2.right - b1.right), (a2.up - a1.up) - (b2.up - b1.up)
        return Depth(called[near], called[far], float(gaps[near, far]), grown, shifted)

    @cached_property
    def _parts(self) -> Both:
        """The parts that both pictures show."""
        return seen_in_both(*self.views, with_shape=True)


measures_of = functools.lru_cache(maxsize=16)(Measures)
"""The measures of two views; several chains are about the same two."""
