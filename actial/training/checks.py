"""What must hold before any training: a run that would train the wrong thing is refused, not begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from actial.errors import UserError
from actial.models.load import VISION_PREFIX
from actial.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from actial.records import Conversation

ROWS_CHECKED = 8
IGNORED = -100
"""Label of a token that carries no loss."""


def check_tags(processor: Any) -> None:
    """The tags survive being decoded without special tokens, as completions are.

    Raises:
        UserError: they do not; rewards and answers would never see them.
    """
    tokenizer = processor.tokenizer
    for tag in (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE):
        ids = tokenizer(tag, add_special_tokens=False)["input_ids"]
        if tokenizer.decode(ids, skip_special_tokens=True) != tag:
            raise UserError(f"the tokenizer of model.base holds {tag} as a special token, which decoding drops: add it as a plain token instead")


def check_pictures(processor: Any, model: Any, batch: dict[str, torch.Tensor], n_pictures: int) -> None:
    """A batch has as many picture tokens as the vision tower makes, and as many pictures as its conversations name.

    Raises:
        UserError: the processor and the model do not fit together.
    """
    grid, merge = batch["image_grid_thw"], model.config.vision_config.spatial_merge_size
    tokens = int((batch["input_ids"] == model.config.image_token_id).sum())
    made = int(grid.prod(dim=1).sum()) // merge**2
    if len(grid) != n_pictures or tokens != made:
        raise UserError(
            f"the processor of model.base prepared {len(grid)} pictures and {tokens} picture tokens, but the conversations show {n_pictures} pictures "
            f"and the model makes {made} tokens of them: its processor files belong to another model"
        )


def check_labels(processor: Any, batch: dict[str, torch.Tensor], rows: Sequence[Conversation]) -> None:
    """The loss falls on the assistant's turn, its end token included, and on nothing else.

    Raises:
        UserError: the chat template does not keep the turn as it is.
    """
    tokenizer = processor.tokenizer
    for row, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        wanted = row.messages[-1].content
        learned = tokenizer.decode(ids[labels != IGNORED], skip_special_tokens=True).rstrip("\n")
        if learned != wanted.rstrip("\n") or tokenizer.eos_token_id not in ids[labels != IGNORED]:
            raise UserError(
                f"the loss would fall on {learned!r} for {row.question_id}, not on the assistant's turn {wanted!r} and its end: "
                "the chat template of model.base cannot be used"
            )


def check_trainable(model: Any, method: str, freeze_vision: bool) -> None:
    """The parameters that training changes are those that params name.

    Raises:
        UserError: there is none.
        AssertionError: a frozen one would be trained, or one to be trained is frozen (a bug).
    """
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise UserError("training would change no parameter at all: check method and freeze_vision")
    if method == "lora":
        assert all(".lora_" in name and ".language_model." in name for name in trained), sorted(trained)
    else:
        frozen = {name for name, _ in model.named_parameters()} - trained
        expected = {name for name, _ in model.named_parameters() if freeze_vision and name.startswith(VISION_PREFIX)}
        assert frozen == expected, sorted(frozen ^ expected)
