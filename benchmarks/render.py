"""What rendering costs: against Cycles alone, against a plain BlenderProc script, with two workers, and in memory.

    python -m benchmarks.render [--repeats 5] [--scenes 40] [--size 84] [--samples 2] [--peer-scenes 8] [--memory-scenes 500]

Each repeat renders its own scenes with one worker, commits them, reads them back and writes the shards, as the stage does: CPU seconds, over those inside the
render call, without the worker's start and with its share of it in a long run. The peer is benchmarks/rendering/plain_blenderproc.py: the same solids,
ground, sun, cameras and picture size, once with the same fast settings and, for a few pictures, at BlenderProc's defaults; neither side's start counts. Two
workers against one are views a second of wall time: the figure means something only where two cores are idle. Memory is the worker's, resident.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from actial import ids
from actial.rng import generator_for
from actial.shards import ViewWriter
from actial.views import committed
from actial.views.blender import Renderers, rendering
from actial.views.committed import Plan
from actial.views.supervisor import RECYCLE_AFTER

PEER = Path(__file__).with_name("rendering") / "plain_blenderproc.py"
MOST_OVER_CYCLES, LEAST_OVER_FAST, LEAST_OVER_DEFAULTS, LEAST_OF_TWO, MOST_GROWTH = 1.10, 1.25, 5.0, 1.8, 1.10
DEFAULTS_SCENES = 1
"""At its defaults a plain script takes a hundred times as long."""
PLAN = Plan(7, "blender", 8, 84, 84, 2)


def main() -> int:
    """Measure, print, and say whether every limit holds.

    Returns:
        The exit code: 0, or 1 where a limit is broken. Two workers count only on a machine that is idle otherwise.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--size", type=int, default=84)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--peer-scenes", type=int, default=8, help="scenes of a repeat that the plain script renders, too; 0 to leave it out")
    parser.add_argument("--memory-scenes", type=int, default=500, help="scenes over which memory is watched; 0 to leave it out")
    chosen = parser.parse_args()
    idle = psutil.cpu_percent(interval=2.0) * psutil.cpu_count() < 30
    _one_run(replace(PLAN, width_px=28, height_px=28, samples=1), 1, 0)  # imports of this process, once a run of the stage
    plan = replace(PLAN, width_px=chosen.size, height_px=chosen.size, samples=chosen.samples)
    rows, plain = [], []
    for repeat in range(chosen.repeats):
        rows.append(_one_run(plan, chosen.scenes, repeat))
        if chosen.peer_scenes:
            plain.append(_plain_s_a_view(plan, range(repeat * chosen.scenes, repeat * chosen.scenes + chosen.peer_scenes), fast=True))
    held = _report_one_worker(plan, chosen.scenes, np.array(rows))
    if chosen.peer_scenes:
        held += _report_peer(plan, chosen.scenes, np.array(rows), np.array(plain))
    held += _report_two_workers(plan, chosen.scenes, chosen.repeats, idle)
    if chosen.memory_scenes:
        held += _report_memory(plan, chosen.memory_scenes)
    return 0 if all(held) else 1


def _one_run(plan: Plan, n_scenes: int, repeat: int) -> tuple[float, float, float]:
    """CPU seconds: inside the render call, until the worker was ready, everything else."""
    with tempfile.TemporaryDirectory() as name:
        folder, own_s = Path(name), time.process_time()
        (folder / "scenes").mkdir()
        renderers = Renderers(rendering(plan, folder / "scenes"), folder / "logs", n_workers=1, limit_s=600)
        scene_ids = [ids.scene_id(repeat * n_scenes + i) for i in range(n_scenes)]
        for done in renderers.work(scene_ids):
            assert done.refused is None, done
        with ViewWriter(folder / "views", shard_mb=256) as writer:
            for scene_id in scene_ids:
                writer.add_table(committed.read(folder / "scenes", scene_id))
        times = renderers.times
        own_s = time.process_time() - own_s
        return times.cycles_s, times.start_s, times.workers_s - times.start_s - times.cycles_s + own_s


def _report_one_worker(plan: Plan, n_scenes: int, rows: np.ndarray) -> list[bool]:
    n_views = n_scenes * plan.views_per_scene
    cycles_s, start_s, rest_s = rows.T
    inside_ms = 1e3 * np.median(cycles_s) / n_views
    print(f"{plan.width_px} px, {plan.samples} samples: {inside_ms:.1f} ms inside Cycles a view, worker start {np.median(start_s):.1f} s (CPU)")
    spread_s = start_s * n_scenes / RECYCLE_AFTER
    print(f"{n_views / np.median(cycles_s + rest_s + spread_s):.1f} views per CPU second")
    whole = _print_ratio(f"stage / Cycles, worker start spread over {RECYCLE_AFTER} scenes", (cycles_s + rest_s + spread_s) / cycles_s, MOST_OVER_CYCLES)
    _print_ratio("stage / Cycles, without worker start", (cycles_s + rest_s) / cycles_s, MOST_OVER_CYCLES)
    return [whole <= MOST_OVER_CYCLES]


