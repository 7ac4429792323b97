"""`actial compare A B`: two MLflow runs (of pipelines or of stages) side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from actial.evaluation.standins import STANDINS
from actial.ids import view_ids_of
from actial.records import Verdict, is_viewpoint
from actial.report.compare import ComparedRun, Difference, Pair, paired, write_comparison
from actial.stats import clustered_mean
from tasks import run_facts, tracked_runs
from tasks.body import RUNS

SHOWN = 40
"""Lines of changed answers that go to the terminal."""


def compare(first: str, second: str, folder: Path = RUNS / "compare") -> Path:
    """Print and write the comparison of two runs, named by their ids or how these begin.

    Returns:
        The folder with `index.html`, `compare.md` and `changed_answers.csv`.

    Raises:
        UserError: an id is unknown or ambiguous, or a run's records are gone.
    """
    a, b = (_compared(tracked_runs.read_run(prefix)) for prefix in (first, second))
    into = folder / f"{a.run_id[:8]}-{b.run_id[:8]}"
    text = write_comparison(a, b, _differences(paired(a, b)), into)
    lines = text.splitlines()
    end = lines.index("## Changed answers") + SHOWN
    print("\n".join(lines[:end]))
    print((f"… {len(lines) - end} more lines in {into / 'compare.md'}\n" if len(lines) > end else "") + f"\nlook at {into / 'index.html'}", flush=True)
    return into


def _compared(run: tracked_runs.TrackedRun) -> ComparedRun:
    verdicts = [Verdict(**json.loads(line)) for text in run.records for line in text.splitlines()]
    models = [v for v in verdicts if v.model not in STANDINS and v.condition == "plain"]
    return ComparedRun(
        run.run_id, run.name, run.started, run.commit, run_facts.flat_settings(yaml.safe_load(run.params_yaml)), run.metrics, models, run.tested_on
    )


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
