"""Mean relative accuracy: by hand, on the thresholds, and against the authors' loop written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.evaluation.benchmarks.relative_accuracy import mean_relative_accuracy, mean_relative_accuracy_as_written

numbers = st.floats(0.01, 1000, allow_nan=False)


@pytest.mark.parametrize(
    ("answer", "truth", "as_coded", "as_written"),
    [
        (2.0, 2.0, 1.0, 1.0),
        (1.96, 2.0, 1.0, 1.0),  # an error of 2 %
        (1.86, 2.0, 0.9, 0.9),  # 7 %: all but θ = .95
        (2.76, 2.0, 0.3, 0.3),  # 38 %: θ = .50, .55, .60
        (3.2, 2.0, 0.0, 0.0),  # 60 %
        (3.0, 4.0, 0.6, 0.5),  # 25 %, on a threshold
        (1.0, 2.0, 0.1, 0.0),  # 50 %, on the first
        (19.0, 20.0, 1.0, 0.9),  # 5 %, on the last
        (4.0, 5.0, 0.6, 0.6),  # 20 %: on a threshold, but 1 - .80 is less than .2 in floating point
        (-2.0, 2.0, 0.0, 0.0),
        (0.4, 0.0, 0.3, 0.2),  # SPAR-Bench: the absolute error of a truth of 0
        (0.0, 0.0, 1.0, 1.0),
    ],
)
def test_by_hand(answer: float, truth: float, as_coded: float, as_written: float) -> None:
    assert mean_relative_accuracy(answer, truth) == pytest.approx(as_coded)
    assert mean_relative_accuracy_as_written(answer, truth) == pytest.approx(as_written)


@given(numbers, numbers)
def test_the_two_differ_by_at_most_one_threshold_and_are_symmetric_in_scale(answer: float, truth: float) -> None:
    coded = mean_relative_accuracy(answer, truth)
    assert 0 <= coded <= 1 and abs(coded - mean_relative_accuracy_as_written(answer, truth)) <= 0.1 + 1e-9
    assert mean_relative_accuracy(8 * answer, 8 * truth) == coded  # a power of two: no rounding
    assert mean_relative_accuracy(truth + 2 * (answer - truth), truth) <= coded  # farther is never better


@given(numbers, numbers, st.sampled_from([0.05 * i for i in range(1, 11)]))
def test_it_is_what_the_authors_write_point_by_point(answer: float, truth: float, error: float) -> None:
    points = np.linspace(0.5, 0.95, int((0.95 - 0.5) / 0.05 + 2))
    assert len(points) == 10
    for told in (answer, truth * (1 + error), truth * (1 - error)):
        assert mean_relative_accuracy(told, truth) == np.mean([abs(told - truth) / truth <= 1 - point for point in points])


def test_what_is_no_number_earns_nothing() -> None:
    assert mean_relative_accuracy(math.nan, 2.0) == mean_relative_accuracy(math.inf, 2.0) == 0.0
