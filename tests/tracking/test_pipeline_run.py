"""A pipeline run in MLflow: parent, children, what was cached, the scores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from test_stage_run import STAGE_PROGRAM
from tracked_project import REPO, Project, evaluation

from actial.params import STAGES
from tasks import run_log, tracking, versioning

RIGHT = {"base": range(0, 12, 3), "sft": range(0, 12, 2), "grpo": range(11)}


def run_pipeline(project: Project, ran: Collection[str], right: dict[str, Any] | None = None) -> str | None:
    """What the flow does: stages not in `ran` are cached. Returns the parent's id."""
    with tracking.pipeline_run("brave-otter", "http://127.0.0.1:4200/runs/flow-run/1") as pipeline:
        for stage in STAGES:
            if stage in ran:
                pipeline.begin()
                project.run_stage(stage, evaluation(right or RIGHT) if stage == "evaluate" else lambda out: None)
            pipeline.finished(stage, "ran" if stage in ran else "cached")
    return pipeline.run_id


def test_the_parent_has_a_child_for_every_stage_the_settings_and_the_scores(project: Project) -> None:
    parent_id = run_pipeline(project, STAGES)
    parent, *children = project.runs()
    assert parent.info.run_id == parent_id and parent.info.status == "FINISHED" and parent.info.run_name == "tiny brave-otter"
    assert [c.info.run_name for c in children] == list(STAGES)
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent_id}
    assert {r.data.tags["prefect.flow_run_url"] for r in (parent, *children)} == {"http://127.0.0.1:4200/runs/flow-run/1"}
    for child in children:
        stage = child.info.run_name
        assert parent.data.tags[f"run.{stage}"] == child.info.run_id and parent.data.tags[f"state.{stage}"] == "ran"
        assert child.data.tags["dvc.out"] == versioning.locked(stage).out
        assert child.info.run_id in parent.data.tags["mlflow.note.content"]
    (test_set,) = parent.inputs.dataset_inputs
    assert (test_set.dataset.name, test_set.dataset.digest) == ("build_qa/test.parquet", versioning.locked("build_qa").out[:8])
    assert "| setting |" not in parent.data.tags["mlflow.note.content"]
    scores = json.loads(Path("outputs/evaluate/scores.json").read_text())
    cell = scores["models"]["grpo"]["think"]["overall"]
    for run in (parent, children[-1]):
        assert run.data.metrics["accuracy/grpo.think"] == pytest.approx(cell["accuracy"]) and cell["accuracy"] > 0.8
        assert run.data.metrics["accuracy_stderr/grpo.think"] == pytest.approx(cell["stderr"])
        assert run.data.metrics["accuracy/chance"] == pytest.approx(1 / 3)
    assert {"seed", "render_views.n_scenes", "grpo.method"} <= set(parent.data.params) and not any(k.startswith("prompt") for k in parent.data.params)
    assert tracking.PARENT_RUN not in os.environ and run_log.FLOW_RUN_URL not in os.environ


def test_a_cached_stage_makes_no_run_and_the_parent_points_at_the_one_that_made_it(project: Project) -> None:
    run_pipeline(project, STAGES)
    first = {run.info.run_name: run.info.run_id for run in project.runs()[1:]}
    run_pipeline(project, ("grpo", "evaluate"), {**RIGHT, "grpo": range(12)})
    parent, *children = project.runs()[7:]
    assert [c.info.run_name for c in children] == ["grpo", "evaluate"]
    tags = parent.data.tags
    assert {s: tags[f"state.{s}"] for s in STAGES} == dict.fromkeys(STAGES[:4], "cached") | {"grpo": "ran", "evaluate": "ran"}
    assert {s: tags[f"run.{s}"] for s in STAGES} == first | {c.info.run_name: c.info.run_id for c in children}
    assert parent.data.metrics["accuracy/grpo.think"] == 1


def test_edited_settings_are_counted_in_the_name_and_listed_in_the_description(project: Project) -> None:
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("seed: 7\n", "seed: 8\n"))
    with tracking.pipeline_run("brave-otter") as pipeline:
        pipeline.begin()
    (parent,) = project.runs()
    assert parent.info.run_name == "tiny+1 brave-otter" and parent.data.tags["profile"] == "tiny+1"
    assert "| seed | 8 | 7 |" in parent.data.tags["mlflow.note.content"]


