"""A scene in two sketches of one scale, from above and from the side: every camera as a small frustum with its number, and what stands between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actial.geometry.conventions import opencv_from_blender
from actial.geometry.poses import box_corners, transformed
from actial.records import Camera, SceneObject, View
from actial.report.movements import Movement, movements
from actial.report.overlay import AXES, AXIS_SHARE, EDGES, number_of
from actial.report.page import Html, tag
from actial.report.sketch import ABOVE, arrow, fill_of, footprint, front_of, points_of, scale_bar

FROM_THE_SIDE = (0, 2)
"""World axes that run right and up a page whose reader looks along +Y."""
WIDTH = 340
_MARGIN, _FOOT = 18, 26
_RADIUS = 8
"""Of a camera's number."""
_GROUND_SHOWN = 0.2
"""A scene that floats by less than this share of its extent has the height zero in its sketch."""
_REACH, _MANY = 0.16, 6
"""Depth of a frustum, as a share of the median distance to the subject; smaller where there are more cameras than this."""


def sketches(views: Sequence[View], unit: str) -> list[tuple[str, Html]]:
    """Both sketches with their captions, drawn to one scale and one above the other; none where no camera is known.

    Args:
        views: of one scene, in order.
        unit: what lengths are in.
    """
    known = [v for v in views if v.camera.T_world_cam is not None and np.isfinite(v.camera.pose()).all() and np.linalg.det(v.camera.intrinsics()) != 0]
    if not known:
        return []
    moved = movements(views)
    elsewhere = {m.after for m in moved}
    objects = [o for o in dict.fromkeys(o for v in views for o in v.objects) if o not in elsewhere]
    center = objects[0].center() if objects else np.zeros(3)
    reach_m = _REACH * min(1.0, np.sqrt(_MANY / len(known))) * float(np.median([np.linalg.norm(v.camera.pose()[:3, 3] - center) for v in known])) or 1.0
    frusta = [(v, frustum(v.camera, reach_m)) for v in known]
    boxes = [box_corners(np.array(o.T_world_obj).reshape(4, 4), o.size_m) for o in [*objects, *elsewhere]]
    axes = axis_tips(objects[0]) if objects else center[None]
    fronts = [front_of(o) for o in objects if o.front is not None]
    everything = np.concatenate([axes, *(f for _, f in frusta), *boxes, *fronts])
    low, high = everything.min(axis=0), everything.max(axis=0)
    if 0 < low[2] < _GROUND_SHOWN * float((high - low).max()):
        low[2] = 0.0
    scale = (WIDTH - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
    return [
        ("From above: x right, y up the page", _sketch("above", ABOVE, low, high, scale, objects, moved, frusta, unit)),
        ("From the side: x right, z up the page", _sketch("side", FROM_THE_SIDE, low, high, scale, objects, moved, frusta, unit)),
    ]


def frustum(camera: Camera, reach_m: float) -> np.ndarray:
    """A camera's centre, the picture's corners at depth `reach_m` (clockwise from the top left), and a tip above them: (6, 3) world points, metres.

    The tip stands over the picture's upper side, so that a camera that lies on its head is seen to.
    """
    w, h = camera.width_px, camera.height_px
    K_inverse = np.linalg.inv(camera.intrinsics())
    uv = np.array([[0, 0, 1], [w, 0, 1], [w, h, 1], [0, h, 1], [w / 2, -h / 3, 1]], dtype=float)
    T = opencv_from_blender(camera.pose())
    return transformed(T, np.concatenate([np.zeros((1, 3)), reach_m * uv @ K_inverse.T]))


def axis_tips(subject: SceneObject) -> np.ndarray:
    """(3, 3) world points, metres, where the labels of the world's axes at a subject's centre stand."""
    return np.asarray(subject.center() + 1.2 * AXIS_SHARE * max(subject.size_m) * np.eye(3))


class _Sheet:
    """World points to pixels of one sketch."""

    def __init__(self, axes: tuple[int, int], low: np.ndarray, high: np.ndarray, scale: float) -> None:
        self.axes = axes
        extent_px = (high - low)[list(axes)] * scale
        self.middle, self.scale = (low + high)[list(axes)] / 2, scale
        self.height_px = float(np.ceil(extent_px[1])) + 2 * _MARGIN + _FOOT
        self.origin = np.array([WIDTH / 2, (self.height_px - _FOOT) / 2])

    def px(self, p_world: np.ndarray) -> np.ndarray:
        """(n, 2) pixels of (n, 3) points, metres."""
        return (p_world[:, list(self.axes)] - self.middle) * [self.scale, -self.scale] + self.origin


def _sketch(
    name: str,
    axes: tuple[int, int],
    low: np.ndarray,
    high: np.ndarray,
    scale: float,
    objects: Sequence[SceneObject],
    moved: Sequence[Movement],
    frusta: Sequence[tuple[View, np.ndarray]],
    unit: str,
) -> Html:
    sheet = _Sheet(axes, low, high, scale)
    centres = sheet.px(np.stack([f[0] for _, f in frusta]))
    labels = spread(centres, _RADIUS, WIDTH, sheet.height_px - _FOOT)
    path = [tag("polyline", points=points_of(centres), class_="path")] if len(frusta) > 1 else []
    parts = [
        *_ground(sheet, low, high),
        *_things(sheet, objects),
        *(part for m in moved for part in _moved(sheet, m)),
        *(_axes(sheet, objects[0]) if objects else []),
        *(part for o in objects if o.front is not None for part in arrow(sheet.px(front_of(o)), "front", f"front of {o.name}")),
        *path,
        *(_camera(sheet, view, points) for view, points in frusta),
        *(_number(view, centre, label) for (view, _), centre, label in zip(frusta, centres, labels, strict=True)),
        *scale_bar(scale, sheet.height_px, unit),
    ]
    label = f"{frusta[0][0].scene_id}, all cameras and the scene from {'above' if name == 'above' else 'the side'}"
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {sheet.height_px:g}", role="img", aria_label=label, class_=f"sketch scene-{name}")


def spread(centres: np.ndarray, radius: float, width: float, height: float) -> np.ndarray:
    """Places (n, 2) for round labels, each as near to its centre (n, 2) as the labels before it leave room, inside the sketch."""
    placed: list[np.ndarray] = []
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.column_stack([np.cos(angle), -np.sin(angle)])
    low, high = np.array([radius, radius]), np.array([width - radius, height - radius])
    for centre in centres:
        candidates = np.clip(np.concatenate([centre[None], *(centre + n * radius * ring for n in np.arange(1, 12, 0.5))]), low, high)
        gap = np.linalg.norm(candidates[:, None] - np.array(placed)[None], axis=-1).min(axis=1) if placed else np.full(len(candidates), np.inf)
        free = np.flatnonzero(gap >= 2 * radius + 1)
        placed.append(candidates[free[0] if len(free) else int(gap.argmax())])
    return np.array(placed)


def _things(sheet: _Sheet, objects: Sequence[SceneObject]) -> list[Html]:
    """Filled outlines, far ones first; a whole whose parts are known is not filled; the box of everything as lines."""
    wholes = {o.part_of for o in objects}
    hidden_by = sorted((o for o in objects if o.name not in wholes), key=lambda o: o.center()[2] if sheet.axes == ABOVE else -o.center()[1])
    filled = (
        tag(
            "polygon",
            tag("title", o.name),
            points=points_of(sheet.px(footprint(o, sheet.axes))),
            fill=fill_of(o),
            fill_opacity=None if o.color else 0.4,
            class_="thing",
        )
        for o in hidden_by
    )
    lines = []
    for i, o in enumerate(objects):
        edges = box_corners(np.array(o.T_world_obj).reshape(4, 4), o.size_m)[EDGES].reshape(-1, 3)
        ends = sheet.px(edges).reshape(-1, 4)
        d = "".join(f"M{a:.1f} {b:.1f}L{c:.1f} {e:.1f}" for a, b, c, e in ends)
        lines.append(tag("path", d=d, class_="box" if i else "box whole"))
    return [*filled, *lines]


def _moved(sheet: _Sheet, moved: Movement) -> list[Html]:
    """The other place of an object as a broken outline, and an arrow to it."""
    title = f"{moved.name()} in {', '.join(v.view_id for v in moved.views)}"
    outline = points_of(sheet.px(footprint(moved.after, sheet.axes)))
    there = tag("polygon", tag("title", title), points=outline, fill=fill_of(moved.after), class_="thing elsewhere")
    return [there, *arrow(sheet.px(np.stack([moved.before.center(), moved.after.center()])), "movement", title)]


def _axes(sheet: _Sheet, subject: SceneObject) -> list[Html]:
    """The two world axes that lie in the page, at the subject's centre."""
    center, parts = subject.center(), []
    for axis in sheet.axes:
        label = axis_tips(subject)[axis]
        (x1, y1), (x2, y2), (x, y) = sheet.px(np.stack([center, center + (label - center) / 1.2, label]))
        parts.append(tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=f"axis {AXES[axis]}"))
        parts.append(tag("text", AXES[axis].upper(), x=f"{x:.1f}", y=f"{y + 4:.1f}", text_anchor="middle", class_=f"axis {AXES[axis]}"))
    return parts


