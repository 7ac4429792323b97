"""The true motion between two cameras: symmetries that must hold for any pair, and values from independent routes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from actial.geometry.angles import Motion, level_motion_of, motion_between, wrapped_deg
from actial.geometry.conventions import blender_from_opencv, opencv_from_blender
from actial.geometry.poses import inverse, is_rigid, look_at, rotated_about, transformed, unit
from actial.geometry.projection import intrinsics, project

CENTER = np.array([0.3, -0.2, 0.5])
coordinate = st.floats(-4, 4)
points = st.tuples(coordinate, coordinate, coordinate).map(np.array)


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    """A camera anywhere, looking anywhere but steeply up or down, with some roll, clear of the subject's axis."""
    eye, way = draw(points), draw(points)
    assume(np.hypot(*(eye - CENTER)[:2]) > 0.2 and np.hypot(*way[:2]) > 0.3)
    return look_at(eye, eye + way, draw(st.floats(-0.5, 0.5)))


FRONT = np.array([0.6, -0.5, 0.2])
"""The way the subject faces."""


def motion(T1: np.ndarray, T2: np.ndarray, center: np.ndarray = CENTER, front: np.ndarray = FRONT) -> Motion:
    return motion_between(T1[None], T2[None], center, front)


def close(a: np.ndarray, b: np.ndarray | float) -> bool:
    return bool(np.allclose(a, b, atol=1e-6))


def same_angle(a_deg: np.ndarray, b_deg: np.ndarray | float) -> bool:
    return close(np.sin(np.radians((a_deg - b_deg) / 2)), 0.0)


ANGLES = ("turn_deg", "roll_deg", "orbit_deg", "bearing_deg", "front_bearing_deg")


def same(a: Motion, b: Motion) -> bool:
    return all(same_angle(x, y) if name in ANGLES else close(x, y) for name, x, y in zip(Motion._fields, a, b, strict=True))


@given(poses(), poses())
def test_swapping_the_pair_mirrors_what_is_mirrored(T1: np.ndarray, T2: np.ndarray) -> None:
    there, back = motion(T1, T2), motion(T2, T1)
    for name in ("turn_deg", "roll_deg", "orbit_deg"):
        assert same_angle(getattr(there, name), -getattr(back, name))
    for name in ("pitch_deg", "radial_log"):
        assert close(getattr(there, name), -getattr(back, name))
    assert close(there.rotation_deg, back.rotation_deg) and close(there.front_r * np.exp(-there.radial_log), -back.front_r)
    stretch = np.exp(back.radial_log)  # r is each order's own
    assert close(there.distance_r * np.exp(-there.radial_log), back.distance_r) and close(there.up_r * stretch, -back.up_r)


@given(poses(), poses())
def test_a_single_pair_in_plain_numbers_is_measured_alike(T1: np.ndarray, T2: np.ndarray) -> None:
    there, back, single = motion(T1, T2), motion(T2, T1), level_motion_of(tuple(T1.ravel()), tuple(T2.ravel()), tuple(CENTER))
    assert same_angle(there.orbit_deg, single.orbit_deg) and same_angle(there.turn_deg, single.turn_deg)
    assert same_angle(np.concatenate([there.bearing_deg, back.bearing_deg]), np.array(single.bearing_deg))


@given(poses(), poses(), st.floats(0, 2 * np.pi), points)
def test_the_world_may_be_turned_about_the_vertical_and_moved(T1: np.ndarray, T2: np.ndarray, angle_rad: float, shift: np.ndarray) -> None:
    T_new_old = np.eye(4)
    T_new_old[:3, :3], T_new_old[:3, 3] = rotated_about(np.array([0, 0, 1.0]), angle_rad), shift
    assert same(motion(T1, T2), motion(T_new_old @ T1, T_new_old @ T2, transformed(T_new_old, CENTER), T_new_old[:3, :3] @ FRONT))


@given(poses(), poses(), st.floats(0.01, 100))
def test_the_scale_of_the_world_does_not_matter(T1: np.ndarray, T2: np.ndarray, scale: float) -> None:
    S1, S2 = T1.copy(), T2.copy()
    S1[:3, 3] *= scale
    S2[:3, 3] *= scale
    assert same(motion(T1, T2), motion(S1, S2, CENTER * scale))


