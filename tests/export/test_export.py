"""What every form shares: bad input, folders that must not be overwritten, all or nothing, the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_exports import change_views, cut_off, exported
from toy_outputs import ROOT

from actial.errors import UserError
from actial.export.export import FORMS, export
from actial.export.folder import whole_folder, write_record
from actial.export.pictures import NO_PICTURE, UNREADABLE
from actial.tables import read_questions, write_questions


def without(name: str) -> Callable[[Path], None]:
    return lambda outputs: shutil.rmtree(outputs / name)


def empty_split(outputs: Path) -> None:
    write_questions(outputs / "build_qa" / "val.parquet", [])


def no_picture_at_all(outputs: Path) -> None:
    change_views(outputs, lambda view, _: (view, b""))


@pytest.mark.parametrize(
    ("to", "splits", "spoil", "said"),
    [
        ("hf", [], without("build_qa"), "build_qa holds no questions: run `actial run --only build_qa` first"),
        ("llamafactory", [], without("cold_start_mix"), "cold_start_mix holds no conversations: run `actial run --only cold_start_mix` first"),
        ("vlmeval", [], without("render_views/views"), "render_views/views does not exist: run `actial run --only render_views` first"),
        ("hf", ["tset"], lambda _: None, "--split names tset; {}/build_qa has train, rl, val, test, the nearest is test"),
        ("llamafactory", ["train"], lambda _: None, "--split names train; {}/cold_start_mix has sft"),
        ("hf", ["val"], empty_split, "build_qa/val.parquet holds no questions: name other splits with --split (train, rl, val, test)"),
        ("vlmeval", [], no_picture_at_all, "not one of the questions of test can be exported; 96 questions with a picture that is missing or cannot be read"),
        ("hf", ["train"], lambda outputs: (outputs / "build_qa/train.parquet").write_text("no parquet"), "train.parquet is not a readable Parquet file"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_left_behind(
    to: str, splits: list[str], spoil: Callable[[Path], object], said: str, copied: Path, tmp_path: Path
) -> None:
    spoil(copied)
    with pytest.raises(UserError) as refused:
        export(copied, to, splits, tmp_path / "made" / "out", None)
    assert said.format(copied) in str(refused.value) and "\n" not in str(refused.value)
    assert not list((tmp_path / "made").glob("*")) and not list((tmp_path / "made").glob(".*"))


def test_pictures_that_are_missing_or_broken_are_counted_named_and_left_out(copied: Path, tmp_path: Path) -> None:
    questions = read_questions(copied / "build_qa" / "test.parquet")
    broken, missing = questions[0].view_ids[0], questions[-1].view_ids[1]
    change_views(copied, lambda view, data: (view, b"") if view.view_id == missing else cut_off(broken)(view, data))
    out = tmp_path / "out"
    said = export(copied, "hf", ["test"], out, None)
    record = json.loads((out / "export.json").read_text())
    n_lost = sum(bool({broken, missing} & set(q.view_ids)) for q in questions)
    assert record["broken_views"] == {broken: UNREADABLE, missing: NO_PICTURE}
    assert record["questions"] == {"test": len(questions) - n_lost} and list(record["set_aside"].values()) == [n_lost]
    assert f"{broken}: {UNREADABLE}" in said and f"{missing}: {NO_PICTURE}" in said
    assert "## Set aside in this export" in (out / "README.md").read_text()


def test_a_question_about_an_unknown_view_is_one_sentence(copied: Path, tmp_path: Path) -> None:
    shutil.rmtree(copied / "render_views" / "views")
    from toy_scenes import write_toy_views

    write_toy_views(copied / "render_views" / "views", 1)
    for to in FORMS:
        with pytest.raises(UserError, match=r"view scene-0000\d\d.v0\d is not in "):
            export(copied, to, [], tmp_path / "out", None)


@pytest.mark.parametrize("to", FORMS)
def test_a_folder_that_no_export_made_is_left_alone(to: str, outputs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out"
    mine.mkdir()
    exported(outputs, to, mine)  # an empty folder will do
    exported(outputs, to, mine)  # and so will an earlier export
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds thesis\.tex, which `actial export` did not write there"):
        export(outputs, to, [], mine, None)
    (mine / "export.json").unlink()
    with pytest.raises(UserError, match="is not empty and was not made by `actial export`"):
        export(outputs, to, [], mine, None)
    assert (mine / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UserError, match="is a file: give a folder with --out"):
        export(outputs, to, [], mine / "thesis.tex", None)


def test_what_the_tool_adds_is_no_obstacle(outputs: Path, tmp_path: Path) -> None:
    out = exported(outputs, "vlmeval", tmp_path / "out")
    (out / "images").mkdir()
    exported(outputs, "vlmeval", out)
    assert not (out / "images").exists()


def test_an_earlier_export_stays_whole_when_a_new_one_breaks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with whole_folder(out) as folder:
        (folder / "a").write_text("first")
        write_record(folder, {})
    for broken in (KeyboardInterrupt, UserError):
        with pytest.raises(broken), whole_folder(out) as folder:
            (folder / "a").write_text("second")
            raise broken
    assert (out / "a").read_text() == "first" and [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_sentence(outputs: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        export(outputs, "hf", [], tmp_path / "out", None)


def test_the_full_disk_is_one_sentence(tmp_path: Path) -> None:
    import errno

    with pytest.raises(UserError, match="cannot be written \\(No space left on device\\)"), whole_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")


def actial(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)


def test_the_command(copied: Path, tmp_path: Path) -> None:
    done = actial(tmp_path, "export", "--to", "hf", "--split", "val", "test")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("export: 144 of 144 questions, ") and lines[0].split(", ")[1].endswith(" questions/s"), "a rate"
    assert lines[1:] == [
        "export: made 144 questions (48 val, 96 test) with 24 pictures",
        "export: set aside nothing",
        "export: look at runs/export/hf/README.md",
    ]
    wrong = actial(tmp_path, "export", "--to", "hf", "--split", "nothing")
    assert wrong.returncode == 2 and wrong.stderr.startswith("actial: error: --split names nothing; outputs/build_qa has ") and wrong.stderr.count("\n") == 1
    assert actial(tmp_path, "export").returncode == 2
