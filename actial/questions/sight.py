"""Which parts of the subject a picture shows, and where: what descriptions and chains of thought may speak of."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actial.geometry.poses import box_corners, passes_through_box
from actial.geometry.projection import about_subject, pixel_of
from actial.records import SceneObject, View

COVER = 0.8
"""A part hides what is behind its bounding box shrunk by this, as round and pointed parts do not fill theirs."""


@dataclass(frozen=True)
class Sighting:
    """A part that a picture shows."""

    part: SceneObject
    pixel: tuple[float, float]
    """Where its centre appears."""


@functools.lru_cache(maxsize=256)
def sightings(view: View) -> Mapping[str, Sighting]:
    """The parts of the subject whose centre lies inside the picture and behind no other part and no companion, by name, left to right.

    Raises:
        ValueError: the view has no pose.
    """
    parts = [o for o in view.objects if o.part_of == view.objects[0].name]
    if not parts:
        return {}
    companions = [o for o in view.objects[1:] if o.part_of is None]
    hidden = hidden_by_others(view.camera.pose()[:3, 3], parts + companions)[: len(parts)]
    seen = []
    for part, is_hidden in zip(parts, hidden, strict=True):
        u, v = pixel_in(view, part.center_m)
        if 0 <= u < view.camera.width_px and 0 <= v < view.camera.height_px and not is_hidden:  # NaN, behind the camera, is not inside
            seen.append(Sighting(part, (u, v)))
    return {s.part.name: s for s in sorted(seen, key=lambda s: s.pixel)}


@functools.lru_cache(maxsize=256)
def nearness(view: View) -> Mapping[str, float]:
    """How much nearer than the subject's middle each part of it is to a level camera that faces it, in extents of the subject, by name.

    Raises:
        ValueError: the view has no pose, or its camera stands straight above or below the subject.
    """
    subject, parts = view.objects[0], [o for o in view.objects if o.part_of == view.objects[0].name]
    _, nearer_m = about_subject(view.camera.pose()[:3, 3], subject.center(), np.array([o.center_m for o in parts]).reshape(-1, 3))
    return dict(zip((o.name for o in parts), (nearer_m / max(subject.size_m)).tolist(), strict=True))


@functools.lru_cache(maxsize=256)
def shows_subject(view: View) -> bool:
    """Whether the subject's centre lies in the picture.

    Raises:
        ValueError: the view has no pose.
    """
    u, v = pixel_in(view, view.objects[0].center_m)
    return 0 <= u <= view.camera.width_px and 0 <= v <= view.camera.height_px  # NaN, behind the camera, is not inside


def pixel_in(view: View, p_world: Sequence[float]) -> tuple[float, float]:
    """Where a point appears; NaN behind the camera.

    Raises:
        ValueError: the view has no pose.
    """
    camera = view.camera
    if camera.T_world_cam is None:
        raise ValueError("this view has no camera pose")
    return pixel_of(p_world, camera.K, camera.T_world_cam)


@functools.lru_cache(maxsize=4096)
def lowness(p_world: tuple[float, float, float], view: View) -> float:
    """How low in the picture the ground straight below a point appears, as a share of the height: 0 at the upper edge or beyond, 1 at the lower.

    Args:
        p_world: three numbers, metres. The ground is at the lowest point of the subject's box.
    """
    _, v = pixel_in(view, (p_world[0], p_world[1], _ground_m(view.objects[0])))
    return 1.0 if math.isnan(v) else min(max(v / view.camera.height_px, 0.0), 1.0)


@functools.lru_cache(maxsize=256)
def _ground_m(subject: SceneObject) -> float:
    """Height of the lowest point of a subject's box."""
    return float(box_corners(np.array(subject.T_world_obj).reshape(4, 4), subject.size_m)[:, 2].min())


@functools.lru_cache(maxsize=256)
def has_sides(view: View) -> bool:
    """Whether the subject has a near and a far side: not to a camera above or below it, within half its extent of its vertical axis."""
    subject, eye = view.objects[0], view.camera.pose()[:3, 3]
    return math.hypot(eye[0] - subject.center_m[0], eye[1] - subject.center_m[1]) >= max(subject.size_m) / 2


def hidden_by_others(eye: np.ndarray, things: list[SceneObject]) -> np.ndarray:
    """(n,) bool: whether the way from `eye` to each thing's centre runs through another one's box."""
    T_world_obj, size_m = np.array([o.T_world_obj for o in things]).reshape(-1, 4, 4), np.array([o.size_m for o in things])
    hit = passes_through_box(eye, T_world_obj[:, :3, 3], T_world_obj, size_m * COVER)
    np.fill_diagonal(hit, False)
    return np.asarray(hit.any(axis=0))


def spoken_names(objects: tuple[SceneObject, ...], with_shape: bool) -> dict[str, str]:
    """What each part is called, by its name: its colour, or colour and shape; parts that share both are left out.

    Args:
        objects: the objects of a view, the subject first.
        with_shape: say the shape even where the colour alone is clear.
    """
    parts = [o for o in objects if o.part_of == objects[0].name and o.color]
    colors, looks = [o.color for o in parts], [(o.color, o.shape) for o in parts]
    names = {}
    for o in parts:
        if colors.count(o.color) == 1 and not with_shape:
            names[o.name] = o.color
        elif looks.count((o.color, o.shape)) == 1:
            names[o.name] = f"{o.color} {o.shape}"
    return names
