"""Tracked runs, read back from MLflow."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actial.errors import UserError
from tasks import run_facts, run_log

CURVE = "curve.csv"


@dataclass(frozen=True)
class TrackedRun:
    """A pipeline's or a stage's run, read back."""

    run_id: str
    name: str
    started: str
    """Local date and time, to the minute."""
    commit: str
    """Git commit, and whether there were uncommitted changes; empty where it is not known."""
    params_yaml: str
    """The whole params file it ran with."""
    metrics: dict[str, float]
    records: tuple[str, ...]
    """Evaluation records, a JSON-lines text a model and mode; none where nothing was evaluated."""
    tested_on: str
    """Digest of the test questions."""
    curves: dict[str, str]
    """The text of curve.csv of each training stage; of those that were not trained, or whose run is not in this database, none."""


def read_run(prefix: str) -> TrackedRun:
    """Read the run whose id begins with `prefix`. A pipeline's records are those of the run that evaluated for it.

    Raises:
        UserError: no run or several runs begin so, what they logged is gone, or the database cannot be read.
    """
    uri = run_log.tracking_uri()
    try:
        client, experiment = run_log.connect(uri), run_log.experiment_id(uri)
    except sqlite3.Error as error:
        raise UserError(f"the MLflow database {uri} cannot be read ({error}): is another program at work on it?") from None
    runs = client.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=10_000)
    found = [run for run in runs if prefix and run.info.run_id.startswith(prefix)]
    if len(found) != 1:
        pipelines = [run for run in runs if run.data.tags.get("stage") == "pipeline"]
        newest = ", ".join(f"{run.info.run_id[:8]} ({run.info.run_name})" for run in (pipelines or runs)[:5])
        what = f"begins the id of {len(found)} MLflow runs" if found else "is no MLflow run's id"
        raise UserError(f"{prefix!r} {what}; " + (f"the newest are {newest}" if newest else "there is none yet: `actial run` makes the first"))
    run, tags = found[0], found[0].data.tags
    evaluated = client.get_run(tags["run.evaluate"]) if "run.evaluate" in tags else run
    digests = {i.dataset.name: i.dataset.digest for i in run.inputs.dataset_inputs}
    commit = tags.get("git.commit", "")[:12] + (" with uncommitted changes" if tags.get("git.dirty") == "true" else "")
    with tempfile.TemporaryDirectory() as temporary:
        try:
            params = Path(client.download_artifacts(run.info.run_id, "params.yaml", temporary)).read_text(encoding="utf-8")
            packed = [client.download_artifacts(evaluated.info.run_id, a.path, temporary) for a in client.list_artifacts(evaluated.info.run_id, "records")]
            metrics = dict(run.data.metrics)
            if packed:
                scores = Path(client.download_artifacts(evaluated.info.run_id, "scores.json", temporary)).read_text(encoding="utf-8")
                metrics |= run_facts.kind_metrics(json.loads(scores))
            curves = _curves(client, run, temporary)
            records = tuple(gzip.decompress(Path(path).read_bytes()).decode() for path in packed)
        except (OSError, EOFError) as error:
            raise UserError(f"what MLflow run {run.info.run_id} logged is gone or damaged: {error}") from None
    started = run_facts.local_minute(run.info.start_time)
    tested_on = digests.get("build_qa/test.parquet", "")
    return TrackedRun(run.info.run_id, run.info.run_name, started, commit, params, metrics, records, tested_on, curves)


def _curves(client: Any, run: Any, folder: str) -> dict[str, str]:
    """Of a pipeline those of the runs that trained for it, of a stage its own."""
    tags, curves = run.data.tags, {}
    for stage in ("sft", "grpo"):
        trained = run.info.run_id if tags.get("stage") == stage else tags.get(f"run.{stage}")
        if trained is not None and any(a.path == CURVE for a in client.list_artifacts(trained)):
            into = Path(folder) / stage
            into.mkdir()
            curves[stage] = Path(client.download_artifacts(trained, CURVE, str(into))).read_text(encoding="utf-8")
    return curves
