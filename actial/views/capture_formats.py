"""Captures on disk, whatever format they are in: COLMAP models (binary and text), `transforms.json`, CO3D.

Source: COLMAP's "Camera Models" page.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actial.errors import RefusedCapture
from actial.geometry.conventions import blender_from_opencv
from actial.geometry.poses import inverse
from actial.views import capture_co3d, colmap
from actial.views.capture_photos import LARGEST_NUMBER, LEADS_OUT, NO_POSE, RIGID_TOLERANCE, CaptureModel, Lens, Photo, is_below, lens_of
from actial.views.capture_transforms import TRANSFORMS, read_transforms

COLMAP_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0")
"""Where a COLMAP model is looked for in a capture; of several unconnected models the first, sparse/0, is used."""


def read_capture(folder: Path) -> CaptureModel:
    """The COLMAP model of a capture (`images/` beside `sparse/0`), or else its `transforms.json`, or else what CO3D's annotations say of it.

    Raises:
        RefusedCapture: there is none of them, or its files are not readable.
    """
    model = _colmap_folder(folder)
    if model is not None:
        return read_colmap(model, folder / "images")
    if (folder / TRANSFORMS).is_file():
        return read_transforms(folder / TRANSFORMS)
    if capture_co3d.is_sequence(folder):
        return capture_co3d.read_sequence(folder)
    raise RefusedCapture(
        f"{folder} is no capture: it holds neither a COLMAP model (sparse/0/cameras.bin or .txt, and images) nor a {TRANSFORMS}, and is no sequence of CO3D",
        f"no COLMAP model, no {TRANSFORMS}",
    )


def holds_capture(folder: Path) -> bool:
    """Whether `read_capture` finds something to read in a folder."""
    return _colmap_folder(folder) is not None or (folder / TRANSFORMS).is_file() or capture_co3d.is_sequence(folder)


def _colmap_folder(folder: Path) -> Path | None:
    models = (folder / name for name in COLMAP_FOLDERS)
    return next((m for m in models for s in (".bin", ".txt") if (m / f"images{s}").is_file() and (m / f"cameras{s}").is_file()), None)


def read_colmap(model: Path, pictures: Path) -> CaptureModel:
    """A COLMAP model, binary where there is one, else text. Its poses are world-to-camera in OpenCV's axes.

    Args:
        model: folder with `cameras`, `images` and, where there are points, `points3D`.
        pictures: folder that the pictures' names are relative to.

    Raises:
        RefusedCapture: a file is missing, truncated or malformed.
    """
    files = colmap.read_model(model)
    lenses = {camera_id: lens_of(*row) for camera_id, row in files.cameras.items()}
    return CaptureModel.of((_colmap_photo(pictures, lenses, *row) for row in files.images), files.points)


def _colmap_photo(pictures: Path, lenses: dict[int, Lens | str], name: str, camera_id: int, quaternion: list[float], translation: list[float]) -> Photo | str:
    if not is_below(name):
        return LEADS_OUT
    pose = _pose_from_quaternion(np.array(quaternion), np.array(translation))
    lens = lenses.get(camera_id, f"its camera {camera_id} is not in the model")
    if pose is None:
        return NO_POSE
    return lens if isinstance(lens, str) else Photo(name, pictures / name, lens, pose)


def _pose_from_quaternion(quaternion: np.ndarray, translation: np.ndarray) -> np.ndarray | None:
    length = np.linalg.norm(quaternion)
    if not (np.abs(translation) < LARGEST_NUMBER).all() or not abs(length - 1) < RIGID_TOLERANCE:
        return None
    w, x, y, z = quaternion / length
    T_cam_world = np.eye(4)
    T_cam_world[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    T_cam_world[:3, 3] = translation
    return blender_from_opencv(inverse(T_cam_world))
