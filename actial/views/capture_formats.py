"""Captures on disk: COLMAP models (binary and text) and `transforms.json` as NeRF tools write it.

Sources: COLMAP's "Camera Models" page; the `transforms.json` of instant-ngp's `colmap2nerf.py` and of nerfstudio's data conventions.
A file is data of unknown origin: what is wrong with a picture is said and counted, and no name reaches outside the folder.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from actial.errors import RefusedCapture
from actial.geometry.conventions import blender_from_opencv
from actial.geometry.poses import inverse, is_rigid, rotated_about
from actial.records import Floats
from actial.views import colmap

COLMAP_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0")
"""Where a COLMAP model is looked for in a capture; of several unconnected models the first, sparse/0, is used."""
TRANSFORMS = "transforms.json"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Tried in this order for a `file_path` without one."""
EXIF_ORIENTATION, QUARTER_TURNS = 0x0112, {3: 2, 6: 1, 8: 3}
"""Tag, and clockwise quarter turns by its value. Mirrored pictures (2, 4, 5, 7) come from no camera."""
RIGID_TOLERANCE = 1e-3
"""Poses are written with few digits; beyond this a matrix is no rotation, or a quaternion not of length 1."""
LARGEST_SIDE_PX = 16384
LARGEST_NUMBER = 1e9
"""No coordinate and no parameter of a lens is larger in any unit people use; damaged files hold such numbers."""


@dataclass(frozen=True, slots=True)
class Lens:
    """A camera's intrinsics. The centre of the top-left pixel is (0.5, 0.5), which is COLMAP's convention as well as ours."""

    width_px: int
    height_px: int
    K: Floats
    """Row-major 3x3 intrinsics, pixels."""
    distortion: Floats
    """k1, k2, p1, p2[, k3[, k4, k5, k6]] as OpenCV orders them; empty for a pinhole camera."""

    def turned(self, quarter_turns: int) -> Lens:
        """The pinhole part of the lens for a picture that is turned clockwise: (u, v) becomes (height - v, u)."""
        lens = replace(self, distortion=())
        for _ in range(quarter_turns):
            fx, _, cx, _, fy, cy, *_ = lens.K
            lens = Lens(lens.height_px, lens.width_px, (fy, 0.0, lens.height_px - cy, 0.0, fx, cx, 0.0, 0.0, 1.0), ())
        return lens


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of a capture as its files tell of it: the picture itself has not been opened."""

    name: str
    """Path below the pictures' folder, as written in the file."""
    path: Path
    lens: Lens
    """Of the picture as stored."""
    T_world_cam: np.ndarray
    """(4, 4), our axes, the capture's own world and scale; of the picture as stored, until `upright`."""
    quarter_turns: int = 0
    """Clockwise turns by 90 degrees that bring the stored picture upright."""

    def upright(self, quarter_turns: int) -> Photo:
        """The same with its pose turned so; reconstructions leave the EXIF orientation aside and take pictures as they are stored."""
        T = self.T_world_cam.copy()
        T[:3, :3] = T[:3, :3] @ rotated_about(np.array([0.0, 0.0, 1.0]), np.pi / 2 * quarter_turns)
        return replace(self, T_world_cam=T, quarter_turns=quarter_turns)


@dataclass(frozen=True, slots=True)
class CaptureModel:
    """What a reconstruction tells."""

    photos: tuple[Photo, ...]
    """By name; those with a lens that is handled and a sound pose."""
    set_aside: Counter[str]
    """The other pictures, by what is wrong with them."""
    points: np.ndarray
    """(n, 3), the capture's own world; n is 0 where the format has none."""

    @classmethod
    def of(cls, photos: Iterable[Photo | str], points: np.ndarray) -> CaptureModel:
        """A model of pictures, each as it is or as what is wrong with it."""
        photos = list(photos)
        sound = sorted((p for p in photos if isinstance(p, Photo)), key=lambda p: p.name)
        return cls(tuple(sound), Counter(p for p in photos if isinstance(p, str)), points[(np.abs(points) < LARGEST_NUMBER).all(axis=1)])


