"""From a stage's job to training processes: the plan they get as a file, the split of a batch over devices, `accelerate launch`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from actial.errors import UnreadablePicture, UserError
from actial.jobs import run_job
from actial.json_files import write_json
from actial.machine import Machine
from actial.params import Params
from actial.records import Conversation
from actial.shards import ViewStore
from actial.tables import read_conversations
from actial.typed_yaml import parse_typed


@dataclass(frozen=True)
class TrainingPlan:
    """All that a training process knows. Paths are relative to the project's folder, so that nothing it writes names a machine."""

    stage: str
    params: Params
    machine: Machine
    source: str
    """Folder or hub id of the model to start from."""
    rows: str
    """Parquet file of conversations."""
    views: tuple[str, ...]
    """Folders of views."""
    broken_views: tuple[str, ...]
    """Views whose pictures do not decode: their conversations are left out."""
    out: str
    scratch: str

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @staticmethod
    def load(path: str | Path) -> TrainingPlan:
        plan: TrainingPlan = parse_typed(TrainingPlan, json.loads(Path(path).read_text(encoding="utf-8")), "", str(path))
        return plan


@dataclass(frozen=True)
class Split:
    """How the rows of one optimizer step are shared out."""

    rows_per_device: int
    accumulation: int


def split_batch(batch: int, key: str, machine: Machine) -> Split:
    """Share out a batch over processes and passes, so that it stays the same whatever the machine.

    Args:
        batch: rows (or completions) of one optimizer step.
        key: what the batch is called in params, for the message.

    Raises:
        UserError: it cannot be shared out evenly.
    """
    processes = machine.train_processes
    if batch % processes:
        raise UserError(f"{key} is {batch}, which {processes} training processes cannot share evenly: change it, or train_processes of machine.yaml")
    share = batch // processes
    rows = min(machine.rows_per_device, share)
    if share % rows:
        fitting = max(r for r in range(1, rows + 1) if share % r == 0)
        raise UserError(
            f"{key} is {batch}, so each of {processes} training processes takes {share}, which is no multiple of rows_per_device {rows}: "
            f"set rows_per_device of machine.yaml to {fitting}"
        )
    return Split(rows, share // rows)


def completions_per_update(plan_params: Params) -> int:
    """Completions of one optimizer step of GRPO."""
    grpo = plan_params.grpo
    return grpo.prompts_per_rollout * grpo.n_generations // grpo.updates_per_rollout


def usable_rows(rows: Path, views: ViewStore, last_role: str, max_refused_share: float, key: str) -> tuple[int, tuple[str, ...], dict[str, int]]:
    """Check conversations and open each picture once.

    Args:
        last_role: who must speak last: assistant (SFT) or user (GRPO).
        key: name of `max_refused_share` in params.

    Returns:
        How many conversations can be used, the views whose pictures do not decode, and conversations set aside by reason.

    Raises:
        UserError: a row has no such turn or names no known view, nothing can be used, or more than the stated share is set aside.
    """
    conversations = read_conversations(rows)
    for row in conversations:
        if not row.messages or row.messages[-1].role != last_role:
            raise UserError(f"{rows}: the conversation of {row.question_id} does not end with the {last_role}'s turn: run cold_start_mix again")
    needed = dict.fromkeys(view_id for row in conversations for view_id in row.view_ids)
    broken = tuple(view_id for view_id in needed if not _decodes(views, view_id))
    n_refused = len(conversations) - len(without_broken(conversations, broken))
    if n_refused > max_refused_share * len(conversations):
        raise UserError(
            f"{n_refused} of {len(conversations)} conversations of {rows} show pictures that cannot be read (the first is {broken[0]}), more than "
            f"{key} {max_refused_share} allows: run render_views again"
        )
    if n_refused == len(conversations):
        raise UserError(f"{rows} holds no conversation: check the settings of cold_start_mix and build_qa")
    return len(conversations) - n_refused, broken, {"conversations with an unreadable picture": n_refused}


def without_broken(conversations: list[Conversation], broken_views: tuple[str, ...]) -> list[Conversation]:
    """The conversations that show none of these views."""
    broken = set(broken_views)
    return [row for row in conversations if broken.isdisjoint(row.view_ids)]


def launch(plan: TrainingPlan, module: str) -> None:
    """Train under `accelerate launch`, one process a device, and show its output.

    Raises:
        UserError: training found a mistake that the user can mend.
        JobFailed: training broke.
    """
    scratch, machine = Path(plan.scratch), plan.machine
    plan.save(scratch / "plan.json")
    config = scratch / "accelerate.yaml"
    config.write_text(yaml.safe_dump(_accelerate_config(machine)), encoding="utf-8")
    command = ["python", "-m", "accelerate.commands.launch", "--config_file", str(config), "--module", module, str(scratch / "plan.json")]
    threads = str(machine.threads)
    environment = _KEEP_MEMORY | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TQDM_DISABLE": "1",
        "PYTHONWARNINGS": "ignore::FutureWarning",
    }
    if machine.device == "cpu":
        environment["ACCELERATE_USE_CPU"] = "true"
    run_job(command, log=lambda line: print(line, flush=True), env=environment)


_KEEP_MEMORY = {f"MALLOC_{name}_": str(1 << 32) for name in ("MMAP_THRESHOLD", "TRIM_THRESHOLD")}
"""glibc would give every large tensor back to the kernel and fault it in anew: a sixth of a step on the CPU."""


def _accelerate_config(machine: Machine) -> dict[str, Any]:
    """Data parallel on this computer. Written out in full: a configuration in the user's home must not change a run."""
    return {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if machine.train_processes > 1 else "NO",  # gloo too: it means torchrun, one process a device
        "num_processes": machine.train_processes,
        "num_machines": 1,
        "machine_rank": 0,
        "main_process_port": 0,
        "mixed_precision": "no",  # the trainer's arguments decide
        "use_cpu": False,
    }


def round_up(steps: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `steps`."""
    return math.ceil(steps / multiple) * multiple


def _decodes(views: ViewStore, view_id: str) -> bool:
    try:
        views.picture(view_id)
    except UnreadablePicture:
        return False
    return True
