"""What training shows of itself: a line of progress, a curve that is the same on every run."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from actial.errors import UserError
from actial.json_files import write_json

COLUMNS = {
    "step": "step",
    "loss": "loss",
    "mean_token_accuracy": "mean_token_accuracy",
    "reward": "reward",
    "reward_std": "reward_std",
    "accuracy_reward": "rewards/accuracy_reward/mean",
    "format_reward": "rewards/format_reward/mean",
    "claims_reward": "rewards/claims_reward/mean",
    "dead_groups": "dead_groups",
    "completion_length": "completions/mean_length",
    "clipped_completions": "completions/clipped_ratio",
    "kl": "kl",
    "entropy": "entropy",
    "clip_ratio": "clip_ratio/region_mean",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""Column of the curve -> what the trainer calls it. Times and token counts are left out: they differ between equal runs."""


def write_curve(folder: Path, log_history: Sequence[Mapping[str, Any]]) -> None:
    """Write `curve.json` and `curve.csv`: a row for each logged step, with the columns that this trainer logs.

    A reward that applied to no completion of a step has no mean; it is left out of that step.
    """
    logged = [entry for entry in log_history if "loss" in entry]
    rows = [{column: entry[name] for column, name in COLUMNS.items() if entry.get(name) is not None} for entry in logged]
    columns = [column for column in COLUMNS if any(column in row for row in rows)]
    write_json(folder / "curve.json", rows)
    with (folder / "curve.csv").open("w", encoding="utf-8", newline="") as lines:
        table = csv.DictWriter(lines, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


class Progress(TrainerCallback):
    """Prints a line for each logged step, with a rate and the time left; ends training whose loss is no number any more."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.started_s, self.started_step = 0.0, 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started_s, self.started_step = time.monotonic(), state.global_step

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise UserError(f"{self.stage}: the loss is {logs['loss']} at step {state.global_step}: lower {self.stage}.optimizer.learning_rate")
        if state.is_world_process_zero:
            done = state.global_step - self.started_step
            rate = done / max(time.monotonic() - self.started_s, 1e-9)
            left_s = round((state.max_steps - state.global_step) / rate)
            shown = "  ".join(f"{column} {logs[COLUMNS[column]]:.3g}" for column in _SHOWN if logs.get(COLUMNS[column]) is not None)
            share = 100 * state.global_step // state.max_steps
            speed = f"{rate:.2f} step/s" if rate >= 1 else f"{1 / rate:.2f} s/step"
            print(f"{self.stage}: {share:3d}% | {state.global_step}/{state.max_steps}  {shown}  [{speed}, {left_s // 60}:{left_s % 60:02d} left]", flush=True)


_SHOWN = ("loss", "mean_token_accuracy", "reward", "accuracy_reward", "format_reward", "claims_reward", "completion_length")
