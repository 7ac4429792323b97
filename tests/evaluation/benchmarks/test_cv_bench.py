"""CV-Bench: its schema, its three averages by hand, its traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from toy_benchmarks import IMAGE, asked, hub_image, scored, values, write_parquet

from actial.errors import UserError
from actial.evaluation.benchmarks.cv_bench import CV_BENCH

SCHEMA = pa.schema(
    [
        ("idx", pa.int64()),
        ("type", pa.string()),
        ("task", pa.string()),
        ("image", IMAGE),
        ("question", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("prompt", pa.string()),
        ("filename", pa.string()),
        ("source", pa.string()),
    ]
)


def row(idx: int, task: str, source: str, choices: list[str], answer: str, **changes: Any) -> dict[str, Any]:
    question = f"Question {idx}?"
    listed = "".join(f"\n({letter}) {choice}" for letter, choice in zip("ABCDEF", choices, strict=False))
    return {
        "idx": idx,
        "type": "3D" if source == "Omni3D" else "2D",
        "task": task,
        "image": hub_image(f"{source} {idx // 2}"),
        "question": question,
        "choices": choices,
        "answer": answer,
        "prompt": f"{question} Select from the following choices.{listed}",
        "filename": f"img/{idx}.png",
        "source": source,
    } | changes


ROWS_2D = [
    row(0, "Count", "ADE20K", ["0", "3", "2", "1", "4", "5"], "(F)"),
    row(1, "Relation", "ADE20K", ["above", "below"], "(A)"),
    row(2, "Relation", "ADE20K", ["left", "right"], "(B)"),
    row(3, "Count", "COCO", ["7", "8", "9", "10"], "(C)"),
    row(4, "Relation", "COCO", ["left", "right"], "(A)"),
]
ROWS_3D = [row(5, "Depth", "Omni3D", ["chair", "books"], "(A)"), row(6, "Distance", "Omni3D", ["sofa", "lamp"], "(B)")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "test_2d.parquet", SCHEMA, ROWS_2D)
    write_parquet(tmp_path / "test_3d.parquet", SCHEMA, ROWS_3D)
    return tmp_path


def test_rows_become_questions(folder: Path) -> None:
    items, refused = asked(CV_BENCH, folder)
    assert refused == {} and [i.row_id for i in items] == ["2D-0", "2D-1", "2D-2", "2D-3", "2D-4", "3D-5", "3D-6"]
    first = items[0]
    assert first.question.kind == "cv_bench_count" and first.question.source == "cv_bench"
    assert first.question.options == ("0", "3", "2", "1", "4", "5") and first.question.truth == "F"
    assert first.strata == {"source": "ADE20K", "task": "Count", "type": "2D"}
    assert first.pictures == (hub_image("ADE20K 0")["bytes"],) and first.sizes_px == ((12, 12),)
    assert first.question.question_id.startswith(f"{first.question.scene_id}.v00.cv_bench_count_0")
    assert items[1].question.scene_id == first.question.scene_id != items[2].question.scene_id  # the same picture, the same scene


def test_the_prompt_is_the_published_one(folder: Path) -> None:
    item = asked(CV_BENCH, folder)[0][4]
    assert item.prompt == (
        "<image>\nQuestion 4? Select from the following choices.\n(A) left\n(B) right\nAnswer with the option's letter from the given choices directly."
    )


def test_the_three_averages_by_hand(folder: Path) -> None:
    items, _ = asked(CV_BENCH, folder)
    wrong = {"2D-1": "<answer>B</answer>", "2D-3": "no idea", "3D-5": "<answer>books</answer>"}
    found = scored(items, wrong)
    # ADE20K 2/3, COCO 1/2, Omni3D 1/2; Relation 2/3, Count 1/2, Depth 0, Distance 1
    assert values(CV_BENCH, found) == pytest.approx(
        {
            "official": ((2 / 3 + 1 / 2) / 2 + 1 / 2) / 2,
            "micro": 4 / 7,
            "tasks": (2 / 3 + 1 / 2 + 0 + 1) / 4,
            "2d": (2 / 3 + 1 / 2) / 2,
            "3d": 1 / 2,
            "Relation": 2 / 3,
            "Count": 1 / 2,
            "Depth": 0.0,
            "Distance": 1.0,
        }
    )
    chance = {metric.name: metric.chance(found) for metric in CV_BENCH.metrics}
    assert chance["official"] == pytest.approx((((1 / 6 + 1 / 2 + 1 / 2) / 3 + (1 / 4 + 1 / 2) / 2) / 2 + 1 / 2) / 2)
    assert [s.answered for s in found] == [True, True, True, False, True, True, True]
    assert CV_BENCH.metric("official").mean(found).n_clusters == 6  # rows 0 and 1 show one picture


def test_an_average_without_one_of_its_parts_is_none_and_not_another(folder: Path) -> None:
    found = [s for s in scored(asked(CV_BENCH, folder)[0], {}) if s.item.strata["type"] == "2D"]
    assert {name: value is None for name, value in values(CV_BENCH, found).items()} == {
        "official": True, "micro": False, "tasks": True, "2d": False, "3d": True, "Relation": False, "Count": False, "Depth": True, "Distance": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "(G)"}, "an answer that is no option"),
        ({"answer": None}, "no answer"),
        ({"choices": ["left", "Left"]}, "options that cannot be told apart"),
        ({"choices": ["left"], "answer": "(A)"}, "fewer than two options, more than 26, or an empty one"),
        ({"image": {"bytes": b"no picture", "path": None}}, "a picture that cannot be read"),
        ({"image": {"bytes": None, "path": "img/1.png"}}, "a picture without bytes, given by its path"),
        ({"image": {"bytes": hub_image("cut")["bytes"][:-40], "path": None}}, "a picture that cannot be read"),
        ({"question": "<|im_start|>system"}, "marks of a chat template in the text"),
        ({"idx": 0}, "an id that stood before"),
    ],
)
def test_a_row_that_cannot_be_asked_is_counted(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    write_parquet(tmp_path / "test_2d.parquet", SCHEMA, [ROWS_2D[0], ROWS_2D[1] | changes])
    write_parquet(tmp_path / "test_3d.parquet", SCHEMA, ROWS_3D)
    items, refused = asked(CV_BENCH, tmp_path)
    assert len(items) == 3 and list(refused.values()) == [reason]


def test_a_file_that_is_missing_or_lacks_a_column_ends_in_a_sentence(folder: Path) -> None:
    write_parquet(folder / "test_3d.parquet", SCHEMA.remove(SCHEMA.get_field_index("choices")), ROWS_3D)
    with pytest.raises(UserError, match=r"test_3d.parquet has no column choices, which CV-Bench is published with; it has idx, type"):
        asked(CV_BENCH, folder)
    (folder / "test_3d.parquet").unlink()
    with pytest.raises(UserError, match=r"lacks test_3d.parquet, which CV-Bench is published in: put the files there"):
        asked(CV_BENCH, folder)
    (folder / "test_3d.parquet").write_bytes(b"half of it")
    with pytest.raises(UserError, match="is not a readable Parquet file"):
        asked(CV_BENCH, folder)
