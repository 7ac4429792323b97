"""ViewSpatial-Bench: its schema, its score by hand, its traps."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from toy_benchmarks import asked, png, values
from toy_rows import answered, write_json, write_pictures

from actial.errors import UserError
from actial.evaluation.benchmarks.view_spatial import TYPES, VIEW_SPATIAL

FILE = "ViewSpatial-Bench.json"
ROOM = "scannetv2_val/scene0011_00/original_images"


def row(kind: str, names: list[str], choices: str, answer: str, question: str = "Where is the table?", **changes: Any) -> dict[str, Any]:
    images = [f"ViewSpatial-Bench/{name}" for name in names]
    return {"question_type": kind, "image_path": images, "question": question, "answer": answer, "choices": choices} | changes


ROWS = [
    row(TYPES[0], [f"{ROOM}/280.jpg"], "A. right\nB. front-up\nC. back-left\nD. front", "A. right"),
    row(TYPES[1], ["val2017/000000000285.jpg"], "A. back\nB. front-right\nC. front-left\nD. left", "A. back"),
    row(TYPES[3], ["val2017/000000000872.jpg"], "A. left\nB. right", "B. right"),
    row(TYPES[4], [f"{ROOM}/20.jpg", f"{ROOM}/200.jpg", f"{ROOM}/280.jpg"], "A. front\nB. back-left\nC. right\nD. back-right", "A. front"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the archives unpack: without the folder that every path begins with."""
    write_json(tmp_path / FILE, ROWS)
    write_pictures(tmp_path, {name.removeprefix("ViewSpatial-Bench/") for r in ROWS for name in r["image_path"]})
    return tmp_path


def test_rows_become_questions(folder: Path) -> None:
    items, refused = asked(VIEW_SPATIAL, folder)
    assert refused == {} and [i.row_id for i in items] == ["0", "1", "2", "3"]
    assert items[0].question.options == ("right", "front-up", "back-left", "front") and items[0].question.truth == "A"
    assert items[0].question.kind == "viewspatial_camera_perspective_relative_direction"
    assert items[3].pictures == tuple(png(f"{ROOM}/{name}.jpg") for name in (20, 200, 280)) and len(items[3].question.view_ids) == 3
    assert items[3].scene == items[0].scene == "ViewSpatial-Bench/scannetv2_val/scene0011_00" and items[1].scene != items[2].scene


def test_pictures_are_read_out_of_the_archives(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    packed = tmp_path_factory.mktemp("packed")
    write_json(packed / FILE, ROWS)
    for data_set in ("scannetv2_val", "val2017"):
        with zipfile.ZipFile(packed / f"{data_set}.zip", "w") as archive:
            for path in sorted((folder / data_set).rglob("*.jpg")):
                archive.write(path, path.relative_to(folder))
    assert [i.pictures for i in asked(VIEW_SPATIAL, packed)[0]] == [i.pictures for i in asked(VIEW_SPATIAL, folder)[0]]


def test_the_prompt_is_the_published_one(folder: Path) -> None:
    assert asked(VIEW_SPATIAL, folder)[0][3].prompt == (
        "<image><image><image>Question: Where is the table?\nChoices: A. front\nB. back-left\nC. right\nD. back-right\n"
        "Reply only to the corresponding option.\nAnswer:"
    )


def test_the_score_by_hand(folder: Path) -> None:
    said = {"0": "A. right", "1": "It shows a bear to the left, as far as I can tell", "2": "right", "3": "<answer>back-right</answer>"}
    found = answered(asked(VIEW_SPATIAL, folder)[0], said)
    assert [s.answered for s in found] == [True, False, True, True]  # the authors' reader has the article "a" of the second for A
    assert values(VIEW_SPATIAL, found) == {"overall": 0.5, TYPES[0]: 1, TYPES[1]: 0, TYPES[2]: None, TYPES[3]: 1, TYPES[4]: 0}
    assert VIEW_SPATIAL.metric("overall").chance(found) == pytest.approx((3 / 4 + 1 / 2) / 4)
    assert VIEW_SPATIAL.metric("overall").mean(found).n_clusters == 3  # rows 0 and 3 are about one room


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "E. nowhere"}, "an answer that is no option"),
        ({"answer": "A. left"}, "an answer that is no option"),  # another choice's text behind the letter
        ({"choices": "left, right"}, "no lettered options in the text"),
        ({"choices": "A. left\nB. Left"}, "options that cannot be told apart"),
        ({"image_path": ["ViewSpatial-Bench/val2017/1.jpg"]}, "a picture that is not there"),
        ({"image_path": None}, "no image_path"),
        ({"question": ""}, "no question"),
    ],
)
def test_a_row_that_cannot_be_asked_is_counted(folder: Path, changes: dict[str, Any], reason: str) -> None:
    write_json(folder / FILE, [ROWS[1], ROWS[0] | changes])
    items, refused = asked(VIEW_SPATIAL, folder)
    assert len(items) == 1 and list(refused.values()) == [reason]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "is not JSON"),
        ('{"rows": []}', "is not a list of JSON objects"),
        ("[]", "holds no rows"),
        ('[{"question": "?"}]', "has no column question_type in row 0"),
    ],
)
def test_a_file_that_is_none_ends_in_a_sentence(folder: Path, text: str, said: str) -> None:
    (folder / FILE).write_text(text)
    with pytest.raises(UserError, match=said):
        asked(VIEW_SPATIAL, folder)
