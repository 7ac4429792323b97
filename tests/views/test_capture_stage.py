"""The stage with captures, as a user runs it: what is made of good ones, what is said of bad ones, and what the next two stages do with them."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from toy_captures import ToyCapture, random_similarity, toy_capture, write_capture, write_pictures
from toy_scenes import make_project, run_stage

from actial.rng import generator_for
from actial.shards import ViewStore, decode_picture, encode_png
from actial.tables import read_conversations, read_questions

LIMITS = {"min_views": 8, "max_views": None, "longest_side_px": 448, "max_up_error_deg": 3.0, "max_center_error_r": 0.5, "licence": "CC-BY-4.0"}
CAPTURES = {"render_views__backend": "captures", "render_views__captures": LIMITS, "render_views__max_refused_share": 0.7}
FORMS = ("colmap-binary", "colmap-text", "transforms")
GOOD = {"kettle": "scene-000003", "mugs/blue": "scene-000005", "mugs/red": "scene-000006"}
REFUSED = {
    "a link": "symbolic link to a folder",
    "broken": "files not readable",
    "few": "too few usable pictures",
    "linked pictures": "symbolic link to a folder",
    "no model": "no COLMAP model, no transforms.json",
}


def noise(capture: ToyCapture, size: tuple[int, int]) -> ToyCapture:
    """The same cameras with pictures of another size."""
    rng = generator_for(1, "noise")
    pictures = [encode_png(rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)) for _ in capture.names]
    K = [np.diag([size[0] / capture.size[0], size[1] / capture.size[1], 1.0]) @ K for K in capture.K]
    return replace(capture, pictures=pictures, K=K, size=size)


def in_another_world(capture: ToyCapture, seed: int) -> ToyCapture:
    similarity = random_similarity(generator_for(seed, "world"))
    return replace(capture, T_world_cam=similarity.poses(capture.T_world_cam), points=similarity.points(capture.points))


def write_captures(root: Path) -> None:
    """Three good captures, one of which lost a picture; and five that are refused."""
    captures = [in_another_world(toy_capture(f"scene-{i:06d}"), seed=i) for i in range(3)]
    for name, capture, form in zip(GOOD, (noise(captures[0], (100, 60)), *captures[1:]), FORMS, strict=True):
        write_capture(root / name, capture, form)
    (root / "mugs/blue/images" / captures[1].names[5]).unlink()
    write_capture(root / "broken", captures[0], "colmap-binary")
    model = root / "broken/sparse/0/images.bin"
    model.write_bytes(model.read_bytes()[:-100])
    five = replace(captures[0], names=captures[0].names[:5], pictures=captures[0].pictures[:5], K=captures[0].K[:5], T_world_cam=captures[0].T_world_cam[:5])
    write_capture(root / "few", five, "transforms")
    write_pictures(root / "no model", captures[0])
    (root / "a link").symlink_to(root / "mugs")
    write_capture(root / "linked pictures", captures[0], "transforms")
    (root / "linked pictures/images").rename(root.parent / "photographs")
    (root / "linked pictures/images").symlink_to(root.parent / "photographs")
    (root / "notes.txt").write_text("a file is no capture")
    (root / "mugs/LICENSE").write_text("CC0-1.0\n")
    (root / "mugs/red/masks").mkdir()
    for name, data in zip(captures[2].names[:3], (encode_png(np.eye(84, dtype=np.uint8)), encode_png(np.ones((9, 10), dtype=np.uint8)), b""), strict=True):
        (root / "mugs/red/masks" / name).write_bytes(data)
    (root / ".thumbnails").mkdir()


CRASH = """
import ctypes, os, pathlib
from actial.views import captures

ingest, marker = captures.ingest_capture, pathlib.Path(__file__).with_name("has crashed")

def crash_once(folder, *others):
    if folder.name == "red" and not marker.exists():
        marker.touch()
        ctypes.string_at(0)
    return ingest(folder, *others)

