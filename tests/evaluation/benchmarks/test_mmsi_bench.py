"""MMSI-Bench: options out of the question's text, plain and circular accuracy by hand, golden prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from toy_benchmarks import asked, png, scored, values, write_parquet

from actial.evaluation.benchmarks.mmsi_bench import MMSI_BENCH, MMSI_BENCH_CIRCULAR

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("images", pa.list_(pa.binary())),
        ("question_type", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("thought", pa.string()),
        ("mean_normed_duration_seconds", pa.float64()),
        ("difficulty", pa.string()),
    ]
)
OPTIONS = "Options: A: To the left, behind the door, B: Front-right, C: Cannot be told, D: Back"
FILE = "MMSI_Bench.parquet"


def row(number: int, answer: str = "B", kind: str = "Motion (Cam.)", n_pictures: int = 2, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "images": [png(f"{number} {i}") for i in range(n_pictures)],
        "question_type": kind,
        "question": f"Where was the camera, {number}?\n{OPTIONS}",
        "answer": answer,
        "thought": "",
        "mean_normed_duration_seconds": 1.0,
        "difficulty": "easy",
    } | changes


def test_options_come_out_of_the_text_and_the_prompt_is_the_published_one(tmp_path: Path) -> None:
    write_parquet(tmp_path / FILE, SCHEMA, [row(3, kind="Positional Relationship (Cam.–Obj.)", n_pictures=10)])
    (item,), refused = asked(MMSI_BENCH, tmp_path)
    assert refused == {} and item.row_id == "3" and len(item.pictures) == 10
    assert item.question.text == "Where was the camera, 3?"
    assert item.question.options == ("To the left, behind the door", "Front-right", "Cannot be told", "Back") and item.question.truth == "B"
    assert item.question.kind == "mmsi_bench_positional_relationship_cam_obj" and item.strata == {"type": "Positional Relationship (Cam.-Obj.)"}
    assert item.prompt == (
        "<image>" * 10 + "Where was the camera, 3?\nOptions: A: To the left, behind the door, B: Front-right, C: Cannot be told, D: Back\n"
        "Answer with the option's letter from the given choices directly. Enclose the option's letter within ``."
    )


def test_circular_asks_every_rotation(tmp_path: Path) -> None:
    write_parquet(tmp_path / FILE, SCHEMA, [row(0)])
    items, _ = asked(MMSI_BENCH_CIRCULAR, tmp_path)
    assert [(i.row_id, i.variant, i.question.truth, i.question.options[0]) for i in items] == [
        ("0", "", "B", "To the left, behind the door"),
        ("0-circular-1", "circular", "A", "Front-right"),
        ("0-circular-2", "circular", "D", "Cannot be told"),
        ("0-circular-3", "circular", "C", "Back"),
    ]
    assert len({i.question.question_id for i in items}) == 4 and len({i.question.scene_id for i in items}) == 1
    assert all(i.question.source == "mmsi_bench_circular" and i.group == "0" for i in items)
    assert items[2].prompt == (
        "<image><image>Where was the camera, 0?\nOptions: A: Cannot be told, B: Back, C: To the left, behind the door, D: Front-right\n"
        "Answer with the option's letter from the given choices directly. Enclose the option's letter within ``."
    )


def test_plain_and_circular_accuracy_by_hand(tmp_path: Path) -> None:
    write_parquet(tmp_path / FILE, SCHEMA, [row(0), row(1, "A"), row(2, "D", "MSR", 3), row(3, "C", "MSR")])
    plain = scored(asked(MMSI_BENCH, tmp_path)[0], {"2": "`A`"})
    found = values(MMSI_BENCH, plain)
    assert found["accuracy"] == 3 / 4 and found["Motion (Cam.)"] == 1.0 and found["MSR"] == 0.5 and found["Attribute (Meas.)"] is None
    circular = scored(asked(MMSI_BENCH_CIRCULAR, tmp_path)[0], {"0-circular-2": "``A``", "2": "I cannot say."})
    found = values(MMSI_BENCH_CIRCULAR, circular)
    assert len(circular) == 16 and found["circular"] == 2 / 4 and found["accuracy"] == 3 / 4
    assert MMSI_BENCH_CIRCULAR.metric("circular").chance(circular) == pytest.approx(1 / 256)


def test_rows_that_cannot_be_asked_are_counted(tmp_path: Path) -> None:
    rows = [
        row(0, answer="E"),
        row(1, question="Where was the camera?"),
        row(2, n_pictures=0),
        row(3, images=[png("3"), b"half"]),
        row(4, question="Where? Options: A: left, B: Left"),
        row(5, question_type=None),
        row(6),
        row(6),
    ]
    write_parquet(tmp_path / FILE, SCHEMA, rows)
    items, refused = asked(MMSI_BENCH_CIRCULAR, tmp_path)
    assert len(items) == 4 and list(refused.values()) == [
        "an answer that is no option",
        "no lettered options in the text",
        "no picture",
        "a picture that cannot be read",
        "options that cannot be told apart",
        "no question_type",
        "an id that stood before",
    ]
