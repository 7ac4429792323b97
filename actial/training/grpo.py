"""Stage grpo in its training processes: `accelerate launch --module actial.training.grpo PLAN`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trl import GRPOConfig, GRPOTrainer

from actial import rewards
from actial.answers import thought_of
from actial.errors import UserError, exit_on_user_error
from actial.json_files import write_json
from actial.mix.verification import NEAR_CELLS, share_of_true_claims
from actial.records import Rollout
from actial.shards import ViewStore
from actial.tables import write_rollouts
from actial.training.checks import ROWS_CHECKED, check_pictures, check_tags, check_trainable
from actial.training.common import adapters, fit, grpo_steps, load_for_training, one_at_a_time, optimizers, save_result, start_process, trainer_arguments
from actial.training.data import grpo_dataset, load_rows, schedule
from actial.training.plan import TrainingPlan, completions_per_update, round_up, split_batch
from actial.training.resume import ExactResumeMixin

ROLLOUT_PROMPTS = 2
"""Prompts of each rollout whose completions are kept to be looked at."""


def format_reward(completions: list[Any], mode: list[Any], question_id: list[str], log_extra: Any, **_: Any) -> list[float]:
    """`actial.rewards.format_reward` in the form that TRL calls; also tells the log which question each completion answers."""
    log_extra("question_id", list(question_id))
    return [rewards.format_reward(turns[0]["content"], m) for turns, m in zip(completions, mode, strict=True)]


def accuracy_reward(completions: list[Any], options: list[Any], truth: list[str], question_id: list[str], log_metric: Any, **_: Any) -> list[float | None]:
    """`actial.rewards.accuracy_reward` in the form that TRL calls; also tells the log what share of prompts has answers that are all right or all wrong.

    TRL's own share (`frac_reward_zero_std`) is of no use where advantages are divided by the spread of the whole batch: it is that spread which it looks at.
    """
    given = [rewards.accuracy_reward(turns[0]["content"], o, t) for turns, o, t in zip(completions, options, truth, strict=True)]
    groups: dict[str, set[float]] = {}
    for asked, reward in zip(question_id, given, strict=True):
        if reward is not None:
            groups.setdefault(asked, set()).add(reward)
    if groups:
        log_metric("dead_groups", sum(len(rewards_seen) == 1 for rewards_seen in groups.values()) / len(groups))
    return given


def claims_reward_of(plan: TrainingPlan) -> Callable[..., list[float | None]]:
    """A reward in the form that TRL calls: how true the thoughts of completions are (`mix.verification.share_of_true_claims`), a place within a cell.

    0 where a completion that should think does not keep the form; none where nothing is thought, or nothing is known to check it against.
    """
    view, grid = ViewStore(*plan.views).__getitem__, plan.params.cold_start_mix.grid

    def claims_reward(completions: list[Any], mode: list[Any], kind: list[str], view_ids: list[list[str]], **_: Any) -> list[float | None]:
        return [of(turns[0]["content"], *asked) for turns, *asked in zip(completions, mode, kind, view_ids, strict=True)]

    def of(completion: str, mode: str, kind: str, view_ids: list[str]) -> float | None:
        if mode != "think" or len(view_ids) != 2:
            return None
        first, second = map(view, view_ids)
        return share_of_true_claims(thought_of(completion), kind, first, second, grid, NEAR_CELLS)

    return claims_reward


class PairGRPOTrainer(ExactResumeMixin, GRPOTrainer):
    """TRL's trainer with a resume that restores this model, and a file of sampled completions for each rollout in `rollouts_folder`."""

    rollouts_folder: Path

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs, start_time)
        if "reward" in logs and self.is_world_process_zero():
            write_json(self.rollouts_folder / f"{self.state.global_step:08d}.json", self._sample())

    def _sample(self) -> list[dict[str, Any]]:
        n = ROLLOUT_PROMPTS * self.num_generations
        ids, completions = list(self._logs["extra"]["question_id"])[:n], list(self._logs["completion"])[:n]
        given = {name: list(values)[:n] for name, values in self._logs["rewards"].items()}
        return [
            {
                "question_id": question_id,
                "step": self.state.global_step,
                "completion": turns[0]["content"],
                "rewards": {name: None if math.isnan(values[i]) else values[i] for name, values in given.items()},
            }
            for i, (question_id, turns) in enumerate(zip(ids, completions, strict=True))
        ]


