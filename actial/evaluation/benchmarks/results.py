"""Benchmarks from questions to a table: all are asked together, judged, written as records and scored.

The content of `benchmarks` in scores.json, and of the scores.json that `actial evaluate` writes:

    asked     by benchmark: title, version, protocol, fingerprint, primary, n_rows, refused (rows, by reason), n,
              metrics (by name: formula, n, chance, majority (the best constant letter)), models (by model and mode: n, n_completions, unparsed, no_reply,
              cut_off, mean_tokens, certainty (of answers among options whose probability is known, see `calibration.certainty`),
              metrics (by name: value, stderr, n_clusters, strict)), and where they were asked under controls, too (see `conditions`), controls (by
              condition: the same, title, n_showed_less (questions), and of every metric lost: how much less it is than asked plainly, value and paired stderr)
    not_run   why a benchmark that was named was not asked, by name
    judge     of `actial evaluate --judge` alone: see `judge.opinion`

Shares lie between 0 and 1; null means no data. An answer that could not be read, or never came, counts as wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actial.evaluation.benchmarks.answered import Judged, Manner, Posed, controls_of, facts_of, judge, pose, record, scores_of
from actial.evaluation.benchmarks.benchmark import Benchmark
from actial.evaluation.benchmarks.ours import OURS, OurTest
from actial.evaluation.benchmarks.registry import BENCHMARKS, FOLDER, Found, NotRun, find, find_ours, named
from actial.evaluation.benchmarks.stored import Stored, stored, stored_as_it_is
from actial.evaluation.completions import CompletionLog
from actial.evaluation.conditions import PLAIN
from actial.shards import ViewStore

KNOWN = (*OURS, *BENCHMARKS)
"""Names of all benchmarks, our own test questions first."""


@dataclass(frozen=True)
class Places:
    """Where benchmarks come from, and where their pictures are put."""

    data: Path
    """`data/external`."""
    outputs: Path
    """Of the stages: our own test questions."""
    store: Path
    """Checked questions and pictures, by fingerprint."""
    hub: bool = True
    """Whether benchmarks come from the hub where their folder is not there."""


def gather(names: Sequence[str], places: Places) -> tuple[list[Stored], dict[str, str]]:
    """The benchmarks of these names, read and checked, and why others are not there.

    Raises:
        UserError: there is no benchmark of a name, or its files are not as published.
    """
    there: list[Stored] = []
    not_run: dict[str, str] = {}
    for benchmark in named(names):
        found = find_ours(benchmark, places.outputs) if isinstance(benchmark, OurTest) else _found(benchmark, places)
        if isinstance(found, NotRun):
            not_run[found.name] = found.reason
        else:
            there.append(stored_as_it_is(found) if isinstance(benchmark, OurTest) else stored(found, places.store))
    return there, not_run


def _found(benchmark: Benchmark, places: Places) -> Found | NotRun:
    folder = places.data / FOLDER / (benchmark.home or benchmark.name)
    if places.hub or folder.exists():
        return find(benchmark, places.data)
    return NotRun(benchmark.name, f"{folder} does not exist: put its files ({', '.join(benchmark.files)}; see {benchmark.url}) there")


def posed_by_benchmark(benchmarks: Sequence[Stored], manner: Manner) -> dict[str, list[Posed]]:
    """What a model is asked, by benchmark."""
    return {benchmark.name: pose(benchmark, manner, ViewStore(*benchmark.views)) for benchmark in benchmarks}


def judged_by_benchmark(posed: Mapping[str, Sequence[Posed]], log: CompletionLog, refused: Mapping[str, str]) -> dict[str, list[Judged]]:
    """What a model wrote, judged, by benchmark.

    Args:
        refused: why there is no completion, by key.
    """
    return {name: [judge(p, log.known.get(p.ask.key), refused.get(p.ask.key, "")) for p in of] for name, of in posed.items()}


def plainly(judged: Mapping[str, Sequence[Judged]]) -> dict[str, list[Judged]]:
    """Without what was asked under controls."""
    return {name: [j for j in of if j.posed.condition == PLAIN] for name, of in judged.items()}


def write_benchmark_records(folder: Path, judged: Mapping[str, Sequence[Judged]], model: str, fingerprint: str, prefix: str = "") -> None:
    """A JSONL file a benchmark, mode and control, a line a completion."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, of_benchmark in judged.items():
        for mode, condition in dict.fromkeys((j.posed.mode, j.posed.condition) for j in of_benchmark):
            rows = [record(j, name, model, fingerprint) for j in of_benchmark if (j.posed.mode, j.posed.condition) == (mode, condition)]
            lines = [json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows]
            control = "" if condition == PLAIN else f"-{condition}"
            (folder / f"{prefix}{name}-{mode}{control}.jsonl").write_text("".join(lines), encoding="utf-8")


def benchmark_scores(benchmarks: Sequence[Stored], judged: Mapping[str, Mapping[str, Sequence[Judged]]], not_run: Mapping[str, str]) -> dict[str, Any]:
    """See the head of this file.

    Args:
        judged: by model and benchmark.
    """
    asked: dict[str, Any] = {}
    for benchmark in benchmarks:
        models: dict[str, Any] = {}
        for model, by_benchmark in judged.items():
            modes: dict[str, list[Judged]] = {}
            for j in by_benchmark[benchmark.name]:
                modes.setdefault(j.posed.mode, []).append(j)
            plain = plainly(modes)
            controls = {mode: controls_of(benchmark, of_mode) for mode, of_mode in modes.items()}
            models[model] = {mode: scores_of(benchmark, of) | ({"controls": controls[mode]} if controls[mode] else {}) for mode, of in plain.items()}
        asked[benchmark.name] = facts_of(benchmark, next(iter(plain.values()))) | {"models": models}
    return {"asked": asked, "not_run": dict(not_run)}
