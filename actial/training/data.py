"""What the trainers iterate over: conversations in a seeded order, with pictures opened when a row is asked for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from actial.prompts import content_parts
from actial.records import Conversation, Message
from actial.rng import generator_for
from actial.shards import ViewStore, read_conversations
from actial.training.plan import TrainingPlan, without_broken

DECODED_PICTURES = 256
"""Decoded pictures kept: GRPO asks for each prompt's pictures once a completion."""


def load_rows(plan: TrainingPlan) -> list[Conversation]:
    """The conversations that training uses."""
    return without_broken(read_conversations(plan.rows), plan.broken_views)


def schedule(n_rows: int, n_wanted: int, root_seed: int, name: str) -> list[int]:
    """Row numbers in the order of training: one permutation of all rows after another, cut at `n_wanted`.

    Every row is seen once before any is seen twice. The order depends on the seed alone, not on processes or batch sizes.
    """
    order: list[int] = []
    for epoch in range(-(-n_wanted // n_rows)):
        order += generator_for(root_seed, f"{name}/epoch-{epoch}").permutation(n_rows).tolist()
    return order[:n_wanted]


def sft_dataset(rows: Sequence[Conversation], order: Sequence[int], views: ViewStore) -> Dataset:
    """Rows of `images`, `prompt`, `completion`, as TRL's SFTTrainer takes them; it trains on the completion alone."""

    def opened(numbers: list[int]) -> dict[str, list[Any]]:
        chosen = [rows[i] for i in numbers]
        return {
            "images": [[picture(view_id) for view_id in row.view_ids] for row in chosen],
            "prompt": [chat_turns(row.messages[:-1]) for row in chosen],
            "completion": [chat_turns(row.messages[-1:]) for row in chosen],
        }

    picture = functools.lru_cache(maxsize=DECODED_PICTURES)(views.picture)
    return _late(order, opened)


def grpo_dataset(rows: Sequence[Conversation], order: Sequence[int], views: ViewStore) -> Dataset:
    """Rows of `images` and `prompt`, as TRL's GRPOTrainer takes them, and what the rewards need to know."""

    def opened(numbers: list[int]) -> dict[str, list[Any]]:
        chosen = [rows[i] for i in numbers]
        return {
            "images": [[picture(view_id) for view_id in row.view_ids] for row in chosen],
            "prompt": [chat_turns(row.messages) for row in chosen],
            "question_id": [row.question_id for row in chosen],
            "mode": [row.mode for row in chosen],
            "options": [row.options for row in chosen],
            "truth": [row.truth for row in chosen],
        }

    picture = functools.lru_cache(maxsize=DECODED_PICTURES)(views.picture)
    return _late(order, opened)


def chat_turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages in the form that processors take, a placeholder where each picture goes."""
    return [{"role": m.role, "content": content_parts(m.content)} for m in messages]


def _late(order: Sequence[int], opened: Any) -> Dataset:
    dataset = Dataset.from_dict({"row": list(order)})
    dataset.set_transform(lambda batch: opened(batch["row"]))
    return dataset
