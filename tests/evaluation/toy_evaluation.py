"""A project folder with a few views and questions, whose checkpoints are random tiny models: what stage evaluate needs, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from actial.models.load import folder_sha256
from actial.records import LETTERS, Camera, Question, View
from actial.rng import generator_for
from actial.shards import ViewWriter, encode_png
from actial.tables import write_questions

ROOT = Path(__file__).parents[2]
TEXTS = {"left": "It moved to the left.", "right": "It moved to the right.", "none": "It did not move."}
KINDS = {"lateral": "one bit", "orbit": "one bit", "turn": ""}
"""Kinds of the toy questions with their tied classes: the first two ask the same bit of the same pair."""
QUESTIONS = {
    "lateral": "How did the camera move?",
    "orbit": "Which way round the object did the camera go?",
    "turn": "How did the camera turn, seen from where it first stood?",
}
TOKENS = {"think": 12, "direct": 4}
NO_CONTROLS = {"models": [], "conditions": [], "n_questions": None}
NO_SAMPLES = {"models": [], "n": 2, "temperature": 1.0, "n_questions": None}


def toy_questions(n_scenes: int = 12) -> list[Question]:
    """Three questions about one pair of views of each scene; truths go round left, right, none, right; options are shuffled."""
    questions = []
    for scene in range(n_scenes):
        scene_id = f"scene-{scene:06d}"
        for k, (kind, tied_class) in enumerate(KINDS.items()):
            question_id = f"{scene_id}.v00-v01.{kind}"
            labels = tuple(str(label) for label in generator_for(1, question_id).permutation(["left", "right", "none"]))
            label = ("left", "right", "none", "right")[(scene + (k == 2)) % 4]
            questions.append(
                Question(
                    question_id=question_id,
                    kind=kind,
                    family_id=f"{scene_id}.v00-v01",
                    view_ids=(f"{scene_id}.v00", f"{scene_id}.v01"),
                    text=QUESTIONS[kind],
                    options=tuple(TEXTS[label] for label in labels),
                    labels=labels,
                    truth=LETTERS[labels.index(label)],
                    deciding_quantity="lateral_m",
                    deciding_value=0.5,
                    margin=1.0,
                    scene_id=scene_id,
                    tied_class=tied_class,
                    source="toy",
                )
            )
    return questions


def write_views(folder: Path, n_scenes: int = 12, unreadable: tuple[str, ...] = ()) -> None:
    """Two pictures of noise a scene, 84 pixels square; those named in `unreadable` are cut off."""
    camera = Camera(84, 84, (70.0, 0.0, 42.0, 0.0, 70.0, 42.0, 0.0, 0.0, 1.0), None)
    with ViewWriter(folder, shard_mb=64) as writer:
        for view_id, scene_id in ((f"scene-{s:06d}.v{v:02d}", f"scene-{s:06d}") for s in range(n_scenes) for v in range(2)):
            picture = encode_png(generator_for(2, view_id).integers(0, 256, (84, 84, 3), dtype=np.uint8))
            writer.add(View(view_id, scene_id, camera, (), "toy", "CC0-1.0"), picture[:200] if view_id in unreadable else picture)


def make_project(folder: Path, base: Path, checkpoints: Mapping[str, Path], questions: list[Question] | None = None, **evaluate: Any) -> Path:
    """A folder in which `python -m tasks.evaluate` runs. `evaluate` overrides that section of params."""
    folder.mkdir()
    for name in ("actial", "tasks"):  # copies, so that an edit of the checkout during the test is no edit of this project
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", folder)
    params = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    params["model"] |= {"base": str(base), "sha256": folder_sha256(base)}
    plain = {
        "models": ["base", *checkpoints],
        "max_new_tokens": TOKENS,
        "n_questions": None,
        "chance_bound": 0.05,
        "margin": 0.05,
        "primary": [],
        "benchmarks": [],
        "benchmark_controls": [],
        "max_refused_share": 0.2,
    }
    params["evaluate"] = plain | {"controls": NO_CONTROLS, "sampled": NO_SAMPLES} | evaluate
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    write_views(folder / "outputs" / "render_views" / "views")
    write_questions(folder / "outputs" / "build_qa" / "test.parquet", toy_questions() if questions is None else questions)
    (folder / "data" / "external" / "benchmarks").mkdir(parents=True)
    for stage in ("sft", "grpo"):
        (folder / "outputs" / stage).mkdir()
        if stage in checkpoints:
            shutil.copytree(checkpoints[stage], folder / "outputs" / stage / "model")
    return folder


def program_environment(**environment: str) -> dict[str, str]:
    return os.environ | {"ACTIAL_GENERATE_ROWS": "8", "ACTIAL_DEVICE": "cpu", "ACTIAL_THREADS": "1", "ACTIAL_TRACKING": "off"} | environment


def evaluate(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the stage's program."""
    program = [sys.executable, "-m", "tasks.evaluate"]
    return subprocess.run(program, cwd=project, env=program_environment(), capture_output=True, text=True, timeout=300, check=False)


def with_other_truth(questions: list[Question], place: int, truth: str) -> list[Question]:
    return [replace(q, truth=truth) if i == place else q for i, q in enumerate(questions)]
