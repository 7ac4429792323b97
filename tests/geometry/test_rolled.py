"""Cameras whose horizon is tilted: the truth is that of the level frame. By scipy's rotations, by OpenCV's projections, and by rolling alone."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from toy_scenes import toy_settings, toy_views

from actial.geometry.angles import motion_between, tilt_deg
from actial.geometry.projection import intrinsics, project
from actial.mirror import mirrored_view
from actial.questions.deciding import decide
from actial.questions.kinds import KINDS
from actial.records import Camera

CENTER = np.array([0.3, -0.2, 0.9])
FRONT = np.array([0.6, -0.8, 0.0])
SETTINGS = toy_settings()


@st.composite
def cameras(draw: st.DrawFn) -> tuple[np.ndarray, float, float, float]:
    """Eye, and yaw, pitch and roll in degrees: yaw counter-clockwise from +Y, roll with the right side down positive."""
    eye = np.array([draw(st.floats(-4, 4)), draw(st.floats(-4, 4)), draw(st.floats(0.1, 3))])
    assume(np.hypot(*(eye - CENTER)[:2]) > 0.3)
    return eye, draw(st.floats(-180, 180)), draw(st.floats(-70, 70)), draw(st.floats(-85, 85))


def pose(eye: np.ndarray, yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """(4, 4): a camera that looks down is first raised to the horizon and beyond, then turned; its own roll comes first of all."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("ZXZ", [yaw_deg, 90 + pitch_deg, -roll_deg], degrees=True).as_matrix()
    T[:3, 3] = eye
    return T


def near(a_deg: float, b_deg: float) -> bool:
    return abs((a_deg - b_deg + 180) % 360 - 180) < 1e-6


@given(cameras(), cameras())
def test_rolled_cameras_move_as_scipy_says(one: tuple, other: tuple) -> None:
    (eye1, yaw1, pitch1, roll1), (eye2, yaw2, pitch2, roll2) = one, other
    m = motion_between(pose(*one)[None], pose(*other)[None], CENTER)
    right, ahead, up = Rotation.from_euler("Z", yaw1, degrees=True).inv().apply(eye2 - eye1) / np.linalg.norm(eye1 - CENTER)
    assert np.allclose([m.lateral_r[0], m.forward_r[0], m.up_r[0]], [right, ahead, up], atol=1e-9)
    assert near(m.turn_deg[0], yaw2 - yaw1) and near(m.pitch_deg[0], pitch2 - pitch1) and near(m.roll_deg[0], roll2 - roll1)
    azimuth1, azimuth2 = (np.degrees(np.arctan2(*(eye - CENTER)[1::-1])) for eye in (eye1, eye2))
    assert near(m.orbit_deg[0], azimuth2 - azimuth1)
    assert near(tilt_deg(pose(*one)[None])[0], roll1)


@given(cameras(), cameras(), st.floats(-85, 85), st.floats(-85, 85))
def test_a_roll_changes_no_answer(one: tuple, other: tuple, roll1_deg: float, roll2_deg: float) -> None:
    """Whatever either camera is rolled by, every other number is the same, and every kind of question but those about the roll has the same truth."""
    level = motion_between(pose(*one[:3], 0.0)[None], pose(*other[:3], 0.0)[None], CENTER, FRONT)
    rolled = motion_between(pose(*one[:3], roll1_deg)[None], pose(*other[:3], roll2_deg)[None], CENTER, FRONT)
    for name, a, b in zip(level._fields, level, rolled, strict=True):
        assert name in ("roll_deg", "rotation_deg") or np.allclose(a, b, atol=1e-7), name
    still = np.array([False])
    kinds = [kind for kind in KINDS.values() if kind.name not in ("roll", "turned") and hasattr(level, kind.quantity)]
    bounds = (0.01, 0.15, 1.0, 8.0, 10.0, 15.0, 150.0, np.log(1.01), np.log(1.15))
    edges = [abs(abs(getattr(level, kind.quantity)[0]) - bound) < 1e-6 for kind in kinds for bound in bounds]
    assume(not any(edges))
    for kind in kinds:
        assert decide(kind, level, still, SETTINGS) == decide(kind, rolled, still, SETTINGS)


@given(cameras())
def test_the_tilt_is_that_of_the_horizon_in_the_picture(camera: tuple) -> None:
    """Two points at infinity on the horizon, projected by OpenCV: a right side that is down shows a horizon that rises to the right."""
    eye, yaw_deg, _, roll_deg = camera
    T, K = pose(*camera), intrinsics(640, 480, 60.0)
    R_cv_world = np.diag([1.0, -1.0, -1.0]) @ T[:3, :3].T
    left, right = (Rotation.from_euler("Z", yaw_deg + aside, degrees=True).apply([0.0, 1.0, 0.0]) for aside in (3, -3))
    far = eye + 1e6 * np.stack([left, right])
    (uv_left, uv_right), _ = cv2.projectPoints(far - eye, cv2.Rodrigues(R_cv_world)[0], np.zeros(3), K, np.zeros(5))
    u, v = (uv_right - uv_left)[0]
    assert abs((np.degrees(np.arctan2(-v, u)) - roll_deg + 180) % 360 - 180) < 0.01


@given(st.integers(0, 5), st.floats(-40, 40))
def test_the_mirror_image_of_a_rolled_camera_rolls_the_other_way(scene: int, roll_deg: float) -> None:
    view = toy_views(scene)[0]
    T = view.camera.pose()
    T[:3, :3] = T[:3, :3] @ Rotation.from_euler("Z", -roll_deg, degrees=True).as_matrix()
    rolled = type(view)(view.view_id, view.scene_id, Camera(84, 84, view.camera.K, tuple(T.ravel())), view.objects, view.source, view.licence)
    mirrored = mirrored_view(rolled)
    assert near(tilt_deg(mirrored.camera.pose()[None])[0], -tilt_deg(T[None])[0])
    seen, other = (project(np.stack([o.center() for o in v.objects]), v.camera.intrinsics(), v.camera.pose())[0] for v in (rolled, mirrored))
    np.testing.assert_allclose(other, [84, 0] + seen * [-1, 1], atol=1e-6)
