"""A `dataset_dir` for LLaMA-Factory: conversations in its sharegpt form, pictures as files, and the `dataset_info.json` that describes them.

Its data/README.md is the schema: turns of `human` and `gpt` in `conversations`, `system` beside them, as many `images` as `<image>` marks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from actial.export.pictures import Pictures, each_picture_has_its_mark
from actial.export.tally import Tally
from actial.json_files import write_json
from actial.prompts import IMAGE_MARK
from actial.records import Conversation
from actial.tables import count_rows, stream_conversations
from actial.views.progress import ViewProgress

FROM = {"user": "human", "assistant": "gpt"}
DESCRIPTION = {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system", "images": "images"}}


def dataset_name(split: str) -> str:
    """What a split is called in `dataset_info.json`."""
    return f"actial_{split}"


def write_llamafactory(folder: Path, splits: Mapping[str, Path], pictures: Pictures, tally: Tally) -> None:
    """Write `images/`, a `.jsonl` of each split and `dataset_info.json`; rows that show a broken picture, or no turns to learn from, are set aside."""
    files, licences = _write_pictures(folder, splits, pictures, tally)
    with ViewProgress(sum(map(count_rows, splits.values())), 0, "conversation", "export") as progress:
        for split, path in splits.items():
            with (folder / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
                for row in stream_conversations(path):
                    reason = _unfit(row, files)
                    if reason:
                        tally.aside[reason] += 1
                    else:
                        tally.add(split, row, ())
                        lines.write(json.dumps(_entry(row, files, licences), ensure_ascii=False) + "\n")
                    progress.add(1, set_aside=reason is not None)
    write_json(folder / "dataset_info.json", {dataset_name(split): {"file_name": f"{split}.jsonl"} | DESCRIPTION for split in splits})


def _write_pictures(folder: Path, splits: Mapping[str, Path], pictures: Pictures, tally: Tally) -> tuple[dict[str, str], dict[str, str]]:
    """Write every picture that is shown, once; returns file and licence by view."""
    wanted = {view_id for path in splits.values() for row in stream_conversations(path) for view_id in row.view_ids}
    files, licences = {}, {}
    with ViewProgress(len(wanted), 0, "picture", "export") as progress:
        for picture in pictures.in_stored_order(wanted):
            view = picture.view
            path = folder / "images" / view.scene_id / f"{view.view_id}.{picture.extension}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.data)
            files[view.view_id], licences[view.view_id] = path.relative_to(folder).as_posix(), view.licence
            tally.show(picture)
            progress.add(1)
    return files, licences


def _unfit(row: Conversation, files: Mapping[str, str]) -> str | None:
    """Why a conversation cannot be exported, if it cannot."""
    if not all(view_id in files for view_id in row.view_ids):
        return "conversations with a picture that is missing or cannot be read"
    if not each_picture_has_its_mark(row):
        return f"conversations whose {IMAGE_MARK} marks are not as many as their pictures"
    roles = [m.role for m in row.messages if m.role != "system"]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2) or any(m.role == "system" for m in row.messages[1:]):
        return "conversations that are not turns of user and assistant"
    return None


def _entry(row: Conversation, files: Mapping[str, str], licences: Mapping[str, str]) -> dict[str, object]:
    system = "".join(m.content for m in row.messages if m.role == "system")
    return {
        "conversations": [{"from": FROM[m.role], "value": m.content} for m in row.messages if m.role != "system"],
        "system": system,
        "images": [files[view_id] for view_id in row.view_ids],
        "question_id": row.question_id,
        "kind": row.kind,
        "mode": row.mode,
        "licences": [licences[view_id] for view_id in row.view_ids],
    }
