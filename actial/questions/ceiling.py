"""What the pictures themselves tell to who does reason about space: points matched between them and an essential matrix. A ceiling, not a shortcut.

It is given what the questions take for granted: the cameras' intrinsics, which way is up in the first picture, and where the subject's centre appears in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from actial.geometry.angles import Motion, motion_between
from actial.geometry.conventions import blender_from_opencv, opencv_from_blender
from actial.geometry.poses import inverse, unit
from actial.records import Question, View
from actial.shards import ViewStore

LEAST_MATCHES = 12
SIGNED = frozenset({"lateral_r", "forward_r", "up_r", "turn_deg", "pitch_deg", "roll_deg", "orbit_deg", "perspective_r", "radial_log"})
"""Quantities of `Motion` whose sign is an answer."""
WIDTH_PX = 448
"""Pictures are enlarged to this width: corners of a small one are else too few."""


def ceiling_accuracy(questions: Sequence[Question], store: ViewStore, most: int) -> dict[str, Any]:
    """To how many of at most `most` questions of one kind, evenly chosen among those that ask for a direction, the matched points give the right side. A
    question without enough matches is not answered, and not right.

    Kinds that no sign of a quantity of `SIGNED` decides are not asked: their counts are 0 and their accuracies None.
    """
    directional = [q for q in questions if q.deciding_quantity in SIGNED and q.label_of(q.truth) != "none"]
    asked = [directional[i] for i in np.linspace(0, len(directional) - 1, min(most, len(directional))).astype(int)]
    values = [matched_value(q, store) for q in asked]
    n_right = sum(value is not None and value * q.deciding_value > 0 for value, q in zip(values, asked, strict=True))
    n_answered = sum(value is not None for value in values)
    share = lambda n: round(n_right / n, 4) if n else None
    return {"n": len(asked), "n_answered": n_answered, "accuracy": share(len(asked)), "accuracy_of_answered": share(n_answered)}


def matched_value(question: Question, store: ViewStore) -> float | None:
    """The quantity that decides a question of a pair, of which only the sign is meant, as matched points have it; None where they are too few."""
    first, second = question.view_ids
    motion = matched_motion(store[first], store[second], np.asarray(store.picture(first)), np.asarray(store.picture(second)))
    value = np.nan if motion is None else float(getattr(motion, question.deciding_quantity)[0])
    return None if np.isnan(value) else value


def matched_motion(first: View, second: View, first_rgb: np.ndarray, second_rgb: np.ndarray) -> Motion | None:
    """How the camera moved, of one pair, from pictures (h, w, 3); None where the matched points are too few, or a view has no subject."""
    T_2_1 = relative_pose(first, second, first_rgb, second_rgb)
    if T_2_1 is None or not (first.objects and second.objects):
        return None
    T_1_2, rays = inverse(T_2_1), [_ray_to_subject(view) for view in (first, second)]
    # the subject stands on both rays, at distance 1 on the first: that gives the movement its length
    towards = T_1_2[:3, :3] @ rays[1]
    T_1_2[:3, 3] *= abs(np.linalg.lstsq(np.column_stack([T_1_2[:3, 3], towards]), rays[0], rcond=None)[0][0])
    T_world_1 = opencv_from_blender(first.camera.pose())
    T_world_1[:3, 3] = 0
    return motion_between(blender_from_opencv(T_world_1)[None], blender_from_opencv(T_world_1 @ T_1_2)[None], T_world_1[:3, :3] @ rays[0])


def relative_pose(first: View, second: View, first_rgb: np.ndarray, second_rgb: np.ndarray) -> np.ndarray | None:
    """(4, 4) `T_2_1` in OpenCV's axes with a translation of length 1, from the pictures (h, w, 3) and their intrinsics; None with too few matches."""
    import cv2

    p, q = matched_points(first_rgb, second_rgb)
    if len(p) < LEAST_MATCHES:
        return None
    K_1, K_2 = first.camera.intrinsics(), second.camera.intrinsics()
    p, q = ((points - K[:2, 2]) / [K[0, 0], K[1, 1]] for points, K in ((p, K_1), (q, K_2)))
    E, inliers = cv2.findEssentialMat(p, q, np.eye(3), method=cv2.RANSAC, prob=0.999, threshold=1.0 / K_1[0, 0])
    if E is None or E.shape != (3, 3):
        return None
    _, R, t, _ = cv2.recoverPose(E, p, q, np.eye(3), mask=inliers)
    T_2_1 = np.eye(4)
    T_2_1[:3, :3], T_2_1[:3, 3] = R, t.ravel()
    return T_2_1


def matched_points(first_rgb: np.ndarray, second_rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two (n, 2) arrays of pixels that show the same points, as far as SIFT can tell (Lowe's ratio test, both ways)."""
    import cv2

    sift, found = cv2.SIFT.create(contrastThreshold=0.02), []
    for rgb in (first_rgb, second_rgb):
        enlarge = max(1.0, WIDTH_PX / rgb.shape[1])
        gray = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC)
        points, words = sift.detectAndCompute(gray, np.full(gray.shape, 255, np.uint8))
        if words is None or len(points) < 2:
            return np.empty((0, 2)), np.empty((0, 2))
        found.append((np.array([(k.pt[0] + 0.5, k.pt[1] + 0.5) for k in points]) / enlarge, words))
    (first, words_1), (second, words_2) = found
    there, back = _clear_matches(words_1, words_2), _clear_matches(words_2, words_1)
    pairs = [(i, j) for i, j in there.items() if back.get(j) == i]
    return first[[i for i, _ in pairs]], second[[j for _, j in pairs]]


def _clear_matches(words_1: np.ndarray, words_2: np.ndarray) -> dict[int, int]:
    import cv2

    nearest = cv2.BFMatcher().knnMatch(words_1, words_2, k=2)
    return {m[0].queryIdx: m[0].trainIdx for m in nearest if len(m) == 2 and m[0].distance < 0.8 * m[1].distance}


def _ray_to_subject(view: View) -> np.ndarray:
    """(3,) unit vector from the camera to where the subject's centre appears, OpenCV's axes."""
    T_cam_world = inverse(opencv_from_blender(view.camera.pose()))
    return unit(T_cam_world[:3, :3] @ view.objects[0].center() + T_cam_world[:3, 3])
