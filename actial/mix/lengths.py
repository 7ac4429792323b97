"""Tokens of a conversation, text and pictures, counted with the base model's own tokenizer and picture budget (as Qwen2.5-VL's processor does)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from actial.params import Model
from actial.prompts import IMAGE_MARK
from actial.records import Message

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TokenCounter:
    """Counts for one base model and one picture budget."""

    def __init__(self, tokenizer: Tokenizer, cell_px: int, min_pixels: int, max_pixels: int) -> None:
        self._tokenizer, self._cell_px, self._min_pixels, self._max_pixels = tokenizer, cell_px, min_pixels, max_pixels

    def picture_tokens(self, width_px: int, height_px: int) -> int:
        """Tokens a picture becomes: its sides are rounded to whole cells, then shrunk or enlarged into the budget (the processor's rule)."""
        cell = self._cell_px
        h, w = max(cell, round(height_px / cell) * cell), max(cell, round(width_px / cell) * cell)
        area = height_px * width_px
        if h * w > self._max_pixels:
            scale = math.sqrt(area / self._max_pixels)
            h, w = (max(cell, math.floor(side / scale / cell) * cell) for side in (height_px, width_px))
        elif h * w < self._min_pixels:
            scale = math.sqrt(self._min_pixels / area)
            h, w = (math.ceil(side * scale / cell) * cell for side in (height_px, width_px))
        return (h // cell) * (w // cell)

    def conversation_tokens(self, messages: Sequence[Message], sizes_px: Sequence[tuple[int, int]]) -> int:
        """Tokens of all turns in the chat format, with the pictures in their places."""
        text = "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages).replace(IMAGE_MARK, "<|vision_start|><|vision_end|>")
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids) + sum(self.picture_tokens(w, h) for w, h in sizes_px)


def token_counter(model: Model) -> TokenCounter | None:
    """The counter of a base model in a folder; None for a hub id, or a folder without tokenizer.json and config.json."""
    folder = Path(model.base)
    if not (folder / "tokenizer.json").is_file() or not (folder / "config.json").is_file():
        return None
    from tokenizers import Tokenizer

    vision = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vision_config"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return TokenCounter(tokenizer, vision["patch_size"] * vision["spatial_merge_size"], model.min_pixels, model.max_pixels)
