"""Pictures for a page, and what belongs to each of their pixels, in colours: masks, depth, normals."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from actial.records import SUBJECT_IN_MASK, SceneObject, View
from actial.report.page import data_uri
from actial.report.sketch import fill_of

MAX_PICTURE_PX = 448
"""Larger pictures are shrunk to this for a page."""
EXACT_PX = 160
"""Pictures up to this side stand in a page as they are; larger ones are JPEG, of which a page can hold some hundreds."""
JPEG_QUALITY = 85
_NOTHING = (128, 128, 128)
"""Where there is no depth or no normal."""
_PALETTE = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#42d4f4", "#f032e6", "#bfef45", "#ffe119")
"""For objects without a colour word."""


def shown_picture(picture: Image.Image) -> str:
    """An RGB picture as an address for an `img`."""
    picture = _shrunk(picture, Image.Resampling.LANCZOS)
    if max(picture.size) <= EXACT_PX:
        return _address(picture, "png")
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return data_uri("jpeg", buffer.getvalue())


def shown_mask(mask: np.ndarray, view: View) -> str:
    """An instance mask (h, w) in its objects' colours, transparent where it is 0, as an address for an `img`."""
    colours = np.zeros((256, 4), np.uint8)
    for number in np.unique(mask[mask > 0]):
        colours[number] = (*_rgb(number, owner_of(number, view)), 255)
    return _address(_shrunk(Image.fromarray(colours[mask], "RGBA"), Image.Resampling.NEAREST), "png")


def shown_depth(depth_m: np.ndarray) -> str:
    """Depth (h, w), metres: near is yellow, far is dark blue, grey where it is not finite; even in 1/depth, from the nearest to the 98th percentile."""
    import cv2

    known = np.isfinite(depth_m) & (depth_m > 0)
    colours = np.full((*depth_m.shape, 3), _NOTHING, np.uint8)
    if known.any():
        inverse = 1 / np.where(known, depth_m, np.inf)
        far, near = np.percentile(inverse[known], [2, 100])
        share = np.clip((inverse - far) / max(near - far, 1e-9), 0, 1)
        colours[known] = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1][known]
    return shown_picture(Image.fromarray(colours))


def shown_normals(normals: np.ndarray) -> str:
    """Unit normals (h, w, 3) as colours, -1 to 1 of x, y, z being none to all of red, green, blue; grey where they have no length or are not finite."""
    known = np.isfinite(normals).all(axis=-1) & (np.linalg.norm(np.nan_to_num(normals), axis=-1) > 0.5)
    colours = np.where(known[..., None], np.nan_to_num(normals) * 127.5 + 127.5, _NOTHING)
    return shown_picture(Image.fromarray(np.clip(colours + 0.5, 0, 255).astype(np.uint8)))


def owner_of(number: int, view: View) -> SceneObject | None:
    """Whose pixels have that number in a mask."""
    place = 0 if number == SUBJECT_IN_MASK else number
    return view.objects[place] if place < len(view.objects) else None


def _rgb(number: int, o: SceneObject | None) -> tuple[int, ...]:
    colour = fill_of(o) if o is not None and o.color else _PALETTE[number % len(_PALETTE)]
    return tuple(bytes.fromhex(colour[1:]))


def _shrunk(picture: Image.Image, resampling: Image.Resampling) -> Image.Image:
    picture = picture.copy()
    picture.thumbnail((MAX_PICTURE_PX, MAX_PICTURE_PX), resampling)
    return picture


def _address(picture: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind.upper())
    return data_uri(kind, buffer.getvalue())
