"""Rows in a file: read as they were added, wherever they stand; and work in blocks misses nobody."""

from __future__ import annotations

import itertools
import tracemalloc
from io import BytesIO

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actial.questions import spilled
from actial.questions.spilled import AT_ONCE, SpilledLines, SpilledRows, blocks
from actial.questions.twins import LAYOUT, with_twins

ROW = np.dtype([("scene", np.int32), ("label", np.int8, 2), ("value", np.float64, 3)])
MOST_BYTES = 900
"""A pair, while twins are found for it: 24 neighbours at most, of every second pair."""


@given(st.lists(st.integers(0, 900), max_size=8), st.integers(0, 5), st.sampled_from([0.001, 0.02, 0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_rows_are_read_as_they_were_added(sizes: list[int], seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    rows, every = SpilledRows(BytesIO(), ROW, ("scene", "label")), np.zeros(sum(sizes), ROW)
    every["scene"], every["label"], every["value"] = np.arange(len(every)), rng.integers(9, size=(len(every), 2)), rng.random((len(every), 3))
    ends = np.cumsum([0, *sizes])
    for start, end in itertools.pairwise(ends):
        rows.add(every[start:end])
    assert len(rows) == len(every) and rows.starts == ends[:-1].tolist()
    wanted = np.flatnonzero(rng.random(len(every)) < share)
    np.testing.assert_array_equal(rows.read(wanted), every[wanted])
    np.testing.assert_array_equal(np.concatenate([np.empty(0, ROW), *rows.chunks(wanted)]), every[wanted])
    for name in ("scene", "label"):
        np.testing.assert_array_equal(rows[name], every[name])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=8))
@settings(max_examples=40, deadline=None)
def test_lines_are_read_in_any_order_as_they_were_added(values: list[object]) -> None:
    lines = SpilledLines(BytesIO())
    starts = [lines.add(value) for value in values]
    assert starts == sorted(set(starts))
    for start, value in [*zip(starts, values, strict=True)][::-1] * 2:
        assert lines.read(start) == value


def test_blocks_are_as_few_as_memory_allows_and_hold_everyone_once() -> None:
    for n in (0, 1, AT_ONCE, AT_ONCE + 1, 5 * AT_ONCE - 1):
        runs = blocks(np.arange(n))
        np.testing.assert_array_equal(np.concatenate(runs), np.arange(n))
        assert len(runs) == max(1, -(-n // AT_ONCE)) and max(map(len, runs)) <= AT_ONCE
    assert spilled.AT_ONCE * MOST_BYTES < 60e6


def test_finding_twins_takes_so_much_memory_a_pair() -> None:
    layout = np.random.default_rng(3).normal(0, 0.1, size=(6000, 2, len(LAYOUT)))
    with_twins(layout[:100], 1.0)  # what is imported on the way does not count
    tracemalloc.start()
    kept = with_twins(layout, 100.0)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) > 5000
    assert peak_bytes < MOST_BYTES * len(layout)
