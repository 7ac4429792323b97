"""Weights add up to one, chance is what guessing comes to, and what shares a picture or a group is one cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.evaluation.benchmarks.benchmark import Item, Metric, Scored
from actial.evaluation.benchmarks.metrics import all_right, by_strata, clusters, equal_strata, micro, within
from actial.records import Question
from actial.rng import generator_for
from actial.stats import clustered_mean


def item(row_id: str, scene: str, group: str, task: str, n_options: int = 2) -> Item:
    options = tuple(f"option {i}" for i in range(n_options))
    question = Question(row_id, "toy", "", (), "?", options, options, "A", "", 0.0, 0.0, scene, "", "toy")
    return Item(row_id=row_id, question=question, pictures=(), sizes_px=(), group=group, strata={"task": task})


METRICS: tuple[Metric, ...] = (
    micro("micro", "all alike"),
    micro("shared", "questions alike", variants_share=True),
    micro("x", "of x", within("task", "x")),
    by_strata("weighted", "x counts more", "task", {"x": 0.75, "y": 0.25}),
    equal_strata("equal", "both alike", "task", ("x", "y"), variants_share=True),
    all_right("groups", "all of a group", lambda i: i.group),
)
SCORED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("xy"), st.integers(2, 4), st.sampled_from((0.0, 0.5, 1.0))), max_size=12).map(
    lambda rows: [Scored(item(f"row {i}", f"scene {scene}", f"group {group}", task, n), credit, True) for i, (scene, group, task, n, credit) in enumerate(rows)]
)


@given(SCORED)
def test_a_metric_is_the_weighted_mean_of_its_units(scored: Sequence[Scored]) -> None:
    for metric in METRICS:
        units = metric.units(scored)
        value, chance, mean = metric.value(scored), metric.chance(scored), metric.mean(scored)
        assert (value is None) == (chance is None) == (mean.mean is None) == (not units)
        if units:
            assert sum(u.weight for u in units) == pytest.approx(1) and len({u.key for u in units}) == len(units)
            assert mean == clustered_mean([u.credit for u in units], [u.cluster for u in units], [u.weight for u in units])
            assert value == pytest.approx(mean.mean) and 0 <= value <= 1 + 1e-9 and 0 < (chance or 0) <= 0.5 + 1e-9


@given(SCORED)
def test_clusters_join_all_that_shares_a_scene_or_a_group(scored: Sequence[Scored]) -> None:
    of = clusters(scored)
    for a in scored:
        for b in scored:
            if a.item.group == b.item.group or a.item.question.scene_id == b.item.question.scene_id:
                assert of[a.item.row_id] == of[b.item.row_id]
    parts = {frozenset((f"s {s.item.question.scene_id}", f"g {s.item.group}")) for s in scored}
    while merged := next(((a, b) for a in parts for b in parts if a != b and a & b), None):
        parts = parts - set(merged) | {merged[0] | merged[1]}
    assert len(set(of.values())) == len(parts)  # and joins nothing else


def test_chance_is_what_guessing_comes_to() -> None:
    items = [item(f"row {i}", f"scene {i // 2}", f"group {i // 3}", "xy"[i % 2], 2 + i % 3) for i in range(9)]
    draw = generator_for(3, "guesses")
    guesses = [[Scored(i, float(draw.integers(len(i.question.options)) == 0), True) for i in items] for _ in range(3000)]
    for metric in METRICS:
        simulated = [metric.value(scored) for scored in guesses]
        assert sum(simulated) / len(simulated) == pytest.approx(metric.chance(guesses[0]), abs=0.02), metric.name  # type: ignore[arg-type]  # none is None here


def test_numbers_have_no_chance() -> None:
    number = [Scored(item("row", "scene", "row", "x", 0), 0.3, True)]
    assert METRICS[0].chance(number) is METRICS[0].majority(number) is None


def test_the_majority_is_the_best_letter_of_all_where_it_is_an_option() -> None:
    """Truths D C C B of four, three, three and two options; whatever was answered."""
    items = [item(f"row {i}", f"scene {i}", f"group {i // 2}", "xy"[i > 0], n) for i, n in enumerate((4, 3, 3, 2))]
    scored = [Scored(replace(i, question=replace(i.question, truth=truth)), 1.0, True, "A", "tag_letter") for i, truth in zip(items, "DCCB", strict=True)]
    assert {metric.name: metric.majority(scored) for metric in METRICS} == {
        "micro": 0.5, "shared": 0.5, "x": 1.0, "weighted": 0.75, "equal": 0.5, "groups": 0.0,
    }  # fmt: skip
    assert METRICS[0].majority([]) is None
