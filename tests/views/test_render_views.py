"""The stage with the numpy renderer: what it writes, what a kill and a broken scratch file cost, a full disk, too many refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from toy_scenes import make_project, run_stage

from actial import ids
from actial.params import load_params
from actial.rng import generator_for
from actial.shards import ViewStore
from actial.views import boxes, committed
from actial.views.asset_notes import AssetNote
from actial.views.asset_shapes import AssetShape
from actial.views.asset_shelf import look_at_assets, write_note
from actial.views.assets import Asset
from actial.views.committed import Plan
from actial.views.supervisor import Done

RENDER = {"render_views__backend": "boxes", "render_views__n_scenes": 12, "render_views__views_per_scene": 6}
BLENDER = RENDER | {"render_views__backend": "blender", "render_views__n_scenes": 6}


def views_bytes(root: Path) -> bytes:
    return (root / "outputs/render_views/views/views-00000.parquet").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_through(tmp_path_factory.mktemp("finished"), RENDER)


@pytest.fixture(scope="module")
def finished_by_blender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_through(tmp_path_factory.mktemp("finished_by_blender"), BLENDER)


def run_through(folder: Path, settings: dict[str, Any]) -> Path:
    root = make_project(folder / "project", 0, **settings)
    done = run_stage(root, "render_views")
    assert done.returncode == 0, done.stderr
    return root


def test_shards_hold_every_view_in_order(finished: Path) -> None:
    store = ViewStore(finished / "outputs/render_views/views")
    assert [v.view_id for v in store] == [ids.view_id(ids.scene_id(s), v) for s in range(12) for v in range(6)]
    view = store["scene-000003.v02"]
    assert store.picture(view.view_id).size == (112, 112) and view.source == "boxes" and view.licence
    assert view.objects[0].name == "subject"
    manifest = json.loads((finished / "outputs/render_views/manifest.json").read_text())
    assert manifest["made"] == {"scenes": 12, "views": 72} and manifest["refused"] == {}
    assert manifest["licences"] == {view.licence: 72}
    assert (finished / "outputs/render_views" / manifest["look"]).stat().st_size > 10_000


def test_hugging_face_opens_the_shards(finished: Path) -> None:
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(finished / "outputs/render_views/views/*.parquet"), split="train", cache_dir=str(finished / "hf"))
    assert rows[5]["image"].size == (112, 112) and np.asarray(rows[5]["mask"]).max() >= 1


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    kill_and_go_on(finished, tmp_path, RENDER)


@pytest.mark.slow
def test_a_killed_run_of_blender_goes_on_and_ends_in_the_same_bytes(finished_by_blender: Path, tmp_path: Path) -> None:
    kill_and_go_on(finished_by_blender, tmp_path, BLENDER)


def kill_and_go_on(finished: Path, folder: Path, settings: dict[str, Any]) -> None:
    """The stage is killed after three scenes and one of them is broken; its workers die with it."""
    root = make_project(folder / "project", 0, **settings)
    env = os.environ | {"ACTIAL_TRACKING": "off"}
    with subprocess.Popen([sys.executable, "-m", "tasks.render_views"], cwd=root, env=env, stdout=subprocess.DEVNULL) as run:
        until_s = time.monotonic() + 120
        while len(list(root.glob("runs/render_views/*/scenes/scene-*"))) < 3:
            assert time.monotonic() < until_s and run.poll() is None
            time.sleep(0.005)
        workers = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGKILL)
    assert not psutil.wait_procs(workers, timeout=20)[1]
    assert not (root / "outputs").exists()
    first, *rest = sorted(root.glob("runs/render_views/*/scenes/scene-*"))
    first.write_bytes(first.read_bytes()[:-500])
    again = run_stage(root, "render_views")
    assert again.returncode == 0, again.stderr
    assert f"{len(rest)} of {settings['render_views__n_scenes']} scenes stand from a run before" in again.stdout
    assert views_bytes(root) == views_bytes(finished)


def test_a_broken_scratch_scene_is_not_whole(tmp_path: Path) -> None:
    plan = Plan(root_seed=5, source="boxes", views_per_scene=6, width_px=84, height_px=84, samples=2)
    scene, shots = committed.composed(plan, "scene-000000")
    committed.commit(tmp_path, plan, scene, shots, boxes.render_scene(scene, shots))
    file = committed.file_of(tmp_path, "scene-000000")
    data = file.read_bytes()
    assert committed.is_whole(tmp_path, "scene-000000", 6)
    assert not committed.is_whole(tmp_path, "scene-000000", 8), "of other settings"
    assert not committed.is_whole(tmp_path, "scene-000001", 6), "not begun"
    rotted = bytearray(data)
    rotted[data.index(b"IDAT") + 200] ^= 0xFF
    for broken in (data[:-500], data[: len(data) // 2], b"", bytes(rotted)):
        file.write_bytes(broken)
        assert not committed.is_whole(tmp_path, "scene-000000", 6)
    assert list(tmp_path.iterdir()) == [file], "nothing half done is left"


@pytest.mark.parametrize("name", ["depth", "normals"])
def test_a_scene_with_a_broken_pass_is_not_whole(tmp_path: Path, name: str) -> None:
    plan = Plan(root_seed=5, source="blender", views_per_scene=6, width_px=84, height_px=84, samples=2, passes=("depth", "normals"))
    scene, shots = committed.composed(plan, "scene-000000")
    rng = generator_for(0, "passes")
    passes = [{"depth_m": rng.uniform(1, 9, (84, 84)), "normals": rng.uniform(-1, 1, (84, 84, 3))} for _ in shots]
    pictures = [replace(picture, **more) for picture, more in zip(boxes.render_scene(scene, shots), passes, strict=True)]
    committed.commit(tmp_path, plan, scene, shots, pictures)
    assert committed.is_whole(tmp_path, "scene-000000", 6)
    table = committed.read(tmp_path, "scene-000000")
    stored = table[name][5].as_py()["bytes"]
    file = committed.file_of(tmp_path, "scene-000000")
    data = file.read_bytes()
    file.write_bytes(data.replace(stored, stored[:-2000] + bytes(2000)))
    assert len(file.read_bytes()) == len(data) and not committed.is_whole(tmp_path, "scene-000000", 6)
    assert committed.read(tmp_path, "scene-000000").drop_columns(name) == table.drop_columns(name), "nothing else is broken"
    file.write_bytes(data)
    assert committed.is_whole(tmp_path, "scene-000000", 6)


def test_what_a_kill_leaves_on_the_shelf_of_assets_is_swept(tmp_path: Path) -> None:
    """Notes that stand there stay."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (tmp_path / "assets").mkdir()
    for name in ("one.obj", "two.obj"):
        (tmp_path / "assets" / name).write_text("v 0 0 0\n")
    for half in (".asset-000001.json-4711", ".found.json-12", ".standing.json-9"):
        (shelf / half).write_bytes(b"half")
    shape = AssetShape(1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (), False)
    write_note(shelf, 0, AssetNote(Asset("one.obj", "one", "CC0-1.0", None, None), "", shape))
    settings = replace(load_params(Path(__file__).parents[2] / "profiles/tiny.yaml").render_views, max_refused_share=0.5)
    settings = replace(settings, assets=replace(settings.assets, source="folder"))
    notes = look_at_assets(tmp_path / "assets", shelf, settings, 0, lambda job, names: iter([Done(name, "renderer hung") for name in names]))
    assert [note.refused for note in notes] == [None, "renderer hung"]
    assert sorted(path.name for path in shelf.iterdir()) == ["asset-000000.json", "found.json", "standing.json"]


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_afterwards(finished: Path, tmp_path: Path) -> None:
    fill_and_go_on(finished, tmp_path, RENDER, size_kb=400)


