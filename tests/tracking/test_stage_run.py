"""A stage that runs has a run in MLflow; MLflow's troubles cost a warning, never the stage."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tracked_project import REPO, Project

from actial.errors import UserError
from actial.machine import load_machine
from actial.params import load_params
from tasks import body, run_log, tracking, versioning

STAGE_PROGRAM = """
import sys, time
from pathlib import Path
from tasks import body

def make(job):
    (job.out / "card.md").write_text("one view")
    Path("at_work").touch()
    while Path("hold").exists():
        time.sleep(0.02)
    print("MLFLOW IMPORTED", "mlflow" in sys.modules)
    return body.Made({"views": 1}, {}, "card.md")

body.main("render_views", make)
"""


def stage_program(folder: Path, **env: str) -> subprocess.Popen[str]:
    """`render_views` with a trivial body, as a process."""
    (folder / "stage.py").write_text(STAGE_PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(REPO)} | env
    return subprocess.Popen([sys.executable, "stage.py"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def test_a_stage_alone_is_a_run_with_settings_numbers_and_small_files(project: Project) -> None:
    def make(out: Path) -> None:
        (out / "card.md").write_text("a card")
        (out / "curve.csv").write_text("step,loss\n1,2.5\n2,1.5\n")
        (out / "model").mkdir()
        (out / "model" / "model.safetensors").write_bytes(b"weights")
        (out / "model" / "tokenizer.json").write_text("{}")

    project.run_stage("sft", make, {"steps": 2})
    run = project.runs("tags.stage = 'sft'")[0]
    assert run.info.run_name == "sft" and run.info.status == "FINISHED" and "mlflow.parentRunId" not in run.data.tags
    assert run.data.metrics["made/steps"] == 2 and run.data.metrics["refused/too dark"] == 1 and run.data.metrics["seconds"] > 0
    assert [(point.step, point.value) for point in project.client.get_metric_history(run.info.run_id, "curve/loss")] == [(1, 2.5), (2, 1.5)]
    params = load_params("params.yaml")
    assert run.data.params["seed"] == str(params.seed) and run.data.params["sft.lora.rank"] == str(params.sft.lora.rank)
    assert not any(key.startswith(("prompt", "grpo", "render_views")) for key in run.data.params)
    assert {"card.md", "curve.csv", "manifest.json", "params.yaml", "machine.yaml"} == {a.path for a in project.client.list_artifacts(run.info.run_id)}
    assert params.prompt.think in Path(project.client.download_artifacts(run.info.run_id, "params.yaml")).read_text()


def test_a_checkpoint_is_logged_by_reference(project: Project) -> None:
    def make(out: Path) -> None:
        (out / "model").mkdir()
        (out / "model" / "model.safetensors").write_bytes(b"weights")

    project.run_stage("sft", make)
    run = project.runs()[0]
    model = project.client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert model.source_run_id == run.info.run_id and model.tags["path"] == "outputs/sft/model"
    sums = json.loads(Path("outputs/sft/manifest.json").read_text())["files"]
    assert model.tags["sha256.model.safetensors"] == sums["model/model.safetensors"]
    assert not list(Path("mlruns").rglob("*.safetensors"))
    tracking.tag_finished("sft")
    tagged = project.client.get_run(run.info.run_id).data.tags
    assert tagged["dvc.out"] == versioning.locked("sft").out == project.client.get_logged_model(model.model_id).tags["dvc.out"]
    assert "outputs/cold_start_mix" in json.loads(tagged["dvc.deps"])


def test_data_sets_carry_the_digest_of_dvc_where_dvc_is_at_work(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "grpo")
    project.run_stage("grpo")
    (data,) = project.runs()[0].inputs.dataset_inputs
    assert data.dataset.name == "cold_start_mix/rl.parquet" and json.loads(data.dataset.profile) == {"num_rows": 2}
    assert data.dataset.digest == versioning.locked("cold_start_mix").out[:8]
    assert {t.key: t.value for t in data.tags} == {"mlflow.data.context": "training"}


@pytest.mark.parametrize(("error", "status"), [(ValueError("a bug"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(143), "KILLED")])
def test_a_body_that_stops_is_told_apart(project: Project, error: BaseException, status: str) -> None:
    def make(out: Path) -> None:
        raise error

    with pytest.raises(type(error)):
        project.run_stage("render_views", make)
    run = project.runs()[0]
    assert run.info.status == status
    assert run.data.tags.get("error") == ("ValueError: a bug" if status == "FAILED" else None)


def test_the_environment_lets_a_trainer_draw_into_the_run_and_is_put_back(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setenv("MLFLOW_RUN_ID", "theirs")
    project.run_stage("render_views", lambda out: seen.update(os.environ))
    assert seen["MLFLOW_RUN_ID"] == project.runs()[0].info.run_id
    assert seen["MLFLOW_TRACKING_URI"] == f"sqlite:///{project.root.resolve()}/mlflow.db"
    assert os.environ["MLFLOW_RUN_ID"] == "theirs" and "MLFLOW_TRACKING_URI" not in os.environ


@pytest.mark.slow
def test_tracked_switched_off_terminated_and_killed_processes(project: Project) -> None:
    """The door itself: `python -m tasks.<stage>`, in four ways at once."""
    wait = Path("hold")
    done = stage_program(project.root, ACTIAL_TRACKING="off").communicate()[0]
    assert "MLFLOW IMPORTED False" in done and project.runs() == []

    wait.touch()
    Path("at_work").unlink()
    terminated = stage_program(project.root)
    wait_for(Path("at_work"))
    terminated.terminate()
    assert terminated.wait(20) == 128 + signal.SIGTERM
    assert [run.info.status for run in project.runs()] == ["KILLED"]

    Path("at_work").unlink()
    killed = stage_program(project.root)
    wait_for(Path("at_work"))
    killed.kill()
    killed.wait()
    assert [run.info.status for run in project.runs()] == ["KILLED", "RUNNING"]

    wait.unlink()
    said = stage_program(project.root).communicate()[0]
    assert "MLFLOW IMPORTED True" in said and "warning" not in said and "made 1 views" in said
    assert [run.info.status for run in project.runs()] == ["KILLED", "KILLED", "FINISHED"]


TRAINER_PROGRAM = """
import torch
from transformers import Trainer, TrainingArguments

