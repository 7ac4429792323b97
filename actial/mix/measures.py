"""What two pictures tell somebody who can judge angles and distances: the numbers that chains of thought in whole sentences are written from.

Directions on the map are told from the way to the camera (from the object's middle), so that the same way drawn from both pictures swings by as much as the
camera went around. Distances and heights have the object's own height as their unit: whatever the lens, they can be compared. The horizon is as high as the
camera's eye, and as far off as one can see: only tilting and rolling the camera move it, only lifting the camera moves it against things.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from actial.geometry.angles import Motion, motion_between, tilt_deg, wrapped_deg
from actial.geometry.projection import about_subject, project
from actial.mix.descriptions import seen_in_both
from actial.questions.sight import shows_subject, sightings
from actial.records import View


@dataclass(frozen=True)
class Line:
    """The way from one part to another on the map."""

    end: str
    start: str
    """What the parts are called."""
    right_deg: np.ndarray
    """(2,) where it points in each picture: to the right of the way to the camera."""
    nearer: np.ndarray
    """(2,) how much nearer than the start the end is, as a share of the way between them."""
    beside: np.ndarray
    """(2,) how far right of the start the end appears, in picture widths."""


@dataclass(frozen=True)
class Depth:
    """A part before another, in both pictures."""

    near: str
    far: str
    gap: float
    """How much nearer it is, as a share of the camera's distance; the smaller of both pictures."""
    grown: np.ndarray
    """(2,) how many times as large the near and the far part are drawn in the second picture."""
    shifted: np.ndarray
    """(2,) how far to the right, and up, the near part went against the far one, as tangents seen by a level camera that faces the object: neither turning
    nor zooming moves it."""


