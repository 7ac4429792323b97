"""Photographs of a box covered with noise on a ground covered with noise: something that a real reconstruction finds its way in."""

from __future__ import annotations

import cv2
import numpy as np

from actial.geometry.poses import look_at
from actial.geometry.projection import project

SUBJECT_SIZE = np.array([0.8, 0.5, 0.6])


def noise_texture(rng: np.random.Generator, side_px: int) -> np.ndarray:
    """(side, side, 3) uint8 noise on scales from 4 to 32 pixels, so that it has features near and far."""
    total = np.zeros((side_px, side_px, 3))
    for cell in (4, 8, 16, 32):
        coarse = rng.normal(size=(side_px // cell, side_px // cell, 3))
        total += cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 35 * total, 0, 255).astype(np.uint8)


def quads() -> list[np.ndarray]:
    """(4, 3) corners of the ground and of the box's five faces above it, counter-clockwise from outside; the box stands on z = 0."""
    x, y, z = SUBJECT_SIZE / [2, 2, 1]
    c = {(i, j, k): np.array([i * x, j * y, k * z]) for i in (-1, 1) for j in (-1, 1) for k in (0, 1)}
    faces = [
        [(-1, -1, 0), (1, -1, 0), (1, -1, 1), (-1, -1, 1)],
        [(1, -1, 0), (1, 1, 0), (1, 1, 1), (1, -1, 1)],
        [(1, 1, 0), (-1, 1, 0), (-1, 1, 1), (1, 1, 1)],
        [(-1, 1, 0), (-1, -1, 0), (-1, -1, 1), (-1, 1, 1)],
        [(-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)],
    ]
    ground = 1.2 * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    return [ground, *(np.stack([c[corner] for corner in face]) for face in faces)]


def photographs(rng: np.random.Generator, poses: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """(h, w, 3) pictures; pixel centres at half numbers, as everywhere in the project."""
    textures = [noise_texture(rng, 512), *(noise_texture(rng, 192) for _ in range(5))]
    pictures = []
    for T in poses:
        picture = np.full((size[1], size[0], 3), 128, np.uint8)
        for quad, texture in zip(quads(), textures, strict=True):
            if np.cross(quad[1] - quad[0], quad[3] - quad[0]) @ (T[:3, 3] - quad[0]) <= 0:
                continue
            uv, _ = project(quad, K, T)
            side = len(texture)
            corners = np.array([[0, side], [side, side], [side, 0], [0, 0]], np.float32) - 0.5
            M = cv2.getPerspectiveTransform(corners, (uv - 0.5).astype(np.float32))
            mask = cv2.warpPerspective(np.full((side, side), 255, np.uint8), M, size, flags=cv2.INTER_NEAREST)
            warped = cv2.warpPerspective(texture, M, size, flags=cv2.INTER_AREA)
            picture[mask > 0] = warped[mask > 0]
        pictures.append(picture)
    return pictures


def through_lens(picture: np.ndarray, K: np.ndarray, K_lens: np.ndarray, k1: float, size: tuple[int, int]) -> np.ndarray:
    """A pinhole camera's picture as a lens with radial distortion would have taken it."""
    u, v = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
    ideal = cv2.undistortPointsIter(pixels, K_lens, np.array([k1, 0, 0, 0]), np.eye(3), K, (3, 50, 1e-9))
    maps = (ideal.reshape(size[1], size[0], 2) - 0.5).astype(np.float32)
    return cv2.remap(picture, maps[..., 0], maps[..., 1], cv2.INTER_CUBIC)


def walk_around(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 4, 4) hand-held cameras once around the box: heights and distances change, aims and rolls scatter a little."""
    azimuth = 2 * np.pi * np.arange(n) / n + rng.uniform(-0.05, 0.05, n)
    poses = []
    for a in azimuth:
        eye = rng.uniform(2.0, 2.4) * np.array([np.cos(a), np.sin(a), rng.uniform(0.4, 0.7)])
        aim = rng.normal(loc=[0, 0, SUBJECT_SIZE[2] / 2], scale=0.05)
        poses.append(look_at(eye, aim, rng.normal(scale=np.radians(1))))
    return np.stack(poses)
