"""What looks wrong about a view, in sentences: so that among a thousand pictures the few that deserve a look are found."""

from __future__ import annotations

import numpy as np

from actial.geometry.poses import box_corners, is_rigid
from actial.geometry.projection import project
from actial.records import Camera, SceneObject, View, subject_in_mask
from actial.report.rasters import owner_of

FLAT_LEVELS = 4.0
"""Below this standard deviation (of 255 levels) a picture is nearly one colour."""
OUTSIDE_PX, OUTSIDE_SHARE = 1.0, 0.02
"""More than this share of an object's pixels farther than this outside its projected box is no rounding."""
OUTSIDE_ESTIMATED_SHARE = 0.25
"""The same for a box that was estimated from a capture's points."""


def doubts(view: View, pixels: np.ndarray | None, mask: np.ndarray | None, estimated: bool) -> list[str]:
    """Everything that a picture, its mask and its camera do not agree on.

    Args:
        view: the record.
        pixels: (h, w, 3) uint8; None where the picture cannot be read.
        mask: (h, w) uint8; None where there is none.
        estimated: whether it is a photograph, whose box is no exact one, and which may cut its subject.
    """
    camera, found = view.camera, []
    size = (camera.height_px, camera.width_px)
    if pixels is None:
        found.append("the picture cannot be read")
    elif pixels.shape[:2] != size:
        found.append(f"the picture has {pixels.shape[1]} × {pixels.shape[0]} pixels, its camera {size[1]} × {size[0]}")
    elif pixels.std() < FLAT_LEVELS:
        found.append("the picture is nearly one colour")
    K = camera.intrinsics()
    optical = K[0, 0] > 0 and K[1, 1] > 0 and K[2].tolist() == [0, 0, 1]
    rigid = camera.T_world_cam is not None and is_rigid(camera.pose())
    posed = optical and rigid
    if not optical:
        found.append("K has no focal lengths, or another last row than 0, 0, 1")
    if camera.T_world_cam is not None and not rigid:
        found.append("the camera's pose is no rotation and translation")
    if posed and view.objects and not (mask is not None and mask.shape == size and looks_away(view, mask)):
        found += _subject_doubts(view)
    if mask is not None:
        found += _mask_doubts(view, mask, posed, estimated) if mask.shape == size else ["the mask has another size than the picture"]
    return found


def looks_away(view: View, mask: np.ndarray) -> bool:
    """Whether camera and mask agree that the picture lacks its subject: its centre is not in it, and what is seen of it is cut, if any is.

    Args:
        view: with a sound pose and an object.
        mask: (h, w) uint8.
    """
    of_subject = np.isin(mask, subject_in_mask(view.objects))
    return bool(_subject_doubts(view)) and (not of_subject.any() or _reaches_edge(of_subject))


def _reaches_edge(mask: np.ndarray) -> bool:
    return bool(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).any())


def beyond_box_px(o: SceneObject, camera: Camera, uv: np.ndarray) -> np.ndarray | None:
    """How far pixels (n, 2) lie outside the outline of an object's projected box: (n,), negative inside; None where the box reaches behind the camera."""
    import cv2

    corners, _ = project(box_corners(np.array(o.T_world_obj).reshape(4, 4), o.size_m), camera.intrinsics(), camera.pose())
    if not np.isfinite(corners).all():
        return None
    hull = cv2.convexHull(corners.astype(np.float32))[:, 0].astype(float)
    along = np.roll(hull, -1, axis=0) - hull
    outward = np.column_stack([along[:, 1], -along[:, 0]]) / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return np.asarray(((uv[:, None] - hull) * outward).sum(axis=-1).max(axis=1))


def _subject_doubts(view: View) -> list[str]:
    camera = view.camera
    ((u, v),), (depth_m,) = project(view.objects[0].center()[None], camera.intrinsics(), camera.pose())
    if depth_m <= 0:
        return ["the subject's centre lies behind the camera"]
    return [] if 0 <= u <= camera.width_px and 0 <= v <= camera.height_px else ["the subject's centre is not in the picture"]


def _mask_doubts(view: View, mask: np.ndarray, posed: bool, estimated: bool) -> list[str]:
    found, limit = [], OUTSIDE_ESTIMATED_SHARE if estimated else OUTSIDE_SHARE
    away = posed and bool(view.objects) and looks_away(view, mask)
    of_subject = np.isin(mask, subject_in_mask(view.objects))
    if not of_subject.any() and not away:
        found.append("nothing of the subject is seen")
    if not estimated and not away and _reaches_edge(of_subject):
        found.append("the subject reaches the picture's edge")
    for number in np.unique(mask[mask > 0]):
        o = owner_of(number, view)
        if o is None:
            found.append(f"the mask has the number {number}, and there are {len(view.objects)} objects")
            continue
        rows, columns = np.nonzero(mask == number)
        beyond = beyond_box_px(o, view.camera, np.column_stack([columns, rows]) + 0.5) if posed else None
        if beyond is not None and (share := float(np.mean(beyond > OUTSIDE_PX))) > limit:
            found.append(f"{share:.0%} of the pixels of {o.name} lie outside its box")
    return found
