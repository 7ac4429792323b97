"""All-Angles Bench: its schema, its score by hand with pairs, its traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_benchmarks import asked, png, values
from toy_rows import answered, write_json, write_pictures

from actial.errors import UserError
from actial.evaluation.benchmarks.all_angles import ALL_ANGLES, CATEGORIES


def row(index: Any, category: str, twin: Any, folder: str, answer: str, n: int = 2, **changes: Any) -> dict[str, Any]:
    return {
        "index": index,
        "folder": folder,
        "category": category,
        "pair_idx": twin,
        "image_path": [f"egohumans/{folder}/cam{place}.jpg" for place in range(1, n + 1)],
        "question": f"Question {index} about View 1, View 2?",
        "A": "two",
        "B": "three",
        "C": "four",
        "answer": answer,
        "sourced_dataset": "egohumans",
    } | changes


ROWS = [
    row(0, "counting", 1, "001_tagging", "A", n=5),
    row(1, "counting", 0, "001_tagging", "B", n=5, A=2, B=3, C=4),
    row(2, "camera_pose_estimation", "3", "001_tagging", "C"),
    row("3", "camera_pose_estimation", "2", "2001_tennis", "A"),
    row(4, "manipulation", "", "2001_tennis", "A"),
    row(5, "manipulation", 99, "0001_fencing", "A"),
    row(6, "relative_distance", 7, "0001_fencing", "A", C=None),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "data.json", ROWS)
    write_pictures(tmp_path, {name for r in ROWS for name in r["image_path"]})
    return tmp_path


def test_rows_become_questions(folder: Path) -> None:
    items, refused = asked(ALL_ANGLES, folder)
    assert refused == {} and [i.row_id for i in items] == ["0", "1", "2", "3", "4", "5", "6"]
    assert [i.group for i in items] == ["0-1", "0-1", "2-3", "2-3", "4", "5-99", "6-7"]
    assert items[0].question.kind == "all_angles_counting" and len(items[0].pictures) == 5
    assert items[0].pictures[1] == png("egohumans/001_tagging/cam2.jpg")
    assert items[1].question.options == ("2", "3", "4") and items[6].question.options == ("two", "three")


def test_the_prompt_is_the_forks_with_its_trailing_blank(folder: Path) -> None:
    assert asked(ALL_ANGLES, folder)[0][2].prompt == (
        "<image><image>Question: Question 2 about View 1, View 2?\nOptions:\nA. two\nB. three\nC. four\n"
        "Please select the correct answer from the options above. \n"
    )


def test_the_score_by_hand(folder: Path) -> None:
    said = {"0": "A", "1": "<answer>3</answer>", "2": "C", "3": "C. four", "4": "two", "5": "no idea", "6": "A"}
    found = answered(asked(ALL_ANGLES, folder)[0], said)
    assert [s.credit for s in found] == [1, 1, 1, 0, 1, 0, 1]
    assert values(ALL_ANGLES, found) == pytest.approx(
        {"overall": 5 / 7, "pairs": 1 / 2}
        | dict.fromkeys(CATEGORIES)
        | {"counting": 1, "camera_pose_estimation": 1 / 2, "manipulation": 1 / 2, "relative_distance": 1}
    )
    assert ALL_ANGLES.metric("overall").chance(found) == pytest.approx((6 / 3 + 1 / 2) / 7)
    assert ALL_ANGLES.metric("pairs").chance(found) == pytest.approx(1 / 9)
    assert ALL_ANGLES.metric("pairs").value([s for s in found if s.item.row_id != "1"]) == 0.0  # without its twin a row is in no pair
    assert ALL_ANGLES.metric("pairs").value(found[4:]) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "D"}, "an answer that is no option"),
        ({"B": "Two"}, "options that cannot be told apart"),
        ({"B": None}, "an option behind an empty one"),
        ({"image_path": ["ego_exo4d/x/cam1.jpg"]}, "a picture that is not there"),
        ({"index": 0}, "an id that stood before"),
    ],
)
def test_a_row_that_cannot_be_asked_is_counted(folder: Path, changes: dict[str, Any], reason: str) -> None:
    write_json(folder / "data.json", [ROWS[0], ROWS[2] | changes])
    items, refused = asked(ALL_ANGLES, folder)
    assert len(items) == 1 and list(refused.values()) == [reason]


def test_a_missing_field_ends_in_a_sentence(folder: Path) -> None:
    write_json(folder / "data.json", [{name: value for name, value in ROWS[0].items() if name != "C"}])
    with pytest.raises(UserError, match="has no column C in row 0"):
        asked(ALL_ANGLES, folder)
