"""Two cameras and the parts of a subject, measured with OpenCV, for those who check chains of thought.

Shares no code with what writes chains: projection by OpenCV; positions read off in pixels and brought to a camera that faces the subject
(`cv2.undistortPoints` with a rectifying rotation); angles on the map as complex numbers; the horizon as the picture of points very far off.
"""

from __future__ import annotations

import cmath
import functools
import itertools
import math

import cv2
import numpy as np

from actial.records import Camera, SceneObject, View

BORDER_PX = 0.01
"""So near the border of two columns or rows, either is true."""

_NO_DISTORTION = np.zeros(5)
_FAR_M, _NEAR_M = 1e7, 1e-3


class FalseClaim(Exception):
    """A chain says something that is not so, or that cannot be read; the message says what."""


class NotUnderstood(FalseClaim):
    """A claim is none that the grammar knows: it may be so or not."""


class _Picture:
    """One picture, measured with OpenCV. What was measured is kept: most claims are about the same few points."""

    def __init__(self, camera: Camera) -> None:
        T = np.array(camera.T_world_cam).reshape(4, 4)
        self.width_px, self.height_px = camera.width_px, camera.height_px
        self.eye, self.aim = T[:3, 3], -T[:3, 2]
        self.K = np.array(camera.K).reshape(3, 3)
        self.R_cam_world = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
        self._rotation, self._translation = cv2.Rodrigues(self.R_cam_world)[0], -self.R_cam_world @ self.eye
        self._pixels: dict[bytes, tuple[float, float]] = {}
        self._tangents: dict[tuple[bytes, bytes], tuple[float, float]] = {}
        self._millimetres: dict[bytes, float] = {}

    @functools.cached_property
    def horizon(self) -> tuple[float, float, float]:
        """Where the horizon crosses the middle column, from the upper edge, in picture heights; how far above it the camera looks; and by how much it rises to
        the right. Degrees. By two points on it that are very far off."""
        ahead = self.aim * [1.0, 1.0, 0.0]
        across = np.array([-ahead[1], ahead[0], 0.0])
        (u, v), (x, y) = (self.pixel(self.eye + _FAR_M * (ahead + side * across)) for side in (0.2, -0.2))
        lean = math.atan2(v - y, x - u)
        row_px = v + (self.width_px / 2 - u) * (y - v) / (x - u)
        off_axis = (row_px - self.K[1, 2]) / self.K[1, 1] * math.cos(lean)
        return row_px / self.height_px, math.degrees(math.atan(off_axis)), math.degrees(lean)

    @functools.cached_property
    def taken_in_deg(self) -> tuple[float, float]:
        """What a picture takes in from side to side, and from top to bottom."""
        across, down, *_ = cv2.calibrationMatrixValues(self.K, (self.width_px, self.height_px), 1.0, 1.0)
        return float(across), float(down)

    def pixel(self, p_world: np.ndarray) -> tuple[float, float]:
        if (key := p_world.tobytes()) not in self._pixels:
            pixel, _ = cv2.projectPoints(p_world[None], self._rotation, self._translation, self.K, _NO_DISTORTION)
            self._pixels[key] = float(pixel[0, 0, 0]), float(pixel[0, 0, 1])
        return self._pixels[key]

    def shows(self, p_world: np.ndarray) -> bool:
        """Whether a point before the camera is in the picture."""
        u, v = self.pixel(p_world)
        return 0 <= u < self.width_px and 0 <= v < self.height_px

    def millimetre(self, p_world: np.ndarray) -> float:
        """Length of its picture across the line of sight, in picture widths, once the camera is turned to it."""
        if (key := p_world.tobytes()) not in self._millimetres:
            sight = (p_world - self.eye) / math.dist(p_world, self.eye)
            across = np.array([sight[1], -sight[0], 0.0]) / math.hypot(sight[0], sight[1])
            down = (-sight[2] * across[1], sight[2] * across[0], sight[0] * across[1] - sight[1] * across[0])
            R = np.array([across, down, sight])
            ends = np.array([p_world - across * _NEAR_M / 2, p_world + across * _NEAR_M / 2])
            pixels, _ = cv2.projectPoints(ends, cv2.Rodrigues(R)[0], -R @ self.eye, self.K, _NO_DISTORTION)
            self._millimetres[key] = math.dist(pixels[1, 0], pixels[0, 0]) / self.width_px
        return self._millimetres[key]

    def tangents(self, p_world: np.ndarray, ahead: np.ndarray) -> tuple[float, float]:
        """Normalised image column and row of a point for a level camera that looks along `ahead` on the map, by way of its pixel in the real picture."""
        if (key := (p_world.tobytes(), ahead.tobytes())) not in self._tangents:
            x, y = ahead[:2] / math.hypot(ahead[0], ahead[1])
            R_level_world = np.array([[y, -x, 0.0], [0.0, 0.0, -1.0], [x, y, 0.0]])
            rectified = cv2.undistortPoints(np.array([[self.pixel(p_world)]]), self.K, _NO_DISTORTION, R=R_level_world @ self.R_cam_world.T)
            self._tangents[key] = float(rectified[0, 0, 0]), float(rectified[0, 0, 1])
        return self._tangents[key]


