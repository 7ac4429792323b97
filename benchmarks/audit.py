"""The shortcut audit of 10,000 questions: CPU seconds on one core, their ratio to the limit, and peak memory. `python -m benchmarks.audit`.

Scenes of the numpy renderer with the tiny profile's cameras, 2,500 questions of each of four kinds, every probe, every learner, pictures opened. The
probes of the tiny profile, which its stage runs, are measured beside it on as many questions. Rendering and building do not count. The floor printed with
them is what an audit cannot do without: reading the questions and opening each picture once.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from actial import ids
from actial.params import Audit, load_params
from actial.questions.balance import SPLITS
from actial.questions.build import build_questions
from actial.questions.probes import LEARNERS
from actial.questions.readings import PROBES
from actial.questions.scan import scan_scenes
from actial.questions.shortcuts import audit_questions, drawn_questions
from actial.shards import ViewStore, ViewWriter
from actial.views import boxes, committed
from actial.views.committed import Plan
from actial.views.scenes import Scene

SEED, PER_KIND, LIMIT_S = 7, 2500, 300.0
TINY = load_params(Path(__file__).parents[1] / "profiles/tiny.yaml")
PLAN = Plan(SEED, "boxes", TINY.render_views.views_per_scene, TINY.render_views.width_px, TINY.render_views.height_px, 1)


def write_scenes(folder: Path, n_scenes: int) -> None:
    """Views of scenes as the tiny profile has them, drawn by the numpy renderer."""
    committed_scenes = folder / "scenes"
    committed_scenes.mkdir(parents=True)
    with ViewWriter(folder / "views", shard_mb=64) as writer:
        for scene_id in map(ids.scene_id, range(n_scenes)):
            scene, shots = committed.composed(PLAN, scene_id)
            assert isinstance(scene, Scene), "the plan has no assets"
            committed.commit(committed_scenes, PLAN, scene, shots, boxes.render_scene(scene, shots))
            writer.add_table(committed.read(committed_scenes, scene_id))


def files_in(folder: Path) -> list[Path]:
    """The questions that were built."""
    return [folder / f"{name}.parquet" for name in SPLITS]


def floor(folder: Path) -> int:
    """Read the questions that are audited, and open each picture they are about once."""
    store = ViewStore(folder / "views")
    drawn = [q for questions in drawn_questions(files_in(folder / "out"), PER_KIND, SEED).values() for q in questions]
    for view_id in sorted({view_id for q in drawn for view_id in q.view_ids}):
        store.picture(view_id)
    return len(drawn)


def measure(what: str, folder: Path) -> None:
    """One measurement in this process; prints it as JSON."""
    stage = TINY.build_qa.audit
    all_probes = replace(stage, probes=dict.fromkeys(PROBES, 1.0), learners=tuple(LEARNERS))
    start_s = time.process_time()
    if what == "floor":
        n = floor(folder)
    else:
        settings: Audit = replace(all_probes if what == "all" else stage, n_questions=PER_KIND)
        n = sum(audit_questions(files_in(folder / "out"), folder / "views", settings, SEED).n_questions.values())
    cpu_s, peak_mb = time.process_time() - start_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"questions": n, "cpu_s": cpu_s, "peak_mb": peak_mb}))


def _measured(what: str, folder: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", "benchmarks.audit", what, str(folder)], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Measure, print, and say whether the limit holds.

    Returns:
        The exit code: 0, or 1 where the audit takes longer.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("all", "tiny", "floor"), help="measure one thing in this process")
    parser.add_argument("folder", nargs="?", type=Path, help="where views and questions are")
    parser.add_argument("--scenes", type=int, default=450)
    args = parser.parse_args()
    if args.what:
        measure(args.what, args.folder)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scenes(folder, args.scenes)
        build_questions(scan_scenes(folder / "views"), folder / "out", TINY.build_qa, SEED)
        found = {what: _measured(what, folder) for what in ("all", "tiny", "floor")}
    whole = found["all"]
    per_10k_s = whole["cpu_s"] / whole["questions"] * 10_000
    print(f"all probes and learners, {whole['questions']:,} questions: {whole['cpu_s']:.1f} CPU s on one core, peak memory {whole['peak_mb']:.0f} MB")
    print(f"10,000 questions: {per_10k_s:.1f} CPU s; ratio to the limit of {LIMIT_S:g} s: {per_10k_s / LIMIT_S:.2f}")
    print(
        f"the tiny profile's probes: {found['tiny']['cpu_s']:.1f} CPU s; the floor (reading the questions, opening the pictures): {found['floor']['cpu_s']:.1f}"
    )
    return 0 if per_10k_s <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
