"""A small numpy renderer: one exact ray a pixel against boxes, spheres, cylinders and cones, the patterned ground and the sky.

It takes the scenes and shots that Blender takes, for tests and fast experiments; its masks serve the Blender backend too, which would otherwise render
twice. No shadows, no antialiasing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actial.geometry.projection import project
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
    """(h, w) uint8: 0 where no part is seen, i where `Scene.objects()[i]` is."""


def render_scene(scene: Scene, shots: list[Shot]) -> list[Picture]:
    """Draw every shot of a scene."""
    return [render(scene, shot) for shot in shots]


def render(scene: Scene, shot: Shot) -> Picture:
    """Draw one shot: flat light, no shadows."""
    camera = shot.camera
    eye, rays = _rays(camera)
    sun = _sun_direction(scene.sky, shot)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth, radiance = _ground_and_sky(scene, eye, rays, sun, shot)
        solids = scene.subject_solids + scene.surroundings
        seen = np.full(depth.shape, -1)
        for i, (solid, window) in enumerate(zip(solids, _windows(solids, camera), strict=True)):
            if window is None:
                continue
            t, normal = _intersect(solid, eye, rays[window])
            nearer = t < depth[window]
            depth[window] = np.where(nearer, t, depth[window])
            seen[window] = np.where(nearer, i, seen[window])
            light = _light(normal, sun, scene.sky, shot)
            radiance[window] = np.where(nearer[..., None], light * solid.rgb, radiance[window])
    noise = generator_for(shot.noise_seed, "noise").normal(scale=0.01, size=radiance.shape)
    pixels = _srgb(np.clip(radiance * 2.0**shot.exposure_ev + noise, 0, 1))
    return Picture((pixels * 255 + 0.5).astype(np.uint8), _part_numbers(seen, len(scene.parts)))


def part_mask(scene: Scene, camera: Camera) -> np.ndarray:
    """(h, w) uint8: which part each pixel's centre shows (see `Picture.mask`)."""
    eye, rays = _rays(camera)
    depth = np.full(rays.shape[:2], np.inf)
    seen = np.full(depth.shape, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i, (solid, window) in enumerate(zip(scene.subject_solids, _windows(scene.subject_solids, camera), strict=True)):
            if window is None:
                continue
            t, _ = _intersect(solid, eye, rays[window])
            nearer = t < depth[window]
            depth[window] = np.where(nearer, t, depth[window])
            seen[window] = np.where(nearer, i, seen[window])
    return _part_numbers(seen, len(scene.parts))


def _part_numbers(seen: np.ndarray, n_parts: int) -> np.ndarray:
    return np.where((seen >= 0) & (seen < n_parts), seen + 1, 0).astype(np.uint8)


def _rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """(3,) eye and (h, w, 3) directions of depth 1 through the pixels' centres, world."""
    T, K = camera.pose(), camera.intrinsics()
    u, v = np.arange(camera.width_px) + 0.5, np.arange(camera.height_px) + 0.5
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    directions = np.empty((camera.height_px, camera.width_px, 3))
    directions[:] = x[None, :, None] * T[:3, 0] - y[:, None, None] * T[:3, 1] - T[:3, 2]
    return T[:3, 3], directions


def _windows(solids: tuple[Solid, ...], camera: Camera) -> list[tuple[slice, slice] | None]:
    """For each solid, the rows and columns of the picture that may show it; None where none do."""
    uv, depth_m = project(np.concatenate([s.corners() for s in solids]), camera.intrinsics(), camera.pose())
    uv, before = uv.reshape(-1, 8, 2), depth_m.reshape(-1, 8) > 0
    size = np.array([camera.width_px, camera.height_px])
    low = np.clip(np.floor(uv.min(axis=1)), 0, size)  # NaN where a corner lies behind the camera
    high = np.clip(np.ceil(uv.max(axis=1)), 0, size)
    windows: list[tuple[slice, slice] | None] = []
    for k in range(len(solids)):
        if before[k].all():
            (u0, v0), (u1, v1) = low[k].astype(int), high[k].astype(int)
            windows.append((slice(v0, v1), slice(u0, u1)) if u1 > u0 and v1 > v0 else None)
        else:
            windows.append((slice(0, size[1]), slice(0, size[0])) if before[k].any() else None)
    return windows


def _intersect(solid: Solid, eye: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth (h, w) of the first hit (inf: none) and unit normal (h, w, 3) there, world.

    The solid is brought to a unit cube centred on the origin; the ray's parameter is the same there.
    """
    R, size = solid.pose()[:3, :3], np.array(solid.size_m)
    o = (eye - solid.center_m) @ R / size
    d = rays @ R / size
    t, n = {"box": _hit_box, "sphere": _hit_sphere, "cylinder": _hit_cylinder, "cone": _hit_cone}[solid.shape](o, d)
    n = (n / size) @ R.T
    return np.where(t > 1e-6, t, np.inf), n / np.maximum(np.sqrt((n * n).sum(axis=-1, keepdims=True)), 1e-12)


def _hit_box(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    near = (-0.5 * np.sign(d) - o) / d
    far = (0.5 * np.sign(d) - o) / d
    axis = near.argmax(axis=-1)
    t = near.max(axis=-1)
    t = np.where(t <= far.min(axis=-1), t, np.inf)
    return t, -np.sign(d) * (axis[..., None] == np.arange(3))


def _hit_sphere(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    t = _first_root((d * d).sum(-1), d @ o, o @ o - 0.25)
    return t, o + t[..., None] * d


def _hit_cylinder(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    side = _first_root((d[..., :2] ** 2).sum(-1), d[..., :2] @ o[:2], o[:2] @ o[:2] - 0.25)
    side = np.where(np.abs(o[2] + side * d[..., 2]) <= 0.5, side, np.inf)
    normal = o + side[..., None] * d
    normal[..., 2] = 0
    return _with_cap(o, d, side, normal, 0.5 * np.sign(o[2]))


def _hit_cone(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apex (0, 0, 0.5), base of radius 0.5 at z = -0.5: x² + y² = ((0.5 - z) / 2)²."""
    p, k = o - [0, 0, 0.5], np.array([1, 1, -0.25])
    a, b, c = (d * d) @ k, (d * p) @ k, (p * p) @ k
    root = np.sqrt(b * b - a * c)
    candidates = np.stack([(-b - root) / a, (-b + root) / a])
    z = o[2] + candidates * d[..., 2]
    candidates = np.where((np.abs(z) <= 0.5) & (candidates > 0), candidates, np.inf)
    side = candidates.min(axis=0)
    hit = o + side[..., None] * d
    normal = np.stack([hit[..., 0], hit[..., 1], (0.5 - hit[..., 2]) / 4], axis=-1)
    return _with_cap(o, d, side, normal, -0.5)


def _with_cap(o: np.ndarray, d: np.ndarray, side: np.ndarray, normal: np.ndarray, cap_z: float) -> tuple[np.ndarray, np.ndarray]:
    """The nearer of a hit on the round side and one on the flat end at `cap_z`."""
    cap = (cap_z - o[2]) / d[..., 2]
    x, y = o[0] + cap * d[..., 0], o[1] + cap * d[..., 1]
    cap = np.where((x * x + y * y <= 0.25) & (cap > 0), cap, np.inf)
    on_cap = (cap < side)[..., None]
    return np.minimum(cap, side), np.where(on_cap, [0, 0, np.sign(cap_z)], normal)


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
