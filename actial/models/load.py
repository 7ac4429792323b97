"""Models and processors from a folder or the hub, checked before anything heavy is imported.

python -m actial.models.load FOLDER    prints the checksum that belongs into params (model.sha256)
"""

from __future__ import annotations

import hashlib
import json
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actial.errors import UserError, exit_on_user_error
from actial.params import Lora, Model

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel

    from actial.models.processor import PairProcessor

MODEL_TYPE = "qwen2_5_vl"
VISION_PREFIX = "model.visual."
"""Names of the vision tower's parameters, its projection into the language model included."""
LORA_LAYERS = r"model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""A pattern, since the vision tower has layers of the same names."""


def folder_sha256(folder: str | Path) -> str:
    """Checksum of a model folder: names and contents of its files, `README.md` and dot files left out.

    Raises:
        UserError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder)
        if name.as_posix() != "README.md" and not any(part.startswith(".") for part in name.parts):
            with path.open("rb") as data:
                digest.update(f"{name.as_posix()}\0{hashlib.file_digest(data, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def check_base(model: Model) -> None:
    """Check what params say of the base model, without loading it. A folder is named with its checksum, a hub id with its revision.

    Raises:
        UserError: it is missing, changed, no Qwen2.5-VL, or not pinned down.
    """
    folder = Path(model.base)
    if model.revision is not None:
        if folder.is_dir() or model.sha256 is not None:
            raise UserError(f"model.revision is {model.revision!r} but model.base {model.base} is a folder: set model.revision to null")
        return
    if not folder.is_dir():
        raise UserError(
            f"model.base {model.base} does not exist as a folder; give the path of a Qwen2.5-VL folder, or for a hub id set model.revision to a commit or tag"
        )
    check_model_folder(folder, "model.base")
    sha256 = folder_sha256(folder)
    if model.sha256 is None:
        raise UserError(f"model.sha256 is null, but a folder needs its checksum: if {model.base} is what you want, set model.sha256 to {sha256}")
    if model.sha256 != sha256:
        raise UserError(f"the files in model.base {model.base} have the checksum {sha256}, not model.sha256 {model.sha256}: restore them, or update params")


def check_model_folder(folder: Path, key: str) -> None:
    """Check that a folder holds a Qwen2.5-VL with safetensors weights.

    Raises:
        UserError: it does not; `key` says where the folder was named.
    """
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except FileNotFoundError:
        raise UserError(f"{key} {folder} holds no model: it has no config.json") from None
    except (ValueError, AttributeError):
        raise UserError(f"{key} {folder} holds no model: its config.json is not a JSON object") from None
    if model_type != MODEL_TYPE:
        raise UserError(f"{key} {folder} is of type {model_type!r}, not a vision-language model of type {MODEL_TYPE!r} (Qwen2.5-VL)")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{key} {folder} has no weights (*.safetensors)")


def load_processor(source: str | Path, model: Model) -> PairProcessor:
    """The processor of a folder or hub id, with the profile's pixel limits. It pads on the left, as generation and GRPO need.

    Its parts are loaded one by one: `AutoProcessor` without torchvision returns a bare tokenizer, and with it another resizing.

    Raises:
        UserError: it cannot be loaded.
    """
    from transformers import AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from actial.models.processor import PairProcessor

    revision = _revision(source, model)
    try:
        size = {"shortest_edge": model.min_pixels, "longest_edge": model.max_pixels}
        pictures = Qwen2VLImageProcessorPil.from_pretrained(str(source), revision=revision, size=size)
        tokenizer = AutoTokenizer.from_pretrained(str(source), revision=revision, padding_side="left")
    except (OSError, ValueError) as error:
        raise UserError(f"the processor of {source} cannot be loaded: {error}") from None
    if tokenizer.chat_template is None:
        raise UserError(f"{source} has no chat template (chat_template.jinja): give an instruction-tuned base")
    for where_from in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(where_from, None)  # else they would be saved with the tokenizer
    return PairProcessor(pictures, tokenizer, chat_template=tokenizer.chat_template)


def load_model(source: str | Path, model: Model, dtype: str | None = None) -> PreTrainedModel:
    """The model of a folder or hub id, in evaluation mode on the CPU.

    Args:
        dtype: number format of the weights; None: as the profile says.

    Raises:
        UserError: it cannot be loaded.
    """
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    try:
        loaded = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            str(source), revision=_revision(source, model), dtype=getattr(torch, dtype or model.dtype), attn_implementation=model.attention
        )
    except (OSError, ImportError, ValueError) as error:  # ImportError: flash_attention_2 is not installed
        raise UserError(f"the model of {source} cannot be loaded: {error}") from None
    embed = loaded.model.visual.patch_embed
    embed.forward = types.MethodType(_embed_patches, embed)
    return loaded


def _embed_patches(embed: Any, patches: Any) -> Any:
    """(n, channels x frames x rows x columns) -> (n, width): one matrix product makes the same sums as the library's convolution, which is slow."""
    from torch.nn.functional import linear

    weight = embed.proj.weight
    return linear(patches.to(weight.dtype), weight.flatten(1))


def freeze_vision(model: Any) -> None:
    """Take the vision tower and its projection into the language model out of training."""
    for name, parameter in model.named_parameters():
        if name.startswith(VISION_PREFIX):
            parameter.requires_grad_(False)


def lora_config(lora: Lora) -> LoraConfig:
    """Adapters on every linear layer of the language model, and on nothing of the vision tower."""
    from peft import LoraConfig

    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=LORA_LAYERS, task_type="CAUSAL_LM")


def _revision(source: str | Path, model: Model) -> str | None:
    return model.revision if str(source) == model.base else None


def main() -> None:
    if len(sys.argv) != 2:
        raise UserError("usage: python -m actial.models.load FOLDER")
    print(folder_sha256(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
