"""A training step of ours against a bare TRL script with the same settings: `python benchmarks/train_step.py [--rounds 5] [--steps 12]`.

SFT and GRPO on the tiny base, in turns inside one process, as CPU seconds a step after two steps of warm-up, and as a ratio (at most 1.05).
The bare script is what one would write by hand: model and processor from a folder, a data set with its pictures in memory, the trainer.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
WARM_UP_STEPS = 2
LIMIT = 1.05


def main() -> int:
    """Measure, print, and say whether the limit holds.

    Returns:
        The exit code: 0, or 1 where a ratio is certainly above the limit.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
    sys.path.insert(0, str(REPO / "tests" / "training"))
    import torch

    torch.set_num_threads(1)
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for stage in ("sft", "grpo"):
            runs = _runs(Path(folder) / stage, stage, options.steps)
            ours, bare = [], []
            for _ in range(options.rounds):
                ours.append(_cpu_s_per_step(runs[0], options.steps))
                bare.append(_cpu_s_per_step(runs[1], options.steps))
            ratios = [a / b for a, b in zip(ours, bare, strict=True)]
            low, high = _interval(ratios)
            print(
                f"{stage}: ours {statistics.median(ours):.3f}, bare {statistics.median(bare):.3f} CPU s a step; "
                f"ratio {statistics.mean(ratios):.3f} (95 % interval {low:.3f} to {high:.3f}, {options.rounds} rounds; limit {LIMIT})",
                flush=True,
            )
            held &= low <= LIMIT
    return 0 if held else 1


Run = Callable[[Any], None]
"""Trains with one more callback, which keeps the time."""


def _runs(folder: Path, stage: str, steps: int) -> tuple[Run, Run]:
    """Our training and the bare one, on the same rows in the same order with the same arguments."""
    from training_project import make_project, plan_of

    from actial.training import common, grpo, sft
    from actial.training.data import load_rows, schedule

    sections: dict[str, Any] = {
        "sft": {"batch_rows": 32, "epochs": 1000.0, "max_steps": steps, "logging_steps": 5},
        "grpo": {"rollouts": steps, "prompts_per_rollout": 4, "n_generations": 8, "max_new_tokens": 24},
    }
    project = make_project(folder, **sections)
    if stage == "grpo":
        (project / "outputs" / "sft").mkdir()
        (project / "outputs" / "sft" / "model").symlink_to(REPO / "assets" / "tiny-base")
    plan = plan_of(project, stage, checkpoint_steps=1000)
    rows, module = load_rows(plan), {"sft": sft, "grpo": grpo}[stage]
    wanted = steps * 32 if stage == "sft" else steps * 4
    order = schedule(len(rows), wanted, plan.params.seed, stage)
    n_run = iter(range(1_000_000))

    def ours(clock: Any) -> None:
        scratch = folder / f"ours-{next(n_run)}"
        (scratch / "out").mkdir(parents=True)
        fit = common.fit

        def timed(trainer: Any, plan: Any) -> None:
            trainer.add_callback(clock)
            fit(trainer, plan)

        with _patched(module, "fit", timed):
            module.train(replace(plan, scratch=str(scratch), out=str(scratch / "out")))

    def bare(clock: Any) -> None:
        arguments = sft.sft_arguments(plan, steps, True) if stage == "sft" else grpo.grpo_arguments(plan, True)
        _bare(stage, plan, rows, order, arguments | {"output_dir": str(folder / f"bare-{next(n_run)}"), "save_strategy": "no"}, clock)

    return ours, bare


def _bare(stage: str, plan: Any, rows: list[Any], order: list[int], arguments: dict[str, Any], clock: Any) -> None:
    from datasets import Dataset
    from transformers import Qwen2_5_VLForConditionalGeneration
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    from actial.models.load import load_processor
    from actial.shards import ViewStore
    from actial.training import grpo
    from actial.training.data import chat_turns

    views = ViewStore(*plan.views)
    columns: list[dict[str, Any]] = []
    for row in rows:
        turns = chat_turns(row.messages)
        split = {"prompt": turns[:-1], "completion": turns[-1:]} if stage == "sft" else {"prompt": turns}
        asked = {
            "question_id": row.question_id,
            "kind": row.kind,
            "mode": row.mode,
            "options": list(row.options),
            "truth": row.truth,
            "view_ids": list(row.view_ids),
        }
        split |= {} if stage == "sft" else asked
        columns.append({"images": [views.picture(v) for v in row.view_ids], **split})
    dataset = Dataset.from_list(columns).select(order)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(plan.source, attn_implementation=plan.params.model.attention)
    common = {"model": model, "train_dataset": dataset, "processing_class": load_processor(plan.source, plan.params.model), "callbacks": [clock]}
    if stage == "sft":
        SFTTrainer(args=SFTConfig(**arguments), **common).train()
    else:
        GRPOTrainer(args=GRPOConfig(**arguments), reward_funcs=grpo.reward_functions(plan), **common).train()


def _cpu_s_per_step(run: Run, steps: int) -> float:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """CPU seconds of the process at the end of each step."""

        def __init__(self) -> None:
            self.at_s: dict[int, float] = {}

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.at_s[state.global_step] = time.process_time()

    clock = Clock()
    with contextlib.redirect_stdout(io.StringIO()):
        run(clock)
    return (clock.at_s[steps] - clock.at_s[WARM_UP_STEPS]) / (steps - WARM_UP_STEPS)


@contextlib.contextmanager
def _patched(module: Any, name: str, value: Any) -> Any:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the mean, by Student's t."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return statistics.mean(values) - half, statistics.mean(values) + half


if __name__ == "__main__":
    sys.exit(main())