def _report_peer(plan: Plan, n_scenes: int, rows: np.ndarray, plain_s: np.ndarray) -> list[bool]:
    cycles_s, _, rest_s = rows.T
    own_s = (cycles_s + rest_s) / (n_scenes * plan.views_per_scene)
    fast = _print_ratio("plain BlenderProc with the same fast settings / stage, CPU seconds a view", plain_s / own_s, LEAST_OVER_FAST)
    defaults_s = _plain_s_a_view(plan, range(DEFAULTS_SCENES), fast=False)
    slow = defaults_s / np.median(own_s)
    print(f"plain BlenderProc at its defaults / stage, CPU seconds a view: {slow:.0f} ({defaults_s:.2f} s a view; limit {LEAST_OVER_DEFAULTS:g})")
    return [fast >= LEAST_OVER_FAST, slow >= LEAST_OVER_DEFAULTS]


def _plain_s_a_view(plan: Plan, scenes: range, fast: bool) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = {"fast": fast, "samples": plan.samples, "width_px": plan.width_px, "height_px": plan.height_px, "scenes": [_as_plain(plan, i) for i in scenes]}
        (folder / "job.json").write_text(json.dumps(job))
        done = subprocess.run([sys.executable, str(PEER), str(folder / "job.json"), str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        times = json.loads((folder / "times.json").read_text())
        n_views = len(scenes) * plan.views_per_scene
        assert times["pictures"] == n_views, "the peer rendered every picture"
        return times["work_s"] / n_views


def _as_plain(plan: Plan, i: int) -> dict[str, Any]:
    """What the peer needs of a scene."""
    scene, shots = committed.composed(plan, ids.scene_id(i))
    solids = [{**asdict(s), "pose": s.pose().tolist()} for s in scene.subject_solids + scene.surroundings]
    return {
        "solids": solids,
        "cell_m": scene.ground.cell_m,
        "tones": scene.ground.tones,
        "sky": scene.sky.zenith,
        "sun_strength": scene.sky.sun_strength,
        "sun_euler_rad": (np.pi / 2 - scene.sky.sun_elevation_rad, 0.0, scene.sky.sun_azimuth_rad + np.pi / 2),
        "K": shots[0].camera.intrinsics().tolist(),
        "cameras": [shot.camera.pose().tolist() for shot in shots],
    }


def _report_two_workers(plan: Plan, n_scenes: int, repeats: int, idle: bool) -> list[bool]:
    ratios = np.array([_wall_s(plan, n_scenes, 1) / _wall_s(plan, n_scenes, 2) for _ in range(repeats)])
    ratio = _print_ratio("views a second with two workers / with one, from the first scene on", ratios, LEAST_OF_TWO)
    if not idle:
        print("  other programs were at work here: two workers are not held to their limit")
    return [ratio >= LEAST_OF_TWO or not idle]


def _wall_s(plan: Plan, n_scenes: int, n_workers: int) -> float:
    """Seconds of wall time from when all workers are ready."""
    with tempfile.TemporaryDirectory() as name:
        ready_s: list[float] = []
        _render(plan, n_scenes, Path(name), n_workers, on_devices=lambda _: ready_s.append(time.monotonic()))
        return time.monotonic() - ready_s[0]


def _report_memory(plan: Plan, n_scenes: int) -> list[bool]:
    """Resident memory after a tenth of the scenes and after all."""
    with tempfile.TemporaryDirectory() as name:
        pids: list[int] = []
        held_mb: list[float] = []
        _render(plan, n_scenes, Path(name), 1, pids.append, on_done=lambda: held_mb.append(psutil.Process(pids[0]).memory_info().rss / 1e6))
    assert len(pids) == 1, "one worker from end to end"
    early, late = float(np.median(held_mb[n_scenes // 10 - 5 : n_scenes // 10])), float(np.median(held_mb[-5:]))
    print(f"worker's memory: {early:.0f} MB after {n_scenes // 10} scenes, {late:.0f} MB after {n_scenes}: {late / early:.3f} × (limit {MOST_GROWTH})")
    return [late / early <= MOST_GROWTH]


def _render(
    plan: Plan,
    n_scenes: int,
    folder: Path,
    n_workers: int,
    on_start: Callable[[int], None] = lambda pid: None,
    on_devices: Callable[[list[str]], None] = lambda devices: None,
    on_done: Callable[[], None] = lambda: None,
) -> None:
    (folder / "scenes").mkdir()
    renderers = Renderers(rendering(plan, folder / "scenes"), folder / "logs", n_workers, 600, on_start, on_devices=on_devices)
    for done in renderers.work([ids.scene_id(i) for i in range(n_scenes)]):
        assert done.refused is None, done
        on_done()


def _print_ratio(what: str, ratios: np.ndarray, limit: float) -> float:
    """Prints and returns the median."""
    medians = np.median(generator_for(0, what).choice(ratios, size=(10_000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    print(f"{what}: {np.median(ratios):.3f} (95 % interval {low:.3f} to {high:.3f}, {len(ratios)} runs; limit {limit:g})", flush=True)
    return float(np.median(ratios))


if __name__ == "__main__":
    sys.exit(main())
