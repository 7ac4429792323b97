"""Up and the object's centre of a capture: found in any world, with stated errors as large as the true ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_captures import NO_POINTS, assert_same_motions, lenses, limits, motions, origin_in, random_similarity, ring

from actial.errors import RefusedCapture
from actial.geometry.poses import is_rigid, look_at
from actial.rng import generator_for
from actial.views.capture_alignment import Alignment, align


@given(st.integers(0, 2**32), st.integers(6, 40))
@settings(max_examples=40)
def test_level_cameras_that_look_at_the_object_give_up_and_centre_exactly_in_any_world(seed: int, n: int) -> None:
    rng = generator_for(seed, "ring")
    poses = ring(rng, n)
    found = align(random_similarity(rng).poses(poses), lenses(n), NO_POINTS, limits())
    assert all(is_rigid(T) for T in found.T_world_cam) and found.n_object_points == 0
    assert_same_motions(motions(poses, np.zeros(3)), motions(found.T_world_cam, np.zeros(3)), 1e-6)


@given(st.integers(0, 2**32))
@settings(max_examples=25)
def test_the_world_that_a_reconstruction_chose_does_not_matter(seed: int) -> None:
    """Neither for a hand-held capture with points: the aligned world is the same."""
    rng = generator_for(seed, "hand-held")
    poses, points = ring(rng, 20, roll_deg=2, aim_r=0.05), rng.normal(scale=0.3, size=(300, 3))
    similarity = random_similarity(rng)
    a = align(poses, lenses(20), points, limits())
    b = align(similarity.poses(poses), lenses(20), similarity.points(points), limits())
    np.testing.assert_allclose(a.T_world_cam, b.T_world_cam, atol=1e-6)
    np.testing.assert_allclose(
        [*a.size, a.up_error_deg, a.center_error_r, a.n_object_points], [*b.size, b.up_error_deg, b.center_error_r, b.n_object_points], rtol=1e-5
    )


def errors(found: Alignment, truth: np.ndarray) -> tuple[float, float]:
    """How far up is off, degrees, and the centre, in median camera distances."""
    up = truth[0][:3, :3] @ found.T_world_cam[0][:3, :3].T @ [0, 0, 1]
    distance = np.median(np.linalg.norm(truth[:, :3, 3], axis=1))
    return float(np.degrees(np.arccos(min(up[2], 1.0)))), float(np.linalg.norm(origin_in(truth, found.T_world_cam)) / distance)


def test_the_stated_errors_are_as_large_as_the_true_ones() -> None:
    """Root mean squares over 60 hand-held captures, all around and along an arc."""
    for arc_deg in (360.0, 120.0):
        off, stated = [], []
        for seed in range(60):
            poses = ring(generator_for(seed, "errors"), 15, roll_deg=3, aim_r=0.06, arc_deg=arc_deg)
            found = align(poses, lenses(15), NO_POINTS, limits(max_up_error_deg=30, max_center_error_r=1))
            off.append(errors(found, poses))
            stated.append((found.up_error_deg, found.center_error_r))
        true_up, true_center = np.sqrt(np.mean(np.square(off), axis=0))
        stated_up, stated_center = np.sqrt(np.mean(np.square(stated), axis=0))
        assert 0.8 < true_up / stated_up < 1.25 and 0.8 < true_center / stated_center < 1.25


def test_points_pull_the_centre_into_the_object_and_give_its_extent() -> None:
    rng = generator_for(0, "points")
    poses = ring(rng, 20, aim_r=0.1)
    box = rng.uniform(-1, 1, (400, 3)) * [0.5, 0.3, 0.2]
    ground = np.column_stack([rng.uniform(-2, 2, (1500, 2)), rng.normal(-0.2, 0.002, 1500)])
    far = rng.normal(size=(300, 3)) * 8
    found = align(poses, lenses(20), np.concatenate([box, ground, far]), limits())
    alone = align(poses, lenses(20), NO_POINTS, limits(max_center_error_r=0.2))
    assert 300 < found.n_object_points < 450
    assert errors(found, poses)[1] < 0.02 < errors(alone, poses)[1]
    assert np.prod(found.size) * np.median(np.linalg.norm(poses[:, :3, 3], axis=1)) ** 3 == pytest.approx(1.0 * 0.6 * 0.4, rel=0.6)  # turned about the vertical
    assert found.size[2] * 2 == pytest.approx(0.4, rel=0.15)


def test_a_point_cloud_elsewhere_does_not_move_the_centre() -> None:
    rng = generator_for(1, "points")
    poses = ring(rng, 20)
    elsewhere = rng.normal(loc=[0.3, 0.2, 0.1], scale=0.05, size=(300, 3))
    found = align(poses, lenses(20), elsewhere, limits())
    assert found.n_object_points == 0 and errors(found, poses)[1] < 1e-6


def test_cameras_that_differ_in_pitch_only_have_no_centre_of_their_own() -> None:
    """Up needs more than one heading; the same heading twice with another pitch is not enough."""
    poses = np.stack([look_at(np.array([0.0, -2, h]), np.zeros(3)) for h in np.linspace(0.1, 2, 8)])
    with pytest.raises(RefusedCapture, match="up is known to within"):
        align(poses, lenses(8), NO_POINTS, limits())


def test_parallel_axes_meet_nowhere() -> None:
    T = look_at(np.array([0.0, -2, 0.5]), np.zeros(3))
    poses = np.stack([T] * 8)
    poses[:, :3, 3] += generator_for(0, "shifts").normal(size=(8, 3))
    with pytest.raises(RefusedCapture, match="the object's centre is not determined: all cameras look the same way"):
        align(poses, lenses(8), NO_POINTS, limits(max_up_error_deg=float("inf")))
