"""GRPO's prompts with their truth and pictures, in Parquet that `datasets.load_dataset` opens and that two trainers take as it is.

TRL's GRPOTrainer takes `prompt` (turns of parts, with a placeholder where a picture goes) and `images`, and hands its rewards all other columns; its function
`prepare_multimodal_messages` is the schema. verl takes `chat` by its setting `data.prompt_key` (turns of text with `<image>` marks), `images`, `data_source`,
`ability`, `reward_model` and `extra_info`; its docs/preparation/prepare_data.rst is the schema. One column cannot serve both, and any of TRL's other names
for turns (`messages`, `completion`) beside `prompt` would make it refuse the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actial.export.hf import SplitWriter, about_pictures, image_type, opened_by_datasets
from actial.export.pictures import Picture, Pictures, each_picture_has_its_mark
from actial.export.tally import Tally
from actial.prompts import IMAGE_MARK, content_parts
from actial.records import LETTERS, Conversation
from actial.tables import count_rows, stream_conversations
from actial.views.progress import ViewProgress

if TYPE_CHECKING:
    import pyarrow as pa

DATA_SOURCE = "actial"
REWARD = """import re


def is_right(completion, truth, options):
    said = re.findall(r"<answer>(.*?)</answer>", completion, re.DOTALL)
    return float(len(said) == 1 and said[0].strip() in (truth, options[ord(truth) - ord("A")]))


def right_answer(completions, truth, options, **_):  # TRL
    return [is_right(turns[-1]["content"], *asked) for turns, *asked in zip(completions, truth, options)]


def compute_score(data_source, solution_str, ground_truth, extra_info, **_):  # verl
    return is_right(solution_str, ground_truth, extra_info["options"])
"""
"""The reward of the card, for either trainer: the right letter, or the right option's text, in the one pair of answer tags."""


def write_grpo(folder: Path, splits: Mapping[str, Path], pictures: Pictures, tally: Tally) -> None:
    """Write `data/<split>-<number>.parquet`, a row a prompt in the order of the mix; rows that show a broken picture, or ask nothing, are set aside."""
    with ViewProgress(sum(map(count_rows, splits.values())), 0, "prompt", "export") as progress:
        for split, path in splits.items():
            with SplitWriter(folder / "data", split, _schema()) as writer:
                for row in stream_conversations(path):
                    shown = pictures.open_all(row.view_ids)
                    reason = _unfit(row) if shown else "prompts with a picture that is missing or cannot be read"
                    if reason:
                        tally.aside[reason] += 1
                    else:
                        writer.add(_row(row, shown or (), tally.rows[split]))
                        tally.add(split, row, shown or ())
                    progress.add(1, set_aside=reason is not None)


def _unfit(row: Conversation) -> str | None:
    """Why a prompt cannot be exported, if it cannot."""
    if not each_picture_has_its_mark(row):
        return f"prompts whose {IMAGE_MARK} marks are not as many as their pictures"
    if not row.messages or row.messages[-1].role != "user":
        return "prompts that do not end with a user's turn"
    return None if row.truth and row.truth in LETTERS[: len(row.options)] else "prompts whose truth is the letter of no option"


def _row(row: Conversation, shown: Sequence[Picture], index: int) -> dict[str, Any]:
    return about_pictures(shown) | {
        "question_id": row.question_id,
        "kind": row.kind,
        "mode": row.mode,
        "prompt": [{"role": m.role, "content": content_parts(m.content)} for m in row.messages],
        "options": row.options,
        "labels": row.labels,
        "truth": row.truth,
        "scene_id": row.scene_id,
        "view_ids": row.view_ids,
        "n_tokens": row.n_tokens,
        "chat": [{"role": m.role, "content": m.content} for m in row.messages],
        "data_source": DATA_SOURCE,
        "ability": row.kind,
        "reward_model": {"style": "rule", "ground_truth": row.truth},
        "extra_info": {"index": index, "question_id": row.question_id, "options": row.options},
    }


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    texts, parts = pa.list_(text), pa.list_(pa.struct([("type", text), ("text", text)]))
    turns = lambda content: pa.list_(pa.struct([("role", text), ("content", content)]))
    columns = {
        "question_id": text,
        "kind": text,
        "mode": text,
        "prompt": turns(parts),
        "images": pa.list_(image_type()),
        "options": texts,
        "labels": texts,
        "truth": text,
        "scene_id": text,
        "view_ids": texts,
        "sources": texts,
        "licences": texts,
        "n_tokens": whole,
        "chat": turns(text),
        "data_source": text,
        "ability": text,
        "reward_model": pa.struct([("style", text), ("ground_truth", text)]),
        "extra_info": pa.struct([("index", whole), ("question_id", text), ("options", texts)]),
    }
    return opened_by_datasets(pa.schema(columns.items()))
