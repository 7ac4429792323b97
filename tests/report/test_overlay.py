"""What is drawn over pictures: the same pixels as OpenCV's projection, cut and never wrapped behind the camera; boxes around what the masks show."""

import itertools
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_page import Parsed
from toy_scenes import toy_views

from actial.geometry.conventions import opencv_from_blender
from actial.geometry.poses import box_corners, inverse, look_at, rotated_about
from actial.geometry.projection import intrinsics
from actial.records import SceneObject, View
from actial.report.overlay import EDGES, near_edges, number_of, overlay, project_segments
from actial.report.view_checks import doubts
from actial.views import boxes, committed
from actial.views.committed import Plan

K = intrinsics(120, 80, 55.0)
PLAN = Plan(root_seed=23, source="boxes", views_per_scene=8, width_px=96, height_px=72, samples=2)
POINT = st.tuples(*[st.floats(-4, 4)] * 3).map(np.array)


def by_opencv(p_world: np.ndarray, K: np.ndarray, T_world_cam: np.ndarray) -> np.ndarray:
    """(n, 2) pixels by `cv2.projectPoints`, from the pose alone."""
    R, t = T_world_cam[:3, :3] @ np.diag([1.0, -1.0, -1.0]), T_world_cam[:3, 3]
    return cv2.projectPoints(p_world.astype(float), cv2.Rodrigues(R.T)[0], -R.T @ t, K, None)[0].reshape(-1, 2)


def group(svg: str, name: str) -> str:
    """One layer of an overlay."""
    found = re.search(rf'<g class="{name}">(.*?)</g>', svg)
    assert found is not None
    return found[1]


def segments(markup: str) -> np.ndarray:
    """(n, 2, 2) pixels of every segment drawn."""
    return np.array([float(x) for d in re.findall(r' d="([^"]*)"', markup) for x in re.findall(r"-?[\d.]+", d)]).reshape(-1, 2, 2)


def box_segments(svg: str, name: str) -> np.ndarray:
    paths = [p for p in re.findall(r"<path.*?</path>", group(svg, "boxes")) if f"<title>{name}</title>" in p]
    return segments("".join(paths))


def drawn(view: View, scene: list[View]) -> str:
    svg = overlay(view, scene)
    assert svg is not None
    return svg


