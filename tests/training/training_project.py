"""A project folder with a few pairs of views and conversations: what stages sft and grpo need, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from actial.machine import Machine, load_machine
from actial.params import Params, load_params
from actial.prompts import completion_text, prompt_messages, prompt_sha
from actial.records import LETTERS, Camera, Conversation, Message, Mode, Question, View
from actial.rng import generator_for
from actial.shards import ViewWriter, encode_png
from actial.tables import write_conversations
from actial.training.plan import TrainingPlan

ROOT = Path(__file__).parents[2]
MODES: tuple[Mode, ...] = ("think", "direct", "describe")
TEXTS = {"left": "to the left", "right": "to the right", "none": "it stayed in place"}
SMALL = {
    "sft": {"batch_rows": 4, "epochs": 1.0, "max_steps": 6, "logging_steps": 2},
    "grpo": {"rollouts": 4, "prompts_per_rollout": 2, "n_generations": 4, "max_new_tokens": 12},
}


def toy_question(i: int) -> Question:
    scene_id = f"scene-{i:06d}"
    labels = tuple(str(label) for label in generator_for(1, scene_id).permutation(list(TEXTS)))
    return Question(
        question_id=f"{scene_id}.v00-v01.lateral",
        kind="lateral",
        family_id=f"{scene_id}.v00-v01",
        view_ids=(f"{scene_id}.v00", f"{scene_id}.v01"),
        text="Which way did the camera move?" if i % 2 else "Compare both pictures. Which way did the camera move between them?",  # prompts of unequal length
        options=tuple(TEXTS[label] for label in labels),
        labels=labels,
        truth=LETTERS[labels.index(("left", "right", "none")[i % 3])],
        deciding_quantity="lateral_r",
        deciding_value=0.5,
        margin=1.0,
        scene_id=scene_id,
        tied_class="",
        source="toy",
    )


def toy_conversation(i: int, params: Params, mode: Mode, taught: bool) -> Conversation:
    q = toy_question(i)
    messages = prompt_messages(params.prompt, q, mode)
    if taught:
        thought = "The red box moved left." if i % 3 else "Nothing moved, so the camera stayed."
        messages += (Message("assistant", completion_text(mode, q.truth, thought)),)
    described = mode == "describe"
    options = ((), ()) if described else (q.options, q.labels)
    return Conversation(
        q.question_id, q.view_ids, q.kind, mode, messages, *options, "" if described else q.truth, q.scene_id, prompt_sha(params.prompt), n_tokens=90
    )


def write_toy_inputs(outputs: Path, params: Params, n_scenes: int = 24, unreadable: tuple[str, ...] = ()) -> None:
    """Two flat pictures a scene, one SFT conversation and one RL prompt a scene; pictures named in `unreadable` are cut off."""
    camera = Camera(84, 84, (70.0, 0.0, 42.0, 0.0, 70.0, 42.0, 0.0, 0.0, 1.0), None)
    with ViewWriter(outputs / "render_views" / "views", shard_mb=64) as writer:
        for view_id in (f"scene-{s:06d}.v{v:02d}" for s in range(n_scenes) for v in range(2)):
            picture = np.full((84, 84, 3), generator_for(2, view_id).integers(0, 256, 3), np.uint8)
            data = encode_png(picture)
            writer.add(View(view_id, view_id[:12], camera, (), "toy", "CC0-1.0"), data[:60] if view_id in unreadable else data)
    with ViewWriter(outputs / "build_qa" / "views", shard_mb=64):
        pass  # no data set from outside
    mix = outputs / "cold_start_mix"
    write_conversations(mix / "sft.parquet", [toy_conversation(i, params, MODES[i % 3], True) for i in range(n_scenes)])
    write_conversations(mix / "rl.parquet", [toy_conversation(i, params, MODES[i % 2], False) for i in range(n_scenes)])


def make_project(folder: Path, unreadable: tuple[str, ...] = (), **sections: dict[str, Any]) -> Path:
    """A folder in which `python -m tasks.sft` and `tasks.grpo` run a few steps. Keywords override sections of params."""
    folder.mkdir(parents=True)
    for name in ("actial", "tasks"):  # copies: a stage refuses to finish when its sources change under it
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "assets").symlink_to(ROOT / "assets")
    shutil.copy(ROOT / "dvc.yaml", folder)
    data = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    for section, changes in SMALL.items():
        data[section] |= changes
    for section, changes in sections.items():
        data[section] |= changes
    (folder / "params.yaml").write_text(yaml.safe_dump(data))
    write_toy_inputs(folder / "outputs", load_params(folder / "params.yaml"), unreadable=unreadable)
    return folder


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "ACTIAL_TRACKING": "off", "ACTIAL_DEVICE": "cpu", "ACTIAL_CHECKPOINT_STEPS": "2", "ACTIAL_DATA_WORKERS": "0", **more}


def run_stage(project: Path, stage: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", f"tasks.{stage}"], cwd=project, env=environment(**env), capture_output=True, text=True, check=False)


def plan_of(project: Path, stage: str, **machine: Any) -> TrainingPlan:
    """The plan that a stage would hand to its training processes, for training inside the test's process; paths are absolute."""
    scratch = project / "runs" / stage / "test"
    (scratch / "out").mkdir(parents=True, exist_ok=True)
    params = load_params(project / "params.yaml")
    inputs = project / "outputs"
    small = Machine(**{**vars(load_machine(project)), "device": "cpu", "checkpoint_steps": 2, "data_workers": 0, **machine})
    return TrainingPlan(
        stage=stage,
        params=params,
        machine=small,
        source=str(ROOT / params.model.base) if stage == "sft" else str(inputs / "sft" / "model"),
        rows=str(inputs / "cold_start_mix" / ("sft.parquet" if stage == "sft" else "rl.parquet")),
        views=tuple(str(inputs / stage / "views") for stage in ("render_views", "build_qa")),
        broken_views=(),
        out=str(scratch / "out"),
        scratch=str(scratch),
    )
