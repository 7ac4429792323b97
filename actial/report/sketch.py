"""Two views, or three, from above: the cameras, what stands in the scene, and of two the movement. Camera 1 looks up the page."""

from __future__ import annotations

import numpy as np

from actial.geometry.poses import transformed
from actial.records import Camera, SceneObject, View
from actial.report.page import Html, tag

SIZE = 300
_MARGIN = 26
_MARKER_PX = 9
"""Radius of a camera's number; numbers that would hide each other are set side by side."""
_HEAD_PX = 7
"""Length of an arrow's head."""
_ROUND = frozenset({"sphere", "cylinder", "cone", "torus", "capsule"})
_CSS = {
    "red": "#d83a34",
    "orange": "#ee8a22",
    "yellow": "#e8c62a",
    "green": "#3f9e4d",
    "blue": "#3c6fd6",
    "cyan": "#35b5c9",
    "purple": "#8d4fc4",
    "magenta": "#cf3fa5",
    "pink": "#ee8fb4",
    "brown": "#8a5a35",
    "white": "#f4f4f0",
    "black": "#2b2b2e",
    "gray": "#8d9096",
    "grey": "#8d9096",
}


def top_down(first: View, *others: View) -> Html | None:
    """The sketch as inline SVG; None where a camera is unknown.

    The page's up is the first camera's level viewing direction, so that left on the page is left in the first picture.
    """
    views = (first, *others)
    if any(v.camera.T_world_cam is None for v in views):
        return None
    T_page_world = _page_from_world(first.camera)
    cameras = [transformed(T_page_world, v.camera.pose()[:3, 3])[:2] for v in views]
    outlines = [(o, transformed(T_page_world, footprint(o))[:, :2]) for o in _drawn(first.objects)]
    reach_m = 0.3 * float(np.linalg.norm(cameras[0] - _subject_xy(first, T_page_world))) or 1.0
    wedges = [_wedge(v.camera, T_page_world, reach_m) for v in views]
    everything = np.concatenate([*wedges, *(points for _, points in outlines)])
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = (SIZE - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
    to_px = lambda p: (np.array([1, -1]) * (np.asarray(p) - (low + high) / 2)) * scale + SIZE / 2
    marks = [tag("title", "From above: " + ", ".join(f"{v.view_id} is camera {n}" for n, v in enumerate(views, start=1)))]
    marks += [_polygon(to_px(points), o) for o, points in outlines]
    fronts = [(o, transformed(T_page_world, front_of(o))[:, :2]) for o in first.objects if o.front is not None]
    marks += [part for o, ends in fronts for part in arrow(to_px(ends), "front", f"front of {o.name}")]
    aside_px = np.zeros((len(views), 2))
    if len(views) == 2:
        marks += _path(to_px(cameras[0]), to_px(cameras[1]))
        overlap = np.linalg.norm(to_px(cameras[1]) - to_px(cameras[0])) < 2 * _MARKER_PX
        aside_px = (_MARKER_PX + 1.0) * np.array([[-1, 0], [1, 0]]) * overlap
    for number, (wedge, centre) in enumerate(zip(wedges, cameras, strict=True), start=1):
        marks += _camera(number, to_px(wedge), to_px(centre) + aside_px[number - 1])
    marks += scale_bar(scale)
    said = f"{'Both' if len(views) == 2 else 'All'} cameras and the scene from above"
    return tag("svg", *marks, viewBox=f"0 0 {SIZE} {SIZE}", role="img", aria_label=said, class_="sketch")


ABOVE = (0, 1)
"""World axes that run right and up a page which is seen from above."""


def footprint(o: SceneObject, axes: tuple[int, int] = ABOVE) -> np.ndarray:
    """World points (n, 3), metres, around an object's outline (the convex hull of its shape) as seen along the world axis that is not among `axes`."""
    import cv2

    half = np.array(o.size_m) / 2
    if o.shape in _ROUND:
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(24)])
        if o.shape == "sphere":
            shape = np.concatenate([ring, ring[:, [2, 0, 1]], ring[:, [0, 2, 1]]])
        else:
            shape = np.concatenate([ring - [0, 0, 1], ring * (0.0 if o.shape == "cone" else 1.0) + [0, 0, 1]])
    else:
        shape = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    p_world = transformed(np.array(o.T_world_obj).reshape(4, 4), shape * half)
    hull = cv2.convexHull(p_world[:, axes].astype(np.float32), returnPoints=False)[:, 0]
    return p_world[hull]


def _drawn(objects: tuple[SceneObject, ...]) -> list[SceneObject]:
    """Lowest first, as they hide each other from above; a whole whose parts are known is drawn by its parts."""
    wholes = {o.part_of for o in objects}
    return sorted((o for o in objects if o.name not in wholes), key=lambda o: o.center()[2] + o.size_m[2] / 2)


