from __future__ import annotations

from typing import Any

import pytest

from actial.evaluation.gains import judge_against_chance, judge_gains


def cell(p: float | None, difference: float = 0.1, primary: bool = False, no_worse: bool = False, equal: bool = False) -> dict[str, Any]:
    return {"p": p, "difference": difference, "primary": primary, "margin": {"no_worse": no_worse, "equal": equal}}


def test_primary_gains_are_adjusted_by_holm_among_themselves_and_the_others_by_false_discovery_rate():
    primary, others = [cell(p, primary=True) for p in (0.02, 0.03)], [cell(p) for p in (0.01, 0.04, 0.03, 0.005)]
    judge_gains([others[0], *primary, *others[1:], cell(None)])
    assert [c["p_adjusted"] for c in primary] == pytest.approx([0.04, 0.04])
    assert [c["p_adjusted"] for c in others] == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_a_declared_gain_is_found_where_the_same_among_many_is_not():
    declared, undeclared = cell(0.03, primary=True), cell(0.03)
    judge_gains([declared, undeclared, *(cell(0.9) for _ in range(20))])
    assert (declared["verdict"], undeclared["verdict"]) == ("better", "undecided")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (cell(0.001, 0.2, no_worse=True), "better"),
        (cell(0.001, -0.2), "worse"),
        (cell(0.001, -0.01, no_worse=True, equal=True), "equal"),
        (cell(0.5, 0.03, no_worse=True), "no worse"),
        (cell(0.5, -0.03), "undecided"),
        (cell(None, 0.0), "undecided"),
    ],
)
def test_each_verdict_needs_its_evidence(found, verdict):
    judge_gains([found])
    assert found["verdict"] == verdict


def test_a_single_finding_against_chance_among_many_is_not_called_one():
    tests = [{"verdict": "above", "p": 0.04}, *({"verdict": "undecided", "p": 0.6} for _ in range(9)), {"verdict": "below", "p": 1e-6}]
    tests += [{"verdict": "at chance", "p": 0.9}, {"verdict": "undecided", "p": None}]
    judge_against_chance(tests)
    assert [test["verdict"] for test in tests] == ["undecided"] * 10 + ["below", "at chance", "undecided"]