@given(poses(), poses())
def test_a_mirrored_world_swaps_left_and_right(T1: np.ndarray, T2: np.ndarray) -> None:
    mirror_world, mirror_cam = np.diag([-1.0, 1, 1, 1]), np.diag([-1.0, 1, 1, 1])
    seen, mirrored = motion(T1, T2), motion(*(mirror_world @ T @ mirror_cam for T in (T1, T2)), CENTER * [-1, 1, 1], FRONT * [-1, 1, 1])
    for name in ANGLES:
        assert same_angle(getattr(seen, name), -getattr(mirrored, name))
    for name in ("lateral_r", "perspective_r", "front_r"):
        assert close(getattr(seen, name), -getattr(mirrored, name))
    for name in ("forward_r", "up_r", "distance_r", "main_r", "pitch_deg", "rotation_deg", "radial_log", "max_pitch_deg", "min_level_distance_r"):
        assert close(getattr(seen, name), getattr(mirrored, name))


@given(poses(), poses())
def test_a_turn_is_the_way_around_and_the_change_of_bearing(T1: np.ndarray, T2: np.ndarray) -> None:
    there, back = motion(T1, T2), motion(T2, T1)
    assert same_angle(there.turn_deg, there.orbit_deg + there.bearing_deg - back.bearing_deg)


@given(poses(), poses())
def test_perspective_has_the_sign_of_the_orbit(T1: np.ndarray, T2: np.ndarray) -> None:
    m = motion(T1, T2)
    assume(1e-3 < abs(m.orbit_deg[0]) < 179.9)
    assert np.sign(m.perspective_r) == np.sign(m.orbit_deg)


@given(poses(), poses())
def test_a_front_towards_camera_1_is_the_perspective_of_an_object_that_faces_it(T1: np.ndarray, T2: np.ndarray) -> None:
    facing = T1[:3, 3] - CENTER
    m, away = motion(T1, T2, front=facing), motion(T1, T2, front=-facing)
    assert close(m.front_r, m.perspective_r) and same_angle(m.front_bearing_deg, np.zeros(1))
    assert close(away.front_r, -m.perspective_r) and same_angle(away.front_bearing_deg, np.full(1, 180.0))


@given(poses(), poses())
def test_the_whole_rotation_pitch_and_roll_agree_with_scipy(T1: np.ndarray, T2: np.ndarray) -> None:
    """A camera is turned about the vertical, then about its right, then about its line of sight: intrinsic angles of its axes (right, line of sight, up)."""
    rotations = [Rotation.from_matrix(np.stack([T[:3, 0], -T[:3, 2], T[:3, 1]], axis=1)) for T in (T1, T2)]
    m = motion(T1, T2)
    assert np.allclose(m.rotation_deg, np.degrees((rotations[0].inv() * rotations[1]).magnitude()), atol=1e-5)
    (yaw1, pitch1, roll1), (yaw2, pitch2, roll2) = (r.as_euler("ZXY", degrees=True) for r in rotations)
    assert same_angle(m.turn_deg, yaw2 - yaw1) and close(m.pitch_deg, pitch2 - pitch1) and same_angle(m.roll_deg, roll2 - roll1)


