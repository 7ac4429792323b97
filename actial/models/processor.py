"""The processor of Qwen2.5-VL for pictures only: the same text and picture path as the stock one, without torchvision, which only videos need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoProcessor, Qwen2_5_VLConfig, Qwen2_5_VLProcessor
from transformers.processing_utils import ProcessorMixin


class PairProcessor(Qwen2_5_VLProcessor):
    """`Qwen2_5_VLProcessor` without a video side.

    `ProcessorMixin` derives what it loads and saves from this signature. Without torchvision `AutoProcessor` would fall through to the
    bare tokenizer without a word.
    """

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_: Any) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """As the base class does, but under the stock processor's name, so that other tools find theirs."""
        saved = super().save_pretrained(save_directory, **kwargs)
        for path in Path(save_directory).glob("*_config.json"):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f'"{PairProcessor.__name__}"', f'"{Qwen2_5_VLProcessor.__name__}"'), encoding="utf-8")
        return saved


AutoProcessor.register(Qwen2_5_VLConfig, PairProcessor, exist_ok=True)
