"""Machine settings: what this computer has to offer. Never params, so that one GPU and eight GPUs share the same cache.

Read from `machine.yaml` (untracked, optional) and the environment (`ACTIAL_WORKERS=4`), which wins. No setting may change a byte of a
stage's output beyond what floating point does when a batch is split differently.
"""

from __future__ import annotations

import os
import typing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from actial.errors import UserError
from actial.typed_yaml import load_typed, parse_typed, setting

MACHINE_FILE = "machine.yaml"


@dataclass(frozen=True)
class Machine:
    """Settings of this computer."""

    workers: int = setting(
        "Processes that render, read captures, or ask a small model in evaluation; 0 means one a CPU core, one a GPU where pictures are rendered on GPUs, and "
        "on a Ray cluster one copy of a model a GPU or, where it has none, a node.",
        ge=0,
    )
    worker_memory_mb: int = setting(
        "Resident memory beyond which a process that renders, or reads captures, is stopped and its scene tried once more, megabytes; "
        "0 means an equal part of 80 % of this machine's (or container's) memory for each of them.",
        ge=0,
    )
    render_device: str = setting(
        "Where Cycles renders: auto (GPUs where there are any, one to a process; else the CPU), cpu, optix, cuda, hip, oneapi or metal. Pictures of a GPU "
        "differ from a CPU's by what floating point does in a path tracer: invisible, but not the same bytes.",
        choices=("auto", "cpu", "optix", "cuda", "hip", "oneapi", "metal"),
    )
    launcher: str = setting(
        "Who renders, and who asks models in evaluation: local (this machine) or ray (a Ray cluster, the same pictures and answers).", choices=("local", "ray")
    )
    ray_address: str | None = setting(
        "Ray cluster to use: host:port, or auto for the one that this machine belongs to; null takes RAY_ADDRESS, or starts one here for the run."
    )
    train_processes: int = setting("Training processes (one a GPU).", ge=1)
    device: str = setting("Where models run: auto, cpu or cuda.", choices=("auto", "cpu", "cuda"))
    rows_per_device: int = setting("Training rows a process takes at once; the batch of params is split into these.", ge=1)
    data_workers: int = setting("Processes that open and prepare pictures ahead of each SFT process; 0 for none.", ge=0)
    checkpoint_steps: int = setting("Optimizer steps between checkpoints, rounded up to whole points of the curve or rollouts.", ge=1)
    threads: int = setting("CPU threads of each training or evaluation process.", ge=1)
    activation_checkpointing: bool = setting("Recompute activations in the backward pass: less memory, a third slower.")
    generate_rows: int = setting("Prompts a process completes at once in evaluation.", ge=1)
    teacher_url: str | None = setting(
        "Address of an OpenAI-compatible server with its version, as http://localhost:8000/v1, for cold_start_mix.source teacher; null for none."
    )
    teacher_key_variable: str | None = setting("Name of the environment variable that holds that server's key, never the key itself; null where it needs none.")
    teacher_concurrency: int = setting("Requests to that server under way at once.", ge=1, le=1024)
    teacher_timeout_s: float = setting("Longest wait for one reply of it, seconds.", gt=0)
    teacher_tries: int = setting("Times a request is sent to it before it counts as failed; pauses double from half a second to a minute.", ge=1)
    teacher_requests_per_minute: int = setting("Most requests sent to it a minute, evenly spread; 0 for no limit.", ge=0)


_DEFAULTS = Machine(
    workers=0,
    worker_memory_mb=0,
    render_device="auto",
    launcher="local",
    ray_address=None,
    train_processes=1,
    device="auto",
    rows_per_device=32,
    data_workers=1,
    checkpoint_steps=100,
    threads=1,
    activation_checkpointing=False,
    generate_rows=64,
    teacher_url=None,
    teacher_key_variable=None,
    teacher_concurrency=8,
    teacher_timeout_s=600.0,
    teacher_tries=8,
    teacher_requests_per_minute=0,
)


def load_machine(folder: str | Path = ".") -> Machine:
    """This machine's settings.

    Raises:
        UserError: a key or value in `machine.yaml` or an `ACTIAL_…` variable is invalid.
    """
    path = Path(folder) / MACHINE_FILE
    machine = load_typed(Machine, path, asdict(_DEFAULTS)) if path.exists() else _DEFAULTS
    kinds = typing.get_type_hints(Machine)
    for f in fields(Machine):
        name = f"ACTIAL_{f.name.upper()}"
        if (text := os.environ.get(name)) is not None:
            change: dict[str, Any] = {f.name: _from_text(kinds[f.name], text, name)}
            machine = replace(machine, **change)
    return machine


def _from_text(kind: Any, text: str, name: str) -> Any:
    try:
        return parse_typed(kind, yaml.safe_load(text), name, "environment")
    except yaml.YAMLError as error:
        raise UserError(f"environment: {name} is not valid: {error}") from None
