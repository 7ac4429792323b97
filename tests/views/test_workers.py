"""Workers that crash, hang or balloon cost their scene a retry and nothing else; devices; memory limits.

Faults come from a `sitecustomize.py` of the test, which real worker processes load because of PYTHONPATH: the product knows nothing of it.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from toy_scenes import make_project

from actial import ids
from actial.errors import UserError
from actial.machine import Machine, load_machine
from actial.views import committed, memory
from actial.views.blender import Renderers, rendering
from actial.views.committed import Plan
from actial.views.launcher import Launcher
from actial.views.progress import ViewProgress
from actial.views.render_devices import RenderDevice, gpus_of
from actial.views.supervisor import Done

PLAN = Plan(root_seed=23, source="blender", views_per_scene=4, width_px=56, height_px=56, samples=1)
SCENE_IDS = [ids.scene_id(i) for i in range(6)]
CRASHES, BALLOONS, CRASHES_ONCE = SCENE_IDS[1], SCENE_IDS[2], SCENE_IDS[4]
MOST_MB = 900

SITECUSTOMIZE = """
import ctypes, os, pathlib, sys
from actial.views import committed

composed, folder = committed.composed, pathlib.Path(os.environ["FAULTS"])

def faulty(plan, scene_id):
    marker = folder / f"{scene_id}-{len(list(folder.glob(scene_id + '-*')))}"
    marker.touch()
    if scene_id == CRASHES or (scene_id == CRASHES_ONCE and marker.name.endswith("-0")):
        ctypes.string_at(0)
    if scene_id == BALLOONS:
        hoard = b"x" * MOST_BYTES
        import time; time.sleep(60)
    return composed(plan, scene_id)

committed.composed = faulty
"""


def launched(folder: Path, scene_ids: list[str], machine: Machine) -> list[Done]:
    (folder / "scenes").mkdir()
    return list(Launcher(rendering(PLAN, folder / "scenes"), folder / "logs", machine, limit_s=240).work(scene_ids))


def machine_of(folder: Path, **settings: object) -> Machine:
    return Machine(**{**vars(load_machine(folder)), **settings})


@pytest.mark.slow
def test_a_segfault_and_a_balloon_cost_their_scenes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """A worker that dies of a real SIGSEGV, or takes too much memory, is replaced; the other scenes have the bytes of a run without faults."""
    for name in ("calm", "faults", "faulty"):
        (tmp_path / name).mkdir()
    assert launched(tmp_path / "calm", SCENE_IDS, machine_of(tmp_path, workers=1, render_device="auto")) == [Done(s, None) for s in SCENE_IDS]
    assert "render_views: 1 worker on the CPU" in capsys.readouterr().out
    names = {"CRASHES_ONCE": CRASHES_ONCE, "CRASHES": CRASHES, "BALLOONS": BALLOONS, "MOST_BYTES": MOST_MB * 10**6}
    (tmp_path / "sitecustomize.py").write_text("\n".join(f"{name} = {value!r}" for name, value in names.items()) + SITECUSTOMIZE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    monkeypatch.setenv("FAULTS", str(tmp_path / "faults"))
    done = {d.name: d.refused for d in launched(tmp_path / "faulty", SCENE_IDS, machine_of(tmp_path, workers=2, worker_memory_mb=MOST_MB))}
    assert done == dict.fromkeys(SCENE_IDS) | {CRASHES: "renderer died (SIGSEGV)", BALLOONS: f"renderer took more than {MOST_MB} MB"}
    assert {path.stem for path in (tmp_path / "faulty/logs/lost").iterdir()} == {CRASHES, BALLOONS, CRASHES_ONCE}
    assert "Segmentation fault" in (tmp_path / f"faulty/logs/lost/{CRASHES}.log").read_text()
    tries = {s: len(list((tmp_path / "faults").glob(f"{s}-*"))) for s in SCENE_IDS}
    assert tries == dict.fromkeys(SCENE_IDS, 1) | {CRASHES: 2, BALLOONS: 2, CRASHES_ONCE: 2}
    for scene_id in set(SCENE_IDS) - {CRASHES, BALLOONS}:
        files = [committed.file_of(tmp_path / name / "scenes", scene_id) for name in ("calm", "faulty")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_a_device_that_is_not_there_and_too_little_memory_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"worker_memory_mb \(100\) is less than Blender takes"):
        list(Renderers(rendering(PLAN, tmp_path), tmp_path / "logs", 1, 240, memory_mb=100).work(SCENE_IDS))
    root = make_project(tmp_path / "project", 0, render_views__n_scenes=2, render_views__backend="blender")
    env = os.environ | {"ACTIAL_TRACKING": "off", "ACTIAL_RENDER_DEVICE": "hip", "ACTIAL_WORKERS": "1"}
    done = subprocess.run([sys.executable, "-m", "tasks.render_views"], cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "render_device is hip, but Blender finds no such device here, only" in done.stderr and "(CPU)" in done.stderr
    assert not (root / "outputs/render_views").exists()


CPU = RenderDevice("EPYC", "CPU", "CPU")
A100 = [RenderDevice("A100", kind, f"{kind}-{i}") for i in (0, 1) for kind in ("CUDA", "OPTIX")]


@pytest.mark.parametrize(
    ("devices", "wanted", "chosen"),
    [([CPU], "auto", []), ([CPU, *A100], "auto", ["OPTIX-0", "OPTIX-1"]), ([CPU, *A100], "cuda", ["CUDA-0", "CUDA-1"]), ([CPU, *A100], "cpu", [])],
)
def test_gpus_are_taken_where_they_are(devices: list[RenderDevice], wanted: str, chosen: list[str]) -> None:
    assert [d.id for d in gpus_of(devices, wanted)] == chosen


def test_a_kind_of_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"render_device is metal, .* only A100 \(CUDA\), A100 \(OPTIX\), EPYC \(CPU\): set it to auto or cpu"):
        gpus_of([CPU, *A100], "metal")


GPU_WORKER = """
import json, os, sys

