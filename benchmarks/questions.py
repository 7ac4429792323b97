"""100,000 questions from 10,000 scenes of 10 views: seconds, memory, and the ratio to a floor. `python -m benchmarks.questions`.

The floor is what cannot be left out: computing the truth of every ordered pair as plain arrays, and writing the same rows to Parquet.
Each measurement is its own process, so that peak memory is its own; CPU seconds on one core; runs are interleaved. Memory is flat when
a tenth of the scenes needs nearly as much.

With `--twins` more pairs of a scene are looked at and only those with a twin are asked about, so that a scene has about as many questions as without.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from actial import ids
from actial.geometry.angles import motion_between
from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics
from actial.params import load_params
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.records import Camera, SceneObject, View
from actial.rng import generator_for
from actial.shards import ViewWriter, encode_png
from actial.tables import read_questions, write_questions

SEED, N_VIEWS = 7, 10
PAIRS, PAIRS_FOR_TWINS = 3, 15
"""Of a scene for each of two kinds: 12 questions, or, as about one in six has a twin, as many again."""


def write_scenes(folder: Path, n_scenes: int) -> None:
    """Scenes of one subject with four parts, seen from an orbit, with a turned, a moved and a still view; small plain pictures."""
    picture = encode_png(np.full((28, 28, 3), 128, np.uint8))
    K = tuple(intrinsics(28, 28, 55.0).ravel().tolist())
    with ViewWriter(folder, shard_mb=16) as writer:
        for index in range(n_scenes):
            scene_id = ids.scene_id(index)
            rng = generator_for(SEED, scene_id)
            objects = [SceneObject("subject", "composite", "boxes", "", _at(np.zeros(3)), (1.0, 1.0, 1.0))]
            objects += [SceneObject(c, "box", "boxes", c, _at(rng.uniform(-0.5, 0.5, 3)), (0.2,) * 3, "subject") for c in ("red", "blue", "green", "white")]
            for i, T in enumerate(_poses(rng)):
                writer.add(View(ids.view_id(scene_id, i), scene_id, Camera(28, 28, K, tuple(T.ravel().tolist())), tuple(objects), "toy", "CC0-1.0"), picture)


def _poses(rng: np.random.Generator) -> list[np.ndarray]:
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.uniform(0.3, 0.8, N_VIEWS - 3))
    poses = [look_at(np.array([3 * np.cos(a), 3 * np.sin(a), rng.uniform(0.5, 1.5)]), rng.uniform(-0.4, 0.4, 3)) for a in angles]
    turned, moved, still = poses[0].copy(), poses[0].copy(), poses[0].copy()
    turned[:3, :3] = np.array([[0.94, -0.342, 0], [0.342, 0.94, 0], [0, 0, 1]]) @ turned[:3, :3]
    moved[:3, 3] += moved[:3, 0]
    still[:3, 3] += 0.002
    return [*poses, turned, moved, still]


def _at(p_world: np.ndarray) -> tuple[float, ...]:
    T = np.eye(4)
    T[:3, 3] = p_world
    return tuple(T.ravel().tolist())


def build(views: Path, out: Path, twins: bool) -> int:
    """The stage's work. Returns the number of questions."""
    asked = replace(load_params("profiles/tiny.yaml").build_qa, kinds=("lateral", "orbit"), held_out_families=())
    settings = replace(asked, pairs_per_kind=PAIRS_FOR_TWINS) if twins else replace(asked, pairs_per_kind=PAIRS, caliper=None)
    built = build_questions(scan_scenes(views), out, settings, SEED)
    return sum(built.labels.values())


def floor(views: Path, out: Path) -> int:
    """Truth of all ordered pairs as arrays already in memory, and the writing of rows already made; reading and making them is not counted."""
    scenes = [(s.T_world_cam, s.subject_center) for s in scan_scenes(views)]
    questions = [q for name in ("train", "rl", "val", "test") for q in read_questions(out / f"{name}.parquet")]
    i, j = np.array(list(itertools.permutations(range(N_VIEWS), 2))).T
    start = time.process_time()
    for at in range(0, len(scenes), 256):
        T = np.stack([poses for poses, _ in scenes[at : at + 256]])
        center = np.stack([centers for _, centers in scenes[at : at + 256]])
        motion_between(T[:, i].reshape(-1, 4, 4), T[:, j].reshape(-1, 4, 4), center[:, i].reshape(-1, 3))
    write_questions(out / "floor.parquet", questions)
    _report(len(questions), time.process_time() - start)
    return len(questions)


def _report(n: int, cpu_s: float) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"questions": n, "cpu_s": cpu_s, "peak_mb": peak_mb}))


def _measured(what: str, views: Path, out: Path, twins: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.questions", what, str(views), str(out), *(["--twins"] if twins else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure_memory(n_scenes: int, twins: bool) -> None:
    """Print CPU seconds and peak memory of so many scenes, and of ten times as many."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        found = []
        for name, n in (("some", n_scenes), ("many", 10 * n_scenes)):
            write_scenes(root / name, n)
            found.append(_measured("build", root / name, root / f"out-{name}", twins))
            print(f"{int(found[-1]['questions']):,} questions: {found[-1]['cpu_s']:.1f} CPU s, peak memory {found[-1]['peak_mb']:.0f} MB", flush=True)
    some, many = found
    more_bytes = 1e6 * (many["peak_mb"] - some["peak_mb"]) / (many["questions"] - some["questions"])
    print(f"ten times the questions take {many['peak_mb'] / some['peak_mb']:.2f} times the memory, {more_bytes:.0f} bytes for each more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("build", "floor"), help="measure one thing in this process")
    parser.add_argument("folders", nargs="*", type=Path, help="views and output")
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--twins", action="store_true", help="ask only about pairs that have a twin, as the tiny profile does")
    parser.add_argument("--million", action="store_true", help="measure memory alone: with ten times the scenes, which is a million questions")
    args = parser.parse_args()
    if args.what:
        start = time.process_time()
        if args.what == "floor":
            floor(*args.folders)
        else:
            n = build(*args.folders, args.twins)
            _report(n, time.process_time() - start)
        return
    if args.million:
        measure_memory(args.scenes, args.twins)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_scenes(root / "views", args.scenes)
        write_scenes(root / "few", args.scenes // 10)
        few = _measured("build", root / "few", root / "out-few", args.twins)
        runs = [tuple(_measured(what, root / "views", root / "out", args.twins) for what in ("build", "floor")) for _ in range(args.runs)]
    ratios = [b["cpu_s"] / f["cpu_s"] for b, f in runs]
    built = [b["cpu_s"] for b, _ in runs]
    n = int(runs[0][0]["questions"])
    per_100k = np.median(built) / n * 100_000
    print(f"{n:,} questions from {args.scenes:,} scenes x {N_VIEWS} views: {np.median(built):.1f} CPU s (runs {min(built):.1f} to {max(built):.1f})")
    print(f"100,000 questions: {per_100k:.1f} CPU s; goal 30")
    print(f"peak memory {runs[0][0]['peak_mb']:.0f} MB; with a tenth of the scenes {few['peak_mb']:.0f} MB; goal below 1,000")
    print(f"ratio to the floor {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); floor {np.median([f['cpu_s'] for _, f in runs]):.1f} CPU s")


if __name__ == "__main__":
    main()
