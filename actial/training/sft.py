"""Stage sft in its training processes: `accelerate launch --module actial.training.sft PLAN`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from actial.errors import exit_on_user_error
from actial.training.checks import ROWS_CHECKED, check_labels, check_pictures, check_tags, check_trainable
from actial.training.collate import sft_collator
from actial.training.common import adapters, fit, load_for_training, one_at_a_time, optimizers, save_result, sft_steps, start_process, trainer_arguments
from actial.training.data import load_rows, schedule, sft_dataset
from actial.training.plan import TrainingPlan, split_batch
from actial.training.resume import ExactResumeMixin


class PairSFTTrainer(ExactResumeMixin, SFTTrainer):
    """TRL's trainer with a resume that restores this model, and a loss that is one mean over the tokens of a whole step.

    Qwen2.5-VL says that its own forward takes no token count (`accepts_loss_kwargs = False`), so that the stock trainer counts none and
    averages the means of micro-batches: the gradient would depend on how a batch is split.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = True
        self.data_collator = sft_collator(self.processing_class)  # given as an argument, TRL would not write the padding token into the model's config


def train(plan: TrainingPlan) -> None:
    """Fine-tune on the assistant's turns of `plan.rows` and write the result to `plan.out`.

    Raises:
        UserError: the model, the rows or the settings cannot be trained with.
    """
    settings = plan.params.sft
    rows = load_rows(plan)
    steps = sft_steps(settings, len(rows))
    model, processor = load_for_training(plan, settings)
    order = schedule(len(rows), steps * settings.batch_rows, plan.params.seed, "sft")
    trainer = PairSFTTrainer(
        model=model,
        args=SFTConfig(**sft_arguments(plan, steps, all(row.view_ids for row in rows))),
        train_dataset=sft_dataset(plan, order),
        processing_class=processor,
        peft_config=adapters(settings),
        optimizers=optimizers(model, settings.optimizer),
    )
    check_tags(processor)
    check_trainable(trainer.model, settings.method, settings.freeze_vision)
    first = [rows[i] for i in order[:ROWS_CHECKED]]
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(first))])
    check_pictures(processor, model, batch, sum(len(row.view_ids) for row in first))
    check_labels(processor, batch, first)
    fit(trainer, plan)
    save_result(trainer, plan, settings)


def sft_arguments(plan: TrainingPlan, steps: int, all_have_pictures: bool) -> dict[str, Any]:
    """Settings of TRL's trainer. Nothing is cut: a cut through picture tokens would break the row."""
    settings = plan.params.sft
    split = split_batch(settings.batch_rows, "sft.batch_rows", plan.machine)
    arguments = trainer_arguments(plan, settings.optimizer, split, steps, settings.logging_steps, all_have_pictures)
    return arguments | {"max_length": None, "train_sampling_strategy": "sequential", "dataloader_num_workers": plan.machine.data_workers}


def main() -> None:
    plan = TrainingPlan.load(Path(sys.argv[1]))
    start_process(plan)
    with one_at_a_time(plan):
        train(plan)


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
