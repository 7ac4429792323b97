"""Scenes spread over several real Ray nodes, one of which is killed on the way: the same bytes as from this machine alone."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import Nodes, marked
from toy_scenes import make_project, run_stage

from actial.cluster import folders
from actial.machine import load_machine
from actial.views import carried
from actial.views.blender import Renderers
from actial.views.supervisor import Done

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

RENDER = {"backend": "blender", "n_scenes": 12, "views_per_scene": 4, "width_px": 112, "height_px": 112, "samples": 6}


def project(folder: Path, **settings: object) -> Path:
    return make_project(folder, 0, **{f"render_views__{name}": value for name, value in (RENDER | settings).items()})


BLOCK = "v {x} 0 0\nv 1 0 0\nv 1 {y} 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1.5\nv 0 1 1\nf 4 3 2 1\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n"


def shards(root: Path) -> bytes:
    return (root / "outputs/render_views/views/views-00000.parquet").read_bytes()


def test_a_cluster_that_loses_a_node_renders_the_same_bytes(nodes: Nodes, tmp_path: Path) -> None:
    here, spread = project(tmp_path / "here"), project(tmp_path / "spread")
    assert run_stage(here, "render_views").returncode == 0
    nodes.tell("two")

    env = os.environ | nodes.settings()
    refused = subprocess.run(
        [sys.executable, "-m", "tasks.render_views"], cwd=spread, env=env | {"ACTIAL_RENDER_DEVICE": "cuda"}, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2 and "render_device is cuda, but no node of the Ray cluster has a GPU" in refused.stderr

    with subprocess.Popen(
        [sys.executable, "-m", "tasks.render_views"], cwd=spread, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout
        said = []
        for line in run.stdout:
            said.append(line)
            if "workers on" in line:
                assert line.strip() == "render_views: 2 workers on the CPU of 2 Ray nodes"
                nodes.tell("kill")
                assert len(list(spread.glob("runs/render_views/*/scenes/*.arrow"))) < RENDER["n_scenes"], "on the way"
    assert run.returncode == 0, said
    assert "workers on" in "".join(said)
    assert shards(spread) == shards(here)
    for name in ("manifest.json", "contact_sheet.png"):
        assert (spread / "outputs/render_views" / name).read_bytes() == (here / "outputs/render_views" / name).read_bytes()
    assert not any("inside_blender" in command for command in marked()), "Blender ends with the actor that started it"


def test_assets_travel_and_notes_of_them_come_back(nodes: Nodes, tmp_path: Path) -> None:
    """Two assets that are looked at and rendered, one of which half cannot be seen, and one that is refused: as from this machine alone, to the views that are
    left out. The folder of notes is never shared with a node."""
    roots = [project(tmp_path / name, n_scenes=6, assets__source="folder", samples=2, max_refused_share=0.5) for name in ("here", "spread")]
    for root in roots:
        (root / "data/assets/one.obj").write_text(BLOCK.format(x=-0.5, y=1.5))
        (root / "data/assets/two.obj").write_text(f"mtllib two.mtl\nusemtl seen\n{BLOCK.format(x=-0.2, y=2.0)}usemtl unseen\nv 3 0.5 0.5\nf -1 3 2\nf -1 7 3\n")
        (root / "data/assets/two.mtl").write_text("newmtl seen\nKd 0.8 0.2 0.1\nnewmtl unseen\nd 0.0\n")
        (root / "data/assets/bad.obj").write_text("v nan nan nan\n")
    nodes.tell("two")
    for root, settings in zip(roots, ({"ACTIAL_WORKERS": "1"}, nodes.settings()), strict=True):
        done = run_stage(root, "render_views", **settings)
        assert done.returncode == 0, done.stdout + done.stderr
    assert shards(roots[0]) == shards(roots[1])
    assert json.loads((roots[0] / "outputs/render_views/manifest.json").read_text())["refused"]["views (subject hidden)"] > 0
    for name in ("manifest.json", "assets.json"):
        assert (roots[0] / "outputs/render_views" / name).read_bytes() == (roots[1] / "outputs/render_views" / name).read_bytes()


LOST_ONCE = """
import json, os, pathlib, signal, sys

