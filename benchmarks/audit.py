"""The shortcut audit of 10,000 questions: CPU seconds on one core, their ratio to the limit, and peak memory. `python -m benchmarks.audit`.

Scenes of the numpy renderer with the tiny profile's cameras, 2,500 questions of each of four kinds, every probe, every learner, pictures opened. The
probes of the tiny profile, which its stage runs, are measured beside it on as many questions. Rendering and building do not count. The floor printed with
them is what an audit cannot do without: reading the questions and opening each picture once.

`--paper` measures no time: it audits questions with our cameras and questions distributed as the published ones (`auditing/published.py`), each with every
probe and learner, and prints one table of both, which docs/audit.md shows.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from actial import ids
from actial.params import load_params
from actial.params_questions import Audit
from actial.questions.balance import SPLITS
from actial.questions.build import build_questions
from actial.questions.probes import LEARNERS
from actial.questions.readings import PROBES
from actial.questions.scan import scan_scenes
from actial.questions.shortcuts import LEAK, Finding, audit_questions, drawn_questions
from actial.questions.shortcuts import Audit as Found
from actial.records import Question
from actial.rng import generator_for
from actial.shards import ViewStore, ViewWriter
from actial.stats import ABOVE, LEVEL, UNDECIDED, Mean, chance_test, clustered_mean
from actial.tables import read_questions
from actial.views import boxes, committed
from actial.views.cameras import Shot
from actial.views.committed import Plan
from actial.views.scenes import Look, Scene, compose_scene, with_look

sys.path.insert(0, str(Path(__file__).parent))

from auditing.published import pair_of_shots, published

SEED, PER_KIND, LIMIT_S = 7, 2500, 300.0
TINY = load_params(Path(__file__).parents[1] / "profiles/tiny.yaml")
PLAN = Plan(SEED, "boxes", TINY.render_views.views_per_scene, TINY.render_views.width_px, TINY.render_views.height_px, 1)


def of_tiny(scene_id: str) -> tuple[Scene, list[Shot]]:
    """A scene and its shots as the tiny profile has them."""
    scene, shots = committed.composed(PLAN, scene_id)
    assert isinstance(scene, Scene), "the plan has no assets"
    return scene, shots


def of_paper(scene_id: str) -> tuple[Scene, list[Shot]]:
    """The same scene with two shots of a circle around it."""
    scene = with_look(compose_scene(SEED, scene_id), Look(PLAN.lights, PLAN.grounds, PLAN.surroundings), SEED)
    return scene, pair_of_shots(scene, PLAN.width_px, PLAN.height_px, generator_for(SEED, f"{scene_id}/published"))


def write_scenes(folder: Path, n_scenes: int, compose: Callable[[str], tuple[Scene, list[Shot]]] = of_tiny) -> None:
    """Views of scenes, drawn by the numpy renderer."""
    committed_scenes = folder / "scenes"
    committed_scenes.mkdir(parents=True)
    with ViewWriter(folder / "views", shard_mb=64) as writer:
        for scene_id in map(ids.scene_id, range(n_scenes)):
            scene, shots = compose(scene_id)
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


@dataclass(frozen=True)
class Set:
    """Questions of one distribution, audited."""

    found: Found
    turn_from_lateral: tuple[int, Mean]
    """Pairs asked whether the camera moved to a side, and whether it turned to one; and the share of the turns that the first answer gives away."""


def both_audited(root: Path, n_scenes: int) -> tuple[Set, Set]:
    """Audits of questions with our cameras, and of questions distributed as the published ones, about three times as many scenes: theirs have one pair."""
    probes = dict.fromkeys(PROBES, 1.0)
    settings: Audit = replace(TINY.build_qa.audit, probes=probes, learners=tuple(LEARNERS), n_questions=2 * PER_KIND)
    ours = replace(TINY.build_qa, splits={name: float(name == SPLITS[0]) for name in SPLITS}, held_out_families=())
    found = []
    for name, n, compose, asked in (("ours", n_scenes, of_tiny, ours), ("paper", 3 * n_scenes, of_paper, published(ours))):
        folder = root / name
        write_scenes(folder, n, compose)
        build_questions(scan_scenes(folder / "views"), folder / "out", asked, SEED)
        known = given_away([q for path in files_in(folder / "out") for q in read_questions(path)])
        found.append(Set(audit_questions(files_in(folder / "out"), folder / "views", settings, SEED), known))
    return found[0], found[1]


def given_away(questions: Sequence[Question]) -> tuple[int, Mean]:
    """See `Set.turn_from_lateral`: who goes right around a thing and looks at it turns left. Of the two ways to conclude the better one counts."""
    sides = {(q.kind, q.view_ids): q.label_of(q.truth) for q in questions if q.label_of(q.truth) != "none"}
    both = [(sides[kind, pair], sides["turn", pair], pair) for kind, pair in sides if kind == "lateral" and ("turn", pair) in sides]
    against = clustered_mean([float(went != turned) for went, turned, _ in both], [ids.parse(pair[0]).scene_id for _, _, pair in both])
    better = against if (against.mean or 0) >= 0.5 else replace(against, mean=1 - (against.mean or 0))
    return len(both), better


def table_of_both(ours: Set, paper: Set) -> str:
    """Markdown: for each kind that both ask about, what each reading makes of ours and of the published distribution."""
    theirs = {(f.kind, f.reading): f for f in paper.found.worst()}
    lines = ["| kind | probe | ours: guessing | right (90 %) | verdict | paper: guessing | right (90 %) | verdict |", "|---|---|---|---|---|---|---|---|"]
    for f in ours.found.worst():
        if (f.kind, f.reading) in theirs:
            lines.append(f"| {f.kind} | {f.reading} | {' | '.join(_cells(f))} | {' | '.join(_cells(theirs[f.kind, f.reading]))} |")
    lines.append(f"| turn | the answer to lateral | {' | '.join(_cells_given_away(ours))} | {' | '.join(_cells_given_away(paper))} |")
    counts = [", ".join(f"{n:,} {kind}" for kind, n in each.found.n_questions.items()) for each in (ours, paper)]
    asked_both = f"asked both ways to a side: {ours.turn_from_lateral[0]:,} and {paper.turn_from_lateral[0]:,} ordered pairs"
    return "\n".join([*lines, "", f"Questions: ours {counts[0]}; paper {counts[1]}; {asked_both}."])


def _cells(f: Finding) -> list[str]:
    if f.accuracy is None or f.chance is None:
        return ["", "", f.verdict]
    interval = "" if f.low is None or f.high is None else f" ({100 * f.low:.1f} to {100 * f.high:.1f})"
    return [f"{100 * f.chance:.1f} %", f"{100 * f.accuracy:.1f} %{interval}", f"**{f.verdict}**" if f.verdict == LEAK else f.verdict]


def _cells_given_away(audited: Set) -> list[str]:
    known = audited.turn_from_lateral[1]
    if known.mean is None:
        return ["", "", UNDECIDED]
    tested = chance_test(known, 0.5, TINY.build_qa.audit.bound)
    interval = "" if tested.low is None or tested.high is None else f" ({50 + 100 * tested.low:.1f} to {50 + 100 * tested.high:.1f})"
    if known.mean == 1:  # no spread to tell an interval by: each scene is one trial, and that all are right has LEVEL at the lower end
        interval = f" ({100 * LEVEL ** (1 / known.n_clusters):.1f} to 100.0)"
    return ["50.0 %", f"{100 * known.mean:.1f} %{interval}", f"**{LEAK}**" if tested.verdict == ABOVE else tested.verdict]


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
    parser.add_argument("--paper", action="store_true", help="print the audits of ours and of the published distribution side by side")
    args = parser.parse_args()
    if args.what:
        measure(args.what, args.folder)
        return 0
    if args.paper:
        with tempfile.TemporaryDirectory() as name:
            print(table_of_both(*both_audited(Path(name), args.scenes)))
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
