"""`transforms.json` as NeRF tools write it.

Sources: instant-ngp's `colmap2nerf.py` and nerfstudio's data conventions.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from actial.errors import RefusedCapture
from actial.views.capture_photos import (
    LARGEST_NUMBER,
    LEADS_OUT,
    NO_POSE,
    CaptureModel,
    Lens,
    Photo,
    is_below,
    lens_of,
    nearest_rigid,
    not_handled,
    picture_header,
)
from actial.views.ply import ply_points

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Tried in this order for a `file_path` without one."""
TRANSFORMS = "transforms.json"
LARGEST_BYTES = 256_000_000
"""A larger `transforms.json` is not read: ten thousand frames take 10 MB."""


def read_transforms(path: Path) -> CaptureModel:
    """A `transforms.json`: `transform_matrix` is camera-to-world in OpenGL's axes, which are ours; a frame's own intrinsics go before the global ones.
    Points are those of `ply_file_path`, in the same world.

    Raises:
        RefusedCapture: it is too large, is no JSON, or holds no list of frames; or the points it names are not readable.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise RefusedCapture(f"{path} holds {path.stat().st_size:,} bytes, at most {LARGEST_BYTES:,} are read")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedCapture(f"{path} is not readable JSON: {str(error)[:200]}") from None
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise RefusedCapture(f"{path} has no list of frames: `frames` must hold one map a picture")
    photos = [_transforms_photo(path.parent, {k: v for k, v in data.items() if k != "frames"} | frame) for frame in frames]
    return CaptureModel.of(photos, _transforms_points(path, data.get("ply_file_path")))


def _transforms_photo(folder: Path, frame: dict[str, Any]) -> Photo | str:
    name = frame.get("file_path")
    if not isinstance(name, str):
        return "its frame has no file_path"
    name = name.removeprefix("./")
    if not is_below(name):
        return LEADS_OUT
    pose = nearest_rigid(frame.get("transform_matrix"))
    if pose is None:
        return NO_POSE
    path = folder / name
    if not path.suffix:
        path = next((p for p in (path.with_name(path.name + suffix) for suffix in PICTURE_SUFFIXES) if os.path.isfile(p)), path)
    lens = _transforms_lens(path, frame)
    return lens if isinstance(lens, str) else Photo(name, path, lens, pose)


def _transforms_lens(path: Path, frame: dict[str, Any]) -> Lens | str:
    numbers = ("w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x", "camera_angle_y", "k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
    value = {key: frame[key] for key in numbers if frame.get(key) is not None}
    for key, v in value.items():
        if isinstance(v, bool) or not isinstance(v, int | float) or not abs(v) < LARGEST_NUMBER:
            return f"its {key} is no finite number"
    model = str(frame.get("camera_model", "OPENCV"))
    if frame.get("is_fisheye"):
        model = "OPENCV_FISHEYE"
    if model not in ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"):
        return not_handled(model[:40])
    if any(value.get(key) for key in ("k4", "k5", "k6")):
        return "its k4, k5 or k6 is not 0, and tools do not agree on what they mean; undistort the pictures first"
    if "w" not in value or "h" not in value:
        header = picture_header(path)
        if isinstance(header, str):
            return header
        value["w"], value["h"] = header[0]
    w, h = value["w"], value["h"]
    fx = _focal_px(value, "fl_x", "camera_angle_x", w)
    fy = _focal_px(value, "fl_y", "camera_angle_y", h)
    if fx is None and fy is None:
        return "it has neither a focal length (fl_x) nor a field of view (camera_angle_x)"
    fx, fy = (fy if fx is None else fx), (fx if fy is None else fy)
    distortion = [] if model.endswith("PINHOLE") else [value.get(key, 0.0) for key in ("k1", "k2", "p1", "p2", "k3")]
    return lens_of("OPENCV", round(w), round(h), [float(x) for x in (fx, fy, value.get("cx", w / 2), value.get("cy", h / 2), *distortion)])


def _transforms_points(path: Path, name: object) -> np.ndarray:
    """(n, 3) points of the PLY file that a `transforms.json` names; n is 0 where it names none."""
    if name is None:
        return np.empty((0, 3))
    if not isinstance(name, str) or not is_below(name):
        raise RefusedCapture(f"{path}: ply_file_path must be a path below the capture's folder, not {str(name)[:80]!r}")
    return ply_points(path.parent / name)


def _focal_px(value: dict[str, float], focal: str, angle: str, side_px: float) -> float | None:
    if focal in value:
        return value[focal]
    return side_px / 2 / float(np.tan(value[angle] / 2)) if value.get(angle) else None
