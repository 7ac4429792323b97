"""`actial compare A B [C …]`: MLflow runs (of pipelines or of stages) side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import yaml

from actial.errors import UserError
from actial.evaluation.standins import STANDINS
from actial.ids import view_ids_of
from actial.records import LETTERS, Verdict, is_viewpoint
from actial.report.compare import AskedAbout, ComparedRun, Difference, Pair, paired, write_comparison
from actial.report.outputs import curve_rows
from actial.shards import ViewStore, view_folders
from actial.stats import clustered_mean
from actial.tables import read_questions
from tasks import run_facts, tracked_runs, versioning
from tasks.body import RUNS

SHOWN = 40
"""Lines of changed answers that go to the terminal."""


def compare(*prefixes: str, folder: Path = RUNS / "compare") -> Path:
    """Print and write the comparison of two or more runs, named by their ids or how these begin; the first is what the others are held against.

    Returns:
        The folder with `index.html`, `compare.md` and `changed_answers.csv`.

    Raises:
        UserError: there are fewer than two or too many, an id is unknown or ambiguous, or a run's records are gone.
    """
    if not 2 <= len(prefixes) <= len(LETTERS):
        raise UserError(f"{len(prefixes)} runs were named: name 2 to {len(LETTERS)} that are to be compared")
    runs = [_compared(tracked_runs.read_run(prefix)) for prefix in prefixes]
    into = folder / "-".join(run.run_id[:8] for run in runs)
    text = write_comparison(runs, [_differences(paired(runs[0], run)) for run in runs[1:]], into, _test_set(runs[0].tested_on))
    lines = text.splitlines()
    end = lines.index("## Changed answers") + SHOWN
    print("\n".join(lines[:end]))
    print((f"… {len(lines) - end} more lines in {into / 'compare.md'}\n" if len(lines) > end else "") + f"\nlook at {into / 'index.html'}", flush=True)
    return into


def _compared(run: tracked_runs.TrackedRun) -> ComparedRun:
    verdicts = [Verdict(**json.loads(line)) for text in run.records for line in text.splitlines()]
    models = [v for v in verdicts if v.model not in STANDINS and v.condition == "plain"]
    settings = run_facts.flat_settings(yaml.safe_load(run.params_yaml))
    curves = {stage: curve_rows(text.splitlines()) for stage, text in run.curves.items()}
    return ComparedRun(run.run_id, run.name, run.started, run.commit, settings, run.metrics, models, run.tested_on, curves)


def _test_set(digest: str) -> AskedAbout | None:
    """The test questions with their pictures, where outputs/ still holds those of that digest."""
    made = Path("outputs/build_qa")
    views = view_folders(made.parent)
    if not views or not (made / "manifest.json").exists():
        return None
    digests = {run_facts.table_digest(made)}
    with suppress(KeyError):  # not made under DVC
        digests.add(versioning.locked("build_qa").out[:8])
    if digest not in digests:
        return None
    tables = [path for path in (made / "test.parquet", made / "test_2d.parquet") if path.exists()]
    return AskedAbout([q for path in tables for q in read_questions(path)], ViewStore(*views))


def _differences(pairs: Sequence[Pair]) -> dict[str, Difference]:
    """By model and mode, weighted as in scores.json: kinds that ask the same bit of one pair of views count once."""
    differences = {}
    viewpoint = [(p, q) for p, q in pairs if is_viewpoint(p.kind)]
    for name in dict.fromkeys(f"{p.model}.{p.mode}" for p, _ in viewpoint):
        inside = [(p, q) for p, q in viewpoint if f"{p.model}.{p.mode}" == name]
        bits = [(p.tied_class, view_ids_of(p.question_id)) if p.tied_class else p.question_id for p, _ in inside]
        sizes = Counter(bits)
        gain = clustered_mean([float(q.correct) - float(p.correct) for p, q in inside], [p.scene_id for p, _ in inside], [1 / sizes[bit] for bit in bits])
        assert gain.mean is not None  # there is at least one pair
        differences[name] = Difference(gain.mean, gain.stderr)
    return differences