def _ground(sheet: _Sheet, low: np.ndarray, high: np.ndarray) -> list[Html]:
    """The height zero, as a line, where it lies in the sketch."""
    if sheet.axes == ABOVE or not low[2] <= 0 <= high[2]:
        return []
    y = f"{sheet.px(np.zeros((1, 3)))[0, 1]:.1f}"
    return [
        tag("line", x1=0, y1=y, x2=WIDTH, y2=y, class_="ground"),
        tag("text", "z = 0", x=4, y=f"{float(y) - 3:.1f}", class_="small"),
    ]


def _camera(sheet: _Sheet, view: View, points: np.ndarray) -> Html:
    centre, *corners, tip = sheet.px(points)
    cx, cy = centre
    return tag(
        "g",
        tag("title", f"camera of {view.view_id}"),
        tag("polygon", points=points_of(np.array(corners)), class_="plane"),
        tag("path", d="".join(f"M{cx:.1f} {cy:.1f}L{u:.1f} {v:.1f}" for u, v in corners)),
        tag("polygon", points=points_of(np.array([corners[0], tip, corners[1]])), class_="top"),
        class_="frustum",
        data_camera=view.view_id,
    )


def _number(view: View, centre: np.ndarray, label: np.ndarray) -> Html:
    (cx, cy), (x, y) = centre, label
    return tag(
        "g",
        tag("title", f"camera of {view.view_id}"),
        tag("line", x1=f"{cx:.1f}", y1=f"{cy:.1f}", x2=f"{x:.1f}", y2=f"{y:.1f}"),
        tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=_RADIUS),
        tag("text", number_of(view), x=f"{x:.1f}", y=f"{y + 3.5:.1f}", text_anchor="middle"),
        class_="frustum",
        data_camera=view.view_id,
    )