@dataclass(frozen=True)
class Measures:
    """A pair of pictures, measured; arrays of two have a number for each picture."""

    first: View
    second: View

    @property
    def views(self) -> tuple[View, View]:
        return self.first, self.second

    @cached_property
    def motion(self) -> Motion:
        """Of one pair."""
        subject = self.first.objects[0]
        front = None if subject.front is None else np.array(subject.front)[None]
        return motion_between(self._T[:1], self._T[1:], subject.center(), front)

    @cached_property
    def back(self) -> Motion:
        """The same from the second view to the first."""
        subject = self.first.objects[0]
        front = None if subject.front is None else np.array(subject.front)[None]
        return motion_between(self._T[1:], self._T[:1], subject.center(), front)

    @property
    def shown(self) -> bool:
        """Whether both pictures show the object's middle."""
        return shows_subject(self.first) and shows_subject(self.second)

    @cached_property
    def tilt_deg(self) -> np.ndarray:
        """By how much the horizon rises to the right: the camera's right side hangs down."""
        return tilt_deg(self._T)

    @cached_property
    def slope_deg(self) -> np.ndarray:
        """How far above the horizon the camera looks."""
        return np.degrees(np.arcsin(-self._T[:, 2, 2]))

    @cached_property
    def horizon(self) -> np.ndarray:
        """Where the horizon crosses the middle column, from the upper edge, in picture heights; beyond 0 and 1 it is out of the picture."""
        rows = []
        for view, slope, tilt in zip(self.views, self.slope_deg, self.tilt_deg, strict=True):
            K, camera = view.camera.intrinsics(), view.camera
            above_px = -K[1, 1] * np.tan(np.radians(slope)) / np.cos(np.radians(tilt))
            rows.append((K[1, 2] - above_px) / camera.height_px)
        return np.array(rows)

    @cached_property
    def half_height_deg(self) -> np.ndarray:
        """Half of what each picture takes in from top to bottom."""
        return np.array([np.degrees(np.arctan(v.camera.intrinsics()[1, 2] / v.camera.intrinsics()[1, 1])) for v in self.views])

    @cached_property
    def width_deg(self) -> np.ndarray:
        """What each picture takes in from side to side."""
        return np.array([2 * np.degrees(np.arctan(v.camera.width_px / 2 / v.camera.intrinsics()[0, 0])) for v in self.views])

    @cached_property
    def zoom_log(self) -> float:
        """Logarithm of how many times as long, for its picture, the second lens is."""
        first, second = (v.camera.intrinsics()[0, 0] / v.camera.width_px for v in self.views)
        return float(np.log(second / first))

    @cached_property
    def level_share(self) -> np.ndarray:
        """Level distance of the camera from the object's middle, as a share of its whole distance: the lower, the more from above or below."""
        return self.distance_h * self._height_m / np.linalg.norm(self._T[:, :3, 3] - self.first.objects[0].center(), axis=1)

    @cached_property
    def right_deg(self) -> np.ndarray:
        """How far right of straight ahead the object's middle stands."""
        return np.array([-self.motion.bearing_deg[0], -self.back.bearing_deg[0]])

    @cached_property
    def distance_h(self) -> np.ndarray:
        """Level distance of the camera from the object's middle, in the object's heights."""
        return np.hypot(*(self._T[:, :2, 3] - self.first.objects[0].center()[:2]).T) / self._height_m

    @cached_property
    def eye_h(self) -> np.ndarray:
        """Height of the camera, and so of the horizon, above the object's foot, in the object's heights."""
        return (self._T[:, 2, 3] - self.first.objects[0].center()[2]) / self._height_m + 0.5

    @cached_property
    def grown(self) -> float:
        """How many times as large the object is drawn in the second picture."""
        return float(np.exp(self.zoom_log - self.motion.radial_log[0]))

    @cached_property
    def front_deg(self) -> np.ndarray | None:
        """Where the object's front points: to the right of the way to the camera; None where it has none, or a picture does not show what marks it."""
        if self.first.objects[0].front is None or not all("face" in sightings(view) for view in self.views):
            return None
        return np.array([self.motion.front_bearing_deg[0], self.back.front_bearing_deg[0]])

    @cached_property
    def line(self) -> Line | None:
        """Between the two parts seen in both pictures that are farthest from each other on the map; from the one that is farther on the whole."""
        names, p_world = self._parts
        if len(names) < 2:
            return None
        across = p_world[:, None, :2] - p_world[None, :, :2]
        end, start = np.unravel_index(int(np.argmax(np.hypot(across[..., 0], across[..., 1]))), across.shape[:2])
        way = across[end, start]
        to_camera = self._T[:, :2, 3] - self.first.objects[0].center()[:2]
        right_deg = np.degrees(np.arctan2(to_camera[:, 0] * way[1] - to_camera[:, 1] * way[0], to_camera @ way))
        if np.cos(np.radians(right_deg)).sum() < 0:
            end, start, right_deg = start, end, wrapped_deg(right_deg + 180.0)
        if np.hypot(*way) < LEAST_LINE * max(self.first.objects[0].size_m):
            return None
        beside = np.array([float(u[0] - u[1]) for u in (self._columns(view, p_world[[end, start]]) for view in self.views)])
        return Line(names[end], names[start], right_deg, np.cos(np.radians(right_deg)), beside)

    @cached_property
    def depth(self) -> Depth | None:
        """Of the two parts that are farthest behind each other in both pictures."""
        names, p_world = self._parts
        if len(names) < 2:
            return None
        eyes, subject = self._T[:, :3, 3], self.first.objects[0].center()
        seen = [about_subject(eye, subject, p_world) for eye in eyes]
        level = np.hypot(*(eyes - subject)[:, :2].T)
        nearness = np.stack([nearer / distance for (_, nearer), distance in zip(seen, level, strict=True)])
        gaps = (nearness[:, :, None] - nearness[:, None, :]).min(axis=0)
        near, far = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
        both = [near, far]
        right = np.stack([slid[both] / distance for (slid, _), distance in zip(seen, level, strict=True)])
        up = np.stack([(p_world[both, 2] - eye[2]) / (distance - nearer[both]) for (_, nearer), distance, eye in zip(seen, level, eyes, strict=True)])
        ranges = np.linalg.norm(p_world[None, both] - eyes[:, None], axis=2)
        shifted = np.array([float(np.diff(axis[1] - axis[0])[0]) * -1 for axis in (right, up)])
        return Depth(names[near], names[far], float(gaps[near, far]), np.exp(self.zoom_log) * ranges[0] / ranges[1], shifted)

    @cached_property
    def _parts(self) -> tuple[list[str], np.ndarray]:
        """Names, and centres (n, 3), of the parts that both pictures show."""
        both = seen_in_both(self.first, self.second, with_shape=True)
        return list(both), np.array([part.center() for part, _ in both.values()]).reshape(-1, 3)

    @property
    def _T(self) -> np.ndarray:
        return np.stack([self.first.camera.pose(), self.second.camera.pose()])

    @property
    def _height_m(self) -> float:
        return float(self.first.objects[0].size_m[2])

    @staticmethod
    def _columns(view: View, p_world: np.ndarray) -> np.ndarray:
        uv, _ = project(p_world, view.camera.intrinsics(), view.camera.pose())
        return np.asarray(uv[:, 0] / view.camera.width_px)


LEAST_LINE = 0.35
"""The two ends of a way are at least this share of the object's extent apart."""
