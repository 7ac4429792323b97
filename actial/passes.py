"""Depth and normals as pictures: what a shard of views holds of each pixel beside its colour."""

from __future__ import annotations

import numpy as np

from actial.shards import decode_picture, encode_png


def encode_depth(depth_m: np.ndarray) -> bytes:
    """16-bit PNG of (h, w) depth along the viewing direction, millimetres; 0 where there is none (not finite, or beyond 65.5 m)."""
    known = np.isfinite(depth_m) & (depth_m > 0) & (depth_m * 1000 < 65535.5)
    return encode_png(np.where(known, np.round(depth_m * 1000), 0).astype(np.uint16))


def decode_depth(data: bytes) -> np.ndarray:
    """(h, w) float32, metres; NaN where there is no depth.

    Raises:
        UnreadablePicture: the bytes are truncated or no picture.
    """
    millimetres = np.asarray(decode_picture(data, "depth", mode="I"), np.float32)
    return np.where(millimetres > 0, millimetres / 1000, np.nan).astype(np.float32)


def encode_normals(normals: np.ndarray) -> bytes:
    """PNG of (h, w, 3) unit normals in the camera's axes: -1 to 1 of x, y, z as 1 to 255 of red, green, blue; 0 where there is none."""
    known = np.linalg.norm(normals, axis=-1) > 0.5
    return encode_png(np.where(known[..., None], np.round(np.clip(normals, -1, 1) * 127 + 128), 0).astype(np.uint8))


def decode_normals(data: bytes) -> np.ndarray:
    """(h, w, 3) float32 in the camera's axes, as long as 8 bits have it; NaN where there is none.

    Raises:
        UnreadablePicture: the bytes are truncated or no picture.
    """
    levels = np.asarray(decode_picture(data, "normals"), np.float32)
    return np.where(levels.any(axis=-1, keepdims=True), (levels - 128) / 127, np.nan)