def train(plan: TrainingPlan) -> None:
    """Optimise the policy of `plan.source` on the prompts of `plan.rows` and write the result to `plan.out`.

    Raises:
        UserError: the model, the rows or the settings cannot be trained with.
    """
    settings = plan.params.grpo
    rows = load_rows(plan)
    if all(row.mode == "describe" for row in rows):
        raise UserError(f"{plan.rows} has no question with options, so there is nothing to reward: check cold_start_mix.modes")
    model, processor = load_for_training(plan, settings)
    order = schedule(len(rows), settings.rollouts * settings.prompts_per_rollout, plan.params.seed, "grpo")
    trainer = PairGRPOTrainer(
        model=model,
        args=GRPOConfig(**grpo_arguments(plan, all(row.view_ids for row in rows))),
        train_dataset=grpo_dataset(plan, order),
        processing_class=processor,
        reward_funcs=reward_functions(plan),
        peft_config=adapters(settings),
        optimizers=optimizers(model, settings.optimizer),
    )
    trainer.rollouts_folder = Path(plan.scratch) / "rollouts"
    check_tags(processor)
    check_trainable(trainer.model, settings.method, settings.freeze_vision)
    _check_prompts(trainer, processor, model, [rows[i] for i in order[:ROWS_CHECKED]])
    fit(trainer, plan)
    save_result(trainer, plan, settings)
    if trainer.is_world_process_zero():
        write_rollouts(Path(plan.out) / "rollouts.parquet", _sampled(trainer.rollouts_folder, trainer.state.max_steps))


def grpo_arguments(plan: TrainingPlan, all_have_pictures: bool) -> dict[str, Any]:
    """Settings of TRL's trainer. A checkpoint stands only between rollouts: completions in use are not part of it."""
    settings = plan.params.grpo
    split = split_batch(completions_per_update(plan.params), "the number of completions of an update of grpo", plan.machine)
    arguments = trainer_arguments(plan, settings.optimizer, split, grpo_steps(settings), settings.updates_per_rollout, all_have_pictures)
    return arguments | {
        "save_steps": round_up(plan.machine.checkpoint_steps, settings.updates_per_rollout),
        "num_generations": settings.n_generations,
        "steps_per_generation": split.accumulation * settings.updates_per_rollout,
        "shuffle_dataset": False,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "loss_type": settings.loss_type,
        "scale_rewards": settings.scale_rewards,
        "epsilon": settings.epsilon,
        "beta": settings.beta,
        "reward_weights": [settings.reward_weights[name] for name in _rewarded(plan)],
    }


def reward_functions(plan: TrainingPlan) -> list[Callable[..., Any]]:
    """What is rewarded, in the form that TRL calls, in the order of `grpo_arguments`' weights."""
    always: list[Callable[..., Any]] = [format_reward, accuracy_reward]
    return [*always, *([claims_reward_of(plan)] if "claims" in _rewarded(plan) else [])]


def _rewarded(plan: TrainingPlan) -> list[str]:
    """Names of the rewards; checking claims takes time, so it is left out where it counts nothing."""
    return ["format", "accuracy", *(["claims"] if plan.params.grpo.reward_weights["claims"] else [])]


def _check_prompts(trainer: Any, processor: Any, model: Any, rows: list[Any]) -> None:
    """Prepare the first prompts as the trainer will, and compare picture tokens with pictures."""
    examples = [trainer.train_dataset[i] for i in range(len(rows))]
    texts = [processor.apply_chat_template(e["prompt"], tokenize=False, add_generation_prompt=True) for e in examples]
    batch = processor(images=[e["images"] for e in examples], text=texts, padding=True, return_tensors="pt")
    check_pictures(processor, model, batch, sum(len(row.view_ids) for row in rows))


def _sampled(folder: Path, max_step: int) -> list[Rollout]:
    files = sorted(path for path in folder.glob("*.json") if int(path.stem) <= max_step)
    return [Rollout(**row) for path in files for row in json.loads(path.read_text(encoding="utf-8"))]


def main() -> None:
    plan = TrainingPlan.load(Path(sys.argv[1]))
    start_process(plan)
    with one_at_a_time(plan):
        train(plan)


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
