"""BLINK: its schema, macro, micro and the paper's three by hand, its traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from toy_benchmarks import IMAGE, asked, hub_image, scored, values, write_parquet

from actial.errors import UserError
from actial.evaluation.benchmarks.blink import BLINK, TASKS

SCHEMA = pa.schema(
    [
        ("idx", pa.string()),
        ("question", pa.string()),
        ("sub_task", pa.string()),
        *((f"image_{i}", IMAGE) for i in range(1, 5)),
        ("choices", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("prompt", pa.string()),
        ("explanation", pa.string()),
    ]
)


def row(task: str, number: int, n_pictures: int = 1, choices: tuple[str, ...] = ("yes", "no"), answer: str = "(A)", **changes: Any) -> dict[str, Any]:
    listed = "".join(f"\n({letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=False))
    return {
        "idx": f"val_{task}_{number}",
        "question": f"Question {number}?",
        "sub_task": task,
        **{f"image_{i}": hub_image(f"{task} {number} {i}") if i <= n_pictures else None for i in range(1, 5)},
        "choices": list(choices),
        "answer": answer,
        "prompt": f"Question {number}?\nSelect from the following choices.{listed}",
        "explanation": "",
    } | changes


def write(folder: Path, task: str, rows: list[dict[str, Any]], split: str = "val") -> None:
    write_parquet(folder / task / f"{split}-00000-of-00001.parquet", SCHEMA, rows)


def test_rows_become_questions_with_their_pictures_first(tmp_path: Path) -> None:
    write(tmp_path, "Multi-view_Reasoning", [row("Multi-view_Reasoning", 1, 2, ("left", "right"), "(B)")])
    write(tmp_path, "Visual_Correspondence", [row("Visual_Correspondence", 1, 4, ("A", "B", "C", "D"), "(C)")])
    (multi_view, letters), refused = asked(BLINK, tmp_path)
    assert refused == {}
    assert multi_view.row_id == "val_Multi-view_Reasoning_1" and multi_view.question.kind == "blink_multi_view_reasoning"
    assert multi_view.prompt == "<image><image>Question 1?\nSelect from the following choices.\n(A) left\n(B) right"
    assert multi_view.pictures == tuple(hub_image(f"Multi-view_Reasoning 1 {i}")["bytes"] for i in (1, 2))
    assert multi_view.question.truth == "B" and letters.question.truth == "C" and len(letters.question.view_ids) == 4
    assert letters.question.question_id.endswith(".v00-v01-v02-v03.blink_visual_correspondence_1")


def test_macro_micro_and_the_papers_three_by_hand(tmp_path: Path) -> None:
    for i, task in enumerate(TASKS):
        write(tmp_path, task, [row(task, n) for n in range(1, 3 + (i == 0))])
    items, _ = asked(BLINK, tmp_path)
    assert len(items) == 29
    wrong = {"val_Art_Style_1": "<answer>B</answer>", "val_Art_Style_3": "<answer>no</answer>", "val_Relative_Depth_1": "It is hard to tell."}
    found = values(BLINK, scored(items, wrong))
    assert found["macro"] == pytest.approx((12 + 1 / 3 + 1 / 2) / 14)
    assert found["micro"] == pytest.approx(26 / 29)
    assert found["three"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found["Art_Style"] == pytest.approx(1 / 3) and found["Jigsaw"] == 1.0
    assert BLINK.metric("macro").chance(scored(items, {})) == pytest.approx(0.5)


def test_some_of_the_tasks_are_enough_but_have_no_macro_mean(tmp_path: Path) -> None:
    for task in ("Multi-view_Reasoning", "Relative_Depth", "Spatial_Relation"):
        write(tmp_path, task, [row(task, 1)])
    found = values(BLINK, scored(asked(BLINK, tmp_path)[0], {}))
    assert found["three"] == 1.0 and found["macro"] is None and found["Jigsaw"] is None
    with pytest.raises(UserError, match="which BLINK is published in"):
        asked(BLINK, tmp_path / "nothing")


def test_hidden_answers_and_broken_rows_are_counted_and_test_files_left_alone(tmp_path: Path) -> None:
    rows = [
        row("Jigsaw", 1, answer="hidden"),
        row("Jigsaw", 2, answer="(hidden)"),
        row("Jigsaw", 3, 0),
        row("Jigsaw", 4, 2, image_2={"bytes": b"\x89PNG", "path": ""}),
        row("Jigsaw", 5, choices=("the left", "The Left")),
        row("Jigsaw", 5),
        row("Jigsaw", 6, answer="(C)"),
        row("Jigsaw", 7, idx=None),
    ]
    write(tmp_path, "Jigsaw", rows)
    write(tmp_path, "Jigsaw", [row("Jigsaw", 9, answer="hidden")], "test")
    items, refused = asked(BLINK, tmp_path)
    assert items == [] and refused == {
        "val_Jigsaw_1": "an answer that is hidden",
        "val_Jigsaw_2": "an answer that is hidden",
        "val_Jigsaw_3": "no picture",
        "val_Jigsaw_4": "a picture that cannot be read",
        "val_Jigsaw_5": "an id that stood before",
        "val_Jigsaw_6": "an answer that is no option",
        "row 7": "no idx",
    }
