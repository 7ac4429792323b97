"""What rendering costs beyond Cycles: CPU seconds a view of the whole stage against the time inside the render call.

    python -m benchmarks.render [--repeats 5] [--scenes 40] [--size 84] [--samples 2]

Each repeat renders its own scenes with one worker, commits them, reads them back and writes the shards, as the stage does. Numerator and denominator come
from the same run, so a busy machine bears on both. Also prints the ratio without the worker's start, which a long run spreads over hundreds of scenes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from actial import ids
from actial.rng import generator_for
from actial.shards import ViewWriter
from actial.views import committed
from actial.views.blender import RECYCLE_AFTER_SCENES, Supervisor
from actial.views.committed import Plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--size", type=int, default=84)
    parser.add_argument("--samples", type=int, default=2)
    chosen = parser.parse_args()
    _one_run(Plan(7, "blender", 4, 28, 28, 1), 1, 0)  # imports of this process, once a run of the stage
    plan = Plan(7, "blender", 8, chosen.size, chosen.size, chosen.samples)
    n_views = chosen.scenes * plan.views_per_scene
    rows = np.array([_one_run(plan, chosen.scenes, repeat) for repeat in range(chosen.repeats)])
    cycles_s, start_s, rest_s = rows.T
    inside_ms = 1e3 * np.median(cycles_s) / n_views
    print(f"{chosen.size} px, {chosen.samples} samples: {inside_ms:.1f} ms inside Cycles a view, worker start {np.median(start_s):.1f} s (CPU)")
    spread_s = start_s * chosen.scenes / RECYCLE_AFTER_SCENES
    print(f"{n_views / np.median(cycles_s + rest_s + spread_s):.1f} views per CPU second")
    _print_ratio(f"stage / Cycles, worker start spread over {RECYCLE_AFTER_SCENES} scenes", (cycles_s + rest_s + spread_s) / cycles_s)
    _print_ratio("stage / Cycles, without worker start", (cycles_s + rest_s) / cycles_s)


def _one_run(plan: Plan, n_scenes: int, repeat: int) -> tuple[float, float, float]:
    """CPU seconds: inside the render call, until the worker was ready, everything else."""
    with tempfile.TemporaryDirectory() as name:
        folder, own_s = Path(name), time.process_time()
        (folder / "scenes").mkdir()
        supervisor = Supervisor(plan, folder / "scenes", folder / "logs", n_workers=1, scene_limit_s=600)
        scene_ids = [ids.scene_id(repeat * n_scenes + i) for i in range(n_scenes)]
        for done in supervisor.render(scene_ids):
            assert done.refused is None, done
        with ViewWriter(folder / "views", shard_mb=256) as writer:
            for scene_id in scene_ids:
                writer.add_table(committed.read(folder / "scenes", scene_id))
        times = supervisor.times
        own_s = time.process_time() - own_s
        return times.cycles_s, times.start_s, times.workers_s - times.start_s - times.cycles_s + own_s


def _print_ratio(what: str, ratios: np.ndarray) -> None:
    means = generator_for(0, what).choice(ratios, size=(10_000, len(ratios))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    print(f"{what}: {ratios.mean():.3f} (95 % interval {low:.3f} to {high:.3f}, {len(ratios)} runs)")


if __name__ == "__main__":
    main()
