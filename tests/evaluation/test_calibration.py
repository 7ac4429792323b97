from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.evaluation.calibration import Bin, Calibration, calibration, reliability
from actial.rng import generator_for

answers = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=60)


@given(answers)
def test_brier_is_scikit_learns(table):
    from sklearn.metrics import brier_score_loss

    p, y = np.array([k / 8 for k, _ in table]), np.array([right for _, right in table])
    expected = brier_score_loss(y, p, pos_label=True) if len(set(y)) > 1 else np.mean((p - y) ** 2)
    assert calibration(p, y, np.ones(len(p))).brier == pytest.approx(expected)


@given(answers)
def test_the_error_is_that_of_scikit_learns_bins(table):
    from sklearn.calibration import calibration_curve

    p, y = np.array([k / 8 for k, _ in table]), np.array([float(right) for _, right in table])
    accuracy, confidence = calibration_curve(y, p, n_bins=10)
    n = np.array([np.sum(p == k / 8) for k in range(9)])  # eighths: one to a bin of tenths, whichever end belongs to it
    expected = np.sum(n[n > 0] * np.abs(accuracy - confidence)) / len(p)
    assert calibration(p, y, np.ones(len(p))).ece == pytest.approx(expected)


@given(answers)
def test_the_bins_are_those_that_the_error_is_made_of(table):
    p, y = [k / 8 for k, _ in table], [float(right) for _, right in table]
    bins = reliability(p, y, [1.0] * len(p))
    assert sum(b.n for b in bins) == len(p) and [b.up_to for b in bins] == sorted({b.up_to for b in bins})
    assert all(b.up_to - 0.1 - 1e-9 <= b.confidence <= b.up_to + 1e-9 for b in bins)
    assert sum(b.n * abs(b.right - b.confidence) for b in bins) / len(p) == pytest.approx(calibration(p, y, [1.0] * len(p)).ece)


def test_by_hand():
    """Two sure answers of which one is right, and one of 0.55 that is right, at half weight."""
    found = calibration([1.0, 1.0, 0.55], [1.0, 0.0, 1.0], [1.0, 1.0, 0.5])
    assert found.confidence == pytest.approx((1 + 1 + 0.275) / 2.5)
    assert found.ece == pytest.approx((2 * abs(0.5 - 1) + 0.5 * 0.45) / 2.5)
    assert found.brier == pytest.approx((0 + 1 + 0.5 * 0.45**2) / 2.5)
    assert calibration([], [], []) == Calibration(None, None, None) and reliability([], [], []) == []
    assert reliability([1.0, 1.0, 0.55], [1.0, 0.0, 1.0], [1.0, 3.0, 0.5]) == [Bin(0.6, 1, 0.55, 1.0), Bin(1.0, 2, 1.0, 0.25)]


def test_who_knows_how_sure_to_be_has_no_error_but_that_of_few_answers():
    generator = generator_for(1, "test/calibration")
    p = generator.uniform(0.3, 1.0, 40_000)
    y = generator.random(40_000) < p
    assert calibration(p, y, np.ones(40_000)).ece < 0.01
    assert calibration(np.ones(40_000), y, np.ones(40_000)).ece == pytest.approx(1 - y.mean())
    assert calibration(p[:50], y[:50], np.ones(50)).ece > 0.02
