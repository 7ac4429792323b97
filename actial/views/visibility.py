"""What of its subject a rendered picture shows, measured in the picture's mask. A view that hides, cuts or hardly shows it is left out of its scene."""

from __future__ import annotations

from collections import Counter

import numpy as np

from actial.geometry.projection import project
from actial.records import Camera
from actial.views.cameras import AWAY, Shot

LEAST_SHARE = 0.004
"""Of the picture's pixels: with fewer the subject is tiny; 51 of 112 x 112."""
LEAST_OUTLINE = 0.5
"""A subject is hidden where what is seen of it spans less than this share of the upright rectangle that all of it would span."""
LEAST_VIEWS = 2
"""With fewer views that show its subject a scene is set aside."""


class HiddenSubject(Exception):
    """Too few pictures of a scene show its subject as they should."""


def fault(mask: np.ndarray, outline: np.ndarray, camera: Camera) -> str | None:
    """Why a picture does not show its subject as it should, in two words; None where it does.

    Args:
        mask: (h, w) uint8, as `boxes.Picture` has it.
        outline: (n, 3) points whose convex hull the subject fills from side to side, world, metres.
        camera: of the picture.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return "subject hidden"
    height, width = mask.shape
    if rows[0] == 0 or columns[0] == 0 or rows[-1] == height - 1 or columns[-1] == width - 1:
        return "subject cut"
    uv, _ = project(outline, camera.intrinsics(), camera.pose())
    if (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) < LEAST_OUTLINE * np.ptp(uv, axis=0).prod():
        return "subject hidden"
    return "subject tiny" if np.count_nonzero(mask) < LEAST_SHARE * mask.size else None


def faults(shots: list[Shot], masks: list[np.ndarray], outline: np.ndarray) -> list[str | None]:
    """The same for all views of a scene, with one outline (n, 3) or one for each (views, n, 3). Those that look away need not show it: nothing is wrong with
    them.

    Raises:
        HiddenSubject: fewer than two views show it; those that look away do not count.
    """
    outlines = np.broadcast_to(outline, (len(shots), *outline.shape[-2:]))
    found = [None if shot.role == AWAY else fault(mask, own, shot.camera) for shot, mask, own in zip(shots, masks, outlines, strict=True)]
    n_seen = sum(why is None and shot.role != AWAY for why, shot in zip(found, shots, strict=True))
    if n_seen < LEAST_VIEWS:
        ((why, _),) = Counter(why for why in found if why).most_common(1)
        raise HiddenSubject(f"fewer than {LEAST_VIEWS} views show it: {why}")
    return found