def _page_from_world(camera: Camera) -> np.ndarray:
    """Turn about the vertical that brings the camera's level viewing direction to +Y (its up, where it looks straight down)."""
    T = camera.pose()
    forward = -T[:2, 2] if np.linalg.norm(T[:2, 2]) > 1e-6 else T[:2, 1]
    x, y = forward / np.linalg.norm(forward)
    turn = np.eye(4)
    turn[:2, :2] = [[y, -x], [x, y]]
    return turn


def _subject_xy(view: View, T_page_world: np.ndarray) -> np.ndarray:
    centre = view.objects[0].center() if view.objects else np.zeros(3)
    return transformed(T_page_world, centre)[:2]


def _wedge(camera: Camera, T_page_world: np.ndarray, reach_m: float) -> np.ndarray:
    """(3, 2): the camera's centre and the two edges of its horizontal field of view, page coordinates in metres."""
    T, K = camera.pose(), camera.intrinsics()
    edges_cam = np.array([[(u - K[0, 2]) / K[0, 0], 0.0, -1.0] for u in (0.0, camera.width_px)])
    edges = transformed(T_page_world, edges_cam @ T[:3, :3].T)[:, :2]
    length = np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-9)
    centre = transformed(T_page_world, T[:3, 3])[:2]
    return np.concatenate([[centre], centre + reach_m * edges / length])


def _polygon(points_px: np.ndarray, o: SceneObject) -> Html:
    name = " ".join(word for word in (o.color, o.shape, "" if o.part_of else f"({o.name})") if word)
    return tag("polygon", tag("title", name), points=points_of(points_px), fill=fill_of(o), class_="thing")


def fill_of(o: SceneObject) -> str:
    """An object's colour as CSS has it; grey where no word is known for it."""
    return _CSS.get(o.color, "#9a9da3")


def _camera(number: int, wedge_px: np.ndarray, centre_px: np.ndarray) -> list[Html]:
    x, y = (f"{v:.1f}" for v in centre_px)
    colour = f"var(--c{number})"
    return [
        tag("polygon", points=points_of(wedge_px), fill=colour, fill_opacity=0.18, stroke=colour, stroke_width=1.2),
        tag("circle", cx=x, cy=y, r=_MARKER_PX, fill=colour),
        tag("text", number, x=x, y=f"{centre_px[1] + 4:.1f}", text_anchor="middle", class_="camera"),
    ]


def front_of(o: SceneObject) -> np.ndarray:
    """Where the arrow out of an annotated front starts and ends: (2, 3) world points, metres."""
    assert o.front is not None
    return o.center() + np.outer([0.0, 0.8 * max(o.size_m)], o.front)


def _path(start_px: np.ndarray, end_px: np.ndarray) -> list[Html]:
    length = float(np.linalg.norm(end_px - start_px))
    if length < 2 * _MARKER_PX + 8:  # the two markers touch: there is no room for an arrow
        return []
    along = (end_px - start_px) / length
    return arrow(np.stack([start_px + (_MARKER_PX + 2) * along, end_px - (_MARKER_PX + 2) * along]), "path")


def arrow(ends_px: np.ndarray, name: str, title: str | None = None) -> list[Html]:
    """A line of a class of that name between two ends (2, 2), with a head at the second. Nothing where it is shorter than its head."""
    tail, tip = ends_px
    length = float(np.linalg.norm(tip - tail))
    if length < _HEAD_PX:
        return []
    along = (tip - tail) / length
    side = np.array([-along[1], along[0]])
    head = [tip, tip - _HEAD_PX * along + 4 * side, tip - _HEAD_PX * along - 4 * side]
    told = None if title is None else tag("title", title)
    line = tag("line", told, x1=f"{tail[0]:.1f}", y1=f"{tail[1]:.1f}", x2=f"{tip[0]:.1f}", y2=f"{tip[1]:.1f}", class_=name)
    return [line, tag("polygon", points=points_of(np.array(head)), class_="tip" if name == "path" else f"tip {name}")]


def scale_bar(scale_px_per_m: float, height_px: float = SIZE, unit: str = "m") -> list[Html]:
    """A bar of a round length at the foot of a sketch."""
    length_m = max((m for m in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if m * scale_px_per_m <= SIZE / 3), default=0.01)
    end = 8 + length_m * scale_px_per_m
    return [
        tag("path", d=f"M8 {height_px - 10:g}v4h{end - 8:.1f}v-4", class_="bar"),
        tag("text", f"{length_m:g} {unit}", x=f"{end + 5:.1f}", y=f"{height_px - 4:g}", class_="small"),
    ]


def points_of(points_px: np.ndarray) -> str:
    """(n, 2) pixels as a polygon's `points`."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points_px)
