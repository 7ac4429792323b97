"""Which checkpoint a killed run goes on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from actial.training.resume import newest_whole_checkpoint


def write_checkpoint(folder: Path, step: int, sharded: bool = False) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] if sharded else ["model.safetensors"]
    for name in names:
        save_file({name: torch.ones(10)}, checkpoint / name)
    if sharded:
        (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {name: name for name in names}}))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (checkpoint / name).write_bytes(b"x")
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return checkpoint


def test_no_checkpoint(tmp_path: Path) -> None:
    assert newest_whole_checkpoint(tmp_path) is None


def test_the_newest_is_taken_by_number(tmp_path: Path) -> None:
    for step in (20, 100, 3):
        write_checkpoint(tmp_path, step, sharded=step == 100)
    assert newest_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")


@pytest.mark.parametrize("lost", ["trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors"])
def test_one_that_lacks_a_file_is_skipped(tmp_path: Path, lost: str) -> None:
    write_checkpoint(tmp_path, 10)
    (write_checkpoint(tmp_path, 20) / lost).unlink()
    assert newest_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


@pytest.mark.parametrize("n_bytes", [0, 5, 30, -1])
def test_one_with_weights_cut_short_is_skipped(tmp_path: Path, n_bytes: int) -> None:
    write_checkpoint(tmp_path, 10)
    weights = write_checkpoint(tmp_path, 20) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:n_bytes])
    assert newest_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


def test_one_with_a_lost_shard_or_a_cut_state_is_skipped(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 10)
    (write_checkpoint(tmp_path, 20, sharded=True) / "model-00002-of-00002.safetensors").unlink()
    (write_checkpoint(tmp_path, 30) / "trainer_state.json").write_text('{"global_step": 3')
    assert newest_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
