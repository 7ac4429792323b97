"""The sketch from above tells the truth: what is left of the first camera stands left on the page."""

import re

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from toy_scenes import toy_views

from actial.geometry.angles import motion_between
from actial.geometry.poses import look_at, rotated_about
from actial.records import Camera, SceneObject, View
from actial.report.sketch import footprint, top_down

K = (80.0, 0.0, 42.0, 0.0, 80.0, 42.0, 0.0, 0.0, 1.0)
COORDINATE = st.floats(-3, 3)


def view(eye: np.ndarray, target: np.ndarray) -> View:
    subject = SceneObject("subject", "box", "box", "red", tuple(np.eye(4).ravel()), (0.5, 0.5, 0.5))
    return View("scene-000001.v00", "scene-000001", Camera(84, 84, K, tuple(look_at(eye, target).ravel())), (subject,), "toy", "CC0-1.0")


def markers(svg: str) -> np.ndarray:
    """(2, 2) centres of the cameras' numbers, page pixels, y down."""
    return np.array(re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', svg), dtype=float)


@given(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
def test_sideways_and_forward_are_what_the_geometry_says(x1: float, y1: float, x2: float, y2: float) -> None:
    eyes = np.array([[x1, y1, 1.2], [x2, y2, 0.8]])
    assume(np.linalg.norm(eyes[:, :2], axis=1).min() > 0.5 and np.linalg.norm(eyes[0, :2] - eyes[1, :2]) > 0.7)
    first, second = (view(eye, np.zeros(3)) for eye in eyes)
    svg = top_down(first, second)
    assert svg is not None
    (right, down) = np.diff(markers(svg), axis=0)[0]
    motion = motion_between(first.camera.pose()[None], second.camera.pose()[None], np.zeros(3))
    scale = np.hypot(right, down) / np.hypot(motion.lateral_r[0], motion.forward_r[0])
    assert abs(right - scale * motion.lateral_r[0]) < 0.5
    assert abs(-down - scale * motion.forward_r[0]) < 0.5


def test_everything_stays_on_the_page() -> None:
    for scene in range(4):
        views = toy_views(scene)
        for other in views[1:]:
            svg = top_down(views[0], other)
            assert svg is not None
            points = [float(v) for group in re.findall(r'points="([^"]*)"', svg) for pair in group.split() for v in pair.split(",")]
            assert min(points) >= 0 and max(points) <= 300


def test_cameras_at_one_place_keep_their_numbers_apart() -> None:
    eye = np.array([2.0, 0.0, 1.0])
    svg = top_down(view(eye, np.zeros(3)), view(eye, np.array([0.0, 0.6, 0.0])))
    assert svg is not None
    assert np.linalg.norm(np.diff(markers(svg), axis=0)) >= 18


def test_a_camera_that_looks_straight_down_has_a_sketch_and_an_unknown_one_has_none() -> None:
    level = view(np.array([2.0, 0.0, 1.0]), np.zeros(3))
    straight_down = np.eye(4)
    straight_down[2, 3] = 3.0
    down = View("v", "s", Camera(84, 84, K, tuple(straight_down.ravel())), level.objects, "toy", "")
    assert top_down(down, level) is not None and top_down(level, down) is not None
    unknown = View("v", "s", Camera(84, 84, K, None), (), "photo", "")
    assert top_down(level, unknown) is None and top_down(unknown, level) is None


def test_footprints_have_the_size_and_turn_of_their_object() -> None:
    pose = np.eye(4)
    pose[:3, :3] = rotated_about(np.array([0, 0, 1.0]), np.pi / 2)
    pose[:3, 3] = [1, 2, 3]
    box = footprint(SceneObject("a", "box", "f", "red", tuple(pose.ravel()), (4.0, 2.0, 1.0)))
    assert np.allclose([box[:, 0].min(), box[:, 0].max(), box[:, 1].min(), box[:, 1].max()], [0, 2, 0, 4], atol=1e-6)
    ball = footprint(SceneObject("a", "sphere", "f", "red", tuple(pose.ravel()), (2.0, 2.0, 2.0)))
    assert np.all(np.abs(np.linalg.norm(ball[:, :2] - [1, 2], axis=1) - 1) < 0.02)