def read_capture(folder: Path) -> CaptureModel:
    """The COLMAP model of a capture (`images/` beside `sparse/0`), or else its `transforms.json`.

    Raises:
        RefusedCapture: there is neither, or its files are not readable.
    """
    model = _colmap_folder(folder)
    if model is not None:
        return read_colmap(model, folder / "images")
    if (folder / TRANSFORMS).is_file():
        return read_transforms(folder / TRANSFORMS)
    raise RefusedCapture(
        f"{folder} is no capture: it holds neither a COLMAP model (sparse/0/cameras.bin or .txt, and images) nor a {TRANSFORMS}",
        f"no COLMAP model, no {TRANSFORMS}",
    )


def holds_capture(folder: Path) -> bool:
    """Whether `read_capture` finds something to read in a folder."""
    return _colmap_folder(folder) is not None or (folder / TRANSFORMS).is_file()


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
    lenses = {camera_id: _lens(*row) for camera_id, row in files.cameras.items()}
    return CaptureModel.of((_colmap_photo(pictures, lenses, *row) for row in files.images), files.points)


def read_transforms(path: Path) -> CaptureModel:
    """A `transforms.json`: `transform_matrix` is camera-to-world in OpenGL's axes, which are ours; a frame's own intrinsics go before the global ones.
    Points are those of `ply_file_path`, in the same world.

    Raises:
        RefusedCapture: it is no JSON, or holds no list of frames; or the points it names are not readable.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedCapture(f"{path} is not readable JSON: {str(error)[:200]}") from None
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise RefusedCapture(f"{path} has no list of frames: `frames` must hold one map a picture")
    photos = [_transforms_photo(path.parent, {k: v for k, v in data.items() if k != "frames"} | frame) for frame in frames]
    return CaptureModel.of(photos, _transforms_points(path, data.get("ply_file_path")))


def _colmap_photo(pictures: Path, lenses: dict[int, Lens | str], name: str, camera_id: int, quaternion: list[float], translation: list[float]) -> Photo | str:
    if not _is_below(name):
        return _LEADS_OUT
    pose = _pose_from_quaternion(np.array(quaternion), np.array(translation))
    lens = lenses.get(camera_id, f"its camera {camera_id} is not in the model")
    if pose is None:
        return _NO_POSE
    return lens if isinstance(lens, str) else Photo(name, pictures / name, lens, pose)


_LEADS_OUT = "its name leads out of the capture's folder"
_NO_POSE = "its pose is no rotation and translation"


def _is_below(name: str) -> bool:
    """Whether a path stays in the folder it is relative to."""
    place = PurePosixPath(name)
    return bool(place.name) and not place.is_absolute() and ".." not in place.parts and "\0" not in name


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


def _pose_from_matrix(matrix: object) -> np.ndarray | None:
    """The rigid transform nearest to a matrix that is one up to rounding (polar decomposition); None where it is none."""
    try:
        T = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if T.shape == (3, 4):
        T = np.vstack([T, [0.0, 0.0, 0.0, 1.0]])
    if not (np.abs(T) < LARGEST_NUMBER).all() or not is_rigid(T, RIGID_TOLERANCE):
        return None
    u, _, v = np.linalg.svd(T[:3, :3])
    T[:3, :3] = u @ v
    return T


def _lens(model: str, width_px: int, height_px: int, p: list[float]) -> Lens | str:
    """A lens from COLMAP's parameters of a model; or what is wrong with it."""
    if model in ("PINHOLE", "OPENCV", "FULL_OPENCV"):
        (fx, fy, cx, cy), distortion = p[:4], p[4:]
    elif model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"):
        (fx, cx, cy), distortion = p[:3], p[3:]
        fy = fx
        distortion = [*distortion, 0.0, 0.0, 0.0, 0.0][:4] if distortion else []
    else:
        return _not_handled(model)
    if not (np.abs(p) < LARGEST_NUMBER).all() or not (fx > 0 and fy > 0) or not (0 < width_px <= LARGEST_SIDE_PX and 0 < height_px <= LARGEST_SIDE_PX):
        return "its lens has no positive focal length and picture size"
    return Lens(width_px, height_px, (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0), tuple(distortion) if any(distortion) else ())


