"""What a picture's camera says stands where, drawn over the picture: axes of the world, boxes, the subject's centre, fronts, and the other cameras.

Everything is in the picture's own pixels, whatever size the page shows it at. A segment that runs behind the camera is cut where it passes the near plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from actial.geometry.poses import box_corners, inverse, transformed
from actial.geometry.projection import project
from actial.records import SceneObject, View
from actial.report.page import Html, tag
from actial.report.sketch import fill_of

AXES = ("x", "y", "z")
AXIS_SHARE = 0.65
"""Length of the world's axes, as a share of the subject's longest side: their tips stand out of its box."""
NEAR_SHARE = 0.01
"""Where segments are cut, as a share of the camera's distance to the subject (of the subject's size, where that is longer)."""
EDGES = np.array([(i, i | bit) for bit in (4, 2, 1) for i in range(8) if not i & bit])
"""(12, 2) corners of `box_corners` that each edge joins: four along x, four along y, four along z."""
ANONYMOUS_M = 1.0
"""Size that the axes are drawn for where no object is known."""


def overlay(view: View, scene: Sequence[View]) -> Html | None:
    """The drawing as inline SVG, one group a layer; None where the camera is unknown.

    Args:
        view: whose picture is drawn over.
        scene: all views of its scene in their order, this one among them.
    """
    if view.camera.T_world_cam is None:
        return None
    pen = _Pen(view)
    layers = {
        "cameras": _cameras(pen, view, scene),
        "boxes": [part for o in view.objects for part in _box(pen, o)],
        "axes": _axes(pen),
        "centre": [*_centre(pen), *(part for o in view.objects if o.front is not None for part in _front(pen, o))],
    }
    width_px, height_px = view.camera.width_px, view.camera.height_px
    groups = (tag("g", *parts, class_=name) for name, parts in layers.items())
    label = f"{view.view_id}: axes, boxes and cameras where the camera of this view says they are"
    return tag("svg", *groups, viewBox=f"0 0 {width_px} {height_px}", style=f"--unit:{pen.unit_px:g}px", role="img", aria_label=label, class_="overlay")


def number_of(view: View) -> str:
    """A view's number in its scene, as its id has it."""
    return view.view_id.rpartition(".v")[2]


