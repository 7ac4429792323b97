"""The Hugging Face form, opened by `datasets` itself: rows, pictures to the byte, the card, flat memory."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import yaml
from toy_exports import COMMIT, change_views, exported, licensed
from toy_outputs import ROOT, SPLITS

from actial.export import hf
from actial.export.card import hub_licences
from actial.export.histograms import sparkline
from actial.shards import ViewStore
from actial.tables import read_questions

NEVER_DECODED = datasets.List(datasets.Image(decode=False))


@pytest.fixture(scope="module")
def folder(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(outputs, "hf", tmp_path_factory.mktemp("hf") / "questions")


def test_datasets_opens_every_split_with_both_pictures_to_the_byte(outputs: Path, folder: Path, tmp_path: Path) -> None:
    opened = datasets.load_dataset(str(folder), cache_dir=str(tmp_path))
    store = ViewStore(outputs / "render_views" / "views")
    assert list(opened) == list(SPLITS)
    for split, rows in opened.items():
        assert isinstance(rows.features["images"].feature, datasets.Image)
        questions = read_questions(outputs / "build_qa" / f"{split}.parquet")
        undecoded = rows.cast_column("images", NEVER_DECODED)
        assert len(questions) == len(undecoded) > 0
        for question, row in zip(questions, undecoded, strict=True):
            assert {name: tuple(v) if isinstance(v, list) else v for name, v in row.items() if name in asdict(question)} == asdict(question)
            assert [image["bytes"] for image in row["images"]] == [store.picture_bytes(v) for v in question.view_ids]
            assert [tuple(pose) for pose in row["T_world_cam"]] == [store[v].camera.T_world_cam for v in question.view_ids]
            assert [tuple(K) for K in row["K"]] == [store[v].camera.K for v in question.view_ids]
            assert row["licences"] == ["CC0-1.0"] * 2 and row["sources"] == ["toy"] * 2
    first = opened["test"][0]
    assert [np.array_equal(np.asarray(image), np.asarray(store.picture(v))) for image, v in zip(first["images"], first["view_ids"], strict=True)] == [True] * 2


def test_it_also_streams(folder: Path) -> None:
    rows = datasets.load_dataset(str(folder), split="val", streaming=True)
    assert next(iter(rows))["images"][1].size == (84, 84)


def test_the_same_outputs_are_the_same_bytes(outputs: Path, folder: Path, tmp_path: Path) -> None:
    again = exported(outputs, "hf", tmp_path / "elsewhere")
    assert sums(again) == sums(folder) and len(sums(again)) == 6


def sums(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_picture_stands_once_in_a_row_group_however_many_questions_show_it(outputs: Path, folder: Path) -> None:
    store = ViewStore(outputs / "render_views" / "views")
    questions = read_questions(outputs / "build_qa" / "train.parquet")
    once = sum(len(store.picture_bytes(v) or b"") for v in {v for q in questions for v in q.view_ids})
    each_time = sum(len(store.picture_bytes(v) or b"") for q in questions for v in q.view_ids)
    assert each_time > 8 * once and (folder / "data/train-00000.parquet").stat().st_size < 2 * once


def test_many_files_hold_the_same_rows(outputs: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf, "GROUP_ROWS", 10)
    monkeypatch.setattr(hf, "SHARD_BYTES", 30_000)
    parts = exported(outputs, "hf", tmp_path / "parts", "train", "test")
    assert len(list((parts / "data").glob("train-*.parquet"))) > 5
    opened = datasets.load_dataset(str(parts), cache_dir=str(tmp_path / "cache"))
    whole = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert list(opened) == ["train", "test"]
    assert all(opened[split]["question_id"] == whole[split]["question_id"] for split in opened)


def test_the_card_says_what_is_in_it_and_how_to_make_it_again(outputs: Path, folder: Path) -> None:
    _, header, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    told = yaml.safe_load(header)
    assert told["license"] == ["cc0-1.0"] and told["size_categories"] == ["n<1K"]
    assert [files["split"] for files in told["configs"][0]["data_files"]] == list(SPLITS)
    for split in SPLITS:
        questions = read_questions(outputs / "build_qa" / f"{split}.parquet")
        assert f"| {split} | {len(questions):,} | {len({q.scene_id for q in questions})} |" in text
    orbit = [q for split in SPLITS for q in read_questions(outputs / "build_qa" / f"{split}.parquet") if q.kind == "orbit"]
    median = np.median([q.deciding_value for q in orbit])
    assert f"| orbit | `orbit_deg` | left | {len(orbit)} |" in text and f"| {median:.3g} deg |" in text
    assert "### Shortcut audit\n\nA table of probes." in text and "### Splits" not in text
    assert COMMIT in text and "dvc repro build_qa" in text and hashlib.sha256((outputs / "build_qa/manifest.json").read_bytes()).hexdigest() in text
    assert str(ROOT) not in text


def test_the_card_holds_the_settings_that_dvc_recorded(copied: Path, tmp_path: Path) -> None:
    lock = {
        "stages": {"render_views": {"params": {"params.yaml": {"seed": 7, "render_views": {"n_scenes": 12}}}}, "sft": {"params": {"params.yaml": {"sft": 1}}}}
    }
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    text = (exported(copied, "hf", tmp_path / "out") / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("```yaml\n")[1].split("```")[0]) == {"seed": 7, "render_views": {"n_scenes": 12}}


def test_licences_travel_and_views_without_a_camera_have_null(copied: Path, tmp_path: Path) -> None:
    def change(view, data):  # type: ignore[no-untyped-def]  # as change_views calls it
        view, data = licensed("My own terms")(view, data) if view.scene_id < "scene-000006" else (view, data)
        return (replace(view, camera=replace(view.camera, T_world_cam=None)), data) if view.view_id.endswith("v00") else (view, data)

    change_views(copied, change)
    out = exported(copied, "hf", tmp_path / "out")
    rows = datasets.concatenate_datasets(list(datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache")).values()))
    for row in rows.select_columns(["view_ids", "licences", "T_world_cam"]):
        assert row["licences"] == ["My own terms" if v < "scene-000006" else "CC0-1.0" for v in row["view_ids"]]
        assert [pose is None for pose in row["T_world_cam"]] == [v.endswith("v00") for v in row["view_ids"]]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(card.split("---\n")[1])["license"] == ["cc0-1.0", "other"] and "My own terms (48)" in card


def test_licences_in_the_words_of_the_hub() -> None:
    assert hub_licences(["CC-BY-4.0", "cc-by-4.0", "CC0-1.0", "not stated", ""]) == ["cc-by-4.0", "cc0-1.0", "other"]


def test_a_histogram_in_text() -> None:
    assert sparkline(np.repeat([0.0, 15.0], [8, 1])) == "█" + " " * 14 + "▁"
    assert sparkline(np.zeros(3)).count("█") == 1


FLAT = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import numpy as np
from toy_outputs import toy_params
from toy_scenes import toy_views
from actial.export.export import export
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.records import Question
from actial.rng import generator_for
from actial.shards import ViewWriter
from actial.tables import write_questions
outputs, n = Path(sys.argv[1]), int(sys.argv[2])
views = [v for scene in range(4) for v in toy_views(scene)]
jpeg = lambda view: b"\\xff\\xd8\\xff" + generator_for(1, view.view_id).bytes(60_000)
with ViewWriter(outputs / "render_views" / "views", 64) as writer:
    for view in views:
        writer.add(view, jpeg(view))
import actial.export.pictures as pictures
pictures.picture_is_whole = lambda data: True
def question(i):
    first, second = views[i % len(views)], views[(i * 7 + 1) % len(views)]
    ids = (first.view_id, second.view_id)
    return Question(f"q-{i}", "orbit", f"f-{i}", ids, "Which way?", ("a", "b"), ("left", "right"), "A", "orbit_deg", i, 1.0, first.scene_id, "", "toy")
write_questions(outputs / "build_qa" / "train.parquet", map(question, range(n)))
export(outputs, "hf", ["train"], outputs.parent / "out", None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_is_flat_however_many_questions(tmp_path: Path) -> None:
    peaks_mb = []
    for n in (700, 7_000):  # 84 and 840 MB of pictures go by
        command = [sys.executable, "-c", FLAT, str(tmp_path / str(n) / "outputs"), str(n), str(ROOT / "tests")]
        peaks_mb.append(int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()[-1]))
    assert peaks_mb[1] < peaks_mb[0] + 80, peaks_mb
