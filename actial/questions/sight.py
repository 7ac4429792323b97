"""Which parts of the subject a picture shows, and where: what descriptions and chains of thought may speak of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actial.geometry.poses import box_corners, passes_through_box
from actial.geometry.projection import project
from actial.records import SceneObject, View

COVER = 0.8
"""A part hides what is behind its bounding box shrunk by this, as round and pointed parts do not fill theirs."""


@dataclass(frozen=True)
class Sighting:
    """A part that a picture shows."""

    part: SceneObject
    pixel: tuple[float, float]
    """Where its centre appears."""


def sightings(view: View) -> dict[str, Sighting]:
    """The parts of the subject whose centre lies inside the picture and behind no other part and no companion, by name, left to right.

    Raises:
        ValueError: the view has no pose.
    """
    parts = [o for o in view.objects if o.part_of == view.objects[0].name]
    if not parts:
        return {}
    T_world_cam = view.camera.pose()
    centers = np.stack([o.center() for o in parts])
    uv, _ = project(centers, view.camera.intrinsics(), T_world_cam)
    inside = np.all((uv >= 0) & (uv < [view.camera.width_px, view.camera.height_px]), axis=1)  # NaN, behind the camera, is not inside
    companions = [o for o in view.objects[1:] if o.part_of is None]
    hidden = hidden_by_others(T_world_cam[:3, 3], parts + companions)[: len(parts)]
    seen = [Sighting(part, (float(u), float(v))) for part, (u, v), ok in zip(parts, uv, inside & ~hidden, strict=True) if ok]
    return {s.part.name: s for s in sorted(seen, key=lambda s: s.pixel)}


def shows_subject(view: View) -> bool:
    """Whether the subject's centre lies in the picture.

    Raises:
        ValueError: the view has no pose.
    """
    (uv,), _ = project(view.objects[0].center()[None], view.camera.intrinsics(), view.camera.pose())
    return bool(np.all((uv >= 0) & (uv <= [view.camera.width_px, view.camera.height_px])))  # NaN, behind the camera, is not inside


def lowness(p_world: np.ndarray, view: View) -> float:
    """How low in the picture the ground straight below a point appears, as a share of the height: 0 at the upper edge or beyond, 1 at the lower.

    Args:
        p_world: (3,) metres. The ground is at the lowest point of the subject's box.
    """
    subject = view.objects[0]
    ground_m = box_corners(np.array(subject.T_world_obj).reshape(4, 4), subject.size_m)[:, 2].min()
    uv, _ = project(np.array([[*p_world[:2], ground_m]]), view.camera.intrinsics(), view.camera.pose())
    return 1.0 if np.isnan(uv[0, 1]) else float(np.clip(uv[0, 1] / view.camera.height_px, 0.0, 1.0))


def has_sides(view: View) -> bool:
    """Whether the subject has a near and a far side: not to a camera above or below it, within half its extent of its vertical axis."""
    subject = view.objects[0]
    return bool(np.hypot(*(view.camera.pose()[:3, 3] - subject.center())[:2]) >= max(subject.size_m) / 2)


def hidden_by_others(eye: np.ndarray, things: list[SceneObject]) -> np.ndarray:
    """(n,) bool: whether the way from `eye` to each thing's centre runs through another one's box."""
    targets = np.stack([o.center() for o in things])
    hidden = np.zeros(len(things), dtype=bool)
    for i, other in enumerate(things):
        hit = passes_through_box(eye, targets, np.array(other.T_world_obj).reshape(4, 4), np.array(other.size_m) * COVER)
        hit[i] = False
        hidden |= hit
    return hidden


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