captures.ingest_capture = crash_once
"""
"""A `sitecustomize.py` with which the first reader of mugs/red dies of a segfault."""


def made(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted((root / "outputs/render_views").rglob("*")) if p.is_file()}


def told(root: Path, name: str) -> Any:
    return json.loads((root / "outputs/render_views" / name).read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("captures") / "project", 0, **CAPTURES)
    write_captures(root / "data/captures")
    (root.parent / "sitecustomize.py").write_text(CRASH)
    done = run_stage(root, "render_views", PYTHONPATH=f"{root.parent}:{Path(__file__).parents[2]}")
    assert done.returncode == 0, done.stderr
    assert "workers were lost over 1 thing (crashed, hung, or took too much memory): their logs are in runs/render_views/lost" in done.stdout
    (log,) = (root / "runs/render_views/lost").iterdir()
    assert log.name == f"{GOOD['mugs/red']}.log" and "Segmentation fault" in log.read_text()
    assert "set aside: data/captures/few has 5 usable pictures, at least 8 are needed" in done.stdout
    return root


def test_good_captures_become_views_and_bad_ones_are_counted_with_the_reason(finished: Path) -> None:
    store = ViewStore(finished / "outputs/render_views/views")
    scenes = store.scenes()
    assert [(scene_id, len(views)) for scene_id, views in scenes.items()] == [("scene-000003", 12), ("scene-000005", 11), ("scene-000006", 12)]
    for scene_id, views in scenes.items():
        for view in views:
            picture = store.picture(view.view_id)
            assert picture.size == (view.camera.width_px, view.camera.height_px) == ((100, 60) if scene_id == "scene-000003" else (84, 84))
            assert view.licence == ("CC-BY-4.0" if scene_id == "scene-000003" else "CC0-1.0")
            assert (store.picture_bytes(view.view_id, "mask") is not None) == (view.view_id == "scene-000006.v00")
    assert {(views[0].source, views[0].objects[0].family) for views in scenes.values()} == {("kettle", "kettle"), ("mugs", "mugs")}
    manifest = told(finished, "manifest.json")
    assert manifest["made"] == {"scenes": 3, "views": 35}
    assert manifest["refused"] == Counter(f"captures ({reason})" for reason in REFUSED.values()) | {
        "pictures (the picture is missing)": 1,
        "masks (the mask's shape is not its picture's)": 1,
        "masks (the mask cannot be read)": 1,
    }


def test_captures_json_says_how_well_each_is_known(finished: Path) -> None:
    notes = told(finished, "captures.json")
    assert {name for name, note in notes.items() if note["refused"]} == set(REFUSED) and set(notes) == {*GOOD, *REFUSED}
    for name, scene_id in GOOD.items():
        note = notes[name]
        assert note["scene_id"] == scene_id and note["why"] is None and note["left_out"] == 0
        assert note["licence"] == ("CC-BY-4.0" if name == "kettle" else "CC0-1.0")
        assert sum(note["masks_set_aside"].values()) == (2 if name == "mugs/red" else 0)
        assert 0 < note["quality"]["up_error_deg"] < 3 and 0 < note["quality"]["center_error_r"] < 0.5
        assert note["set_aside"] == ({"the picture is missing": 1} if name == "mugs/blue" else {})
        assert len(note["pictures"]) == note["quality"]["n_poses"] == (11 if name == "mugs/blue" else 12)
    for name, reason in REFUSED.items():
        assert notes[name]["refused"] == reason and notes[name]["why"].startswith(f"data/captures/{name}") and notes[name]["quality"] is None
    assert str(finished) not in (finished / "outputs/render_views/captures.json").read_text()


def test_the_contact_sheet_holds_pictures_of_different_sizes(finished: Path) -> None:
    sheet = np.asarray(decode_picture((finished / "outputs/render_views/contact_sheet.png").read_bytes(), ""))
    assert sheet.shape == (64 + 88 + 88, 8 * 104, 3)
    assert (sheet[64:, 8 * 88 :] == 255).all() and sheet[64:, : 8 * 88].min() < 100
    store = ViewStore(finished / "outputs/render_views/views")
    for place, index in ((0, 0), (7, 11)):
        picture = store.picture(f"scene-000003.v{index:02d}")
        assert np.array_equal(sheet[2:62, place * 104 + 2 : place * 104 + 102], np.asarray(picture))


def test_a_run_cut_off_goes_on_and_ends_in_the_same_bytes(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any number of workers; `finished` had as many as there are cores."""
    monkeypatch.setenv("ACTIAL_WORKERS", "1")
    root = make_project(tmp_path / "project", 0, **CAPTURES)
    write_captures(root / "data/captures")
    (root / "outputs").write_text("a file where the folder belongs: all is read, nothing can be put in place")
    assert run_stage(root, "render_views").returncode == 1
    (root / "outputs").unlink()
    (scratch,) = root.glob("runs/render_views/*/scenes")
    for file in ("scene-000001.json", "scene-000003.arrow"):
        data = (scratch / file).read_bytes()
        (scratch / file).write_bytes(data[: len(data) // 2])
    (scratch / ".scene-000002.json-99").write_bytes(b"half")
    monkeypatch.setenv("ACTIAL_WORKERS", "3")
    again = run_stage(root, "render_views")
    assert again.returncode == 0 and "6 of 8 captures stand from a run before" in again.stdout, again.stderr
    assert made(root) == made(finished)


def test_more_refusals_than_allowed_fail_the_stage_with_the_reason(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", 0, **CAPTURES | {"render_views__max_refused_share": 0.6})
    write_captures(root / "data/captures")
    done = run_stage(root, "render_views")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "more captures are refused than render_views.max_refused_share (0.6) allows: 5 of 8 captures had to be set aside" in done.stderr
    assert done.stdout.count("render_views: set aside: data/captures/") == 5
    assert not (root / "outputs").exists()


def test_no_capture_or_none_that_can_be_used_is_one_sentence(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", 0, **CAPTURES | {"render_views__max_refused_share": 1.0})
    empty = run_stage(root, "render_views")
    assert empty.returncode == 2 and empty.stderr.count("\n") == 1
    assert empty.stderr.startswith("actial: error: data/captures holds no capture: put each into a folder of its own there")
    (root / "data/captures/mug").mkdir()
    alone = run_stage(root, "render_views")
    assert alone.returncode == 2 and alone.stderr.count("\n") == 1 and "no capture can be used: 1 of 1 captures" in alone.stderr
    os.removedirs(root / "data/captures/mug")
    gone = run_stage(root, "render_views")
    assert gone.returncode == 2 and gone.stderr.count("\n") == 1 and "render_views needs the folder data/captures, which does not exist" in gone.stderr
    assert not (root / "outputs").exists()


def test_of_more_captures_than_wanted_some_are_drawn(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", 0, **CAPTURES | {"render_views__n_scenes": 2})
    for i in range(4):
        write_capture(root / f"data/captures/{i}", noise(toy_capture(), (28, 28)), "colmap-binary")
    done = run_stage(root, "render_views")
    assert done.returncode == 0, done.stderr
    assert "2 of 4 captures are taken (render_views.n_scenes), drawn by the seed" in done.stdout
    notes = told(root, "captures.json")
    assert [notes[name]["scene_id"] for name in sorted(notes)] == ["scene-000000", "scene-000001"] and set(notes) < set("0123")


@pytest.mark.slow
def test_questions_are_asked_about_captures_and_rows_are_direct(tmp_path: Path) -> None:
    """Nobody has named the parts of what was photographed: there are no 2D questions, no chains and no descriptions, and the stages say so."""
    splits = {"train": 0.4, "rl": 0.2, "val": 0.2, "test": 0.2}
    root = make_project(tmp_path / "project", 0, **CAPTURES, cold_start_mix__n_rows=60, build_qa__splits=splits)
    for i in range(12):
        write_capture(root / f"data/captures/{i:02d}", toy_capture(f"scene-{i:06d}"), "colmap-binary")
    for stage in ("render_views", "build_qa"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
    questions = {name: read_questions(root / f"outputs/build_qa/{name}.parquet") for name in splits}
    assert all(questions.values()) and len({q.source for q in questions["train"]}) >= 3
    assert read_questions(root / "outputs/build_qa/test_2d.parquet") == []
    assert "pairs without 2D questions (no named part is seen, or an answer never occurs)" in done.stdout
    refused = run_stage(root, "cold_start_mix")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1, refused.stderr
    assert "rows of describe, direct 2d, think, think 2d speak of an object's named parts, and no picture of the train split shows any" in refused.stderr
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["cold_start_mix"] |= {"modes": {"think": 0.0, "direct": 1.0, "describe": 0.0}, "share_2d": 0.0}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    mixed = run_stage(root, "cold_start_mix")
    assert mixed.returncode == 0, mixed.stderr
    rows = {name: read_conversations(root / f"outputs/cold_start_mix/{name}.parquet") for name in ("sft", "rl")}
    assert len(rows["sft"]) == 60 and {row.mode for row in rows["sft"]} == {row.mode for row in rows["rl"]} == {"direct"}
