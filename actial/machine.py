"""Machine settings: what this computer has to offer. Never params, so that one GPU and eight GPUs share the same cache.

Read from `machine.yaml` (untracked, optional) and the environment (`ACTIAL_WORKERS=4`), which wins. No setting may change a byte of a
stage's output beyond what floating point does when a batch is split differently.
"""

from __future__ import annotations

import os
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

    workers: int = setting("Rendering processes; 0 means one a CPU core.", ge=0)
    train_processes: int = setting("Training processes (one a GPU).", ge=1)
    device: str = setting("Where models run: auto, cpu or cuda.", choices=("auto", "cpu", "cuda"))
    rows_per_device: int = setting("Training rows a process takes at once; the batch of params is split into these.", ge=1)
    data_workers: int = setting("Processes that open and prepare pictures ahead of each SFT process; 0 for none.", ge=0)
    checkpoint_steps: int = setting("Optimizer steps between checkpoints, rounded up to whole points of the curve or rollouts.", ge=1)
    threads: int = setting("CPU threads of each training or evaluation process.", ge=1)
    activation_checkpointing: bool = setting("Recompute activations in the backward pass: less memory, a third slower.")
    generate_rows: int = setting("Prompts a process completes at once in evaluation.", ge=1)


_DEFAULTS = Machine(
    workers=0,
    train_processes=1,
    device="auto",
    rows_per_device=32,
    data_workers=1,
    checkpoint_steps=100,
    threads=1,
    activation_checkpointing=False,
    generate_rows=64,
)


def load_machine(folder: str | Path = ".") -> Machine:
    """This machine's settings.

    Raises:
        UserError: a key or value in `machine.yaml` or an `ACTIAL_…` variable is invalid.
    """
    path = Path(folder) / MACHINE_FILE
    machine = load_typed(Machine, path, asdict(_DEFAULTS)) if path.exists() else _DEFAULTS
    for f in fields(Machine):
        name = f"ACTIAL_{f.name.upper()}"
        if (text := os.environ.get(name)) is not None:
            change: dict[str, Any] = {f.name: _from_text(type(getattr(machine, f.name)), text, name)}
            machine = replace(machine, **change)
    return machine


def _from_text(kind: type, text: str, name: str) -> Any:
    try:
        return parse_typed(kind, yaml.safe_load(text), name, "environment")
    except yaml.YAMLError as error:
        raise UserError(f"environment: {name} is not valid: {error}") from None
