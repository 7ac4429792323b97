"""Reading numbers with units out of completions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.answers.numbers import ANOTHER_UNIT, NOT_A_NUMBER, Number, read_number
from actial.answers.parts import AMBIGUOUS, EMPTY, EMPTY_TAG, NOT_FOUND, UNFINISHED, Unparsed

ROWS = [json.loads(line) for line in (Path(__file__).parent / "answers/numbers.jsonl").read_text().splitlines()]
LEFT_POSITIVE = {"left": 1, "right": -1}
UNITS = ("deg", "m", "cm", "m2", "s", "count", "plain")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['unit']}-{row['completion'][-40:]!r}")
def test_the_table_of_completions(row):
    """Its origins are checked with those of the tables of options."""
    reading = read_number(row["completion"], row["unit"], row.get("signs"))
    if row["value"] is None:
        assert reading == Unparsed(row["rule"])
    else:
        assert reading.rule == row["rule"]
        assert math.isclose(reading.value, row["value"], rel_tol=1e-9)


def test_the_table_reaches_every_outcome():
    reasons = {u.reason for u in (AMBIGUOUS, EMPTY, EMPTY_TAG, NOT_FOUND, UNFINISHED, NOT_A_NUMBER, ANOTHER_UNIT)}
    rules = {"tag_number", "tag_quantity", "tag_phrase", "boxed", "declared", "line", "only", "whole_number", "whole_quantity", "open_tag_number"}
    assert {row["rule"] for row in ROWS} >= reasons | rules
    assert {row["unit"] for row in ROWS} == set(UNITS)


@pytest.mark.parametrize(
    ("words", "sign"), [("30 degrees to the left", 1), ("30° right", -1), ("-30", -1), ("30", 1), ("left by 30", 1), ("-30 degrees to the right", -1)]
)
def test_declared_sides_give_the_sign(words, sign):
    assert read_number(f"<answer>{words}</answer>", "deg", LEFT_POSITIVE).value == 30 * sign


@pytest.mark.parametrize("words", ["-30 degrees to the left", "+30 right", "30 left or right", "- 30"])
def test_a_side_and_a_sign_that_disagree_are_ambiguous(words):
    assert read_number(f"<answer>{words}</answer>", "deg", LEFT_POSITIVE) == AMBIGUOUS


def test_sides_say_nothing_where_none_are_declared():
    assert read_number("<answer>30 degrees to the right</answer>", "deg") == Number(30.0, "tag_phrase")


@given(st.decimals(-1000, 1000, places=2), st.sampled_from(["deg", "m", "cm", "s", "plain"]), st.text("ab.,!? \n", max_size=20))
def test_a_bare_number_in_a_closed_tag_is_read_strictly_whatever_stands_before_it(number, unit, before):
    assert read_number(f"{before}<answer>{number}</answer>", unit) == Number(float(number) + 0.0, "tag_number")


@given(st.decimals(0, 1000, places=3), st.sampled_from([("m", 1.0), ("cm", 0.01), ("feet", 0.3048), ("inches", 0.0254), ("mm", 0.001)]))
def test_lengths_are_converted(number, unit):
    reading = read_number(f"<answer>{number} {unit[0]}</answer>", "cm")
    assert reading.rule == "tag_quantity"
    assert math.isclose(reading.value, float(number) * unit[1] * 100, rel_tol=1e-9)


@given(st.text() | st.text("0123456789.,-+e/ mcft°onetw<>answerk\n"), st.sampled_from(UNITS))
def test_any_text_is_read_as_a_finite_number_or_as_a_stated_reason(completion, unit):
    reading = read_number(completion, unit, LEFT_POSITIVE)
    if isinstance(reading, Unparsed):
        assert reading in {AMBIGUOUS, EMPTY, EMPTY_TAG, NOT_FOUND, UNFINISHED, NOT_A_NUMBER, ANOTHER_UNIT}
    else:
        assert math.isfinite(reading.value) and reading.rule
