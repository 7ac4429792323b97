"""SAT-real, SAT val and Viewpoint-100K: rows read as build_qa reads them, asked so that no order of options counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from toy_benchmarks import asked, hub_image, png, scored, values, write_parquet

from actial.errors import UserError
from actial.evaluation.benchmarks.sat import SAT_REAL, SAT_VAL
from actial.evaluation.benchmarks.viewpoint_100k import VIEWPOINT_100K

SCHEMA = pa.schema(
    [
        ("image_bytes", pa.list_(pa.binary())),
        ("question", pa.string()),
        ("answers", pa.list_(pa.string())),
        ("question_type", pa.string()),
        ("correct_answer", pa.string()),
    ]
)


def row(number: int, kind: str, answers: tuple[str, ...] = ("left", "right"), n_pictures: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "image_bytes": [png(f"{number} {i}") for i in range(n_pictures)],
        "question": f"Question {number}?",
        "answers": list(answers),
        "question_type": kind,
        "correct_answer": answers[0],  # always the first: they are published in no order of chance
    } | changes


ROWS = [
    row(0, "ego_movement", n_pictures=2),
    row(1, "obj_movement", ("the lamp in the first frame", "the chair", "neither"), 2),
    row(2, "action_conseq"),
    row(3, "perspective"),
    row(4, "goal_aim"),
]


def test_every_question_is_asked_in_every_rotation(tmp_path: Path) -> None:
    write_parquet(tmp_path / "SAT_test.parquet", SCHEMA, ROWS)
    items, refused = asked(SAT_REAL, tmp_path)
    assert refused == {} and len(items) == 4 * 2 + 3
    assert [(i.row_id, i.question.options, i.question.truth) for i in items[2:5]] == [
        ("row 1", ("the lamp", "the chair", "neither"), "A"),
        ("row 1-circular-1", ("the chair", "neither", "the lamp"), "C"),
        ("row 1-circular-2", ("neither", "the lamp", "the chair"), "B"),
    ]
    assert items[5].question.kind == "sat_real_action_consequence" and items[0].prompt is None
    assert items[0].question.question_id.endswith(".v00-v01.sat_real_ego_movement_0")


def test_whoever_always_says_a_is_at_chance(tmp_path: Path) -> None:
    write_parquet(tmp_path / "SAT_test.parquet", SCHEMA, ROWS)
    items, _ = asked(SAT_REAL, tmp_path)
    found = scored(items, {i.row_id: "<answer>A</answer>" for i in items})
    chance = (4 / 2 + 1 / 3) / 5
    assert SAT_REAL.metric("accuracy").value(found) == pytest.approx(chance) == SAT_REAL.metric("accuracy").chance(found)
    assert SAT_REAL.metric("circular").value(found) == 0.0


def test_accuracies_by_hand(tmp_path: Path) -> None:
    write_parquet(tmp_path / "SAT_test.parquet", SCHEMA, ROWS)
    found = scored(asked(SAT_REAL, tmp_path)[0], {"row 1-circular-1": "the chair", "row 4": "unsure"})
    assert values(SAT_REAL, found) == {
        "accuracy": pytest.approx((1 + 2 / 3 + 1 + 1 + 1 / 2) / 5),
        "circular": pytest.approx(3 / 5),
        "macro": pytest.approx((1 + 2 / 3 + 1 + 1 + 1 / 2) / 5),
        "ego_movement": 1.0,
        "obj_movement": pytest.approx(2 / 3),
        "action_consequence": 1.0,
        "perspective": 1.0,
        "goal_aim": 0.5,
    }


def test_the_validation_rows_spell_kinds_in_another_way_and_have_static_ones(tmp_path: Path) -> None:
    rows = [row(0, "action_sequence"), row(1, "other"), row(2, "other", n_pictures=3), row(3, "other", correct_answer="up"), row(4, "other", ("a", "A"))]
    write_parquet(tmp_path / "SAT_val.parquet", SCHEMA, rows)
    items, refused = asked(SAT_VAL, tmp_path)
    assert {i.strata["kind"] for i in items} == {"ego_movement", "static"} and len(items) == 4
    assert refused == {"row 2": "more than 2 pictures", "row 3": "an answer that is no option", "row 4": "options that cannot be told apart"}


VIEWPOINT = pa.schema([("imgs", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))), ("chat", pa.list_(pa.string())), ("type", pa.string())])


def viewpoint(number: int, answer: str = "<answer>B</answer>") -> dict[str, Any]:
    text = f"<image><image>Question {number}: how did the camera move?\nA. left\nB. right\nAnswer with the letter."
    return {"imgs": [hub_image(f"{number} {i}") for i in range(2)], "chat": [text, answer], "type": "Ego Translation"}


def test_viewpoint_100k_takes_its_columns_from_a_file_beside_it(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", VIEWPOINT, [viewpoint(0), viewpoint(1, "C")])
    with pytest.raises(UserError, match=r"has no column images for images; it has imgs, chat, type: say in .*columns.yaml how"):
        asked(VIEWPOINT_100K, tmp_path)
    columns = tmp_path / "columns.yaml"
    columns.write_text("format: lettered\ncolumns: {images: imgs, question: chat.0, answer: chat.1, kind: type}\n")
    (item,), refused = asked(VIEWPOINT_100K, tmp_path)
    assert item.question.text == "Question 0: how did the camera move?" and item.question.options == ("left", "right") and item.question.truth == "B"
    assert item.question.kind == "viewpoint_100k_ego_translation" and len(item.pictures) == 2
    assert refused == {"row 1": "an answer that is no option"}
    assert values(VIEWPOINT_100K, scored([item], {})) == {"accuracy": 1.0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("format: sats\ncolumns: {}\n", r"must hold columns and a format \(sat, options, lettered\)"),
        ("columns: {}\n", "must hold columns and a format"),
        ("format: [\n", "must hold columns and a format"),
        ("format: lettered\ncolumns: {images: imgs}\n", r"is not right: build_qa.external\[0\].columns lacks question"),
    ],
)
def test_columns_that_cannot_be_meant_end_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    write_parquet(tmp_path / "test.parquet", VIEWPOINT, [viewpoint(0)])
    (tmp_path / "columns.yaml").write_text(text)
    with pytest.raises(UserError, match=sentence):
        asked(VIEWPOINT_100K, tmp_path)
