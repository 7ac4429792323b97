"""Going on after a kill from the newest whole checkpoint, with the very weights that a run without the kill would have."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel


def newest_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end, None where there is none. Half-written ones are left for the trainer to overwrite."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rsplit("-", 1)[1]), reverse=True):
        if _is_whole(checkpoint):
            return str(checkpoint)
    return None


def _is_whole(checkpoint: Path) -> bool:
    """The trainer's state is there (it is written last) and agrees with the name, and so are optimiser, schedule, random state and whole weights."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    weights = list(checkpoint.glob("*.safetensors"))
    index = checkpoint / "model.safetensors.index.json"
    listed = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.exists() else set()
    return (
        checkpoint.name == f"checkpoint-{state['global_step']}"
        and all((checkpoint / name).exists() for name in ("optimizer.pt", "scheduler.pt", *listed))
        and any(checkpoint.glob("rng_state*.pth"))
        and bool(weights)
        and all(_has_all_bytes(path) for path in weights)
    )


def _has_all_bytes(weights: Path) -> bool:
    """Whether a safetensors file is as long as its header says (https://github.com/huggingface/safetensors: 8 bytes of length, JSON, data)."""
    with weights.open("rb") as data:
        start = data.read(8)
        if len(start) < 8:
            return False
        (header_bytes,) = struct.unpack("<Q", start)
        if 8 + header_bytes > weights.stat().st_size:
            return False
        header = json.loads(data.read(header_bytes))
    end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    return weights.stat().st_size == 8 + header_bytes + end


class ExactResumeMixin:
    """Loads a checkpoint's weights through `from_pretrained`.

    Qwen2.5-VL is saved under the hub's old names (`visual.*`, `model.layers.*`), which differ from those in memory. The trainer's own
    loading compares names without mapping them, finds none, warns, and goes on from the initial weights.
    """

    model: Any

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        model = self.model if model is None else model
        files = ("model.safetensors", "model.safetensors.index.json")
        if not isinstance(model, PreTrainedModel) or not any(os.path.exists(os.path.join(resume_from_checkpoint, name)) for name in files):
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]  # of the trainer this is mixed into
            return
        saved = type(model).from_pretrained(resume_from_checkpoint, dtype=model.dtype, attn_implementation=model.config._attn_implementation)
        model.load_state_dict(saved.state_dict(), strict=True)
