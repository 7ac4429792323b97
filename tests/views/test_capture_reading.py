"""One capture after another: whose licence it has, where its masks are, and worker processes that are lost over it."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from toy_captures import NO_POINTS, ToyCapture, limits, ring, write_capture

from actial.errors import RefusedCapture, UserError
from actial.params import load_params
from actial.rng import generator_for
from actial.shards import encode_png
from actial.views import committed
from actial.views.capture_reading import CaptureNote, licence_of, note_of, read_scene, reading
from actial.views.capture_scenes import Readers, ingest_captures
from actial.views.supervisor import ATTEMPTS, Worker

SIDE_PX = 32
SETTINGS = limits(licence="not stated")
RENDER_VIEWS = replace(load_params(Path(__file__).parents[2] / "profiles/tiny.yaml").render_views, captures=SETTINGS, max_refused_share=0.5)


def small(seed: int = 0) -> ToyCapture:
    """Eight grey pictures from all around."""
    poses = ring(generator_for(seed, "small"), 8)
    K = np.array([[28.0, 0, 16.0], [0, 28.0, 16.0], [0, 0, 1]])
    grey = encode_png(np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8))
    return ToyCapture([f"{i}.png" for i in range(8)], [grey] * 8, [K] * 8, poses, NO_POINTS, np.zeros(3), (SIDE_PX, SIDE_PX))


def test_the_nearest_licence_file_wins(tmp_path: Path) -> None:
    folder = tmp_path / "captures/set/cup/1"
    folder.mkdir(parents=True)
    root = tmp_path / "captures"
    (tmp_path / "LICENSE").write_text("above the captures: of something else")
    (folder / "notes.txt").write_text("MIT")
    (folder / "license").mkdir()
    assert licence_of(root, folder) is None
    for path, text in (
        (root / "LICENSE", "\n\n   Apache  License   \nVersion 2.0"),
        (root / "set/License.md", "\ufeffCC-BY-4.0\r\nall rights\r\n"),
        (root / "set/cup/LICENCE.txt", "CC0-1.0"),
        (folder / "licence.txt", "x" * 300),
    ):
        path.write_text(text, encoding="utf-8")
        assert licence_of(root, folder) == " ".join(text.strip("\ufeff \r\n").splitlines()[0].split())[:200]
    assert licence_of(root, root) == "Apache License"


@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xff\xfe\x00", b"\0\0\0\0", b"\x1b[2J\nMIT"])
def test_a_licence_that_cannot_be_read_is_not_guessed(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "captures/cup").mkdir(parents=True)
    (tmp_path / "captures/LICENSE").write_bytes(data)
    with pytest.raises(RefusedCapture, match=r"captures/LICENSE is") as refused:
        licence_of(tmp_path / "captures", tmp_path / "captures/cup")
    assert refused.value.reason == "licence not readable"


def test_no_licence_is_read_through_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a password")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/LICENSE").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "b/LICENSE")
    for folder in (tmp_path / "a", tmp_path / "b"):
        with pytest.raises(RefusedCapture, match="is no plain file"):
            licence_of(tmp_path, folder)


def test_licences_and_the_masks_of_mvimgnet_reach_views_and_notes(tmp_path: Path) -> None:
    root, scratch = tmp_path / "captures", tmp_path / "scratch"
    scratch.mkdir()
    for name in ("mvimgnet/7/0a01", "mvimgnet/12/0b02", "own"):
        write_capture(root / name, small(), "colmap-binary")
    (root / "mvimgnet/LICENSE").write_text("MVImgNet Terms of Use\n")
    masks = root / "mvimgnet/masks/7/0a01"
    masks.mkdir(parents=True)
    (tmp_path / "masks/captures/own").mkdir(parents=True)  # beside `data/captures`, as it were: not of this data set
    for i in range(7):
        Image.fromarray(np.full((SIDE_PX, SIDE_PX - (i == 6)), 255, np.uint8)).save(masks / f"{i}.png.png")
        Image.fromarray(np.full((SIDE_PX, SIDE_PX), 255, np.uint8)).save(tmp_path / f"masks/captures/own/{i}.png")
    notes = ingest_captures(root, scratch, tmp_path / "logs", RENDER_VIEWS, seed=0, n_workers=1)
    assert [(note.capture, note.licence, note.masks_set_aside) for note in notes] == [
        ("mvimgnet/12/0b02", "MVImgNet Terms of Use", {}),
        ("mvimgnet/7/0a01", "MVImgNet Terms of Use", {"the mask's shape is not its picture's": 1}),
        ("own", "not stated", {}),
    ]
    tables = [committed.read(scratch, note.scene_id).to_pylist() for note in notes]
    assert [{row["licence"] for row in rows} for rows in tables] == [{"MVImgNet Terms of Use"}] * 2 + [{"not stated"}]
    assert [sum(row["mask"] is not None for row in rows) for rows in tables] == [0, 6, 0]
    assert [rows[0]["objects"][0]["family"] for rows in tables] == ["mvimgnet/12", "mvimgnet/7", "own"]


def test_a_folder_of_masks_is_no_capture(tmp_path: Path) -> None:
    """MVImgNet unpacked straight into the folder of captures."""
    write_capture(tmp_path / "captures/7/0a01", small(), "colmap-binary")
    (tmp_path / "captures/masks/7/0a01").mkdir(parents=True)
    (tmp_path / "scratch").mkdir()
    (note,) = ingest_captures(tmp_path / "captures", tmp_path / "scratch", tmp_path / "logs", RENDER_VIEWS, seed=0, n_workers=1)
    assert (note.capture, note.refused) == ("7/0a01", None)


def many(root: Path, n: int) -> dict[str, Path]:
    folders = {f"scene-{i:06d}": root / f"captures/{i}" for i in range(n)}
    for i, folder in enumerate(folders.values()):
        write_capture(folder, small(i), "colmap-binary" if i % 2 else "transforms")
    return folders


def scratch_of(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


def read_all(root: Path, folders: dict[str, Path], scratch: str, n_workers: int, kind: type[Readers] = Readers, **limits: Any) -> dict[str, str | None]:
    (root / scratch).mkdir(exist_ok=True)
    job = reading(root / "captures", root / scratch, SETTINGS)
    readers = kind(job, root / "logs", n_workers, **{"limit_s": 600, **limits}, folders=folders)
    return {done.name: done.refused for done in readers.work(folders)}


def test_the_same_bytes_from_any_number_of_workers(tmp_path: Path) -> None:
    folders = many(tmp_path, 6)
    (tmp_path / "captures/2/images/0.png").unlink()
    (tmp_path / "captures/4/transforms.json").write_text("{")
    (tmp_path / "none").mkdir()
    for scene_id, folder in folders.items():
        read_scene(tmp_path / "captures", folder, scene_id, tmp_path / "none", SETTINGS)
    started: list[int] = []
    assert read_all(tmp_path, folders, "one", 1) == read_all(tmp_path, folders, "two", 2, on_start=started.append) == dict.fromkeys(folders)
    assert scratch_of(tmp_path / "none") == scratch_of(tmp_path / "one") == scratch_of(tmp_path / "two")
    assert len(scratch_of(tmp_path / "one")) == 2 * 5 + 1 and len(started) == 2 and not any(map(psutil.pid_exists, started))


def test_a_worker_that_is_killed_costs_a_retry_and_nothing_else(tmp_path: Path) -> None:
    folders = many(tmp_path, 3)
    started: list[int] = []

    def kill_the_first(pid: int) -> None:
        started.append(pid)
        if len(started) == 1:
            os.kill(pid, signal.SIGKILL)

    assert read_all(tmp_path, folders, "killed", 1, on_start=kill_the_first) == dict.fromkeys(folders)
    assert len(started) == 2
    assert read_all(tmp_path, folders, "whole", 1) == dict.fromkeys(folders) and scratch_of(tmp_path / "killed") == scratch_of(tmp_path / "whole")


def test_a_capture_that_kills_its_readers_is_set_aside_and_tried_again_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many(tmp_path, 4)
    started: list[int] = []

    class Deadly(Readers):
        """Its first two workers are killed over the capture they are given first."""

        def _next(self, worker: Worker) -> None:
            if len(started) < 2:
                started.append(worker.process.pid)
                os.kill(worker.process.pid, signal.SIGSEGV)
            super()._next(worker)

    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("actial.views.capture_scenes.Readers", Deadly)
    first, *others = ingest_captures(tmp_path / "captures", tmp_path / "scratch", tmp_path / "logs", RENDER_VIEWS, seed=0, n_workers=1)
    why = f"{tmp_path}/captures/0: the process that read it died (SIGSEGV), twice"
    assert first == CaptureNote("0", "scene-000000", "reader died (SIGSEGV)", why) and len(started) == 2
    assert [note.refused for note in others] == [None, None, None]
    assert [path.name for path in (tmp_path / "logs/lost").iterdir()] == ["scene-000000.log"]
    assert note_of(tmp_path / "scratch", "scene-000000") is None
    again = ingest_captures(tmp_path / "captures", tmp_path / "scratch", tmp_path / "logs", RENDER_VIEWS, seed=0, n_workers=1)
    assert again[0].refused is None and again[1:] == others


def test_a_capture_that_takes_too_long_is_set_aside(tmp_path: Path) -> None:
    folders = many(tmp_path, 1)
    started: list[int] = []

    class Frozen(Readers):
        """Its workers stand still from when they are ready."""

        def _next(self, worker: Worker) -> None:
            os.kill(worker.process.pid, signal.SIGSTOP)
            super()._next(worker)

    assert read_all(tmp_path, folders, "scratch", 1, Frozen, limit_s=0.3, on_start=started.append) == {"scene-000000": "reader hung"}
    assert len(started) == ATTEMPTS and not any(map(psutil.pid_exists, started))


def test_a_capture_that_takes_too_much_memory_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the first one, real readers take half a gigabyte more, and wait."""
    folders = many(tmp_path, 2)
    (tmp_path / "sitecustomize.py").write_text(
        "from actial.views import captures\n"
        "ingest = captures.ingest_capture\n"
        "def hoard(folder, *others):\n"
        "    if folder.name == '0':\n"
        "        held = b'x' * 500_000_000; import time; time.sleep(60)\n"
        "    return ingest(folder, *others)\n"
        "captures.ingest_capture = hoard\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    assert read_all(tmp_path, folders, "scratch", 1, memory_mb=450) == {"scene-000000": "reader took more than 450 MB", "scene-000001": None}


def test_less_memory_than_a_reader_takes_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"worker_memory_mb \(5\) is less than a reader of captures takes before the first picture: raise it, or set it to 0"):
        read_all(tmp_path, many(tmp_path, 1), "scratch", 1, memory_mb=5)


