"""A small numpy renderer: one exact ray a pixel against boxes, spheres, cylinders and cones, the patterned ground and the sky.

It takes the scenes and shots that Blender takes, for tests and fast experiments; its masks serve the Blender backend too, which would otherwise render
twice. No shadows, no antialiasing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actial.geometry.conventions import opencv_from_blender
from actial.records import Camera
from actial.rng import generator_for
from actial.views.arrangements import Solid
from actial.views.cameras import Shot
from actial.views.scenes import Ground, Scene, Sky


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered view."""

    pixels: np.ndarray
    """(h, w, 3) uint8 sRGB."""
    mask: np.ndarray
    """(h, w) uint8: i where `objects()[i]` of the scene is seen, 0 where none of them is; see `records.SUBJECT_IN_MASK`."""
    depth_m: np.ndarray | None = None
    """(h, w) along the viewing direction; infinite in the sky. None where it was not asked for."""
    normals: np.ndarray | None = None
    """(h, w, 3) unit vectors in the camera's axes; 0 in the sky."""


def render_scene(scene: Scene, shots: list[Shot]) -> list[Picture]:
    """Draw every shot of a scene."""
    return [render(scene, shot) for shot in shots]


def render(scene: Scene, shot: Shot) -> Picture:
    """Draw one shot: flat light, no shadows."""
    camera = shot.camera
    rays = _Rays.of(camera)
    eye = rays.eye
    sun = _sun_direction(scene.sky, shot)
    directions = np.moveaxis(rays.through(_whole(camera)), 0, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth, radiance = _ground_and_sky(scene, eye, directions, sun, shot)
        solids = scene.in_state(shot.state).subject_solids + scene.companions.in_state(shot.state) + scene.surroundings
        bodies = _Bodies.of(solids)
        seen = _first_seen(bodies, _windows(bodies, [camera])[0], rays, depth)
    for i in np.unique(seen[seen >= 0]):
        here = seen == i
        normal = _normal(solids[i], eye + depth[here, None] * directions[here])
        radiance[here] = _light(normal, sun, scene.sky, shot) * solids[i].rgb
    noise = generator_for(shot.noise_seed, "noise").normal(scale=0.01, size=radiance.shape)
    pixels = _srgb(np.clip(radiance * 2.0**shot.exposure_ev + noise, 0, 1))
    return Picture((pixels * 255 + 0.5).astype(np.uint8), _object_numbers(seen, scene))


def part_masks(scene: Scene, shots: Sequence[Shot]) -> list[np.ndarray]:
    """For each shot (h, w) uint8: which part, or which companion, each pixel's centre shows (see `Picture.mask`)."""
    states = {shot.state for shot in shots}
    bodies = {state: _Bodies.of(scene.in_state(state).subject_solids + scene.companions.in_state(state)) for state in states}
    cameras, masks = [shot.camera for shot in shots], []
    with np.errstate(divide="ignore", invalid="ignore"):
        windows = {state: _windows(bodies[state], cameras) for state in states}
        for i, shot in enumerate(shots):
            depth = np.full((shot.camera.height_px, shot.camera.width_px), np.inf)
            masks.append(_object_numbers(_first_seen(bodies[shot.state], windows[shot.state][i], _Rays.of(shot.camera), depth), scene))
    return masks


_Window = tuple[slice, slice]
"""Rows and columns of a picture."""


class _Bodies(NamedTuple):
    """Solids as rays meet them."""

    shapes: list[str]
    centers: np.ndarray
    """(n, 3)"""
    to_unit: np.ndarray
    """(n, 3, 3): from the world's axes to those of a unit cube around each."""
    corners: np.ndarray
    """(n, 8, 3), world."""

    @classmethod
    def of(cls, solids: Sequence[Solid]) -> _Bodies:
        to_unit = np.stack([(s.normal_axes() / s.size_m).T for s in solids])
        return cls([s.shape for s in solids], np.array([s.center_m for s in solids]), to_unit, np.stack([s.corners() for s in solids]))


class _Rays(NamedTuple):
    """Directions of depth 1 through the pixels' centres of a picture, world, as parts to be added up."""

    eye: np.ndarray
    """(3,)"""
    across: np.ndarray
    """(3, w)"""
    down: np.ndarray
    """(3, h)"""
    backward: np.ndarray
    """(3,)"""

    @classmethod
    def of(cls, camera: Camera) -> _Rays:
        T, K = camera.pose(), camera.intrinsics()
        u, v = np.arange(camera.width_px) + 0.5, np.arange(camera.height_px) + 0.5
        across = np.multiply.outer(T[:3, 0], (u - K[0, 2]) / K[0, 0])
        down = np.multiply.outer(T[:3, 1], (v - K[1, 2]) / K[1, 1])
        return cls(T[:3, 3], across, down, T[:3, 2])

    def through(self, window: _Window) -> np.ndarray:
        """(3, h, w) directions through the pixels of a window."""
        rows, columns = window
        return self.across[:, None, columns] - self.down[:, rows, None] - self.backward[:, None, None]


def _first_seen(bodies: _Bodies, windows: list[_Window | None], rays: _Rays, depth: np.ndarray) -> np.ndarray:
    """(h, w) index of the first body on each ray, -1 where there is none before `depth` (h, w), which is brought up to date.

    Rays are brought to a unit cube around each body, centred on the origin; their parameter, the depth, is the same there.
    """
    seen = np.full(depth.shape, -1)
    origins = (bodies.to_unit @ (rays.eye - bodies.centers)[..., None])[..., 0]
    across, down = bodies.to_unit @ rays.across, bodies.to_unit @ (rays.down + rays.backward[:, None])
    for i, (shape, window) in enumerate(zip(bodies.shapes, windows, strict=True)):
        if window is None:
            continue
        rows, columns = window
        d = across[i][:, None, columns] - down[i][:, rows, None]
        t = HITS[shape](origins[i], d.reshape(3, -1)).reshape(d.shape[1:])  # not positive behind the eye
        nearer = (t > 1e-6) & (t < depth[window])
        np.copyto(depth[window], t, where=nearer)
        np.copyto(seen[window], i, where=nearer)
    return seen


def _object_numbers(seen: np.ndarray, scene: Scene) -> np.ndarray:
    """Places in `scene.objects()` of what is seen, from places among the solids of subject, companions and surroundings; 0 for what has no row."""
    n, n_faces, n_companions = len(scene.parts), int(scene.front is not None), len(scene.companions.first)
    of_front = [0] * (len(scene.front.stands) if scene.front else 0)
    face = [n + 1] * (len(scene.front.head) if scene.front else 0)
    companions = range(n + n_faces + 1, n + n_faces + 1 + n_companions)
    numbers = [*range(1, n + 1), *[0] * len(scene.stands), *face, *of_front, *companions, *[0] * len(scene.surroundings), 0]
    return np.array(numbers, np.uint8)[seen]


def _windows(bodies: _Bodies, cameras: list[Camera]) -> list[list[_Window | None]]:
    """For each camera, and each body, the rows and columns of the picture that may show it; None where none do."""
    T, K = np.stack([c.pose() for c in cameras]), np.stack([c.intrinsics() for c in cameras])
    n = len(bodies.shapes)
    uvw = (bodies.corners.reshape(-1, 3) - T[:, None, :3, 3]) @ opencv_from_blender(T)[:, :3, :3] @ K.swapaxes(1, 2)  # `project`, for all cameras at once
    uvw = uvw.reshape(len(cameras), n, 8, 3)
    uv, before = uvw[..., :2] / uvw[..., 2:], uvw[..., 2] > 0
    size = np.array([[c.width_px, c.height_px] for c in cameras])
    low = np.clip(np.floor(uv.min(axis=2)), 0, size[:, None])
    high = np.clip(np.ceil(uv.max(axis=2)), 0, size[:, None])
    boxes = np.concatenate([low, high], axis=2).astype(int).tolist()  # means nothing where a corner lies behind the camera
    every, some = before.all(axis=2).tolist(), before.any(axis=2).tolist()
    whole = list(map(_whole, cameras))
    return [[_window(boxes[c][b]) if every[c][b] else whole[c] if some[c][b] else None for b in range(n)] for c in range(len(cameras))]


def _whole(camera: Camera) -> _Window:
    return slice(0, camera.height_px), slice(0, camera.width_px)


def _window(box_px: list[int]) -> _Window | None:
    u0, v0, u1, v1 = box_px
    return (slice(v0, v1), slice(u0, u1)) if u1 > u0 and v1 > v0 else None


def _normal(solid: Solid, p_world: np.ndarray) -> np.ndarray:
    """Unit normals (n, 3) of a solid at points of its surface (n, 3), world."""
    R, size = solid.normal_axes(), np.array(solid.size_m)
    p = (p_world - solid.center_m) @ R / size
    if solid.shape == "box":
        n = np.sign(p) * (np.abs(p).argmax(axis=-1)[:, None] == np.arange(3))
    elif solid.shape == "sphere":
        n = p
    else:
        slope = p[:, 2] * 0 + (0.25 if solid.shape == "cone" else 0.0)
        side = np.column_stack([p[:, :2] / np.maximum(np.linalg.norm(p[:, :2], axis=1, keepdims=True), 1e-9) / 2, slope])
        on_end = (p[:, 2:] < -0.5 + 1e-6) | ((p[:, 2:] > 0.5 - 1e-6) & (solid.shape == "cylinder"))
        n = np.where(on_end, np.sign(p) * [0, 0, 1], side)
    n = (n / size) @ R.T
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


def _hit_box(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Each `_hit` takes the origin (3,) and the directions (3, n) of rays and gives their parameters (n,)."""
    inverse = 1 / d
    to_middle, half = -o[:, None] * inverse, np.abs(inverse / 2)
    t = (to_middle - half).max(axis=0)
    return np.where(t <= (to_middle + half).min(axis=0), t, np.inf)


def _hit_sphere(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    return _first_root((d * d).sum(axis=0), o @ d, o @ o - 0.25)


def _hit_cylinder(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    side = _first_root((d[:2] * d[:2]).sum(axis=0), o[:2] @ d[:2], o[:2] @ o[:2] - 0.25)
    side = np.where(np.abs(o[2] + side * d[2]) <= 0.5, side, np.inf)
    return np.minimum(side, _hit_end(o, d, 0.5 * np.sign(o[2])))


def _hit_cone(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Apex (0, 0, 0.5), base of radius 0.5 at z = -0.5: x² + y² = ((0.5 - z) / 2)²."""
    p, k = o - [0, 0, 0.5], np.array([1, 1, -0.25])
    a, b, c = k @ (d * d), (p * k) @ d, p @ (p * k)
    root = np.sqrt(b * b - a * c)
    t = np.stack([(-b - root) / a, (-b + root) / a])
    t = np.where((np.abs(o[2] + t * d[2]) <= 0.5) & (t > 0), t, np.inf)
    return np.minimum(t.min(axis=0), _hit_end(o, d, -0.5))


def _hit_end(o: np.ndarray, d: np.ndarray, z: float) -> np.ndarray:
    """The flat round end at height `z`."""
    t = (z - o[2]) / d[2]
    x, y = o[0] + t * d[0], o[1] + t * d[1]
    return np.where((x * x + y * y <= 0.25) & (t > 0), t, np.inf)


HITS = {"box": _hit_box, "sphere": _hit_sphere, "cylinder": _hit_cylinder, "cone": _hit_cone}
"""Parameters (n,) of the first hit of a unit shape, infinite where there is none."""


def _first_root(a: np.ndarray, b: np.ndarray, c: float) -> np.ndarray:
    """Smaller root of a t² + 2 b t + c; inf where there is none."""
    t = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(np.isnan(t), np.inf, t)


def _ground_and_sky(scene: Scene, eye: np.ndarray, rays: np.ndarray, sun: np.ndarray, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    down = rays[..., 2] < -1e-6
    depth = np.where(down, eye[2] / -rays[..., 2], np.inf)
    at = eye[:2] + np.where(down, depth, 0)[..., None] * rays[..., :2]
    up = np.array([0.0, 0.0, 1.0])
    ground = _ground_albedo(scene.ground, at) * _light(up, sun, scene.sky, shot)
    height = np.clip(rays[..., 2] / np.linalg.norm(rays, axis=-1), 0, 1)[..., None]
    sky = np.array(scene.sky.horizon) * (1 - height) + np.array(scene.sky.zenith) * height
    return depth, np.where(down[..., None], ground, sky)


def _ground_albedo(ground: Ground, at: np.ndarray) -> np.ndarray:
    c, s = np.cos(ground.yaw_rad), np.sin(ground.yaw_rad)
    cell = np.floor(at @ np.array([[c, s], [-s, c]]) / ground.cell_m).astype(np.int64)
    if ground.pattern == "checker":
        share = (cell.sum(axis=-1) % 2).astype(float)
    elif ground.pattern == "stripes":
        share = (cell[..., 0] % 2).astype(float)
    else:
        share = (np.abs(cell[..., 0] * 73856093 ^ cell[..., 1] * 19349663) % 1009) / 1009
    first, second = np.array(ground.tones)
    return first + (second - first) * share[..., None]


def _sun_direction(sky: Sky, shot: Shot) -> np.ndarray:
    azimuth, c = sky.sun_azimuth_rad + shot.sun_shift_rad, np.cos(sky.sun_elevation_rad)
    return np.array([c * np.cos(azimuth), c * np.sin(azimuth), np.sin(sky.sun_elevation_rad)])


def _light(normal: np.ndarray, sun: np.ndarray, sky: Sky, shot: Shot) -> np.ndarray:
    """Reflected radiance of a white matt surface with that normal."""
    strength = sky.sun_strength * shot.sun_factor / np.pi
    direct = np.maximum(normal @ sun, 0)[..., None] * strength
    upward = normal[..., 2:3] / 2 + 0.5
    return direct + upward * np.array(sky.zenith) + (1 - upward) * 0.25


def _srgb(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