_picture_by = functools.lru_cache(maxsize=256)(_Picture)


class Scene:
    """Two cameras and the parts of a subject, measured with OpenCV.

    Args:
        slack_cells: by so many columns and rows of the grid a told place may be off.
    """

    def __init__(self, first: View, second: View, grid: tuple[int, int], slack_cells: int = 0) -> None:
        self.views, self.grid, self.slack_cells = (first, second), grid, slack_cells
        subject = first.objects[0]
        self.subject = np.array(subject.T_world_obj).reshape(4, 4)[:3, 3]
        self.extent_m, self.height_m, self.front = max(subject.size_m), float(subject.size_m[2]), subject.front
        self.ground_m = float(self.subject[2] - subject.size_m[2] / 2)
        self.parts = [o for o in first.objects if o.part_of == subject.name]
        self._cameras = [_picture_by(view.camera) for view in self.views]
        self.eyes = [camera.eye for camera in self._cameras]
        self._parts: dict[str, np.ndarray] = {}
        self._places: dict[tuple[int, str], set[str]] = {}
        self._depths_m: dict[tuple[int, str], float] = {}
        on_map = [self._on_map(i) for i in (0, 1)]
        aims = [complex(*camera.aim[:2].tolist()) for camera in self._cameras]
        self.orbit_deg = math.degrees(cmath.phase(on_map[1] / on_map[0]))
        self.turn_deg = math.degrees(cmath.phase(aims[1] / aims[0]))
        r_m = math.dist(self.eyes[0], self.subject)
        self.rightward_r = -((on_map[1] - on_map[0]) * aims[0].conjugate()).imag / abs(aims[0]) / r_m
        self.moved_r = math.dist(self.eyes[1], self.eyes[0]) / r_m

    def part(self, words: str) -> np.ndarray:
        """(3,) centre of the one part that the words name."""
        if words not in self._parts:
            self._parts[words] = np.array(self._named(words).T_world_obj).reshape(4, 4)[:3, 3]
        return self._parts[words]

    def _named(self, words: str) -> SceneObject:
        named = [o for o in self.parts if words in (o.color, f"{o.color} {o.shape}")]
        if len(named) != 1:
            raise FalseClaim(f"{words!r} names {len(named)} parts")
        return named[0]

    def nearer(self, i: int, one: str, other: str) -> float:
        """How much nearer than the other the one is to a camera that faces the subject, in extents of the subject."""
        a, b = (self._depth_facing(i, words) for words in (one, other))
        return (b - a) / self.extent_m

    def slid(self, one: str, other: str) -> float:
        """How far right the one went beyond the other, in picture widths."""
        at = [[self.pixel(i, self.part(words))[0] / view.camera.width_px for words in (one, other)] for i, view in enumerate(self.views)]
        return (at[1][0] - at[0][0]) - (at[1][1] - at[0][1])

    def columns_apart(self, i: int, one: str, other: str) -> set[int]:
        """How many columns right of the other the one may be told to be."""
        a, b = ({ord(place[0]) for place in self.places(i, words)} for words in (one, other))
        return {x - y for x in a for y in b}

    def places(self, i: int, words: str) -> set[str]:
        """How the place of a part, or of the middle, may be told: two ways where it lies on a border, more with slack."""
        if (i, words) not in self._places:
            self._places[i, words] = self._measured_places(i, words)
        return self._places[i, words]

    def _measured_places(self, i: int, words: str) -> set[str]:
        point = self.subject if words.startswith("middle") else self.part(words)
        below = np.array([*point[:2], self.ground_m])
        camera = self.views[i].camera
        told = []
        for px, size_px, n, first in (
            (self.pixel(i, point)[0], camera.width_px, self.grid[0], "a"),
            (self.pixel(i, below)[1], camera.height_px, self.grid[1], "A"),
        ):
            low, high = (math.floor((px + shift_px) / size_px * n) for shift_px in (-BORDER_PX, BORDER_PX))
            cells = range(low - self.slack_cells, high + self.slack_cells + 1)
            told.append({chr(ord(first) + min(max(cell, 0), n - 1)) for cell in cells})
        return {column + row for column, row in itertools.product(*told)}

    def bearing_deg(self, i: int) -> float:
        """How far right of the picture's middle column the subject appears, once the camera is held level."""
        return math.degrees(math.atan(self._cameras[i].tangents(self.subject, self._cameras[i].aim)[0]))

    def way_deg(self, i: int, end: str, start: str) -> float:
        """Where the way from the one part to the other points on the map: to the picture's right of the way to the camera."""
        return float(np.degrees(np.angle(complex(*(self.seen_part(i, end) - self.seen_part(i, start))[:2]) / self._on_map(i))))

    def front_deg(self, i: int) -> float:
        """The same of the subject's own front."""
        if self.front is None:
            raise FalseClaim("speaks of a front that the subject has not")
        return float(np.degrees(np.angle(complex(*self.front[:2]) / self._on_map(i))))

    def left_h(self, i: int) -> float:
        """How far to the left of a subject that looks out of its front the camera is, in heights of the subject."""
        assert self.front is not None  # as said before
        ahead = complex(*self.front[:2])
        return (self._on_map(i) / ahead * abs(ahead)).imag / self.height_m

    def beside(self, i: int, one: str, other: str) -> float:
        """How far right of the other the one appears, in picture widths."""
        u, v = (self.pixel(i, self.seen_part(i, words))[0] for words in (one, other))
        return (u - v) / self.views[i].camera.width_px

    def distance_h(self, i: int) -> float:
        """Level distance of the camera from the subject's middle, in heights of the subject."""
        return abs(self._on_map(i)) / self.height_m

    def way_h(self) -> tuple[float, float, float]:
        """How far right, forward and up, as the first camera looks, the second is, in heights of the subject."""
        ahead = complex(*self._cameras[0].aim[:2].tolist())
        step = (self._on_map(1) - self._on_map(0)) / ahead * abs(ahead) / self.height_m
        return -step.imag, step.real, float(self.eyes[1][2] - self.eyes[0][2]) / self.height_m

    def ahead_h(self) -> tuple[float, float]:
        """How far ahead of each camera the subject is, both along the first one's level direction, in heights of the subject."""
        ahead = complex(*self._cameras[0].aim[:2].tolist())
        first, second = (-(self._on_map(i) / ahead).real * abs(ahead) / self.height_m for i in (0, 1))
        return first, second

    def farther_log(self) -> float:
        """The logarithm of how many times as far from the subject's middle the camera is in the second picture."""
        first, second = (float(np.linalg.norm(eye - self.subject)) for eye in self.eyes)
        return float(np.log(second / first))

    def rotated_deg(self) -> float:
        """Angle of the whole rotation between the cameras."""
        first, second = (camera.R_cam_world for camera in self._cameras)
        return float(np.degrees(np.linalg.norm(cv2.Rodrigues(second @ first.T)[0])))

    def eye_h(self, i: int) -> float:
        """How many heights of the subject lie between its foot and the horizon, by their rows once the camera is held level and faces the subject."""
        half = np.array([0.0, 0.0, self.height_m / 2])
        foot, top = (self._cameras[i].tangents(self.subject + side * half, self.subject - self.eyes[i])[1] for side in (-1, 1))
        return foot / (foot - top)

    def horizon(self, i: int) -> tuple[float, float, float]:
        """Where the horizon is, see `_Picture`."""
        return self._cameras[i].horizon

    def taken_in_deg(self, i: int) -> tuple[float, float]:
        """What a picture takes in from side to side, and from top to bottom."""
        return self._cameras[i].taken_in_deg

    def grown(self, words: str | None = None) -> float:
        """How many times as large a part, or the subject, is drawn in the second picture: a millimetre there, to a camera that is turned to it."""
        points = [self.subject if words is None else self.seen_part(i, words) for i in (0, 1)]
        first, second = (self._cameras[i].millimetre(point) for i, point in enumerate(points))
        return second / first

    def parted(self, near: str, far: str) -> tuple[float, float]:
        """How far right and up the one went against the other, as tangents, for a level camera that faces the subject."""
        at = np.array([[self._cameras[i].tangents(self.seen_part(i, words), self.subject - self.eyes[i]) for words in (near, far)] for i in (0, 1)])
        right, down = (at[1, 0] - at[1, 1]) - (at[0, 0] - at[0, 1])
        return float(right), -float(down)

    def gap(self, near: str, far: str) -> float:
        """How much nearer the one is than the other, as a share of the camera's level distance; the smaller of both pictures."""
        return min(self.nearer(i, near, far) * self.extent_m / abs(self._on_map(i)) for i in (0, 1))

    def seen_part(self, i: int, words: str) -> np.ndarray:
        """(3,) centre of a part that is in the picture."""
        part = self.part(words)
        if not self._cameras[i].shows(part):
            raise FalseClaim("speaks of a part outside the picture")
        return part

    def _on_map(self, i: int) -> complex:
        """The camera's place from the subject."""
        return complex(*(self.eyes[i] - self.subject)[:2].tolist())

    def _depth_facing(self, i: int, words: str) -> float:
        """Depth of a part, metres, for a level camera that faces the subject's middle."""
        if (i, words) not in self._depths_m:
            ahead, way = -self._on_map(i), complex(*(self.seen_part(i, words) - self.eyes[i])[:2].tolist())
            self._depths_m[i, words] = (way * ahead.conjugate()).real / abs(ahead)
        if self._depths_m[i, words] <= 0:
            raise FalseClaim("speaks of a part behind the camera")
        return self._depths_m[i, words]

    def pixel(self, i: int, p_world: np.ndarray) -> tuple[float, float]:
        """Where a point appears."""
        return self._cameras[i].pixel(p_world)


scene_of = functools.lru_cache(maxsize=16)(Scene)
"""The scene of two views and a grid; several chains are about the same two."""