def test_a_disk_that_is_full_is_no_fault_of_a_capture(tmp_path: Path) -> None:
    folders = many(tmp_path, 2)
    (tmp_path / "scratch/scene-000000.json").mkdir(parents=True)  # cannot be replaced by a file
    with pytest.raises(OSError, match=r"scene-000000\.json"):
        read_all(tmp_path, folders, "scratch", 1)


def test_a_bug_of_ours_is_no_fault_of_a_capture(tmp_path: Path) -> None:
    folders = many(tmp_path, 1) | {"scene-000000": tmp_path / "elsewhere"}  # not below the captures
    with pytest.raises(RuntimeError, match=r"elsewhere ended with exit code 1; the traceback is in .*/logs/worker-0\.log"):
        read_all(tmp_path, folders, "scratch", 1)
    log = (tmp_path / "logs/worker-0.log").read_text()
    assert log.startswith("Traceback") and log.splitlines()[-1].startswith("ValueError")


def test_a_reader_that_does_not_start_is_a_bug_of_ours_unless_it_was_killed(tmp_path: Path) -> None:
    folders = many(tmp_path, 1)
    with pytest.raises(UserError, match=r"^a reader of captures does not start \(no message; full text in .*/worker-0\.log\)$"):
        read_all(tmp_path, folders, "scratch", 1, on_start=lambda pid: os.kill(pid, signal.SIGKILL))
    (tmp_path / "logs").rename(tmp_path / "other logs")
    with pytest.raises(RuntimeError, match=r"^reading captures ended with exit code 1; the traceback is in"):
        list(Readers({"no": "root"}, tmp_path / "logs", 1, 600, folders=folders).work(folders))
    assert (tmp_path / "logs/worker-0.log").read_text().splitlines()[-1] == "KeyError: 'root'"


def test_notes_of_a_run_before_are_read_as_they_were_written(tmp_path: Path) -> None:
    folders = many(tmp_path, 1)
    (tmp_path / "scratch").mkdir()
    (folder,) = folders.values()
    note = read_scene(tmp_path / "captures", folder, "scene-000000", tmp_path / "scratch", replace(SETTINGS, max_views=6))
    assert note == note_of(tmp_path / "scratch", "scene-000000") and (note.left_out, len(note.pictures)) == (2, 6)
    path = tmp_path / "scratch/scene-000000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pictures": ["0.png"]}))
    assert note_of(tmp_path / "scratch", "scene-000000") is None, "a note and views that are not of one run"