def test_a_pipeline_with_nothing_to_do_adds_no_run_and_imports_no_mlflow(project: Project) -> None:
    run_pipeline(project, STAGES)
    before = len(project.runs())
    assert run_pipeline(project, ()) is None and len(project.runs()) == before
    code = f"""
import sys
from tasks import tracking
with tracking.pipeline_run("calm-owl") as pipeline:
    for stage in {STAGES}:
        pipeline.finished(stage, "cached")
print([name for name in sys.modules if name.split(".")[0] in ("mlflow", "pandas")])
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(REPO)}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and done.stderr == ""


def test_stages_run_by_bare_dvc_repro_are_tagged_by_the_next_pipeline(project: Project) -> None:
    for stage in STAGES:
        project.run_stage(stage, evaluation(RIGHT) if stage == "evaluate" else lambda out: None)
    alone = {run.info.run_name: run for run in project.runs()}
    assert len(alone) == 6 and not any("dvc.out" in run.data.tags or "mlflow.parentRunId" in run.data.tags for run in alone.values())
    run_pipeline(project, ())
    parent = project.runs()[-1]
    assert len(project.runs()) == 7 and {s: parent.data.tags[f"run.{s}"] for s in STAGES} == {s: alone[s].info.run_id for s in STAGES}
    assert parent.data.metrics["accuracy/base.direct"] > 0


def test_an_output_that_another_run_made_is_not_ascribed_to_the_last_one(project: Project) -> None:
    project.run_stage("render_views", counts={"views": 1})
    shutil.copytree("outputs/render_views", "kept")
    project.run_stage("render_views", counts={"views": 2})
    shutil.rmtree("outputs/render_views")
    shutil.move("kept", "outputs/render_views")
    project.lock("render_views")
    tracking.tag_finished("render_views")
    assert not any("dvc.out" in run.data.tags for run in project.runs())


def test_outputs_pulled_from_elsewhere_leave_their_answers_on_the_parent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(run_log.SWITCH, "off")
    for stage in STAGES:
        project.run_stage(stage, evaluation(RIGHT) if stage == "evaluate" else lambda out: None)
    monkeypatch.setenv(run_log.SWITCH, "on")
    with tracking.pipeline_run() as pipeline:
        for stage in STAGES:
            pipeline.finished(stage, "restored")
    (parent,) = project.runs()
    assert parent.data.tags["state.evaluate"] == "restored" and "run.evaluate" not in parent.data.tags
    assert len(project.client.list_artifacts(parent.info.run_id, "records")) == 6


@pytest.mark.parametrize(("stop", "status"), [(RuntimeError("boom"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (None, "FAILED")])
def test_a_pipeline_that_stops_keeps_what_was_finished(project: Project, stop: BaseException | None, status: str) -> None:
    def run() -> None:
        with tracking.pipeline_run() as pipeline:
            pipeline.begin()
            project.run_stage("render_views")
            pipeline.finished("render_views", "ran")
            if stop:
                raise stop
            pipeline.failed("build_qa failed")

    if stop:
        with pytest.raises(type(stop)):
            run()
    else:
        run()
    parent, child = project.runs()
    assert (parent.info.status, child.info.status) == (status, "FINISHED")
    assert parent.data.tags["run.render_views"] == child.info.run_id and not any(key.startswith("accuracy") for key in parent.data.metrics)


@pytest.mark.slow
def test_with_real_dvc_the_hashes_are_those_of_dvc_lock(project: Project) -> None:
    """`dvc repro`, without a flow; then a flow that finds all clean."""
    stages = {
        "render_views": {"cmd": "python stage.py", "deps": [], "params": ["seed"], "outs": ["outputs/render_views"]},
        "build_qa": {"cmd": "python next_stage.py", "deps": ["outputs/render_views"], "params": ["seed"], "outs": ["outputs/build_qa"]},
    }
    Path("dvc.yaml").write_text(json.dumps({"stages": stages}))  # JSON is YAML
    Path("stage.py").write_text(STAGE_PROGRAM)
    Path("next_stage.py").write_text(STAGE_PROGRAM.replace('"render_views"', '"build_qa"'))
    Path(".gitignore").write_text("/outputs/\n/runs/\n/mlflow.db\n/mlruns/\n")
    shutil.copytree(REPO / ".dvc", ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    env = os.environ | {
        "PYTHONPATH": str(REPO),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(project.root / "site"),
    }
    subprocess.run(["git", "init", "-q"], check=True)
    identity = ["-c", "user.name=toy", "-c", "user.email=toy@example.com"]
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "start"], check=True)
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "warning" not in done.stdout + done.stderr, done.stdout + done.stderr
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    with tracking.pipeline_run() as pipeline:
        pipeline.finished("render_views", "cached")
        pipeline.finished("build_qa", "cached")
    render, build, parent = project.runs()
    assert {run.data.tags["git.commit"] for run in (render, build, parent)} == {head} and render.data.tags["git.dirty"] == "false"
    assert render.data.tags["dvc.out"] == versioning.locked("render_views").out
    assert build.inputs.dataset_inputs[0].dataset.digest == versioning.locked("render_views").out[:8]
    assert parent.info.run_name == "tiny" and parent.data.tags["mlflow.source.git.commit"] == head
