"""What the trainers iterate over: conversations in a seeded order, with pictures opened when a row is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset

from actial.prompts import content_parts
from actial.records import Conversation, Message
from actial.rng import generator_for
from actial.shards import ViewStore
from actial.tables import read_conversations
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


def sft_dataset(plan: TrainingPlan, order: Sequence[int]) -> Dataset:
    """Rows of `images`, `prompt`, `completion`, as TRL's SFTTrainer takes them; it trains on the completion alone."""
    return _late(plan, sft_columns, order)


def grpo_dataset(plan: TrainingPlan, order: Sequence[int]) -> Dataset:
    """Rows of `images` and `prompt`, as TRL's GRPOTrainer takes them, and what the rewards need to know."""
    return _late(plan, _grpo_columns, order)


def sft_columns(row: Conversation) -> dict[str, Any]:
    """What SFT's collator takes of a conversation, beside its pictures."""
    return {"prompt": chat_turns(row.messages[:-1]), "completion": chat_turns(row.messages[-1:])}


def _grpo_columns(row: Conversation) -> dict[str, Any]:
    asked = {"question_id": row.question_id, "kind": row.kind, "mode": row.mode, "options": row.options, "truth": row.truth}
    return {"prompt": chat_turns(row.messages), "view_ids": list(row.view_ids)} | asked


class _OpenRows:
    """Opens rows by number. Pickled (which `datasets` does to hash it) it is a few paths: a million rows would take minutes."""

    def __init__(self, plan: TrainingPlan, columns: Callable[[Conversation], dict[str, Any]]) -> None:
        self.plan, self.columns = plan, columns

    @functools.cached_property
    def rows(self) -> list[Conversation]:
        return load_rows(self.plan)

    @functools.cached_property
    def picture(self) -> Callable[[str], Any]:
        return functools.lru_cache(maxsize=DECODED_PICTURES)(ViewStore(*self.plan.views).picture)

    def __getstate__(self) -> dict[str, Any]:
        return {"plan": self.plan, "columns": self.columns}

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        opened = [with_pictures(self.columns(row), row, self.picture) for row in (self.rows[i] for i in batch["row"])]
        return {name: [row[name] for row in opened] for name in opened[0]}


def with_pictures(columns: dict[str, Any], row: Conversation, picture: Callable[[str], Any]) -> dict[str, Any]:
    """An example as the collators take it: a conversation's columns and its opened pictures, in order."""
    return {"images": [picture(view_id) for view_id in row.view_ids]} | columns


def chat_turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages in the form that processors take, a placeholder where each picture goes."""
    return [{"role": m.role, "content": content_parts(m.content)} for m in messages]


def _late(plan: TrainingPlan, columns: Callable[[Conversation], dict[str, Any]], order: Sequence[int]) -> Dataset:
    dataset = Dataset.from_dict({"row": list(order)})
    dataset.set_transform(_OpenRows(plan, columns))
    return dataset
