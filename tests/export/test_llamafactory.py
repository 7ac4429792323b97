"""LLaMA-Factory's form, against the schema in its data/README.md, read as its loader reads it: `datasets` opens the file, the description names the columns."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image
from toy_exports import change_views, cut_off, exported
from toy_outputs import toy_conversation, toy_params

from actial.export.export import export
from actial.mirror import mirrored_question
from actial.records import Conversation, Message, View
from actial.shards import ViewStore
from actial.tables import read_conversations, read_questions, write_conversations

TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
"""The defaults of the sharegpt form."""


@pytest.fixture(scope="module")
def folder(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(outputs, "llamafactory", tmp_path_factory.mktemp("llamafactory") / "conversations")


def rows_of(folder: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """Rows as the described columns have them."""
    described = json.loads((folder / "dataset_info.json").read_text())["actial_sft"]
    assert described["formatting"] == "sharegpt" and set(described) <= {"file_name", "formatting", "columns", "tags"}
    rows = datasets.load_dataset("json", data_files=str(folder / described["file_name"]), cache_dir=str(tmp_path / "cache"))["train"]
    return [{name: row[column] for name, column in described["columns"].items()} for row in rows]


def test_rows_follow_the_schema_and_say_what_the_mix_says(outputs: Path, folder: Path, tmp_path: Path) -> None:
    mix = read_conversations(outputs / "cold_start_mix" / "sft.parquet")
    store = ViewStore(outputs / "render_views" / "views")
    rows = rows_of(folder, tmp_path)
    assert len(rows) == len(mix) > 0
    for row, conversation in zip(rows, mix, strict=True):
        assert [turn["from"] for turn in row["messages"]] == [TAGS["user_tag"], TAGS["assistant_tag"]]  # people at odd places, models at even ones
        assert [row["system"], *(turn["value"] for turn in row["messages"])] == [m.content for m in conversation.messages]
        assert sum(turn["value"].count("<image>") for turn in row["messages"]) == len(row["images"]) == 2
        assert row["system"] in (toy_params().prompt.think, toy_params().prompt.direct)
        for path, view_id in zip(row["images"], conversation.view_ids, strict=True):
            assert not Path(path).is_absolute() and (folder / path).read_bytes() == store.picture_bytes(view_id)


def test_the_same_outputs_are_the_same_bytes(outputs: Path, folder: Path, tmp_path: Path) -> None:
    again = exported(outputs, "llamafactory", tmp_path / "again")
    files = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert files == {p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file()}


def test_mirror_images_are_turned_over_and_described_rows_travel(copied: Path, tmp_path: Path) -> None:
    questions = read_questions(copied / "build_qa" / "train.parquet")[:4]
    rows = [toy_conversation(mirrored_question(questions[0]), "think", "sft"), toy_conversation(questions[1], "describe", "sft")]
    write_conversations(copied / "cold_start_mix" / "sft.parquet", rows)
    out = exported(copied, "llamafactory", tmp_path / "out")
    mirrored, described = rows_of(out, tmp_path)
    store = ViewStore(copied / "render_views" / "views")
    for path, view_id in zip(mirrored["images"], questions[0].view_ids, strict=True):
        assert np.array_equal(np.asarray(Image.open(out / path)), np.asarray(store.picture(view_id))[:, ::-1])
    assert described["system"] == toy_params().prompt.describe
    assert "2 pictures are mirror images" in (out / "README.md").read_text() and "1 describe, 1 think" in (out / "README.md").read_text()


def test_rows_that_it_would_refuse_are_set_aside_and_counted(copied: Path, tmp_path: Path) -> None:
    path = copied / "cold_start_mix" / "sft.parquet"
    mix = read_conversations(path)
    broken_view = mix[0].view_ids[0]
    lost = [row for row in mix if broken_view in row.view_ids]
    kept = next(row for row in mix if broken_view not in row.view_ids)
    no_mark = changed(kept, (kept.messages[0], Message("user", "<image> only one"), kept.messages[2]))
    unanswered = changed(kept, kept.messages[:2])
    change_views(copied, cut_off(broken_view))
    write_conversations(path, [*mix, no_mark, unanswered])
    out = exported(copied, "llamafactory", tmp_path / "out")
    record = json.loads((out / "export.json").read_text())
    assert record["conversations"] == {"sft": len(mix) - len(lost)} and record["broken_views"] == {broken_view: "the picture cannot be read"}
    assert record["set_aside"] == {
        "conversations with a picture that is missing or cannot be read": len(lost),
        "conversations whose <image> marks are not as many as their pictures": 1,
        "conversations that are not turns of user and assistant": 1,
    }
    assert not list(out.rglob(f"{broken_view}.*"))
    assert f"{broken_view}: the picture cannot be read" in export(copied, "llamafactory", [], out, None)


def test_files_are_called_what_their_bytes_are(copied: Path, tmp_path: Path) -> None:
    def encoded(view: View, data: bytes) -> tuple[View, bytes]:
        buffer, picture = io.BytesIO(), Image.open(io.BytesIO(data))
        picture.save(buffer, format="JPEG" if view.view_id.endswith("v00") else "WEBP")
        return view, buffer.getvalue()

    change_views(copied, encoded)
    out = exported(copied, "llamafactory", tmp_path / "out")
    store = ViewStore(copied / "render_views" / "views")
    files = [path for path in (out / "images").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".jpg", ".webp"}
    assert all(path.read_bytes() == store.picture_bytes(path.stem) for path in files)


def changed(row: Conversation, messages: tuple[Message, ...]) -> Conversation:
    return replace(row, messages=messages)
