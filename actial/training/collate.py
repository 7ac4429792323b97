"""How a batch of SFT is made: tokens, pictures, and on which tokens the loss falls. Training and `actial mask` share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

if TYPE_CHECKING:
    from actial.models.processor import PairProcessor


def sft_collator(processor: PairProcessor) -> DataCollatorForVisionLanguageModeling:
    """TRL's collator for rows of `images`, `prompt` and `completion`: the loss falls on the completion alone, and nothing is cut."""
    return DataCollatorForVisionLanguageModeling(processor=processor, max_length=None, completion_only_loss=True)
