"""Twins: what coarse layouts tell of the answer before and after pairs without one are left out."""

from __future__ import annotations

import numpy as np
import pytest

from actial.questions.balance import evenly_coupled
from actial.questions.probes import folds_by_scene, held_out_answers
from actial.questions.twins import LAYOUT, LIKENESSES, N_STRATA, altered_by_outline, layouts, off_middle, with_twins

N = 3000


@pytest.fixture(scope="module")
def leaky() -> np.ndarray:
    """(n, 2, 7) layouts of pairs that answer left: the subject mostly slides left, and so do its higher parts."""
    rng = np.random.default_rng(3)
    first = np.column_stack([rng.normal(0, [0.06, 0.05, 0.03], size=(N, 3)), np.zeros((N, 4))])
    second = first + np.column_stack([rng.normal([-0.03, 0.0, -0.02], [0.06, 0.03, 0.03], size=(N, 3)), np.zeros((N, 4))])
    layout = np.stack([first, second], axis=1)
    layout[..., 3] = 3 * layout[..., 2] + rng.normal(0, 0.03, size=(N, 2))  # the highest part stands where the higher ones do
    return layout


def _accuracy(layout: np.ndarray, of: str) -> float:
    """Of a learner that is asked left or right of pairs in both orders, and sees layouts of one picture or how they change."""
    both = np.concatenate([layout, layout[:, ::-1]])
    seen = both[:, 0] if of == "first" else both[:, 1] - both[:, 0]
    y = np.repeat(["left", "right"], len(layout))
    pair = np.tile(np.arange(len(layout)), 2)
    return float((held_out_answers("linear", seen, y, folds_by_scene(y, pair, 0), 0) == y).mean())


@pytest.mark.parametrize("of", ["first", "change"])
def test_layouts_tell_the_answer_before_and_no_more_after(leaky: np.ndarray, of: str) -> None:
    assert _accuracy(leaky, of) > 0.58
    kept = with_twins(leaky, 0.7)
    assert len(kept) > N / 10
    assert abs(_accuracy(leaky[kept], of) - 0.5) < 0.045


def test_every_pair_kept_has_a_twin_within_the_caliper_and_of_its_own(leaky: np.ndarray) -> None:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    shown = leaky[:400, :, :4] / [0.06, 0.2, 0.05, 0.2]
    kept = with_twins(leaky[:400], 1.5)
    slides = shown[kept, 1, 2] - shown[kept, 0, 2]
    left, right = shown[kept[slides < 0]], shown[kept[slides >= 0]]
    assert len(left) == len(right) > 0
    too_far = cdist(left[:, ::-1].reshape(len(left), -1), right.reshape(len(right), -1)) > 1.5 + 1e-3
    assert too_far[linear_sum_assignment(too_far)].sum() == 0


def test_a_larger_caliper_keeps_more_and_the_order_of_pairs_does_not_matter(leaky: np.ndarray) -> None:
    near, far = with_twins(leaky, 0.7), with_twins(leaky, 1.4)
    assert len(near) < len(far)
    shuffled = np.random.default_rng(0).permutation(N)
    again = np.sort(shuffled[with_twins(leaky[shuffled], 0.7)])
    np.testing.assert_array_equal(again, near)


@pytest.mark.parametrize(("quantity", "told_by"), [("forward_r", "y"), ("up_r", "middle"), ("pitch_deg", "height")])
def test_every_axis_has_a_likeness_of_its_own(quantity: str, told_by: str) -> None:
    """A layout that tells the answer by one cue: after twins are found in that likeness, nothing does."""
    rng = np.random.default_rng(5)
    layout = rng.normal(0, 0.05, size=(N, 2, len(LAYOUT)))
    layout[:, 1, LAYOUT.index(told_by)] += 0.04
    before, kept = _accuracy(layout, "change"), with_twins(layout, 0.5, LIKENESSES[quantity])
    assert before > 0.64 and len(kept) > N / 10 and abs(_accuracy(layout[kept], "change") - 0.5) < 0.045


def test_what_an_outlines_change_tells_of_an_alteration_is_evened_out() -> None:
    """Altered ones change more: within a stratum they don't, and couples that stay are in every stratum as often altered as not."""
    rng, n = np.random.default_rng(1), 3000
    layout, altered = rng.normal(0, 0.1, size=(2 * n, 2, len(LAYOUT))), np.arange(2 * n) % 2 == 0
    layout[altered, 1] += rng.normal(0, 0.15, size=(n, len(LAYOUT)))
    stratum = altered_by_outline(layout, altered)
    np.testing.assert_array_equal(stratum, altered_by_outline(layout[:, ::-1], altered))
    assert stratum[altered].mean() > stratum[~altered].mean() + 1.5
    kept = evenly_coupled(stratum[altered], stratum[~altered], N_STRATA, 7, "x")
    of_altered, of_same = (np.bincount(of[kept], minlength=N_STRATA) for of in (stratum[altered], stratum[~altered]))
    np.testing.assert_array_equal(of_altered, of_same)
    assert len(kept) > n / 3
    size = np.abs(layout[:, 1] - layout[:, 0])[:, 5:].sum(axis=1)
    assert abs(size[altered][kept].mean() - size[~altered][kept].mean()) < 0.1 * size.std() < 0.3 * (size[altered].mean() - size[~altered].mean())


def test_pairs_that_all_slide_one_way_have_none() -> None:
    layout = np.zeros((5, 2, len(LAYOUT)))
    layout[:, 1, 2] = 0.1
    assert not len(with_twins(layout, 10.0))
    assert not len(with_twins(layout[:0], 10.0))


def test_layouts_are_of_points_in_both_pictures() -> None:
    center = (np.array([[0.4, -0.5]]), np.array([[np.nan, np.nan]]))
    first = np.array([[[0.2, -0.8], [0.5, -0.2], [0.9, -0.1]]])
    second = np.array([[[0.3, -0.8], [0.4, -0.2], [np.nan, np.nan]]])
    box = (np.array([[0.1, 0.5, -0.9, -0.1]]), np.array([[0.2, 0.3, -0.7, -0.7]]))
    (one, other) = layouts(center, (first, second), box)[0]
    np.testing.assert_allclose(
        one, [0.4, -0.5, 0.15, 0.3, -0.5, np.log(0.4), np.log(0.8), np.log(0.15), np.log(0.3)]
    )  # of the two parts in both, the higher stands 0.3 to the right, one deviation above the mean 0.15
    np.testing.assert_allclose(other, [0.0, 0.0, 0.05, 0.1, -0.7, np.log(0.1), 0.0, np.log(0.05), np.log(0.3)])
    nowhere = layouts(center, (np.full((1, 2, 2), np.nan),) * 2, (np.full((1, 4), np.nan),) * 2)
    assert np.isfinite(nowhere).all()


def test_how_far_off_the_middle_does_not_hang_on_order_or_side() -> None:
    layout = np.zeros((4, 2, len(LAYOUT)))
    layout[:, :, 0] = [[0.5, 0.61], [0.61, 0.5], [0.39, 0.5], [0.5, 0.66]]
    steps = off_middle(layout)
    assert steps[0] == steps[1] == steps[2] != steps[3]
