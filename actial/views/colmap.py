"""COLMAP models, binary and text, as the numbers that stand in them (COLMAP's page "Output Format"; models with rigs keep each image's pose where it was).

Read here and not by pycolmap (measured, 4.2.1): its reader goes on and on after one flipped bit in a count, and takes a truncated cameras.bin for a whole
one. Here every count is held against the bytes that are there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actial.errors import RefusedCapture

CameraRow = tuple[str, int, int, list[float]]
"""Lens model, width and height in pixels, parameters in the model's order."""
ImageRow = tuple[str, int, list[float], list[float]]
"""Name, camera id, quaternion (w, x, y, z) and translation of the world-to-camera transform in OpenCV's axes."""
LENS_MODELS: dict[int, tuple[str, int]] = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    12: ("SIMPLE_DIVISION", 4),
    13: ("DIVISION", 5),
    14: ("SIMPLE_FISHEYE", 3),
    15: ("FISHEYE", 4),
    16: ("EUCM", 6),
    17: ("EQUIRECTANGULAR", 2),
}
"""COLMAP's camera models: name and number of parameters by the id in binary files."""


@dataclass(frozen=True, slots=True)
class ColmapModel:
    """What a model's three files hold, unchecked but for their form."""

    cameras: dict[int, CameraRow]
    images: list[ImageRow]
    points: np.ndarray
    """(n, 3); n is 0 where the model has no file of points."""


def read_model(folder: Path) -> ColmapModel:
    """A model, binary where there is one, else text.

    Raises:
        RefusedCapture: a file is missing, truncated or malformed.
    """
    suffix = ".bin" if (folder / "images.bin").is_file() else ".txt"
    readers = (_binary_cameras, _binary_images, _binary_points) if suffix == ".bin" else (_text_cameras, _text_images, _text_points)
    cameras, images = readers[0](folder / f"cameras{suffix}"), list(readers[1](folder / f"images{suffix}"))
    points = folder / f"points3D{suffix}"
    return ColmapModel(cameras, images, np.array(list(readers[2](points)) if points.is_file() else [], dtype=np.float64).reshape(-1, 3))


class _Bytes:
    """A binary file that is read from start to end, never beyond."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise RefusedCapture(f"{path} cannot be read: {error.strerror}") from None

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values, little-endian, in `struct`'s notation."""
        start = self.at
        self.skip(struct.calcsize("<" + form))
        return struct.unpack_from("<" + form, self.data, start)

    def skip(self, n_bytes: int) -> None:
        if n_bytes > len(self.data) - self.at:
            raise RefusedCapture(f"{self.path} ends in the middle of a record, after {len(self.data)} bytes: it is truncated or damaged")
        self.at += n_bytes

    def text(self) -> str:
        """Up to the next zero byte."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise RefusedCapture(f"{self.path} ends in the middle of a name, after {len(self.data)} bytes: it is truncated or damaged")
        raw, self.at = self.data[self.at : end], end + 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise RefusedCapture(f"{self.path} holds a name that is not UTF-8: {raw[:80]!r}") from None

    def rows(self) -> Iterator[int]:
        """As many as the count that comes next, then the end of the file."""
        (n,) = self.take("Q")
        yield from range(n)  # lazily: a damaged count ends at the end of the bytes
        if self.at != len(self.data):
            raise RefusedCapture(f"{self.path} goes on for {len(self.data) - self.at} bytes after its {n} records: it is damaged")


def _binary_cameras(path: Path) -> dict[int, CameraRow]:
    file, cameras = _Bytes(path), {}
    for _ in file.rows():
        camera_id, model_id, width_px, height_px = file.take("IiQQ")
        if model_id not in LENS_MODELS:
            raise RefusedCapture(f"{path}: camera {camera_id} has the unknown lens model {model_id}; known are 0 to {max(LENS_MODELS)}")
        model, n_params = LENS_MODELS[model_id]
        cameras[camera_id] = model, width_px, height_px, list(file.take(f"{n_params}d"))
    return cameras


def _binary_images(path: Path) -> Iterator[ImageRow]:
    file = _Bytes(path)
    for _ in file.rows():
        _, *pose, camera_id = file.take("I7dI")
        name = file.text()
        file.skip(24 * file.take("Q")[0])  # x, y and point id of each observation
        yield name, camera_id, pose[:4], pose[4:]


def _binary_points(path: Path) -> Iterator[list[float]]:
    file = _Bytes(path)
    for _ in file.rows():
        _, *p_world, _, _, _, _ = file.take("Q3d3Bd")
        file.skip(8 * file.take("Q")[0])  # image and observation of each place it is seen
        yield p_world


def _text_cameras(path: Path) -> dict[int, CameraRow]:
    cameras = {}
    n_params = dict(LENS_MODELS.values())
    for number, line in _text_rows(path):
        try:
            camera_id, model, width_px, height_px, *params = line.split()
            p = [float(x) for x in params]
            if len(p) != n_params.get(model, len(p)):
                raise ValueError
            cameras[int(camera_id)] = model, int(width_px), int(height_px), p
        except ValueError:
            raise RefusedCapture(f"{path}: line {number} is no camera (id, model, width, height, parameters): {line[:80]!r}") from None
    return cameras


def _text_images(path: Path) -> Iterator[ImageRow]:
    rows = _text_rows(path, with_empty=True)
    for number, line in rows:
        if not line:
            continue
        try:
            _, *pose, camera_id, name = line.split(maxsplit=9)
            q_and_t = [float(x) for x in pose]
            if len(q_and_t) != 7:
                raise ValueError
            row = name, int(camera_id), q_and_t[:4], q_and_t[4:]
        except ValueError:
            raise RefusedCapture(f"{path}: line {number} is no image (id, quaternion, translation, camera, name): {line[:80]!r}") from None
        yield row
        next(rows, None)  # its observations, an empty line where it has none


def _text_points(path: Path) -> Iterator[list[float]]:
    for number, line in _text_rows(path):
        try:
            x, y, z = (float(v) for v in line.split(maxsplit=4)[1:4])
        except ValueError:
            raise RefusedCapture(f"{path}: line {number} is no point (id, x, y, z, …): {line[:80]!r}") from None
        yield [x, y, z]


def _text_rows(path: Path, with_empty: bool = False) -> Iterator[tuple[int, str]]:
    """Lines that are no comment, with their numbers from 1."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedCapture(f"{path} cannot be read as text: {error}") from None
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line.startswith("#") and (line or with_empty):
            yield number, line