def _not_handled(model: str) -> str:
    return f"its lens model {model} is not handled: undistort the pictures first, for example with COLMAP's image_undistorter"


def _transforms_photo(folder: Path, frame: dict[str, Any]) -> Photo | str:
    name = frame.get("file_path")
    if not isinstance(name, str):
        return "its frame has no file_path"
    name = name.removeprefix("./")
    if not _is_below(name):
        return _LEADS_OUT
    pose = _pose_from_matrix(frame.get("transform_matrix"))
    if pose is None:
        return _NO_POSE
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
        return _not_handled(model[:40])
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
    return _lens("OPENCV", round(w), round(h), [float(x) for x in (fx, fy, value.get("cx", w / 2), value.get("cy", h / 2), *distortion)])


def _transforms_points(path: Path, name: object) -> np.ndarray:
    """(n, 3) points of the PLY file that a `transforms.json` names; n is 0 where it names none."""
    if name is None:
        return np.empty((0, 3))
    if not isinstance(name, str) or not _is_below(name):
        raise RefusedCapture(f"{path}: ply_file_path must be a path below the capture's folder, not {str(name)[:80]!r}")
    return ply_points(path.parent / name)


def ply_points(path: Path) -> np.ndarray:
    """(n, 3) float64 vertices of a PLY file, text or binary (G. Turk, "The PLY Polygon File Format", 1994).

    Raises:
        RefusedCapture: it is missing, truncated, or no PLY file that begins with vertices.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RefusedCapture(f"{path} cannot be read: {error.strerror}") from None
    header = _PLY_HEADER.match(data)
    properties = [line.split() for line in header["properties"].decode("latin-1").splitlines() if not line.startswith("comment")] if header else []
    columns = [(words[2], _PLY_TYPES.get(words[1], "")) for words in properties if len(words) == 3]
    names = [name for name, _ in columns]
    if header is None or len(columns) < len(properties) or len(set(names)) < len(names) or not {"x", "y", "z"} <= set(names) or "" in dict(columns).values():
        raise RefusedCapture(f"{path} is no PLY file that begins with vertices of x, y, z")
    n, body = int(header["n"]), data[header.end() :]
    order = {b"binary_little_endian": "<", b"binary_big_endian": ">"}.get(header["format"])
    try:
        if order:
            vertices = np.frombuffer(body, np.dtype([(name, order + kind) for name, kind in columns]), count=n)
            return np.column_stack([vertices[axis] for axis in "xyz"]).astype(np.float64)
        rows = np.array(body.split(maxsplit=n * len(columns))[: n * len(columns)], dtype=np.float64).reshape(n, len(columns))
    except (ValueError, OverflowError):
        raise RefusedCapture(f"{path} does not hold the {n} vertices it announces: it is truncated or damaged") from None
    return rows[:, [names.index(axis) for axis in "xyz"]]


_PLY_HEADER = re.compile(
    rb"ply\r?\nformat (?P<format>ascii|binary_little_endian|binary_big_endian) 1\.0\r?\n((comment|obj_info)[^\n]*\n)*"
    rb"element vertex (?P<n>\d{1,9})\r?\n(?P<properties>((property|comment)[^\n]*\n)+)(element[^\n]*\n((property|comment)[^\n]*\n)*)*end_header\r?\n"
)
_PLY_TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8"}
_PLY_TYPES |= {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"}


def _focal_px(value: dict[str, float], focal: str, angle: str, side_px: float) -> float | None:
    if focal in value:
        return value[focal]
    return side_px / 2 / float(np.tan(value[angle] / 2)) if value.get(angle) else None


def picture_header(path: Path) -> tuple[tuple[int, int], int] | str:
    """Width and height of a picture as stored, pixels, and the clockwise quarter turns that its EXIF orientation asks for; or what is wrong with it."""
    from PIL import Image

    if not os.path.isfile(path):
        return "the picture is missing"
    try:
        with Image.open(path) as picture:
            return picture.size, QUARTER_TURNS.get(picture.getexif().get(EXIF_ORIENTATION, 1), 0)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return "the picture cannot be read"