@pytest.mark.slow
def test_a_full_disk_under_blender_is_one_sentence_and_the_run_goes_on_afterwards(finished_by_blender: Path, tmp_path: Path) -> None:
    fill_and_go_on(finished_by_blender, tmp_path, BLENDER, size_kb=200)


def fill_and_go_on(finished: Path, folder: Path, settings: dict[str, Any], size_kb: int) -> None:
    """Scratch lies on a small file system in a mount namespace of its own, which vanishes with the run."""
    can_mount = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, check=False).returncode == 0
    if not can_mount:
        pytest.skip("this machine lets nobody mount a tmpfs")
    root = make_project(folder / "project", 0, **settings)
    (root / "runs").mkdir()
    script = f"mount -t tmpfs -o size={size_kb}k tmpfs runs && exec {sys.executable} -m tasks.render_views"
    full = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], cwd=root, env=os.environ | {"ACTIAL_TRACKING": "off"}, capture_output=True, text=True, check=False
    )
    assert full.returncode == 2, full.stderr
    assert "the disk is full" in full.stderr and "Traceback" not in full.stderr
    assert not (root / "outputs").exists()
    assert run_stage(root, "render_views").returncode == 0
    assert views_bytes(root) == views_bytes(finished)


def test_more_refusals_than_allowed_fail_the_stage_with_the_reason(tmp_path: Path) -> None:
    """In a picture 28 times as wide as high no camera shows the subject large enough: every scene is set aside."""
    root = make_project(tmp_path / "project", 0, **RENDER | {"render_views__width_px": 784, "render_views__height_px": 28})
    done = run_stage(root, "render_views")
    assert done.returncode == 2
    assert "render_views.max_refused_share (0.05)" in done.stderr and "no set of cameras" in done.stderr
    assert not (root / "outputs").exists()