with os.fdopen(int(sys.argv[1]), "w", buffering=1) as replies:
    slot = json.loads(sys.stdin.readline())["slot"]
    print(json.dumps({"ready": True, "cpu_s": 0.1, "device": f"GPU {slot % 2}", "n_gpus": 2}), file=replies)
    for line in sys.stdin:
        print(json.dumps({"done": line.strip(), "cpu_s": 0.2, "cycles_s": 0.1}), file=replies)
"""
"""Says what a worker of Blender says on a machine with two GPUs."""


@pytest.mark.parametrize(("n_asked", "devices"), [(0, ["GPU 0", "GPU 1"]), (1, ["GPU 0"]), (3, ["GPU 0", "GPU 0", "GPU 1"])])
def test_one_worker_a_gpu_unless_more_are_asked_for(n_asked: int, devices: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four that would be started for as many cores, two go home where nobody asked for a number."""

    class OnGpus(Renderers):
        module: ClassVar[str] = "gpu_worker"

    (tmp_path / "gpu_worker.py").write_text(GPU_WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    told: list[list[str]] = []
    done = OnGpus({}, tmp_path / "logs", n_asked, 60, on_devices=lambda named: told.append(sorted(named))).work(SCENE_IDS)
    assert sorted(d.name for d in done) == SCENE_IDS and told == [devices]


def test_memory_is_shared_between_workers_within_the_containers_limit(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/job/7\n1:cpu:/\n0::/slice\n")
    for name, limit in {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/job/memory.limit_in_bytes": "4000000000",
        "slice/memory.max": "max",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(limit + "\n")
    assert min(memory._cgroup_limits(tmp_path / "cgroup", tmp_path)) == 4_000_000_000
    assert memory._cgroup_limits(tmp_path / "none", tmp_path) == []
    assert memory.share_mb(1) > 1.9 * memory.share_mb(2) or memory.share_mb(2) == memory.LEAST_MB
    assert memory.share_mb(10_000) == memory.LEAST_MB
    assert 5 < memory.held_mb(os.getpid()) < 1e6


def test_progress_tells_what_was_set_aside(capsys: pytest.CaptureFixture) -> None:
    with ViewProgress(8, 0) as progress:
        progress.add(4)
        progress.add(4, set_aside=True)
    assert "8 of 8 views, 4 set aside, " in capsys.readouterr().out
