"""MindCube: its schema, its settings, its score by hand, its traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_benchmarks import asked, png, values
from toy_rows import answered, write_jsonl, write_pictures

from actial.errors import UserError
from actial.evaluation.benchmarks.mindcube import MINDCUBE, MINDCUBE_TINY, setting_of

FILE = "raw/MindCube_tinybench.jsonl"


def row(row_id: str, question: str, answer: str, images: list[str], **changes: Any) -> dict[str, Any]:
    fields = {"id": row_id, "category": ["perpendicular", "P-P"], "type": "four view_clockwise", "meta_info": [["a"], ["b"]]}
    return fields | {"question": question, "images": images, "gt_answer": answer} | changes


def pictures(folder: str, n: int) -> list[str]:
    return [f"other_all_image/{folder}/{place}_frame.jpg" for place in range(1, n + 1)]


LISTED = "Based on these two images (image 1 and 2): What is to the left of the can?"
ROWS = [
    row("among_group002_q0_1_1", f"{LISTED} A. Black chair B. Display shelves and window C. Window D. Brown wall", "B", pictures("among/plane_184", 2)),
    row("aroundnew_group082_q2_1", "Will I get closer to it? A. It would be a tie B. Yes C. No", "A", pictures("around/group92", 3)),
    row("rotation_group3_q1", "<image>\n<image>\nWhat is behind me? A. sofa B. door", "B", pictures("rotation/0168_02", 2)),
    row("translation_group1_q0", "What is it? A. sofa B. door", "A", pictures("translation/7", 2)),
    row("among_group002_q9_1_1", f"{LISTED} A. Black chair B. Window", "B", pictures("among/plane_184", 2)[::-1]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / FILE, ROWS)
    write_pictures(tmp_path, {name for r in ROWS for name in r["images"]})
    return tmp_path


def test_rows_become_questions(folder: Path) -> None:
    items, refused = asked(MINDCUBE_TINY, folder)
    assert refused == {} and [i.strata["setting"] for i in items] == ["among", "around", "rotation", "translation", "among"]
    first = items[0]
    assert first.question.text == LISTED and first.question.kind == "mindcube_tiny_among"
    assert first.question.options == ("Black chair", "Display shelves and window", "Window", "Brown wall") and first.question.truth == "B"
    assert first.pictures == tuple(map(png, pictures("among/plane_184", 2)))
    assert items[1].question.options == ("It would be a tie", "Yes", "No")  # an A of its own in the first
    assert items[4].question.view_ids[0] != first.question.view_ids[0] and items[4].scene == first.scene == "other_all_image/among/plane_184"


def test_the_prompt_is_the_authors(folder: Path) -> None:
    assert asked(MINDCUBE_TINY, folder)[0][2].prompt == (
        "<image><image>[Task]\nYour task is to analyze the spatial arrangement of objects in the scene by examining the provided images, which show "
        "the scene from different viewpoints.\n[Answer Instruction]\nYou only need to provide *ONE* correct answer selecting from the options listed below. "
        "For example, if you think the correct answer is 'A. Above' from 'A. Above B. Under C. Front D. Behind', your response should **only** be "
        "'<answer>A. Above</answer>'.\n\n[Question]\nWhat is behind me? A. sofa B. door"
    )


def test_the_score_by_hand(folder: Path) -> None:
    said = {
        "among_group002_q0_1_1": "<answer>B. Display shelves and window</answer>",
        "aroundnew_group082_q2_1": "B. Yes",
        "rotation_group3_q1": "<think>A. sofa or B. door</think><answer>B. door</answer>",
        "translation_group1_q0": "<answer>B. door</answer>",  # wrong, and does not count
        "among_group002_q9_1_1": "<think>It is A. Black chair</think><answer>B. Window</answer>",
    }
    found = answered(asked(MINDCUBE_TINY, folder)[0], said)
    assert values(MINDCUBE_TINY, found) == pytest.approx({"overall": 3 / 4, "around": 0, "rotation": 1, "translation": 0, "among": 1})
    assert MINDCUBE_TINY.metric("overall").chance(found) == pytest.approx((1 / 4 + 1 / 3 + 1 / 2 + 1 / 2) / 4)
    assert MINDCUBE_TINY.metric("overall").mean(found).n_clusters == 3  # both rows among are of one scene


def test_the_setting_stands_in_the_id() -> None:
    ids = ("around_1", "aroundnew_group1", "rotation_2", "translation_3", "among_group381_q3_5_1", "unknown")
    assert [setting_of(row_id) for row_id in ids] == ["around", "around", "rotation", "translation", "among", "other"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gt_answer": "C"}, "an answer that is no option"),
        ({"question": "What is behind me?"}, "no lettered options in the text"),
        ({"question": "What? A. sofa B. Sofa"}, "options that cannot be told apart"),
        ({"images": ["other_all_image/nowhere.jpg"]}, "a picture that is not there"),
        ({"images": ["../secret.jpg"]}, "a picture outside the benchmark's folder"),
        ({"images": []}, "no picture"),
        ({"images": ["other_all_image/broken.jpg"]}, "a picture that cannot be read"),
        ({"id": "among_group002_q0_1_1"}, "an id that stood before"),
    ],
)
def test_a_row_that_cannot_be_asked_is_counted(folder: Path, changes: dict[str, Any], reason: str) -> None:
    (folder / "other_all_image/broken.jpg").write_bytes(png("broken")[:-30])
    write_jsonl(folder / FILE, [ROWS[0], ROWS[2] | changes])
    items, refused = asked(MINDCUBE_TINY, folder)
    assert len(items) == 1 and list(refused.values()) == [reason]


def test_a_file_that_is_missing_or_lacks_a_field_ends_in_a_sentence(folder: Path) -> None:
    with pytest.raises(UserError, match=r"lacks raw/MindCube.jsonl, which MindCube is published in"):
        asked(MINDCUBE, folder)
    write_jsonl(folder / FILE, [{name: value for name, value in ROWS[0].items() if name != "gt_answer"}])
    with pytest.raises(UserError, match=r"has no column gt_answer in line 1"):
        asked(MINDCUBE_TINY, folder)
