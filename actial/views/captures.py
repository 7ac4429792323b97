"""Real photographs with known poses: from a capture's folder to views of a scene like any other.

The pictures are undistorted and shrunk, the world is brought to ours (`capture_alignment`), what cannot be used is set aside and counted, and a capture that is
too poor to ask about is refused with the reason.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from actial import ids
from actial.errors import RefusedCapture, UnreadablePicture, UserError
from actial.geometry.projection import project
from actial.records import Camera, Floats, SceneObject, View
from actial.shards import EncodedView, decode_picture, encode_png
from actial.views.capture_alignment import Alignment, AlignmentLimits, align
from actial.views.capture_formats import holds_capture, read_capture
from actial.views.capture_masks import find_mask, read_mask
from actial.views.capture_photos import Lens, Photo, picture_header

LEAST_KEPT, MOST_GROWN = 0.5, 2.0
"""A picture whose width or height changes by more than these factors when it is undistorted is not used."""
SUBJECT_SHAPE = "captured"
"""`SceneObject.shape` of a photographed object."""
MASKS = "masks"
"""A folder of foreground masks, in a capture or, with the same tree, beside a data set's classes."""
FEWEST_POSES = 3
"""Up and centre cannot be estimated from fewer."""


class CaptureSettings(AlignmentLimits, Protocol):
    """What captures must be like and what pictures become."""

    @property
    def min_views(self) -> int: ...
    @property
    def max_views(self) -> int | None: ...
    @property
    def longest_side_px(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a capture comes from: goes into each of its views."""

    source: str
    licence: str
    family: str
    """The unit that can be held out of training: the data set's class of object, or the capture's own name."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a capture's geometry is known; see `capture_alignment`."""

    n_poses: int
    """Cameras that up and centre were estimated from."""
    up_error_deg: float
    center_error_r: float
    n_object_points: int


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture as a scene."""

    views: tuple[EncodedView, ...]
    """By the pictures' names; numbered without gaps."""
    names: tuple[str, ...]
    """The picture that each view was made from, as the capture names it."""
    quality: Quality
    set_aside: dict[str, int]
    """Pictures that were not used, by reason."""
    masks_set_aside: dict[str, int]
    """Masks that were not used, by reason; their pictures are."""
    left_out: int
    """Pictures that were not opened, because there are `max_views` without them."""


def find_captures(root: Path) -> list[Path]:
    """The folders at or below `root` that hold a capture, by path: one capture, or a data set of them such as MVImgNet's class/instance. Folders
    named `masks` are not searched: data sets keep millions of files there.

    Raises:
        UserError: `root` is no folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder: captures are looked for in it and below")
    found, waiting = [], [root]
    while waiting:
        folder = waiting.pop()
        if holds_capture(folder):
            found.append(folder)
        else:
            waiting += [Path(f.path) for f in os.scandir(folder) if f.is_dir(follow_symlinks=False) and f.name != MASKS]
    return sorted(found)


def ingest_capture(folder: Path, scene_id: str, origin: Origin, settings: CaptureSettings, masks: Path | None = None) -> Capture:
    """Read a capture, estimate its up and centre, undistort its pictures and masks; of more than `max_views` pictures those that show the most sides.

    Lengths of the views' world are in median camera distances: a capture's scale is arbitrary.

    Args:
        masks: folder of the pictures' foreground masks, laid out like `images`; `masks` in the capture's folder if None. A picture may have none.

    Raises:
        RefusedCapture: the folder is no readable capture, or too poor to ask about; one sentence with the number and the limit.
    """
    model = read_capture(folder)
    set_aside = Counter(model.set_aside)
    photos = []
    for photo in map(_upright, model.photos):
        if isinstance(photo, str):
            set_aside[photo] += 1
        else:
            photos.append(photo)
    _check_number(folder, len(photos), max(settings.min_views, FEWEST_POSES), set_aside)
    try:
        alignment = align(np.stack([p.T_world_cam for p in photos]), [p.lens.turned(p.quarter_turns) for p in photos], model.points, settings)
    except RefusedCapture as error:
        raise RefusedCapture(f"{folder}: {error}", error.reason) from None
    subject = SceneObject("subject", SUBJECT_SHAPE, origin.family, "", tuple(np.eye(4).ravel().tolist()), alignment.size)
    taken, faults, mask_faults = _taken(photos, alignment, settings, masks or folder / MASKS)
    left_out = len(photos) - len(taken) - faults.total()
    set_aside += faults
    _check_number(folder, len(taken), settings.min_views, set_aside)
    views = tuple(
        (View(ids.view_id(scene_id, n), scene_id, camera, (subject,), origin.source, origin.licence), picture, mask)
        for n, (camera, picture, mask) in enumerate(taken.values())
    )
    names = tuple(photos[i].name for i in taken)
    return Capture(views, names, _quality(alignment), dict(sorted(set_aside.items())), dict(sorted(mask_faults.items())), left_out)


def _taken(
    photos: list[Photo], alignment: Alignment, settings: CaptureSettings, masks: Path
) -> tuple[dict[int, tuple[Camera, bytes, bytes | None]], Counter[str], Counter[str]]:
    """Camera, picture and mask of up to `max_views` photos, by their place in the list; and what is wrong with others of them, and with masks."""
    taken: dict[int, tuple[Camera, bytes, bytes | None]] = {}
    faults: Counter[str] = Counter()
    mask_faults: Counter[str] = Counter()
    for i in spread(alignment.T_world_cam):
        if len(taken) == settings.max_views:
            break
        shown = _picture(photos[i], alignment.T_world_cam[i], settings.longest_side_px, find_mask(masks, photos[i].name))
        if isinstance(shown, str):
            faults[shown] += 1
            continue
        camera, picture, mask = shown
        if isinstance(mask, str):
            mask_faults[mask] += 1
            mask = None
        taken[i] = camera, picture, mask
    return dict(sorted(taken.items())), faults, mask_faults


def spread(T_world_cam: np.ndarray) -> Iterator[int]:
    """The places of all cameras in an order whose beginnings are spread around the object: each next one sees it, at the origin, from the direction that is
    farthest from those before it.

    Args:
        T_world_cam: (n, 4, 4).
    """
    directions = T_world_cam[:, :3, 3] / np.linalg.norm(T_world_cam[:, :3, 3], axis=1, keepdims=True).clip(1e-9)
    nearest = np.full(len(directions), -np.inf)  # cosine of the angle to the nearest direction before; infinite for those
    for _ in directions:
        place = int(nearest.argmin())
        yield place
        nearest = np.maximum(nearest, directions @ directions[place])
        nearest[place] = np.inf


def undistorted(pixels: np.ndarray, lens: Lens) -> tuple[np.ndarray, np.ndarray] | str:
    """A picture as a pinhole camera of the same focal length takes it, cut to an upright rectangle without empty pixels.

    Args:
        pixels: (h, w, 3) uint8, of the lens' size; or (h, w), a mask, whose pixels are not mixed.
        lens: k1, k2, p1, p2, k3 to k6 as OpenCV's `projectPoints` defines them.

    Returns:
        The (h', w', …) picture and its (3, 3) K; or why it cannot be undistorted.
    """
    if not lens.distortion:
        return pixels, np.array(lens.K).reshape(3, 3)
    mapped = _undistortion(lens)
    if isinstance(mapped, str):
        return mapped
    map_u, map_v, K = mapped
    mixing = cv2.INTER_LINEAR if pixels.ndim == 3 else cv2.INTER_NEAREST
    return cv2.remap(pixels, map_u, map_v, mixing, borderMode=cv2.BORDER_REPLICATE), np.array(K).reshape(3, 3)


def _check_number(folder: Path, n: int, least: int, set_aside: Counter[str]) -> None:
    if n < least:
        why = "".join(f"; {k} were set aside, because {reason}" for reason, k in set_aside.most_common(1))
        raise RefusedCapture(f"{folder} has {n} usable pictures, at least {least} are needed{why}", "too few usable pictures")


def _quality(alignment: Alignment) -> Quality:
    return Quality(len(alignment.T_world_cam), alignment.up_error_deg, alignment.center_error_r, alignment.n_object_points)


def _picture(photo: Photo, T_world_cam: np.ndarray, longest_side_px: int, mask_file: Path | None) -> tuple[Camera, bytes, bytes | str | None] | str:
    """The camera, the encoded picture and mask of a view, or why there is none (of either)."""
    try:
        pixels = np.asarray(decode_picture(photo.path.read_bytes(), photo.name))
    except (OSError, UnreadablePicture):
        return "the picture cannot be read"
    pinhole = _pinhole(photo, pixels, longest_side_px)
    if isinstance(pinhole, str):
        return pinhole
    pixels, K = pinhole
    height_px, width_px = pixels.shape[:2]
    ((u, v),), _ = project(np.zeros((1, 3)), K, T_world_cam)
    if not (0 <= u < width_px and 0 <= v < height_px):
        return "the object's centre is not in the picture"
    camera = Camera(width_px, height_px, tuple(K.ravel().tolist()), tuple(T_world_cam.ravel().tolist()))
    return camera, encode_png(pixels), None if mask_file is None else _mask(photo, mask_file, longest_side_px)


def _mask(photo: Photo, mask_file: Path, longest_side_px: int) -> bytes | str:
    """The encoded mask of a view, or what is wrong with its file."""
    mask = read_mask(mask_file, (photo.lens.width_px, photo.lens.height_px))
    pinhole = mask if isinstance(mask, str) else _pinhole(photo, mask, longest_side_px)
    return pinhole if isinstance(pinhole, str) else encode_png(pinhole[0])


def _pinhole(photo: Photo, pixels: np.ndarray, longest_side_px: int) -> tuple[np.ndarray, np.ndarray] | str:
    """A stored picture or mask as it becomes: undistorted, upright and shrunk, with its K; or why it cannot be undistorted."""
    pinhole = undistorted(pixels, photo.lens)
    return pinhole if isinstance(pinhole, str) else _shrunk(*_turned(*pinhole, photo.quarter_turns), longest_side_px)


def _upright(photo: Photo) -> Photo | str:
    """A photo turned upright, or what its file's header tells against it."""
    header = picture_header(photo.path)
    if isinstance(header, str):
        return header
    size, quarter_turns = header
    return photo.upright(quarter_turns) if size == (photo.lens.width_px, photo.lens.height_px) else "the picture's size is not its camera's"


def _turned(pixels: np.ndarray, K: np.ndarray, quarter_turns: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned clockwise, and its K."""
    lens = Lens(pixels.shape[1], pixels.shape[0], tuple(K.ravel().tolist()), ()).turned(quarter_turns)
    return np.ascontiguousarray(np.rot90(pixels, -quarter_turns)), np.array(lens.K).reshape(3, 3)


def _shrunk(pixels: np.ndarray, K: np.ndarray, longest_side_px: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose longer side is at most `longest_side_px`, and its K."""
    height_px, width_px = pixels.shape[:2]
    share = longest_side_px / max(width_px, height_px)
    if share >= 1:
        return pixels, K
    size = max(round(width_px * share), 1), max(round(height_px * share), 1)
    mixing = cv2.INTER_AREA if pixels.ndim == 3 else cv2.INTER_NEAREST_EXACT
    return cv2.resize(pixels, size, interpolation=mixing), np.diag([size[0] / width_px, size[1] / height_px, 1.0]) @ K


@functools.lru_cache(maxsize=4)
def _undistortion(lens: Lens) -> tuple[np.ndarray, np.ndarray, Floats] | str:
    """Two (h', w') maps for `cv2.remap` and the new K; or why there are none."""
    K, distortion = np.array(lens.K).reshape(3, 3), np.array(lens.distortion)
    (left, right), (top, bottom) = _inner_rectangle(lens, K, distortion)
    if not np.isfinite([left, right, top, bottom]).all() or max(abs(v) for v in (left, right, top, bottom)) > 1e6:
        return _TOO_STRONG
    u0, v0 = int(np.ceil(left - 0.5)), int(np.ceil(top - 0.5))
    width_px, height_px = int(np.floor(right - 0.5)) - u0 + 1, int(np.floor(bottom - 0.5)) - v0 + 1
    for new, old in ((width_px, lens.width_px), (height_px, lens.height_px)):
        if not LEAST_KEPT * old <= new <= MOST_GROWN * old:
            return _TOO_STRONG
    K_new = K - [[0, 0, u0], [0, 0, v0], [0, 0, 0]]
    # OpenCV counts pixels from the centre of the first one
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    map_u, map_v = cv2.initUndistortRectifyMap(K - half, distortion, np.eye(3), K_new - half, (width_px, height_px), cv2.CV_32FC1)
    inside = (map_u > -0.01) & (map_u < lens.width_px - 0.99) & (map_v > -0.01) & (map_v < lens.height_px - 0.99)
    if not inside.all() or not (np.diff(map_u, axis=1) > 0).all() or not (np.diff(map_v, axis=0) > 0).all():
        return _TOO_STRONG
    return map_u, map_v, tuple(K_new.ravel().tolist())


_TOO_STRONG = "its distortion is too strong to be undone: the picture would fold over, or too little of it would be left"


def _inner_rectangle(lens: Lens, K: np.ndarray, distortion: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bounds in u and in v, between which every undistorted place shows a pixel of the picture."""
    w, h = lens.width_px, lens.height_px
    u, v = np.arange(w) + 0.5, np.arange(h) + 0.5
    sides = {
        "left": np.column_stack([np.full(h, 0.5), v]),
        "right": np.column_stack([np.full(h, w - 0.5), v]),
        "top": np.column_stack([u, np.full(w, 0.5)]),
        "bottom": np.column_stack([u, np.full(w, h - 0.5)]),
    }
    exact = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
    at = {name: cv2.undistortPointsIter(side[:, None], K, distortion, np.eye(3), K, exact)[:, 0] for name, side in sides.items()}
    return (at["left"][:, 0].max(), at["right"][:, 0].min()), (at["top"][:, 1].max(), at["bottom"][:, 1].min())
