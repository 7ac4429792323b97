"""The whole flow on the smoke profile, with Blender pictures, in a scratch clone: what `.ci/run` does after the suite.

Not collected by `make test` (its name): run it with `make smoke`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actial.params import STAGES
from actial.shards import ViewStore
from actial.tables import read_conversations, read_questions

ROOT = Path(__file__).parents[1]


def call(project: Path, *arguments: str) -> str:
    """Run a module of the project as a user would; its output is shown when it fails."""
    env = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"} | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("smoke") / "actial"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    call(folder, "flows.cli", "use", "smoke")
    os.environ["PREFECT_HOME"] = str(folder.parent / "prefect")
    print(call(folder, "flows.cli", "run")[-3000:])
    yield folder


@pytest.mark.timeout(1500)
def test_every_stage_left_its_output(project: Path) -> None:
    outputs = project / "outputs"
    for stage in STAGES:
        manifest = json.loads((outputs / stage / "manifest.json").read_text())
        assert manifest["made"], stage
        assert all((outputs / stage / name).exists() for name in manifest["files"])
    views = ViewStore(outputs / "render_views" / "views")
    assert {view.source for view in views} == {"blender"}
    splits = {name: read_questions(outputs / "build_qa" / f"{name}.parquet") for name in ("train", "rl", "val", "test")}
    scenes = {name: {q.scene_id for q in questions} for name, questions in splits.items()}
    assert all(scenes.values())
    assert sum(map(len, scenes.values())) == len(set().union(*scenes.values())), "splits share a scene"
    assert {c.mode for c in read_conversations(outputs / "cold_start_mix" / "sft.parquet")} >= {"think", "direct"}
    for stage in ("sft", "grpo"):
        assert (outputs / stage / "model" / "model.safetensors").exists()
    sft, grpo = ((outputs / stage / "model" / "model.safetensors").read_bytes() for stage in ("sft", "grpo"))
    assert sft != grpo, "GRPO changed nothing"


def test_the_stand_ins_prove_the_scores(project: Path) -> None:
    scores = json.loads((project / "outputs" / "evaluate" / "scores.json").read_text())
    overall = {model: by_mode["think"]["overall"] for model, by_mode in scores["models"].items()}
    assert overall["oracle"]["accuracy"] == 1.0
    assert overall["silent"]["accuracy"] == 0.0
    assert overall["silent"]["unparsed"] == 1.0
    assert {"base", "sft", "grpo"} <= set(overall)


def test_the_base_reads_pictures(project: Path) -> None:
    """It answers 2D questions about Blender's pictures when it may think first: what it says of cameras is not for want of eyes or words."""
    scores = json.loads((project / "outputs" / "evaluate" / "scores.json").read_text())
    base = scores["models"]["base"]["think"]
    assert base["2d"]["n"] >= 9
    assert base["2d"]["accuracy"] > 0.55
    assert base["2d"]["unparsed"] < 0.1


def test_the_report_is_there(project: Path) -> None:
    page = (project / "runs" / "report" / "index.html").read_text()
    assert "<html" in page and len(page) > 50_000


def test_another_door_finds_nothing_to_do(project: Path) -> None:
    said = call(project, "dvc", "repro")
    assert "Running stage" not in said, said
    assert "up to date" in said


def test_one_question_is_followed_from_its_cameras_to_the_decimal(project: Path) -> None:
    """The README's tour."""
    verdicts = (project / "outputs" / "evaluate" / "records" / "sft-think.jsonl").read_text().splitlines()
    asked = json.loads(verdicts[0])["question_id"]
    question = next(q for q in read_questions(project / "outputs" / "build_qa" / "test.parquet") if q.question_id == asked)
    said = call(project, "flows.cli", "trace", asked)
    for step in (*question.view_ids, question.text, question.deciding_quantity, "sft", "grpo", "base", "think", "accuracy"):
        assert step in said, f"the trace of {asked} does not mention {step}"
