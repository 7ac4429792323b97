"""What SFT and GRPO share: the model as it is trained, the trainer's arguments, the finished model."""

from __future__ import annotations

import fcntl
import math
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback

from actial.errors import UserError
from actial.jobs import die_with_parent
from actial.machine import Machine
from actial.models.load import freeze_vision, load_model, load_processor, lora_config
from actial.models.muon import MuonAdamW
from actial.params import Grpo, Optimizer, Sft
from actial.rng import seed_for
from actial.training.card import model_card
from actial.training.curve import Progress, write_curve
from actial.training.plan import Split, TrainingPlan, round_up
from actial.training.resume import newest_whole_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

    from actial.models.processor import PairProcessor


def start_process(plan: TrainingPlan) -> None:
    """What a training process does first: die with its launcher, keep to its threads."""
    die_with_parent()
    torch.set_num_threads(plan.machine.threads)


def load_for_training(plan: TrainingPlan, settings: Sft | Grpo) -> tuple[PreTrainedModel, PairProcessor]:
    """The model and processor to start from.

    All weights are trained in float32 (small steps are lost in bfloat16) and computed in the profile's format; under adapters they stand still in it.
    """
    model = load_model(plan.source, plan.params.model, dtype="float32" if settings.method == "full" else None)
    if settings.method == "full" and settings.freeze_vision:
        freeze_vision(model)
    return model, load_processor(plan.source, plan.params.model)


def adapters(settings: Sft | Grpo) -> Any:
    """The adapters to train; None where all weights are."""
    return lora_config(settings.lora) if settings.method == "lora" else None


def optimizers(model: PreTrainedModel, settings: Optimizer) -> tuple[torch.optim.Optimizer | None, None]:
    """What the trainer takes as its optimizer and schedule; it makes those that are None itself, from its arguments."""
    if settings.name == "adamw":
        return None, None
    return MuonAdamW(model, settings.learning_rate, settings.weight_decay, settings.adam_beta2), None


def trainer_arguments(plan: TrainingPlan, optimizer: Optimizer, split: Split, steps: int, logging_steps: int, all_have_pictures: bool) -> dict[str, Any]:
    """Arguments that both trainers take. Checkpoints stand at whole points of the curve, so that a resumed curve has no gap.

    Args:
        all_have_pictures: every row shows pictures, so that every process uses the vision tower in every pass.
    """
    machine = plan.machine
    use_cpu = not _uses_gpus(machine)
    falling_steps = round(optimizer.decay_share * max(steps - optimizer.warmup_steps, 0))
    return {
        "output_dir": str(Path(plan.scratch) / "checkpoints"),
        "per_device_train_batch_size": split.rows_per_device,
        "gradient_accumulation_steps": split.accumulation,
        "max_steps": steps,
        "learning_rate": optimizer.learning_rate,
        "lr_scheduler_type": "warmup_stable_decay",
        "lr_scheduler_kwargs": {"num_decay_steps": falling_steps, "decay_type": optimizer.decay_shape},
        "warmup_steps": optimizer.warmup_steps,
        "adam_beta2": optimizer.adam_beta2,
        "weight_decay": optimizer.weight_decay,
        "max_grad_norm": optimizer.max_grad_norm,
        "bf16": plan.params.model.dtype == "bfloat16",
        "activation_checkpointing": machine.activation_checkpointing,
        "use_cache": True,  # goes into the saved config: without it, a finished model would generate slowly
        "use_cpu": use_cpu,
        "dataloader_pin_memory": not use_cpu,
        "remove_unused_columns": False,
        "ddp_find_unused_parameters": not all_have_pictures,
        "seed": seed_for(plan.params.seed, plan.stage) % 2**32,
        "logging_strategy": "steps",
        "logging_steps": logging_steps,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": round_up(machine.checkpoint_steps, logging_steps),
        "save_total_limit": 2,
        "report_to": ["mlflow"] if os.environ.get("MLFLOW_RUN_ID") else "none",
        "disable_tqdm": True,
    }


def _uses_gpus(machine: Machine) -> bool:
    """Whether training runs on GPUs.

    Raises:
        UserError: it should, but there are none or too few.
    """
    n_gpus = 0 if machine.device == "cpu" else torch.cuda.device_count()
    if machine.device == "cuda" and not n_gpus:
        raise UserError("device of machine.yaml is cuda, but torch sees no GPU here: set it to auto or cpu, or install torch for your GPU")
    if n_gpus and machine.train_processes > n_gpus:
        raise UserError(f"train_processes of machine.yaml is {machine.train_processes}, but there are {n_gpus} GPUs: lower it, or set device to cpu")
    return n_gpus > 0


def fit(trainer: Any, plan: TrainingPlan) -> None:
    """Train to the end, from the newest whole checkpoint where there is one."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress(plan.stage))
    checkpoint = newest_whole_checkpoint(Path(trainer.args.output_dir))
    if checkpoint and trainer.is_world_process_zero():
        print(f"{plan.stage}: going on from {checkpoint}", flush=True)
    trainer.train(resume_from_checkpoint=checkpoint)


def save_result(trainer: Any, plan: TrainingPlan, settings: Sft | Grpo) -> None:
    """Write the trained model with its processor and card, its adapter beside it where there is one, and the curve."""
    trainer.accelerator.wait_for_everyone()
    if not trainer.is_world_process_zero():
        return
    out = Path(plan.out)
    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings.method == "lora":
        model.save_pretrained(out / "adapter")
        (out / "adapter" / "README.md").unlink()  # peft's empty form
        model = model.merge_and_unload()
    model.to(getattr(torch, plan.params.model.dtype)).save_pretrained(out / "model")
    load_processor(plan.source, plan.params.model).save_pretrained(out / "model")  # anew: the one in use has been told to pad otherwise
    (out / "model" / "README.md").write_text(model_card(plan), encoding="utf-8")
    write_curve(out, trainer.state.log_history)


@contextmanager
def one_at_a_time(plan: TrainingPlan) -> Iterator[None]:
    """Wait until no process of a killed run still writes checkpoints here."""
    with (Path(plan.scratch) / f"rank-{os.environ.get('RANK', '0')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sft_steps(settings: Sft, n_rows: int) -> int:
    """Optimizer steps of SFT: its epochs, the last step filled up, or fewer where `max_steps` says so."""
    steps = math.ceil(settings.epochs * n_rows / settings.batch_rows)
    return steps if settings.max_steps is None else min(steps, settings.max_steps)


def grpo_steps(settings: Grpo) -> int:
    """Optimizer steps of GRPO."""
    return settings.rollouts * settings.updates_per_rollout
