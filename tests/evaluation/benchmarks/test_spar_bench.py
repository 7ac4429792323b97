"""SPAR-Bench: its schema, its twenty tasks by hand, its traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from toy_benchmarks import IMAGE, asked, hub_image, values, write_parquet
from toy_rows import answered

from actial.errors import UserError
from actial.evaluation.benchmarks.benchmark import Quantity
from actial.evaluation.benchmarks.camera_moves import CameraMove
from actial.evaluation.benchmarks.spar_bench import HIGH, LOW, MIDDLE, SPAR_BENCH, SPAR_BENCH_TINY, TASKS

TEXTS = ("img_type", "format_type", "task", "source", "question", "answer")
SCHEMA = pa.schema([("id", pa.int64()), *((name, pa.string()) for name in TEXTS), ("image", pa.list_(IMAGE))])
LINES = "Where is the towel (red bbox)?\nSelect the right option.\nA. left, above, closer\nB. left, , closer\nC. right, below, farther\nD. right, , farther"
ONE_LINE = "What is the distance in meters? Pick the right response. A. 0.7 B. 1.3 C. 1.6 D. 1.0"
BELOW = "Your answer can only include one of options A, B, C or D."


def row(number: int, task: str, question: str, answer: str, n: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "img_type": "multi_view" if n > 1 else "single_view",
        "format_type": "fill" if task in LOW else "select",
        "task": task,
        "source": "scannet",
        "image": [hub_image(f"{number} {i}") for i in range(n)],
        "question": question,
        "answer": answer,
    } | changes


ROWS = [
    row(0, "depth_prediction_oc", "How deep is the towel (blue point)? Answer using a single number and nothing else.", "0.9"),
    row(1, "depth_prediction_oo_mv", "By how much do they differ in depth?", "0.0", n=3),
    row(2, "obj_spatial_relation_oo", f"{LINES}\n{BELOW}", "D"),
    row(3, "distance_infer_center_oo_mv", f"{ONE_LINE} {BELOW}", "D", n=3),
    row(4, "camera_motion_infer", "Where is the observer?\nA. Image Coor: (426,510), Depth: 2.3\nB. Image Coor: (120,300), Depth: 1.0", "A", n=2),
    row(5, "view_change_infer", "How did the camera move?", "move_right:0.5,rotate_left:10", n=2),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "data/test-00000-of-00002.parquet", SCHEMA, ROWS[:3])
    write_parquet(tmp_path / "data/test-00001-of-00002.parquet", SCHEMA, ROWS[3:])
    return tmp_path


def test_rows_become_questions(folder: Path) -> None:
    items, refused = asked(SPAR_BENCH, folder)
    assert refused == {} and [i.row_id for i in items] == ["0", "1", "2", "3", "4", "5"]
    assert items[0].number == Quantity(0.9, "m") and items[1].number == Quantity(0.0, "m") and len(items[1].pictures) == 3
    assert items[2].question.options == ("left, above, closer", "left, , closer", "right, below, farther", "right, , farther")
    assert items[3].question.options == ("0.7", "1.3", "1.6", "1.0")  # without the sentence below them
    assert items[3].question.text == "What is the distance in meters? Pick the right response." and items[3].question.truth == "D"
    assert items[4].question.options[0] == "Image Coor: (426,510), Depth: 2.3"
    assert items[5].number == CameraMove((0.5, 0.0, 0.0, -10.0, 0.0)) and items[5].question.options == ()
    assert items[5].strata == {"task": "view_change_infer", "views": "multi_view", "source": "scannet"}


def test_the_prompts_are_the_authors(folder: Path) -> None:
    items, _ = asked(SPAR_BENCH, folder)
    assert items[1].prompt == "<image><image><image>\nBy how much do they differ in depth?\nPlease answer the question using a single word or phrase."
    assert items[2].prompt == f"<image>\n{LINES}\n{BELOW}\n\nAnswer with the option's letter from the given choices directly."
    assert items[4].prompt == (
        f"<image><image>\n{ROWS[4]['question']}\nThe values represent the bounding box coordinates normalized to a 0-1000 scale, with the top-left "
        "corner as the origin of the image.\nAnswer with the option's letter from the given choices directly."
    )
    assert items[5].prompt == "<image><image>\nHow did the camera move?\n\n"


def test_the_score_by_hand(folder: Path) -> None:
    said = {
        "0": "<answer>1.2 m</answer>",  # a third off .9: 33.3 %, .4
        "1": "0.1",  # .1 off 0: as 10 % on its threshold, .9
        "2": "right",  # part of two options: the authors' reader would take it for part of the truth
        "3": "<answer>1.0</answer>",
        "4": "B",
        "5": "<answer>move_right:0.5,rotate_left:20</answer>",  # |10 - 20| / 20 is half: .1; the others 1
    }
    found = answered(asked(SPAR_BENCH, folder)[0], said)
    assert [s.credit for s in found] == pytest.approx([0.4, 0.9, 0, 1, 0, (1 + 1 + 1 + 0.1 + 1) / 5])
    assert [s.answered for s in found] == [True, True, False, True, True, True]
    of_tasks = {r["task"]: s.credit for r, s in zip(ROWS, found, strict=True)}
    assert values(SPAR_BENCH, found) == pytest.approx(dict.fromkeys(("overall", "overall_as_written", "low", "middle", "high", *TASKS)) | of_tasks)


def test_overall_is_the_mean_of_twenty_tasks(tmp_path: Path) -> None:
    numbers, moves = dict.fromkeys(LOW, ("How far?", "2.0")), {"view_change_infer": ("How?", "move_up:1")}
    asks = numbers | moves | {task: (f"{LINES}\n{BELOW}", "D") for task in TASKS if task not in numbers | moves}
    rows = [row(i, task, *asks[task]) for i, task in enumerate(TASKS)] + [row(20, "position_matching", f"{LINES}\n{BELOW}", "A")]
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", SCHEMA, rows)
    said = {str(i): "2 m" if task in LOW else "D" if task in HIGH else "C" for i, task in enumerate(TASKS)} | {"20": "A"}
    found = values(SPAR_BENCH_TINY, answered(asked(SPAR_BENCH_TINY, tmp_path)[0], said))
    assert (len(LOW), len(MIDDLE), len(HIGH), len(set(TASKS))) == (8, 3, 9, 20)
    assert (found["low"], found["middle"], found["high"]) == pytest.approx((1, (1 / 2 + 0 + 0) / 3, 1))
    assert found["overall"] == pytest.approx((8 + 1 / 2 + 9) / 20)  # position_matching has two rows and weighs as one task


@pytest.mark.parametrize(
    ("place", "changes", "reason"),
    [
        (0, {"answer": "deep"}, "a truth that is no number"),
        (0, {"task": "obj_count"}, "a task that the benchmark does not have"),
        (2, {"answer": "E"}, "an answer that is no option"),
        (2, {"question": "Where?\nA. left\nB. LEFT"}, "options that cannot be told apart"),
        (5, {"answer": "right"}, "a truth that is no camera move"),
        (0, {"image": []}, "no picture"),
        (0, {"image": None}, "no picture"),
        (0, {"image": [{"bytes": hub_image("cut")["bytes"][:-40], "path": None}]}, "a picture that cannot be read"),
        (0, {"id": 3}, "an id that stood before"),
    ],
)
def test_a_row_that_cannot_be_asked_is_counted(tmp_path: Path, place: int, changes: dict[str, Any], reason: str) -> None:
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", SCHEMA, [ROWS[3], ROWS[place] | changes])
    items, refused = asked(SPAR_BENCH, tmp_path)
    assert len(items) == 1 and list(refused.values()) == [reason]


def test_a_missing_column_ends_in_a_sentence(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", SCHEMA.remove(SCHEMA.get_field_index("task")), ROWS)
    with pytest.raises(UserError, match="has no column task, which SPAR-Bench is published with"):
        asked(SPAR_BENCH, tmp_path)