@pytest.mark.parametrize("scene", range(3))
def test_everything_stands_where_opencv_projects_it(scene: int) -> None:
    views = toy_views(scene)
    front = (0.6, 0.0, 0.8)
    views = [replace(v, objects=(replace(v.objects[0], front=front), *v.objects[1:])) for v in views]
    for view in views:
        svg, subject = drawn(view, views), view.objects[0]
        project = lambda p, view=view: by_opencv(np.atleast_2d(p), view.camera.intrinsics(), view.camera.pose())
        for o in view.objects:
            expected = project(box_corners(np.array(o.T_world_obj).reshape(4, 4), o.size_m))[EDGES]
            found = box_segments(svg, o.name)
            assert found.shape == expected.shape
            match = np.abs(found[:, None] - expected[None]).max(axis=(2, 3)) < 0.01
            assert match.any(axis=0).all() and match.any(axis=1).all()
        axes = segments(group(svg, "axes"))
        np.testing.assert_allclose(axes[:, 0], project(subject.center()).repeat(3, axis=0), atol=0.01)
        np.testing.assert_allclose(axes[:, 1], project(subject.center() + 0.65 * max(subject.size_m) * np.eye(3)), atol=0.01)
        assert re.findall(r'<text [^>]*class="([xyz])">([XYZ])</text>', svg) == [("x", "X"), ("y", "Y"), ("z", "Z")]
        (centre,) = set(re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', group(svg, "centre").split("<path")[0]))
        np.testing.assert_allclose(np.array(centre, float), project(subject.center())[0], atol=0.01)
        arrow = segments(group(svg, "centre"))[0]
        np.testing.assert_allclose(arrow, project(subject.center() + np.array([[0.0], [0.8 * max(subject.size_m)]]) * front), atol=0.01)


def test_other_cameras_are_drawn_in_order_and_only_where_they_are_before_this_one() -> None:
    views = toy_views(1)
    n_seen = 0
    for view in views:
        cameras = group(drawn(view, views), "cameras")
        labels = {n: (float(x), float(y)) for x, y, n in re.findall(r'<text x="([-\d.]+)" y="([-\d.]+)">(\d+)</text>', cameras)}
        for other in views:
            p_cam = inverse(view.camera.pose()) @ other.camera.pose()[:, 3]
            before = other is not view and -p_cam[2] > 0.05
            assert (number_of(other) in labels) == before
            if before:
                n_seen += 1
                there = by_opencv(other.camera.pose()[None, :3, 3], view.camera.intrinsics(), view.camera.pose())[0]
                np.testing.assert_allclose(labels[number_of(other)], there, atol=0.01)
        legs = [{number_of(a), number_of(b)} for a, b in itertools.pairwise(views) if view not in (a, b)]
        assert len(segments(cameras)) <= len(legs)
    assert n_seen > 5


def test_a_view_without_a_camera_has_no_overlay_and_none_is_drawn_of_it() -> None:
    views = toy_views(0)
    views[2] = replace(views[2], camera=replace(views[2].camera, T_world_cam=None))
    assert overlay(views[2], views) is None
    assert ">02</text>" not in drawn(views[0], views)
    empty = replace(views[0], objects=())
    assert len(segments(group(drawn(empty, [empty]), "axes"))) == 3, "the world's own, where no object is known"


@given(POINT, POINT, st.floats(0, 2 * np.pi), st.floats(0.05, 0.3))
def test_a_segment_is_cut_at_the_near_plane_and_never_wrapped(start: np.ndarray, end: np.ndarray, roll: float, near_m: float) -> None:
    T = look_at(np.array([0.3, -0.2, 0.5]), np.array([2.0, 1.0, 0.7]), roll)
    along = start + np.linspace(0, 1, 2001)[:, None] * (end - start)
    depth_m = -(np.column_stack([along, np.ones(2001)]) @ inverse(T).T)[:, 2]
    assume(np.abs(depth_m[[0, -1]] - near_m).min() > 1e-3 and np.linalg.norm(end - start) > 0.1)
    (cut,) = project_segments(np.stack([start, end])[None], K, T, near_m)
    before = depth_m >= near_m
    if not before.any():
        assert np.isnan(cut).all()
        return
    assert np.isfinite(cut).all()
    seen = by_opencv(along[before], K, T)
    ends = seen[[0, -1]]
    step = np.abs(np.diff(seen, axis=0)).max() if len(seen) > 1 else 0.0
    assert np.abs(cut - ends).max() <= 1.1 * step + 1e-6, "it ends where the last point before the plane appears"
    length = max(float(np.linalg.norm(cut[1] - cut[0])), 1e-9)
    off = np.cross(cut[1] - cut[0], seen - cut[0]) / length
    assert np.abs(off).max() < 1e-6 * max(1.0, np.abs(seen).max()) + 1e-6, "and runs straight along all points before it"


def test_a_box_around_the_camera_is_drawn_before_it_only() -> None:
    room = SceneObject("subject", "box", "room", "", tuple(np.eye(4).ravel()), (4.0, 4.0, 4.0))
    view = replace(toy_views(0)[0], objects=(room,))
    view = replace(view, camera=replace(view.camera, T_world_cam=tuple(look_at(np.array([0.5, 0.2, 0.1]), np.array([2.0, 0.3, 0.0])).ravel())))
    found = box_segments(drawn(view, [view]), "subject")
    assert 4 <= len(found) < 12
    corners = by_opencv(box_corners(np.eye(4), room.size_m), view.camera.intrinsics(), view.camera.pose())
    ends = found.reshape(-1, 2)
    ahead = corners[[4, 5, 6, 7]]  # x = 2
    assert all(np.abs(ends - p).max(axis=1).min() < 0.01 for p in ahead)
    assert not any(np.abs(ends - p).max(axis=1).min() < 0.01 for p in corners[:4]), "what is behind appears nowhere"


@given(POINT, POINT, st.floats(-3, 3))
def test_edges_that_the_box_hides_itself_are_told_apart(center: np.ndarray, axis: np.ndarray, turn: float) -> None:
    assume(np.linalg.norm(axis) > 0.1)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotated_about(axis, turn), center
    o = SceneObject("a", "box", "f", "", tuple(pose.ravel()), (1.0, 0.7, 0.4))
    eye = np.array([3.0, -2.0, 1.5])
    eye_obj = (inverse(pose) @ [*eye, 1.0])[:3]
    half = np.array(o.size_m) / 2
    assume(np.abs(np.abs(eye_obj) - half).min() > 0.01 and (np.abs(eye_obj) > half).any())
    camera = np.eye(4)
    camera[:3, 3] = eye
    middles = box_corners(np.eye(4), o.size_m)[EDGES].mean(axis=1)
    inside = np.abs(middles[:, None] + np.linspace(1e-4, 1, 3000)[:, None] * (eye_obj - middles)[:, None]) < half - 1e-9
    np.testing.assert_array_equal(near_edges(o, camera), ~inside.all(axis=-1).any(axis=-1))


def enclosed(view: View, mask: np.ndarray) -> bool:
    """Whether the box drawn over each part holds all pixels that show it, to a pixel."""
    svg = drawn(view, [view])
    for number in np.unique(mask[mask > 0]):
        outline = cv2.convexHull(box_segments(svg, view.objects[number].name).reshape(-1, 2).astype(np.float32))
        rows, columns = np.nonzero(mask == number)
        if any(cv2.pointPolygonTest(outline, (c + 0.5, r + 0.5), True) < -1 for r, c in zip(rows.tolist(), columns.tolist(), strict=True)):
            return False
    return True


@pytest.mark.parametrize("scene_id", [f"scene-{i:06d}" for i in range(4)])
def test_a_box_drawn_over_a_part_encloses_its_pixels_and_a_wrong_convention_shows(scene_id: str) -> None:
    scene, shots = committed.composed(PLAN, scene_id)
    for shot, mask in zip(shots, boxes.part_masks(scene, shots), strict=True):
        view = View(f"{scene_id}.v00", scene_id, shot.camera, scene.objects(), "boxes", "CC0-1.0")
        picture = np.random.Generator(np.random.PCG64(0)).integers(0, 255, (*mask.shape, 3)).astype(np.uint8)
        mask_doubts = lambda v, m, picture=picture: [d for d in doubts(v, picture, m, estimated=False) if "edge" not in d]
        assert enclosed(view, mask) and mask_doubts(view, mask) == []
        posed = lambda T, view=view: replace(view, camera=replace(view.camera, T_world_cam=tuple(T.ravel())))
        pose = view.camera.pose()
        lying = pose @ np.diag([1.0, -1.0, 1.0, 1.0])  # y down, as in a picture
        for wrong in (posed(opencv_from_blender(pose)), posed(inverse(pose)), posed(lying)):
            assert not _all_drawn(wrong, mask) or not enclosed(wrong, mask)
            assert mask_doubts(wrong, mask)
        upside_down = np.flipud(mask)
        assert not enclosed(view, upside_down) and mask_doubts(view, upside_down)


def _all_drawn(view: View, mask: np.ndarray) -> bool:
    """Whether the box of every part seen is drawn at all."""
    return all(len(box_segments(drawn(view, [view]), view.objects[n].name)) for n in np.unique(mask[mask > 0]))


def test_a_hostile_name_stays_text() -> None:
    view = toy_views(0)[0]
    hostile = '"><script>alert(1)</script>'
    view = replace(view, objects=tuple(replace(o, name=hostile, color=hostile) for o in view.objects))
    assert {name for name, _ in Parsed(drawn(view, [view])).tags} == {"svg", "g", "path", "title", "text", "circle"}
