"""Charts: round ticks that enclose the data, means that leave gaps out, nothing drawn where there is no number."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.report.charts import Interval, Series, interval_chart, line_chart, moving_mean, nice_ticks

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, st.floats(1e-6, 1e6))
def test_ticks_are_round_evenly_spaced_and_enclose_the_data(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    step = ticks[1] - ticks[0]
    tolerance = 1e-6 * step + 1e-9 * abs(low)
    assert ticks[0] <= low + tolerance and ticks[-1] >= low + span - tolerance
    assert 3 <= len(ticks) <= 8
    mantissa = step / 10 ** math.floor(math.log10(step * (1 + 1e-6)))
    assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-2


@given(st.lists(st.one_of(FINITE, st.just(math.nan)), min_size=1, max_size=40), st.integers(3, 9))
def test_the_moving_mean_is_the_mean_of_the_points_around(values: list[float], window: int) -> None:
    y = np.array(values)
    half = window // 2
    for i, mean in enumerate(moving_mean(y, window)):
        around = y[max(i - half, 0) : i + half + 1]
        around = around[~np.isnan(around)]
        assert math.isnan(mean) if len(around) == 0 else math.isclose(mean, around.mean(), rel_tol=1e-6, abs_tol=1e-4)


def paths(svg: str) -> list[str]:
    return re.findall(r'<path d="([^"]*)"', svg)


def test_a_gap_breaks_the_line() -> None:
    (path,) = paths(line_chart("t", [Series("loss", [0, 1, 2, 3], [1.0, None, float("nan"), 2.0])], "step", "loss"))
    assert path.count("M") == 2 and "L" not in path


def test_higher_values_stand_higher_and_later_ones_further_right() -> None:
    (path,) = paths(line_chart("t", [Series("loss", [0, 10], [1.0, 3.0])], "step", "loss"))
    (x0, y0), (x1, y1) = [tuple(map(float, p.split())) for p in re.split("[ML]", path)[1:]]
    assert x1 > x0 and y1 < y0


def test_axes_carry_their_units_and_one_value_is_enough() -> None:
    svg = line_chart("Loss", [Series("loss", [5], [2.0])], "optimizer step", "nats per token")
    assert "optimizer step" in svg and "nats per token" in svg and "<circle" in svg


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no point"):
        line_chart("t", [Series("loss", [1, 2], [None, None])], "x", "y")


def test_an_interval_spans_two_errors_and_an_unknown_error_draws_none() -> None:
    svg = interval_chart("t", [Interval("base", "think", 0.5, 0.05), Interval("sft", "think", 0.5, None)], {"chance": 1 / 3})
    ends = re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)"[^>]*stroke=', svg)
    centres = re.findall(r'<circle cx="([\d.]+)"', svg)
    assert len(ends) == 1 and len(centres) == 2
    low, high = map(float, ends[0])
    assert low < float(centres[0]) < high and abs((low + high) / 2 - float(centres[0])) < 0.2
    assert svg.count("chance") == 1


def test_a_reading_stands_below_once_and_an_axis_of_shares_reaches_from_0_to_1() -> None:
    y = [0.4 + 0.01 * (i % 5) for i in range(60)]
    svg = line_chart("t", [Series("share", list(range(60)), y)], "step", "share", reading="Look here.", y_limits=(0.0, 1.0))
    assert svg.count("Look here.") == 1 and svg.count("bold: mean of") == 1
    labels = re.findall(r'text-anchor="end">([^<]*)<', svg)
    assert labels[0] == "0" and labels[-1] == "1"