@given(poses(), poses())
def test_directions_agree_with_angles_on_a_map(T1: np.ndarray, T2: np.ndarray) -> None:
    """The same by complex numbers: the map is the plane, north is where camera 1 looks."""
    m = motion(T1, T2)
    aims = [complex(*-T[:2, 2]) for T in (T1, T2)]
    eyes = [complex(*(T[:3, 3] - CENTER)[:2]) for T in (T1, T2)]
    r = np.linalg.norm(T1[:3, 3] - CENTER)
    step = (eyes[1] - eyes[0]) / (aims[0] / abs(aims[0])) / r
    assert close(m.forward_r, step.real) and close(m.lateral_r, -step.imag)
    assert same_angle(m.turn_deg, np.degrees(np.angle(aims[1] / aims[0])))
    assert same_angle(m.orbit_deg, np.degrees(np.angle(eyes[1] / eyes[0])))
    assert same_angle(m.bearing_deg, np.degrees(np.angle(-eyes[0] / aims[0])))
    out_of_front = complex(*FRONT[:2]) / abs(complex(*FRONT[:2]))
    assert close(m.front_r, ((eyes[1] - eyes[0]) / out_of_front).imag / r)
    assert same_angle(m.front_bearing_deg, np.degrees(np.angle(out_of_front / eyes[0])))
    assert close(m.main_r, max(abs(step.real), abs(step.imag), abs(T2[2, 3] - T1[2, 3]) / r))


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (look_at(np.array([1.0, -4, 1]), np.array([1.0, 0, 1])), {"lateral_r": 0.25, "forward_r": 0.0, "turn_deg": 0.0, "perspective_r": 0.25}),
        (look_at(np.array([0.0, -5, 1]), np.array([0.0, 0, 1])), {"lateral_r": 0.0, "forward_r": -0.25, "orbit_deg": 0.0, "radial_log": np.log(1.25)}),
        (
            look_at(np.array([4.0, 0, 1]), np.array([0.0, 0, 1])),
            {"orbit_deg": 90.0, "turn_deg": 90.0, "lateral_r": 1.0, "forward_r": 1.0, "perspective_r": 1.0},
        ),
        (look_at(np.array([-4.0, 0, 1]), np.array([0.0, 0, 1])), {"orbit_deg": -90.0, "turn_deg": -90.0, "lateral_r": -1.0}),
        (look_at(np.array([0.0, -4, 1]), np.array([-4.0, 0, 1])), {"turn_deg": 45.0, "distance_r": 0.0, "orbit_deg": 0.0}),
        (look_at(np.array([0.0, -4, 3]), np.array([0.0, 0, 3])), {"up_r": 0.5, "turn_deg": 0.0, "orbit_deg": 0.0}),
        (look_at(np.array([0.0, -4, 1]), np.array([0.0, 0, 5])), {"pitch_deg": 45.0, "turn_deg": 0.0}),
        (look_at(np.array([0.0, -4, 1]), np.array([0.0, 0, 1]), np.radians(20)), {"roll_deg": 20.0, "pitch_deg": 0.0}),
    ],
)
def test_cases_worked_out_by_hand(second: np.ndarray, expected: dict[str, float]) -> None:
    """Camera 1 stands 4 m south of the subject and looks north; east is its right."""
    first = look_at(np.array([0.0, -4, 1]), np.array([0.0, 0, 1]))
    m = motion(first, second, np.array([0.0, 0, 1]))
    for name, value in expected.items():
        assert getattr(m, name)[0] == pytest.approx(value, abs=1e-9), name


def test_a_camera_on_the_axis_or_straight_down_is_undefined() -> None:
    down = np.eye(4)
    down[:3, 3] = [0, 0, 5]
    m = motion(down, look_at(np.array([0.0, -4, 1]), np.zeros(3)), np.zeros(3))
    assert np.isnan(m.lateral_r) and np.isnan(m.turn_deg) and np.isnan(m.perspective_r) and np.isnan(m.main_r)


def test_without_a_level_front_nothing_is_told_by_it() -> None:
    T = look_at(np.array([0.0, -4, 1]), np.zeros(3))
    for front in (None, np.array([0.0, 0, 1]), np.full(3, np.nan), np.full((1, 3), np.nan)):
        m = motion_between(T[None], T[None], np.zeros(3), front)
        assert np.isnan(m.front_r) and np.isnan(m.front_bearing_deg) and not np.isnan(m.lateral_r)


@given(st.floats(-2000, 2000))
def test_angles_are_brought_into_one_turn(angle_deg: float) -> None:
    wrapped = wrapped_deg(np.array(angle_deg))
    assert -180 < wrapped <= 180 and same_angle(wrapped, np.array(angle_deg))


@given(poses(), points, points)
@settings(max_examples=50)
def test_projection_agrees_with_opencv(T: np.ndarray, offset: np.ndarray, a_point: np.ndarray) -> None:
    K = intrinsics(640, 480, 60.0)
    p = np.stack([a_point, T[:3, 3] - 3 * T[:3, 2] + 0.2 * offset])
    R = opencv_from_blender(T)[:3, :3].T
    expected, _ = cv2.projectPoints(p, cv2.Rodrigues(R)[0], -R @ T[:3, 3], K, None)
    uv, depth_m = project(p, K, T)
    visible = depth_m > 1e-2
    np.testing.assert_allclose(uv[visible], expected[visible, 0], rtol=1e-5, atol=0.01)  # cv2.Rodrigues itself is off by 1e-6 near half turns
    assert np.isnan(uv[depth_m <= 0]).all()


@given(poses())
def test_conversions_and_inverses_round_trip(T: np.ndarray) -> None:
    assert is_rigid(T)
    assert close(blender_from_opencv(opencv_from_blender(T)), T)
    assert close(inverse(T) @ T, np.eye(4)) and close(inverse(inverse(T)), T)


def test_vectors_without_a_direction_are_refused() -> None:
    with pytest.raises(ValueError, match="no direction"):
        unit(np.zeros(3))
    with pytest.raises(ValueError, match="straight up or down"):
        look_at(np.array([0.0, 0, 2]), np.zeros(3))
