"""Before training: how a batch is split, in which order rows come, what is set aside."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_project import make_project, plan_of, run_stage

from actial.errors import UserError
from actial.machine import Machine, load_machine
from actial.shards import ViewStore
from actial.tables import read_conversations
from actial.training.data import schedule
from actial.training.plan import TrainingPlan, split_batch, usable_rows

MACHINE: Machine = load_machine("/nowhere")


@given(batch=st.integers(1, 512), processes=st.integers(1, 8), rows=st.integers(1, 64))
def test_a_split_keeps_the_batch_or_is_refused(batch: int, processes: int, rows: int) -> None:
    machine = replace(MACHINE, train_processes=processes, rows_per_device=rows)
    try:
        split = split_batch(batch, "sft.batch_rows", machine)
    except UserError as error:
        assert batch % processes or (batch // processes) % min(rows, batch // processes)
        if not batch % processes:  # the remedy in the message works
            split_batch(batch, "sft.batch_rows", replace(machine, rows_per_device=int(str(error).rsplit(" ", 1)[1])))
    else:
        assert split.rows_per_device * split.accumulation * processes == batch and split.rows_per_device <= rows


@given(n_rows=st.integers(1, 60), n_wanted=st.integers(0, 200), seed=st.integers(0, 5))
def test_every_row_is_seen_once_before_any_is_seen_twice(n_rows: int, n_wanted: int, seed: int) -> None:
    order = schedule(n_rows, n_wanted, seed, "sft")
    assert len(order) == n_wanted
    for start in range(0, n_wanted, n_rows):
        epoch = order[start : start + n_rows]
        assert len(set(epoch)) == len(epoch)
    counts = Counter(order)
    assert n_wanted < n_rows or max(counts.values()) - min(counts[i] for i in range(n_rows)) <= 1
    assert schedule(n_rows, n_wanted + 7, seed, "sft")[:n_wanted] == order


def test_epochs_come_in_different_orders() -> None:
    order = schedule(50, 100, 7, "sft")
    assert order[:50] != order[50:] and schedule(50, 50, 8, "sft") != order[:50]


def test_a_plan_reads_back_as_it_was(tmp_path: Path) -> None:
    plan = plan_of(make_project(tmp_path / "p"), "sft")
    plan.save(tmp_path / "plan.json")
    assert TrainingPlan.load(tmp_path / "plan.json") == plan


def test_rows_with_an_unreadable_picture_are_set_aside_and_counted(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", unreadable=("scene-000003.v01",))
    rows, views = project / "outputs/cold_start_mix/sft.parquet", ViewStore(project / "outputs/render_views/views")
    assert len(read_conversations(rows)) == 24
    assert usable_rows(rows, views, "assistant", 0.1, "sft.max_refused_share") == (
        23,
        ("scene-000003.v01",),
        {"conversations with an unreadable picture": 1},
    )
    with pytest.raises(UserError, match=r"1 of 24 conversations .* scene-000003\.v01\), more than sft\.max_refused_share 0\.02 allows"):
        usable_rows(rows, views, "assistant", 0.02, "sft.max_refused_share")


def test_rows_that_end_with_the_wrong_turn_are_refused(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    with pytest.raises(UserError, match="does not end with the user's turn"):
        usable_rows(project / "outputs/cold_start_mix/sft.parquet", ViewStore(project / "outputs/render_views/views"), "user", 0.02, "")


def test_a_stage_says_what_does_not_divide_and_how_to_mend_it(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    ran = run_stage(project, "sft", ACTIAL_TRAIN_PROCESSES="3")
    assert ran.returncode == 2 and "sft.batch_rows is 4, which 3 training processes cannot share evenly" in ran.stderr
    ran = run_stage(project, "sft", ACTIAL_ROWS_PER_DEVICE="3")
    assert ran.returncode == 2 and "set rows_per_device of machine.yaml to 2" in ran.stderr