with os.fdopen(int(sys.argv[1]), "w", buffering=1) as replies:
    folder = pathlib.Path(json.loads(sys.stdin.readline())["folder"])
    print(json.dumps({"ready": True, "cpu_s": 0.1, "device": "the CPU", "n_gpus": 0}), file=replies)
    for line in sys.stdin:
        print("at work on", line.strip(), flush=True)
        if line.startswith("bad"):
            os.kill(os.getpid(), signal.SIGSEGV)
        (folder / line.strip()).write_text("made")
        print(json.dumps({"done": line.strip(), "cpu_s": 0.2, "cycles_s": 0.1}), file=replies)
"""


def test_the_log_of_what_a_node_lost_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor's own work, in this process: its folder, with all logs, goes with it."""

    from actial.views import ray_launcher

    class Here:
        def work(self, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
            actor = ray_launcher.RayWorker(job, 60, "cpu", 0)
            for name in names:
                yield name, actor.make(name)
            actor.close()

    (tmp_path / "lost_once.py").write_text(LOST_ONCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(Renderers, "module", "lost_once")
    monkeypatch.setattr(ray_launcher, "node_id", lambda: "here")
    monkeypatch.setattr(ray_launcher, "connected", contextlib.nullcontext)
    monkeypatch.setattr(ray_launcher.RayLauncher, "_crew", lambda self, n_names: Here())
    job = {"plan": {}, "folder": str(tmp_path / "scenes")}
    (tmp_path / "scenes").mkdir()
    done = list(ray_launcher.RayLauncher(job, tmp_path / "logs", load_machine(tmp_path), 60, print).work(["good", "bad", "last"]))
    assert done == [Done("good", None), Done("bad", "renderer died (SIGSEGV)"), Done("last", None)]
    assert sorted(path.name for path in (tmp_path / "scenes").iterdir()) == ["good", "last"]
    (log,) = (tmp_path / "logs/lost").iterdir()
    assert log.name == "bad.log" and log.read_text().startswith("at work on bad\n") and "Segmentation fault" in log.read_text()


def test_folders_are_packed_and_found_again_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "below").mkdir(parents=True)
    (here / "below/one").write_bytes(b"1")
    (here / "link").symlink_to("/etc/passwd")
    assert folders.listing(here) == {"below/one": 1} and folders.listing(there) == {}
    folders.unpack(folders.pack(here), there)
    assert folders.listing(there) == folders.listing(here)
    look = {"look": {"root": str(here), "shelf": "/shelf", "max_faces": 3}}
    assert carried.with_folders(look, {str(here): str(there)}) == {"look": {"root": str(there), "shelf": "/shelf", "max_faces": 3}}
    assert carried.output_of(look) == "/shelf" and carried.inputs_of(look) == [str(here), "/shelf"]
    assert carried.inputs_of({"plan": {"assets": None, "shelf": None}, "folder": "/scenes"}) == []


def test_a_node_with_other_code_is_refused(tmp_path: Path) -> None:
    from actial.views.ray_launcher import RayWorker, code_version

    worker = RayWorker({"folder": str(tmp_path)}, 1.0, "cpu", 0)
    try:
        assert worker.ready(code_version(), {}) == {"needs": []}
        assert "another version of Actial" in worker.ready("0123456789ab", {})["mistake"]
    finally:
        worker.close()


def test_without_the_package_there_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError(name='ray')\n")
    root = project(tmp_path / "project")
    env = os.environ | {"ACTIAL_LAUNCHER": "ray", "ACTIAL_RAY_ADDRESS": "auto", "ACTIAL_TRACKING": "off", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "tasks.render_views"], cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "the package ray is not installed" in done.stderr
