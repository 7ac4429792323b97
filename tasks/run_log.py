"""One MLflow run, written by its id: where the database is, how a run begins and ends, what is logged on it. MLflow is imported late: it takes seconds."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from actial.errors import UserError
from tasks import run_facts

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "actial"
SWITCH = "ACTIAL_TRACKING"
FLOW_RUN_URL = "ACTIAL_PREFECT_FLOW_RUN_URL"
LOCK_WAIT_S = 5.0
MOST_IN_A_BATCH = 1000
"""Metrics that MLflow takes at once."""

T = TypeVar("T")


def is_on() -> bool:
    """Whether runs are tracked.

    Raises:
        UserError: `ACTIAL_TRACKING` is neither on nor off.
    """
    value = os.environ.get(SWITCH, "on")
    if value not in ("on", "off"):
        raise UserError(f"environment: {SWITCH} is {value!r}; it must be on or off")
    return value == "on"


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the database in the project's folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"


class RunLog:
    """Writes one MLflow run by its id: no "active run", nothing global. After its first failure it has said so, and writes no more."""

    def __init__(self, what: str, run_id: str | None = None) -> None:
        self.what, self.run_id, self.opened = what, run_id, run_id is not None
        self.status = "FINISHED"

    def open(self, name: str, tags: dict[str, str]) -> None:
        """Begin the run, after ending those that a SIGKILL or a power cut left open."""
        self.opened, self.run_id = True, ""
        here = run_facts.process_tags()
        tags = here | tags | {"mlflow.source.type": "LOCAL"}
        if commit := here.get("git.commit"):
            tags["mlflow.source.git.commit"] = commit
        if url := os.environ.get(FLOW_RUN_URL):
            tags["prefect.flow_run_url"] = url
        self.run_id = self.attempt(lambda client, _: _create_run(client, name, tags))

    def attempt(self, action: Callable[[MlflowClient, str], T]) -> T | None:
        """Do something with the client and the run's id. A failure, of any kind, is told and ends the tracking: it must not cost a finished stage."""
        if self.run_id is None:
            return None
        try:
            return action(connect(tracking_uri()), self.run_id)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            print(f"actial: warning: MLflow failed ({type(error).__name__}: {reason}); {self.what} goes on untracked", file=sys.stderr, flush=True)
            self.run_id = None
            return None

    def params(self, values: Mapping[str, str]) -> None:
        def log(client: MlflowClient, run: str) -> None:
            from mlflow.entities import Param

            client.log_batch(run, params=[Param(key, value) for key, value in values.items()], synchronous=True)

        self.attempt(log)

    def metrics(self, numbers: Mapping[str, float]) -> None:
        """Log numbers that have no steps."""
        self.points([(name, 0, value) for name, value in numbers.items()])

    def points(self, points: Sequence[tuple[str, int, float]]) -> None:
        """Log curves: name, step, value."""

        def log(client: MlflowClient, run: str) -> None:
            from mlflow.entities import Metric

            now_ms = int(time.time() * 1000)
            metrics = [Metric(run_facts.metric_name(name), value, now_ms, step) for name, step, value in points]
            for start in range(0, len(metrics), MOST_IN_A_BATCH):
                client.log_batch(run, metrics=metrics[start : start + MOST_IN_A_BATCH], synchronous=True)

        self.attempt(log)

    def scores(self, evaluated: Path, *of: Callable[[Mapping[str, Any]], dict[str, float]]) -> None:
        """Log numbers out of scores.json."""
        scores = self.attempt(lambda client, run: json.loads((evaluated / "scores.json").read_text(encoding="utf-8")))
        for numbers in of if scores else ():
            self.metrics(self.attempt(lambda client, run, numbers=numbers: numbers(scores)) or {})  # type: ignore[misc]  # mypy and default arguments

    def tags(self, tags: Mapping[str, str]) -> None:
        def log(client: MlflowClient, run: str) -> None:
            from mlflow.entities import RunTag

            client.log_batch(run, tags=[RunTag(key, value) for key, value in tags.items()], synchronous=True)

        self.attempt(log)

    def text(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            self.attempt(lambda client, run, name=name, text=text: client.log_text(run, text, name))  # type: ignore[misc]  # mypy and default arguments

    def environment(self) -> Mapping[str, str | None]:
        """What a trainer's MLflow callback needs to draw into this run without waiting for the database, and to log none of its hundreds of settings."""
        if self.run_id is None:
            return {}
        names = {"MLFLOW_RUN_ID": self.run_id, "MLFLOW_TRACKING_URI": tracking_uri(), "MLFLOW_EXPERIMENT_NAME": EXPERIMENT}
        return names | {
            "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
            "MLFLOW_FLATTEN_PARAMS": "true",
            "MLFLOW_MAX_LOG_PARAMS": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def fail(self, reason: str) -> None:
        self.status = "FAILED"
        self.tags({"error": reason[:500]})

    @contextmanager
    def ending(self) -> Iterator[None]:
        """End the run with what became of the work inside: FINISHED, FAILED by an exception, KILLED by a signal."""
        try:
            yield
        except Exception as error:
            self.fail(f"{type(error).__name__}: {error}")
            raise
        except BaseException:
            self.status = "KILLED"
            raise
        finally:
            self.attempt(lambda client, run: client.set_terminated(run, self.status))


@functools.cache
def connect(uri: str) -> MlflowClient:
    """MLflow's client; this is where MLflow is imported.

    Raises:
        sqlite3.Error: the local database is locked by someone, damaged, or the disk is full: found in seconds, where MLflow would try for minutes.
    """
    if uri.startswith("sqlite:///"):
        with sqlite3.connect(uri.removeprefix("sqlite:///"), timeout=LOCK_WAIT_S) as connection:
            connection.execute("BEGIN IMMEDIATE")
        connection.close()
    for name, value in (("MLFLOW_DISABLE_TELEMETRY", "true"), ("MLFLOW_LOGGING_LEVEL", "WARNING"), ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")):
        os.environ.setdefault(name, value)
    import mlflow

    return mlflow.MlflowClient(uri)


@functools.cache
def experiment_id(uri: str) -> str:
    """The id of our experiment. Artifacts of the database in the project's folder stand beside it, in mlruns.

    Raises:
        UserError: the database was moved and would write artifacts to where it came from.
    """
    from mlflow.exceptions import MlflowException

    client = connect(uri)
    place = Path("mlruns").resolve().as_uri() if "MLFLOW_TRACKING_URI" not in os.environ else None
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        try:
            return client.create_experiment(EXPERIMENT, artifact_location=place, tags=_EXPERIMENT_TAGS)
        except MlflowException:  # another stage was faster
            experiment = client.get_experiment_by_name(EXPERIMENT)
    if place and experiment.artifact_location != place:
        raise UserError(f"mlflow.db keeps artifacts in {experiment.artifact_location}, where it stood before: move it back there, or set it aside")
    return experiment.experiment_id


_EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # the pages for training, not those for chat applications
    "mlflow.note.content": "A line is a pipeline run with its final scores; the runs below it are the stages that ran. A cached stage has no run of its own: "
    "the pipeline's description links to the run that made its output. `actial compare A B` compares two of them question by question.",
}


def _create_run(client: MlflowClient, name: str, tags: dict[str, str]) -> str:
    """Begin a run, after ending those of this machine whose process is gone."""
    experiment, (host, _, _) = experiment_id(tracking_uri()), tags["process"].partition(":")
    for run in client.search_runs([experiment], f"attributes.status = 'RUNNING' AND tags.process LIKE '{host}:%'"):
        if not _is_alive(int(run.data.tags["process"].rpartition(":")[2])):
            client.set_terminated(run.info.run_id, "KILLED")
    return client.create_run(experiment, tags=tags, run_name=name).info.run_id


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True