class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, labels):
        return {"loss": ((self.w * x - labels) ** 2).mean()}

rows = [{"x": 1.0, "labels": 2.0}] * 6
arguments = TrainingArguments("trainer", max_steps=3, per_device_train_batch_size=2, logging_steps=1, report_to=["mlflow"], save_strategy="no", use_cpu=True)
Trainer(Line(), arguments, train_dataset=rows).train()
"""


@pytest.mark.slow
def test_a_trainer_in_a_process_of_its_own_draws_its_curve_into_the_run(project: Project) -> None:
    done = []

    def make(out: Path) -> None:
        done.append(subprocess.run([sys.executable, "-c", TRAINER_PROGRAM], capture_output=True, text=True, check=False))

    project.run_stage("render_views", make)
    assert done[0].returncode == 0, done[0].stderr
    (run,) = project.runs()
    curve = project.client.get_metric_history(run.info.run_id, "loss")
    assert sorted(point.step for point in curve) == [1, 2, 3]
    assert run.info.status == "FINISHED" and run.info.run_name == "render_views" and run.data.metrics["made/things"] == 3
    assert all(key.split(".")[0] in ("seed", "render_views") for key in run.data.params), "the trainer's hundreds of settings stay out"


def test_a_locked_database_costs_one_warning_and_no_stage(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run_log, "LOCK_WAIT_S", 0.1)
    with sqlite3.connect("mlflow.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        start_s = time.monotonic()
        with tracking.stage_run(_first_job()) as finish:
            finish(_nothing_made())
        assert time.monotonic() - start_s < 5
        other.rollback()
    other.close()
    said = capsys.readouterr().err
    assert said.count("warning") == 1 and "database is locked" in said and "render_views goes on untracked" in said
    project.run_stage("render_views")
    assert len(project.runs()) == 1 and capsys.readouterr().err == ""


def test_artifacts_that_cannot_be_written_cost_one_warning(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mlruns").write_text("a file where a folder should be")
    project.run_stage("render_views")
    said = capsys.readouterr().err
    assert said.count("warning") == 1 and Path("outputs/render_views/manifest.json").exists()


def test_a_moved_project_does_not_write_to_where_it_came_from(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.run_stage("render_views")
    moved = tmp_path_factory.mktemp("elsewhere") / "project"
    project.root.rename(moved)
    monkeypatch.chdir(moved)
    with tracking.stage_run(_first_job()) as finish:
        finish(_nothing_made())
    assert "set it aside" in capsys.readouterr().err and not project.root.exists()


def test_the_switch_is_on_or_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(run_log.SWITCH, "of")
    with pytest.raises(UserError, match="must be on or off"):
        run_log.is_on()


def _first_job() -> body.Job:
    out = Path("runs/render_views/first/out")
    out.mkdir(parents=True)
    return body.Job("render_views", load_params("params.yaml"), load_machine(), {}, out, out.parent)


def _nothing_made() -> body.Made:
    return body.Made({}, {}, "")
