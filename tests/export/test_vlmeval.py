"""VLMEvalKit's TSV, read as its loader reads it: pandas, lists in brackets, short cells as indices of rows with the same pictures."""

from __future__ import annotations

import ast
import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toy_exports import change_views, exported, licensed

from actial.export import vlmeval
from actial.shards import ViewStore
from actial.tables import read_questions, write_questions


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Rows with their pictures found."""
    rows = pd.read_csv(path, sep="\t").to_dict("records")
    images = {str(row["index"]): str(row["image"]) for row in rows}
    assert len(images) == len(rows)
    for row in rows:
        cell = str(row["image"])
        if len(cell) <= 64:
            cell = images[cell]
            assert len(cell) > 64
        row["image"], row["image_path"] = ast.literal_eval(cell), ast.literal_eval(row["image_path"])
    return rows


def test_rows_are_the_test_questions_with_all_their_pictures_to_the_byte(outputs: Path, tmp_path: Path) -> None:
    out = exported(outputs, "vlmeval", tmp_path / "out")
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "actial_test.tsv", "export.json"]
    store = ViewStore(outputs / "render_views" / "views")
    questions, rows = read_questions(outputs / "build_qa" / "test.parquet"), rows_of(out / "actial_test.tsv")
    cues = {"aligned": "2D cue aligned", "conflict": "2D cue in conflict", "none": "no 2D cue"}
    for question, row in zip(questions, rows, strict=True):
        assert [base64.b64decode(image) for image in row["image"]] == [store.picture_bytes(v) for v in question.view_ids]
        assert [name.rpartition("-")[0] for name in row["image_path"]] == list(question.view_ids) and all(name.endswith(".png") for name in row["image_path"])
        assert tuple(row[letter] for letter in "ABC") == question.options and row["answer"] == question.truth and row["question"] == question.text
        assert (row["category"], row["l2-category"], row["split"]) == (question.kind, cues[question.cue], "test")
        assert row["question_id"] == question.question_id and row["licences"] == "CC0-1.0" and pd.isna(row["hint"])
    assert [row["index"] for row in rows] == list(range(len(questions)))
    held = pd.read_csv(out / "actial_test.tsv", sep="\t")["image"]
    assert sum(held.str.startswith("[")) == len({q.view_ids for q in questions}) < len(questions), "the pictures of a pair stand once"


def test_another_picture_has_another_name_since_the_tool_keeps_what_it_wrote(copied: Path, tmp_path: Path) -> None:
    before = rows_of(exported(copied, "vlmeval", tmp_path / "a") / "actial_test.tsv")
    first = before[0]["image_path"]
    change_views(copied, lambda view, data: (view, data + b"more behind the end"))
    assert rows_of(exported(copied, "vlmeval", tmp_path / "b") / "actial_test.tsv")[0]["image_path"] != first


def test_a_file_ends_before_it_is_too_large_and_each_stands_alone(outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vlmeval, "FILE_BYTES", 60_000)
    out = exported(outputs, "vlmeval", tmp_path / "out", "test", "val")
    files = sorted(out.glob("actial_test*.tsv"))
    assert len(files) > 2 and all(p.stat().st_size < 60_000 for p in files)
    found = {row["question_id"] for path in files for row in rows_of(path)}
    assert found == {q.question_id for q in read_questions(outputs / "build_qa" / "test.parquet")}
    assert rows_of(out / "actial_val.tsv")


def test_questions_with_unlike_options_and_texts_that_pandas_would_lose(copied: Path, tmp_path: Path) -> None:
    path = copied / "build_qa" / "test.parquet"
    first, second, third, fourth, *_ = read_questions(path)
    two = replace(first, options=("yes", "no"), labels=("left", "right"), truth="B")
    odd = replace(second, text='A "quoted"\ttext\nof two lines', options=("a\tb", "c'd", "[e]"))
    four = replace(third, options=("1", "2", "3", "4"), labels=("left", "right", "none", "other"), truth="D")
    lost = replace(fourth, options=("None", "left", "right"))
    write_questions(path, [two, odd, four, lost])
    out = exported(copied, "vlmeval", tmp_path / "out")
    rows = rows_of(out / "actial_test.tsv")
    assert [pd.isna(rows[0][letter]) for letter in "ABCD"] == [False, False, True, True]
    assert rows[1]["question"] == odd.text and tuple(rows[1][letter] for letter in "ABC") == odd.options
    assert str(rows[2]["D"])[0] == "4" and rows[2]["answer"] == "D"
    assert json.loads((out / "export.json").read_text())["set_aside"] == {"questions with a text that VLMEvalKit takes for a missing one": 1}


def test_licences_stand_in_rows_and_in_the_readme(copied: Path, tmp_path: Path) -> None:
    change_views(copied, licensed("CC-BY-4.0"))
    out = exported(copied, "vlmeval", tmp_path / "out")
    assert {row["licences"] for row in rows_of(out / "actial_test.tsv")} == {"CC-BY-4.0"} and "CC-BY-4.0 (16)" in (out / "README.md").read_text()
