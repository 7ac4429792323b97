"""Foreground masks that come with captures: which pixels of a photograph show the subject.

Sources: COLMAP's FAQ on masks (`x.jpg` has the mask `x.jpg.png`), CO3D's `masks/frame000001.png`, MVImgNet's tree `masks/<class>/<instance>/001.jpg.png`
beside its classes, whose masks may be smaller than their pictures.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np

from actial.records import SUBJECT_IN_MASK

UNREADABLE = "the mask cannot be read"
OTHER_SIZE = "the mask's shape is not its picture's"
EMPTY = "the mask shows no subject"


def find_mask(folder: Path, name: str) -> Path | None:
    """The mask of a picture below a folder of masks, if it has one.

    Args:
        folder: `masks`, laid out like `images`.
        name: path of the picture, below its `images` or with it.
    """
    mask = folder / name.removeprefix("images/")
    return next((path for path in (mask.with_name(mask.name + ".png"), mask.with_suffix(".png")) if os.path.isfile(path)), None)


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray | str:
    """(h, w) uint8, `SUBJECT_IN_MASK` where the subject is seen; or what is wrong with the file.

    The subject is where a picture with holes is opaque, or where any other is brighter than half of its range (0 to 1, to 255, or to 65,535). A mask of the
    same shape in another size is enlarged or shrunk, without mixing pixels.

    Args:
        size: width and height of the photograph as stored, pixels.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if not abs(picture.height - size[1] * picture.width / size[0]) < 1:
                return OTHER_SIZE
            values = np.asarray(picture if picture.mode in ("1", "L", "I", "I;16", "F") else picture.convert("RGBA")).astype(np.float64)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return UNREADABLE
    if values.ndim == 3:
        values = values[..., 3] if values[..., 3].min() < 255 else values[..., :3].max(axis=2)
    brightest = values.max()
    shown = values > (0.5 if brightest <= 1 else 127.5 if brightest <= 255 else 32767.5)
    return cv2.resize(shown.astype(np.uint8) * SUBJECT_IN_MASK, size, interpolation=cv2.INTER_NEAREST_EXACT) if shown.any() else EMPTY
