"""Rows of data sets from outside in both trainers: one picture or two, of sizes of their own, beside pairs made here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_project import make_project, run_stage, toy_conversation

from actial.params import load_params
from actial.prompts import IMAGE_MARK
from actial.records import Camera, Conversation, View
from actial.rng import generator_for
from actial.shards import ViewWriter, encode_png
from actial.tables import read_rollouts, write_conversations

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SIZES_PX = ((84, 84), (140, 84), (60, 112))


def outside(row: Conversation, i: int) -> Conversation:
    """The same text about one picture from outside, or two for every third row."""
    scene_id = f"sat-{i:016x}"
    view_ids = tuple(f"{scene_id}.v{v:02d}" for v in range(1 + (i % 3 == 0)))
    about = "-".join((view_ids[0], *(v.rpartition(".")[2] for v in view_ids[1:])))
    messages = tuple(replace(m, content=m.content.replace(IMAGE_MARK, "", 2 - len(view_ids))) if m.role == "user" else m for m in row.messages)
    return replace(row, question_id=f"{about}.sat_other_{i}", kind="sat_other", scene_id=scene_id, view_ids=view_ids, messages=messages)


def test_both_stages_train_on_them(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", sft={"max_steps": 3, "logging_steps": 1}, grpo={"rollouts": 3})
    params, mix = load_params(project / "params.yaml"), project / "outputs/cold_start_mix"
    taught, asked = ([toy_conversation(i, params, "direct", taught) for i in range(12)] for taught in (True, False))
    rows = [[outside(row, i) if i % 4 else row for i, row in enumerate(of)] for of in (taught, asked)]
    write_conversations(mix / "sft.parquet", rows[0])
    write_conversations(mix / "rl.parquet", rows[1])
    with ViewWriter(project / "outputs/build_qa/views", shard_mb=64) as writer:
        for place, view_id in enumerate(sorted({v for row in rows[0] for v in row.view_ids if v.startswith("sat")})):
            width_px, height_px = SIZES_PX[place % 3]
            pixels = np.full((height_px, width_px, 3), generator_for(2, view_id).integers(0, 256, 3), np.uint8)
            writer.add(View(view_id, view_id.partition(".")[0], Camera(width_px, height_px, (), None), (), "sat", "MIT"), encode_png(pixels))
    for stage in ("sft", "grpo"):
        ran = run_stage(project, stage)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    rolled = {r.question_id for r in read_rollouts(project / "outputs/grpo/rollouts.parquet")}
    assert any("v00-v01" in q for q in rolled) and any("v00.sat" in q for q in rolled), "rollouts about one picture and about two"
