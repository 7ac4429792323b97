"""The sketches of a scene: frusta that are those of the cameras, one scale, numbers that do not hide each other, nothing off the page."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_scenes import toy_views

from actial.geometry.projection import project
from actial.records import View
from actial.report.scene_sketch import WIDTH, frustum, sketches, spread

PLACES = st.lists(st.tuples(st.floats(20, 300), st.floats(20, 200)), min_size=1, max_size=14).map(np.array)


def centres(svg: str, views: list[View]) -> np.ndarray:
    """(n, 2) pixels of the cameras' centres: where the lines to a frustum's corners start."""
    start = r'data-camera="([^"]*)"><title>[^<]*</title><polygon[^>]*></polygon><path d="M([-\d.]+) ([-\d.]+)L'
    found = {view_id: (float(x), float(y)) for view_id, x, y in re.findall(start, svg)}
    return np.array([found[v.view_id] for v in views])


def scale_of(svg: str) -> float:
    """Pixels a metre, by the bar."""
    found = re.search(r'v4h([\d.]+)v-4" class="bar"></path><text[^>]*>([\d.]+) m</text>', svg)
    assert found is not None
    return float(found[1]) / float(found[2])


def test_a_frustum_is_what_its_camera_sees() -> None:
    for view in toy_views(0):
        camera = replace(view.camera, K=(80.0, 0.0, 30.0, 0.0, 70.0, 50.0, 0.0, 0.0, 1.0))
        points = frustum(camera, 0.4)
        np.testing.assert_allclose(points[0], camera.pose()[:3, 3])
        uv, depth_m = project(points[1:], camera.intrinsics(), camera.pose())
        np.testing.assert_allclose(uv[:4], [[0, 0], [84, 0], [84, 84], [0, 84]], atol=1e-9)
        np.testing.assert_allclose(depth_m, 0.4)
        assert uv[4, 1] < 0, "the tip stands over the picture's upper side"


@pytest.mark.parametrize("scene", range(3))
def test_both_sketches_are_to_one_scale_and_turned_as_they_say(scene: int) -> None:
    views = toy_views(scene)
    p_world = np.stack([v.camera.pose()[:3, 3] for v in views])
    (_, above), (_, side) = sketches(views, "m")
    assert scale_of(above) == scale_of(side)
    for svg, axes in ((above, [0, 1]), (side, [0, 2])):
        moved_px = centres(svg, views) - centres(svg, views)[0]
        np.testing.assert_allclose(moved_px, (p_world - p_world[0])[:, axes] * [1, -1] * scale_of(svg), atol=0.6)


@pytest.mark.parametrize("scene", range(3))
def test_everything_stays_on_the_page(scene: int) -> None:
    for _, svg in sketches(toy_views(scene), "m"):
        found = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
        assert found is not None and int(found[1]) == WIDTH
        polygons = [float(v) for group in re.findall(r'points="([^"]*)"', svg) for pair in group.split() for v in pair.split(",")]
        numbers = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
        points = np.concatenate([np.array(polygons).reshape(-1, 2), np.array(numbers, float)])
        assert points.min() >= 0 and (points.max(axis=0) <= [int(found[1]), int(found[2])]).all()


@given(PLACES)
def test_numbers_do_not_hide_each_other_and_stay_where_there_is_room(places: np.ndarray) -> None:
    placed = spread(places, 8, 340, 240)
    gap = np.linalg.norm(placed[:, None] - placed[None], axis=-1) + 1e3 * np.eye(len(placed))
    assert gap.min() >= 17
    alone = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e3 * np.eye(len(places))
    if len(places) == 1 or alone.min() >= 17:
        np.testing.assert_array_equal(placed, places)


def test_an_object_that_moves_is_drawn_in_both_places_and_unknown_cameras_are_left_out() -> None:
    views = toy_views(2)
    part = views[0].objects[1]
    moved = replace(part, T_world_obj=(*part.T_world_obj[:3], part.T_world_obj[3] + 0.2, *part.T_world_obj[4:]))
    views[3] = replace(views[3], objects=tuple(moved if o is part else o for o in views[3].objects))
    views[4] = replace(views[4], camera=replace(views[4].camera, T_world_cam=None))
    views[3] = replace(views[3], objects=(views[3].objects[0], moved, *views[3].objects[2:]))
    (_, above), _ = sketches(views, "m")
    assert above.count(f"<title>{part.name}</title>") == 1
    assert above.count(f"<title>{part.color} box in {views[3].view_id}</title>") == 2, "its other place, and the arrow to it"
    ((x1, y1, x2, y2),) = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="movement">', above)
    np.testing.assert_allclose([float(x2) - float(x1), float(y2) - float(y1)], [0.2 * scale_of(above), 0.0], atol=0.2)
    assert views[4].view_id not in above and above.count('class="plane"') == len(views) - 1
    assert sketches([views[4]], "m") == []
