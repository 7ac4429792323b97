"""What every format of captures comes down to: photographs with a lens and a pose, and what is wrong with the others.

A file is data of unknown origin: what is wrong with a picture is said and counted, and no name reaches outside the capture's folder.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from actial.geometry.poses import is_rigid, rotated_about
from actial.records import Floats

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


LEADS_OUT = "its name leads out of the capture's folder"
NO_POSE = "its pose is no rotation and translation"


def is_below(name: str) -> bool:
    """Whether a path stays in the folder it is relative to."""
    place = PurePosixPath(name)
    return bool(place.name) and not place.is_absolute() and ".." not in place.parts and "\0" not in name


def nearest_rigid(matrix: object) -> np.ndarray | None:
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


def lens_of(model: str, width_px: int, height_px: int, p: list[float]) -> Lens | str:
    """A lens from COLMAP's parameters of a model; or what is wrong with it."""
    if model in ("PINHOLE", "OPENCV", "FULL_OPENCV"):
        (fx, fy, cx, cy), distortion = p[:4], p[4:]
    elif model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"):
        (fx, cx, cy), distortion = p[:3], p[3:]
        fy = fx
        distortion = [*distortion, 0.0, 0.0, 0.0, 0.0][:4] if distortion else []
    else:
        return not_handled(model)
    if not (np.abs(p) < LARGEST_NUMBER).all() or not (fx > 0 and fy > 0) or not (0 < width_px <= LARGEST_SIDE_PX and 0 < height_px <= LARGEST_SIDE_PX):
        return "its lens has no positive focal length and picture size"
    return Lens(width_px, height_px, (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0), tuple(distortion) if any(distortion) else ())


def not_handled(model: str) -> str:
    return f"its lens model {model} is not handled: undistort the pictures first, for example with COLMAP's image_undistorter"


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
