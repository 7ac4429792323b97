"""CO3D (versions 1 and 2): `<category>/<sequence>/images`, with the cameras of all sequences in `<category>/frame_annotations.jgz`.

Sources: the folder tree in CO3D's README and its `co3d/dataset/data_types.py`; PyTorch3D's page "Cameras" for the axes.

Pose            row vectors, x_cam = x_world R + T; the camera's axes are +X left, +Y up, +Z forward: ours turned by half a circle about Y.
Intrinsics      normalised device coordinates (NDC), whose axes point left and up from the picture's middle: x_ndc = f x_cam / z_cam + p.
                `ndc_isotropic` counts half the shorter side as 1 along both axes, `ndc_norm_image_bounds` half of each side along its own.
Points          `<sequence>/pointcloud.ply`, in the same world, where it was downloaded.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from actial.errors import RefusedCapture
from actial.geometry.poses import inverse
from actial.views.capture_photos import LARGEST_NUMBER, LEADS_OUT, NO_POSE, CaptureModel, Photo, is_below, lens_of, nearest_rigid
from actial.views.ply import ply_points

ANNOTATIONS, POINTS = "frame_annotations.jgz", "pointcloud.ply"
LARGEST_BYTES = 2**30
"""Unpacked size beyond which annotations are not read on; CO3D's own take some 120 MB a category."""
MOST_FRAMES = 1_000_000
LARGEST_FRAME_CHARS = 2**20
CHUNK_CHARS = 2**20
HALF_TURN = np.diag([-1.0, 1.0, -1.0, 1.0])
"""Takes PyTorch3D's camera axes (left, up, forward) to ours (right, up, backward), and back."""
NO_ANNOTATIONS = "not in the annotations"


def is_sequence(folder: Path) -> bool:
    """Whether a folder lies in a category of CO3D and holds pictures."""
    return (folder.parent / ANNOTATIONS).is_file() and (folder / "images").is_dir()


def read_sequence(folder: Path) -> CaptureModel:
    """What its category's annotations say of a sequence.

    Raises:
        RefusedCapture: the annotations or the points are damaged or too large, or do not know the sequence.
    """
    path = folder.parent / ANNOTATIONS
    stat = path.stat()
    read = _frames_by_sequence(path, stat.st_mtime_ns, stat.st_size)
    if isinstance(read, str):
        raise RefusedCapture(read)
    if folder.name not in read:
        raise RefusedCapture(f"{folder} has pictures, but {path} names no frame of it", NO_ANNOTATIONS)
    points = ply_points(folder / POINTS) if (folder / POINTS).exists() else np.empty((0, 3))
    return CaptureModel.of((_photo(folder, json.loads(frame)) for frame in read[folder.name]), points)


@functools.lru_cache(maxsize=1)
def _frames_by_sequence(path: Path, mtime_ns: int, n_bytes: int) -> dict[str, list[str]] | str:
    """The JSON of every frame, by the name of its sequence, or why it cannot be read; kept for the category's next sequence."""
    frames: dict[str, list[str]] = {}
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, (frame, text) in enumerate(_objects(file)):
                name = frame.get("sequence_name")
                if not isinstance(name, str):
                    return f"{path}: frame {number} has no sequence_name: {text[:80]!r}"
                if number >= MOST_FRAMES:
                    return f"{path} lists more than {MOST_FRAMES:,} frames"
                frames.setdefault(name, []).append(text)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        return f"{path} is no readable gzipped JSON list of frames: {str(error)[:200]}"
    return frames


def _objects(file: IO[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of a JSON list, each with its text, without holding the whole.

    Raises:
        ValueError: it is none, or too large.
    """
    decoder, text, at, n_chars, (before, end) = json.JSONDecoder(), "", 0, 0, _FIRST
    while True:
        fault = f"{text[at : at + 40]!r} stands where a frame or the end belongs"
        if found := before.match(text, at):
            try:
                value, after = decoder.raw_decode(text, found.end())
            except (ValueError, RecursionError) as error:
                fault = str(error)
            else:
                yield value, text[found.end() : after]
                at, (before, end) = after, _NEXT
                continue
        elif end.match(text, at):
            return
        more = file.read(CHUNK_CHARS)
        n_chars += len(more)
        if not more or len(text) - at > LARGEST_FRAME_CHARS:
            raise ValueError(fault)
        if n_chars > LARGEST_BYTES:
            raise ValueError(f"it unpacks to more than {LARGEST_BYTES:,} bytes")
        text, at = text[at:] + more, 0


_FIRST = re.compile(r"\s*\[\s*(?={)"), re.compile(r"\s*\[\s*\]")
_NEXT = re.compile(r"\s*,\s*(?={)"), re.compile(r"\s*\]")
"""What comes before the first and every further object, and what in its place ends the list."""


def _photo(folder: Path, frame: dict[str, Any]) -> Photo | str:
    image, viewpoint = frame.get("image"), frame.get("viewpoint")
    if not isinstance(image, dict) or not isinstance(image.get("path"), str):
        return "its frame has no image.path"
    if not isinstance(viewpoint, dict):
        return "its frame has no viewpoint"
    place = PurePosixPath(image["path"]).parts  # category, sequence, images, …
    if not is_below(image["path"]) or len(place) < 3 or place[1] != folder.name:
        return LEADS_OUT
    name = "/".join(place[2:])
    pose = _pose(viewpoint)
    if pose is None:
        return NO_POSE
    size, f, p = (_pair(numbers) for numbers in (image.get("size"), viewpoint.get("focal_length"), viewpoint.get("principal_point")))
    if size is None or f is None or p is None:
        return "its image.size, focal_length or principal_point is no pair of finite numbers"
    height_px, width_px = size
    scale = {
        "ndc_norm_image_bounds": (width_px / 2, height_px / 2),
        "ndc_isotropic": (min(size) / 2,) * 2,
    }.get(str(viewpoint.get("intrinsics_format", "ndc_norm_image_bounds")))
    if scale is None:
        return "its intrinsics_format is neither ndc_isotropic nor ndc_norm_image_bounds"
    center = (width_px / 2 - p[0] * scale[0], height_px / 2 - p[1] * scale[1])
    lens = lens_of("PINHOLE", round(width_px), round(height_px), [f[0] * scale[0], f[1] * scale[1], *center])
    return lens if isinstance(lens, str) else Photo(name, folder / name, lens, pose)


def _pose(viewpoint: dict[str, Any]) -> np.ndarray | None:
    try:
        T = np.eye(4)
        T[:3, :3] = np.array(viewpoint.get("R"), dtype=np.float64).reshape(3, 3).T
        T[:3, 3] = np.array(viewpoint.get("T"), dtype=np.float64).reshape(3)
    except (TypeError, ValueError, OverflowError):
        return None
    T_cam_world = nearest_rigid(T)
    return None if T_cam_world is None else inverse(HALF_TURN @ T_cam_world)


def _pair(numbers: object) -> tuple[float, float] | None:
    if not isinstance(numbers, list) or len(numbers) != 2 or any(isinstance(v, bool) or not isinstance(v, int | float) for v in numbers):
        return None
    return (float(numbers[0]), float(numbers[1])) if all(abs(v) < LARGEST_NUMBER for v in numbers) else None
