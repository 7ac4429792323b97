"""The stages as programs: killed and rerun, on two processes, SFT into GRPO."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from training_project import environment, make_project, run_stage

from actial.tables import read_rollouts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
LEARN = {"max_steps": 60, "epochs": 100.0, "logging_steps": 2}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kill_after_checkpoint(project: Path, stage: str, step: int) -> None:
    """Start a stage, SIGKILL its program as soon as a checkpoint is whole, and see that nothing it started lives on."""
    program = subprocess.Popen([sys.executable, "-m", f"tasks.{stage}"], cwd=project, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + 300
        while not list(project.glob(f"runs/{stage}/*/checkpoints/checkpoint-{step}/trainer_state.json")):
            assert program.poll() is None and time.monotonic() < deadline_s, "the stage ended before it could be killed"
            time.sleep(0.05)
        below = psutil.Process(program.pid).children(recursive=True)
        assert below
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    assert not (project / "outputs" / stage / "manifest.json").exists()


def ran_well(project: Path, stage: str, **env: str) -> str:
    ran = run_stage(project, stage, **env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def curve(project: Path, stage: str) -> list[dict[str, float]]:
    with (project / "outputs" / stage / "curve.csv").open(newline="") as lines:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]


def test_killed_and_rerun_stages_end_with_the_weights_of_undisturbed_ones(tmp_path: Path) -> None:
    whole, killed = (make_project(tmp_path / name, sft=LEARN, grpo={"rollouts": 12, "max_new_tokens": 24}) for name in ("whole", "killed"))
    ran_well(whole, "sft", ACTIAL_DATA_WORKERS="1")
    kill_after_checkpoint(killed, "sft", 20)
    newest = max(killed.glob("runs/sft/*/checkpoints/checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    half_written = newest.with_name("checkpoint-58")
    half_written.mkdir()
    (half_written / "model.safetensors").write_bytes((newest / "model.safetensors").read_bytes()[:1000])
    said = ran_well(killed, "sft")
    assert "sft: going on from" in said and "checkpoint-58" not in said
    for name in ("model/model.safetensors", "curve.csv", "manifest.json"):
        assert sha256(whole / "outputs/sft" / name) == sha256(killed / "outputs/sft" / name), name
    assert not list(killed.glob("runs/sft/*/checkpoints"))
    assert curve(whole, "sft")[-1]["mean_token_accuracy"] > 0.8

    ran_well(whole, "grpo")
    kill_after_checkpoint(killed, "grpo", 4)
    assert "grpo: going on from" in ran_well(killed, "grpo")
    for name in ("model/model.safetensors", "curve.csv", "rollouts.parquet", "manifest.json"):
        assert sha256(whole / "outputs/grpo" / name) == sha256(killed / "outputs/grpo" / name), name
    points = curve(whole, "grpo")
    assert len(points) == 12 and max(p["format_reward"] for p in points) > 0 and any(p["grad_norm"] > 0 for p in points)
    assert all(0 <= p["dead_groups"] <= 1 for p in points)
    assert sha256(whole / "outputs/grpo/model/model.safetensors") != sha256(whole / "outputs/sft/model/model.safetensors")
    assert all(r.rewards.keys() == {"format_reward", "accuracy_reward", "claims_reward"} for r in read_rollouts(whole / "outputs/grpo/rollouts.parquet"))
    for path in (p for p in (whole / "outputs").rglob("*") if p.is_file()):
        assert str(tmp_path).encode() not in path.read_bytes(), f"{path} holds a path of this machine"


def test_two_processes_see_every_row_once_and_log_the_losses_of_one(tmp_path: Path) -> None:
    one, two, small = (make_project(tmp_path / name, sft={"logging_steps": 1}) for name in ("one", "two", "small"))
    ran_well(one, "sft")
    ran_well(two, "sft", ACTIAL_TRAIN_PROCESSES="2")
    ran_well(small, "sft", ACTIAL_ROWS_PER_DEVICE="1")
    for other in (two, small):
        for p, q in zip(curve(one, "sft"), curve(other, "sft"), strict=True):
            assert p["loss"] == pytest.approx(q["loss"], rel=1e-4) and p["grad_norm"] == pytest.approx(q["grad_norm"], rel=1e-3)
    ran_well(two, "grpo", ACTIAL_TRAIN_PROCESSES="2")
    assert len(curve(two, "grpo")) == 4 and len(read_rollouts(two / "outputs/grpo/rollouts.parquet")) == 4 * 2 * 4


def test_a_broken_picture_costs_its_row_and_a_broken_parquet_the_run(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", unreadable=("scene-000000.v00",), sft={"max_refused_share": 0.1, "max_steps": 2})
    said = ran_well(project, "sft")
    assert "sft: made 23 conversations" in said and "sft: refused 1 conversations with an unreadable picture" in said
    manifest = yaml.safe_load((project / "outputs/sft/manifest.json").read_text())
    assert manifest["refused"] == {"conversations with an unreadable picture": 1}
    (project / "outputs/cold_start_mix/rl.parquet").write_bytes(b"PAR1 not really")
    ran = run_stage(project, "grpo")
    assert ran.returncode == 2 and "rl.parquet is not a readable Parquet file" in ran.stderr
