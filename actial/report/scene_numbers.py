"""A scene's cameras and objects as numbers: distances, angles, intrinsics, sizes; and how well a capture is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from actial.geometry.angles import tilt_deg
from actial.geometry.projection import project
from actial.records import Camera, SceneObject, View
from actial.report.overlay import number_of
from actial.report.page import Html, table, tag

LEAST_ROLL_DEG = 1.0
"""A smaller roll is not told."""


def fov_deg(camera: Camera) -> tuple[float, float]:
    """Horizontal and vertical field of view."""
    K = camera.intrinsics()
    sides = ((K[0, 2], camera.width_px - K[0, 2], K[0, 0]), (K[1, 2], camera.height_px - K[1, 2], K[1, 1]))
    horizontal, vertical = (float(np.degrees(np.arctan2(low, f) + np.arctan2(high, f))) for low, high, f in sides)
    return horizontal, vertical


def placement(view: View) -> tuple[float, float, float] | None:
    """Where a camera stands, seen from the subject's centre (the world's origin where there is none); None where it is unknown.

    Returns:
        Distance in the world's unit; elevation above the horizon and azimuth counter-clockwise from +x, in degrees.
    """
    if view.camera.T_world_cam is None:
        return None
    x, y, z = view.camera.pose()[:3, 3] - (view.objects[0].center() if view.objects else np.zeros(3))
    distance = float(np.sqrt(x * x + y * y + z * z))
    return distance, float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)) % 360)


def centre_in_picture(view: View) -> bool:
    """Whether the subject's centre is, of a view whose camera is known."""
    ((u, v),), _ = project(view.objects[0].center()[None], view.camera.intrinsics(), view.camera.pose())
    return bool(0 <= u <= view.camera.width_px and 0 <= v <= view.camera.height_px)  # NaN, behind the camera, is not


def radius(views: Sequence[View]) -> float | None:
    """r: the distance to the subject of the first camera that is known; None where none is, or it stands in the subject's centre."""
    return next((p[0] for v in views if (p := placement(v))), None) or None


def view_line(view: View, scene: Sequence[View], unit: str) -> str:
    """A view's camera in a line."""
    placed, r = placement(view), radius(scene)
    horizontal, vertical = fov_deg(view.camera)
    field = f"fov {horizontal:.0f}°" if abs(horizontal - vertical) < 0.5 else f"fov {horizontal:.0f} × {vertical:.0f}°"
    if placed is None:
        return "camera unknown"
    distance, elevation_deg, azimuth_deg = placed
    share = "" if r is None else f"{distance / r:.2f} r = "
    (roll_deg,) = tilt_deg(view.camera.pose()[None])
    rolled = f" · roll {roll_deg:+.0f}°" if abs(roll_deg) >= LEAST_ROLL_DEG else ""
    away = " · looks past the subject" if view.objects and not centre_in_picture(view) else ""
    return f"{share}{distance:.2f} {unit} · elevation {elevation_deg:.0f}° · azimuth {azimuth_deg:.0f}° · {field}{rolled}{away}"


def camera_rows(views: Sequence[View], capture: dict[str, Any] | None, unit: str) -> Html:
    """A table with a row a view; K in full; the photograph's name where it was one."""
    r = radius(views)
    rows = []
    for i, view in enumerate(views):
        (fx, _, cx, _, fy, cy, *_), placed = view.camera.K, placement(view)
        horizontal, vertical = fov_deg(view.camera)
        where: list[object] = ["unknown", "", "", "", ""]
        if placed is not None:
            x, y, z = view.camera.pose()[:3, 3]
            distance, elevation_deg, azimuth_deg = placed
            where = [
                "" if r is None else f"{distance / r:.3f}",
                f"{distance:.3f}",
                f"{elevation_deg:.1f}",
                f"{azimuth_deg:.1f}",
                f"{x:.3f}, {y:.3f}, {z:.3f}",
            ]
        optics = [f"{horizontal:.1f} × {vertical:.1f}", f"{fx:.2f}, {fy:.2f}", f"{cx:.2f}, {cy:.2f}", f"{view.camera.width_px} × {view.camera.height_px}"]
        rows.append([number_of(view), *([capture["pictures"][i]] if capture else []), *where, *optics])
    header = ["view", *(["photograph"] if capture else []), "distance, r", f"distance, {unit}", "elevation, °", "azimuth, °", f"centre, {unit}"]
    lengths = "r is the first camera's distance to the subject's centre" + ("" if unit == "m" else "; d is the median one, a capture's scale being arbitrary")
    numeric = list(range(2 if capture else 1, len(header) + 4))
    return table([*header, "fov, °", "fx, fy, px", "cx, cy, px", "size, px"], rows, caption=f"Cameras; {lengths}", numeric=numeric)


def objects_table(views: Sequence[View], unit: str) -> Html:
    """A row an object; one that is not the same in all views has a row for each of its states, with the views they hold in."""
    states: dict[SceneObject, list[str]] = {}
    for view in views:
        for o in view.objects:
            states.setdefault(o, []).append(number_of(view))
    numbers = lambda values: ", ".join(f"{x:.3f}" for x in values)
    rows = [
        [
            o.name,
            o.shape,
            o.color,
            o.family,
            o.part_of or "",
            " × ".join(f"{x:.3f}" for x in o.size_m),
            numbers(o.center()),
            "" if o.front is None else numbers(o.front),
            "all" if len(of) == len(views) else ", ".join(of),
        ]
        for o, of in states.items()
    ]
    header = ["object", "shape", "colour", "family", "part of", f"size, {unit}", f"centre, {unit}", "front", "views"]
    return table(header, rows, caption="Objects", numeric=[5, 6, 7])


def quality_of(capture: dict[str, Any]) -> Html:
    """How well a capture is known, and what of it was not used."""
    counted = lambda name: "; ".join(f"{n} × {reason}" for reason, n in (capture[name] or {}).items()) or "none"
    quality = " · ".join(f"{name} {value:.3g}" for name, value in (capture["quality"] or {}).items())
    aside = f"Set aside: pictures: {counted('set_aside')}; masks: {counted('masks_set_aside')}; {capture['left_out'] or 0} more pictures were not needed."
    return tag("p", "Capture ", tag("b", capture["capture"]), ": ", tag("code", quality), tag("br"), aside)