def project_segments(segments: np.ndarray, K: np.ndarray, T_world_cam: np.ndarray, near_m: float) -> np.ndarray:
    """Where segments (n, 2, 3), world, metres, appear in the picture: (n, 2, 2) pixels of their two ends.

    What lies nearer than `near_m` before the camera's plane is cut off; all of it is NaN where nothing is left.
    """
    depth_m = project(segments.reshape(-1, 3), K, T_world_cam)[1].reshape(-1, 2)
    seen = (depth_m >= near_m).any(axis=1)
    depth_m, (start, end) = depth_m[seen], np.moveaxis(segments[seen], 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # depth is affine along a segment
        crossing = start + ((near_m - depth_m[:, 0]) / (depth_m[:, 1] - depth_m[:, 0]))[:, None] * (end - start)
    cut = np.where((depth_m < near_m)[..., None], crossing[:, None], segments[seen])
    uv = np.full((*segments.shape[:2], 2), np.nan)
    uv[seen] = project(cut.reshape(-1, 3), K, T_world_cam)[0].reshape(-1, 2, 2)
    return uv


def near_edges(o: SceneObject, T_world_cam: np.ndarray) -> np.ndarray:
    """(12,) bool: which of a box's `EDGES` its own faces do not hide from the camera."""
    eye_obj = transformed(inverse(np.array(o.T_world_obj).reshape(4, 4)), T_world_cam[:3, 3])
    half = np.array(o.size_m) / 2
    faces = np.stack([-eye_obj > half, eye_obj > half], axis=1)  # axis, side
    corner_bits = EDGES[:, 0, None] >> np.array([2, 1, 0]) & 1
    seen = faces[np.arange(3), corner_bits]
    seen[np.arange(12), np.arange(12) // 4] = False  # an edge along an axis bounds the faces of the two others
    return seen.any(axis=1)


class _Pen:
    """Projects and draws with one view's camera."""

    def __init__(self, view: View) -> None:
        self.K, self.T_world_cam = view.camera.intrinsics(), view.camera.pose()
        self.unit_px = max(view.camera.width_px, view.camera.height_px) / 100
        self.subject = view.objects[0] if view.objects else None
        self.size_m = max(self.subject.size_m) if self.subject else ANONYMOUS_M
        self.center = self.subject.center() if self.subject else np.zeros(3)
        self.near_m = NEAR_SHARE * max(float(np.linalg.norm(self.center - self.T_world_cam[:3, 3])), self.size_m)

    def points(self, p_world: np.ndarray) -> np.ndarray:
        """(n, 2) pixels of world points (n, 3), NaN where one lies behind the near plane."""
        uv, depth_m = project(p_world, self.K, self.T_world_cam)
        uv[depth_m < self.near_m] = np.nan
        return uv

    def segments(self, segments: np.ndarray, **attributes: object) -> list[Html]:
        """Segments (n, 2, 3), world, as one path; nothing where none is before the camera."""
        uv = project_segments(segments, self.K, self.T_world_cam, self.near_m)
        d = "".join(f"M{a[0]:.2f} {a[1]:.2f}L{b[0]:.2f} {b[1]:.2f}" for a, b in uv[np.isfinite(uv).all(axis=(1, 2))])
        return [tag("path", _title(attributes.pop("title", None)), d=d, **attributes)] if d else []

    def label(self, text: str, uv: np.ndarray, **attributes: object) -> list[Html]:
        """Text whose middle stands at a pixel; nothing where that is NaN."""
        return [tag("text", text, x=f"{uv[0]:.2f}", y=f"{uv[1]:.2f}", **attributes)] if np.isfinite(uv).all() else []

    def dot(self, uv: np.ndarray, radius: float, **attributes: object) -> list[Html]:
        """A circle whose radius is in hundredths of the picture's longer side; nothing where the pixel is NaN."""
        return [tag("circle", cx=f"{uv[0]:.2f}", cy=f"{uv[1]:.2f}", r=f"{radius * self.unit_px:.2f}", **attributes)] if np.isfinite(uv).all() else []


def _title(text: object) -> Html | None:
    return None if text is None else tag("title", text)


def _axes(pen: _Pen) -> list[Html]:
    length_m = AXIS_SHARE * pen.size_m
    parts: list[Html] = []
    for axis, direction in zip(AXES, np.eye(3), strict=True):
        tip = pen.center + length_m * direction
        parts += pen.segments(np.stack([pen.center, tip])[None], class_=axis)
        parts += pen.label(axis.upper(), pen.points((pen.center + 1.14 * length_m * direction)[None])[0], class_=axis)
    return parts


def _box(pen: _Pen, o: SceneObject) -> list[Html]:
    """The edges that the box hides itself are told apart, since a box of twelve equal lines looks the same from the front and the back."""
    edges = box_corners(np.array(o.T_world_obj).reshape(4, 4), o.size_m)[EDGES]
    near = near_edges(o, pen.T_world_cam)
    whole = "whole" if o is pen.subject else None
    style = None if whole else f"stroke:{fill_of(o)}"
    return [
        *pen.segments(edges[~near], class_=" ".join(filter(None, ["behind", whole])), style=style, title=o.name),
        *pen.segments(edges[near], class_=whole, style=style, title=o.name),
    ]


def _centre(pen: _Pen) -> list[Html]:
    (uv,) = pen.points(pen.center[None])
    return [*pen.dot(uv, 1.6, class_="ring"), *pen.dot(uv, 0.5)]


def _front(pen: _Pen, o: SceneObject) -> list[Html]:
    start, length_m = o.center(), 0.8 * max(o.size_m)
    tip = start + length_m * np.array(o.front)
    (uv,) = pen.points((start + 1.18 * length_m * np.array(o.front))[None])
    end = pen.dot(pen.points(tip[None])[0], 1.0, class_="front")
    return [*pen.segments(np.stack([start, tip])[None], class_="front", title=f"front of {o.name}"), *end, *pen.label("front", uv, class_="front")]


def _cameras(pen: _Pen, view: View, scene: Sequence[View]) -> list[Html]:
    """The way the camera takes from view to view, without its ends at this view: from here they are seen as points."""
    known = [(v, v.camera.pose()[:3, 3]) for v in scene if v.camera.T_world_cam is not None]
    legs = [np.stack([p, q]) for (a, p), (b, q) in itertools.pairwise(known) if view.view_id not in (a.view_id, b.view_id)]
    parts = pen.segments(np.stack(legs)) if legs else []
    for v, p in known:
        if v.view_id != view.view_id:
            (uv,) = pen.points(p[None])
            parts += [*pen.dot(uv, 2.9), *pen.label(number_of(v), uv)]
    return parts
