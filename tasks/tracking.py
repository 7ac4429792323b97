"""MLflow: the only module that imports it, late, and only when tracking is on (the import takes seconds).

A pipeline run is a parent run; a stage that really runs is a child of it, or stands alone under bare `dvc repro`. Nothing here may lose
a finished stage: the first failure of MLflow prints one warning, and the work goes on untracked. `ACTIAL_TRACKING=off` switches all off.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from actial.errors import UserError
from actial.params import load_params
from tasks import run_facts
from tasks.body import MANIFEST, plain, stage_spec

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

    from tasks.body import Job, Made

EXPERIMENT = "actial"
SWITCH = "ACTIAL_TRACKING"
PARENT_RUN = "ACTIAL_MLFLOW_PARENT"
FLOW_RUN_URL = "ACTIAL_PREFECT_FLOW_RUN_URL"
LOCK_WAIT_S = 5.0
MOST_IN_A_BATCH = 1000
"""Metrics that MLflow takes at once."""
EVALUATED = Path("outputs/evaluate")

State = Literal["ran", "restored", "cached"]
"""How a stage came to be fresh: its body ran, DVC's cache gave its output back, or nothing had changed."""

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


# ------------------------------------------------------------------------------------------------ a stage


@contextmanager
def stage_run(job: Job) -> Iterator[Callable[[Made], None]]:
    """A run for a stage that really runs; yields the function that logs what it made.

    While it is open, `MLFLOW_RUN_ID` and its like in the environment let a trainer's own callback draw its curves into the same run.
    The run ends FINISHED, FAILED when the body raises, or KILLED on a signal.
    """
    if not is_on():
        yield lambda made: None
        return
    log = RunLog(f"stage {job.stage}")
    tags = {"stage": job.stage, "fingerprint": job.scratch.name, "mlflow.source.name": f"tasks/{job.stage}.py"}
    log.open(job.stage, tags | ({"mlflow.parentRunId": parent} if (parent := os.environ.get(PARENT_RUN)) else {}))
    log.params(run_facts.settings(job.params, stage_spec(job.stage).sections))
    log.text({"params.yaml": run_facts.as_yaml(plain(job.params)), "machine.yaml": run_facts.as_yaml(plain(job.machine))})
    log.attempt(lambda client, run: client.log_inputs(run, datasets=_datasets(job.stage, job.inputs, locked="DVC_STAGE" in os.environ)))
    start_s = time.monotonic()

    def finish(made: Made) -> None:
        counts = {f"made/{noun}": n for noun, n in made.counts.items()} | {f"refused/{reason}": n for reason, n in made.refused.items()}
        log.metrics(counts | {"seconds": time.monotonic() - start_s})
        log.points(log.attempt(lambda client, run: list(run_facts.curve_points(job.out))) or [])
        if job.stage == "evaluate":
            log.scores(job.out, run_facts.score_metrics, run_facts.kind_metrics)
        log.attempt(lambda client, run: _log_files(client, run, job.out))
        log.attempt(lambda client, run: _log_checkpoint(client, run, job))
        if log.run_id is not None:
            note = {"run_id": log.run_id, "manifest": run_facts.md5_of(job.out / MANIFEST), "tagged": False}
            run_facts.write_note(run_facts.produced_file(job.stage), note)

    with _environment(log.environment()), log.ending():
        yield finish


def tag_finished(stage: str) -> None:
    """Write DVC's hashes on the run that made a stage's present output.

    To be called when DVC says that the stage is clean: after `dvc repro --single-item`, and for a cached stage too, which closes the gap
    a bare `dvc repro` leaves (hashes are known only when the body is over). Without anything to tag it does not import MLflow.
    """
    if not is_on():
        return
    note = run_facts.read_note(run_facts.produced_file(stage))
    manifest = stage_spec(stage).out / MANIFEST
    if not note or note["tagged"] or run_facts.md5_of(manifest) != note["manifest"]:
        return
    log, out = RunLog(f"stage {stage}", note["run_id"]), run_facts.locked_out(stage)
    log.tags({"dvc.out": out, "dvc.deps": json.dumps(run_facts.locked_deps(stage), sort_keys=True)})
    log.attempt(lambda client, run: _tag_checkpoints(client, run, out))
    if log.run_id is not None:
        run_facts.write_note(run_facts.produced_file(stage), note | {"tagged": True})


def _datasets(stage: str, inputs: Mapping[str, Path], locked: bool) -> list[DatasetInput]:
    """The tables that a stage reads; `locked`: DVC has just made sure of dvc.lock, so that their digests are DVC's."""
    import pyarrow.parquet as pq
    from mlflow.entities import Dataset, DatasetInput, InputTag

    tables = []
    for producer, table, use in run_facts.TABLES.get(stage, ()):
        path = inputs[producer] / table
        profile = json.dumps({"num_rows": pq.read_metadata(path).num_rows}) if path.is_file() else None
        source = json.dumps({"uri": path.as_posix()})
        digest = run_facts.locked_out(producer)[:8] if locked else run_facts.table_digest(inputs[producer])
        dataset = Dataset(f"{producer}/{table}", digest, "local", source, profile=profile)
        tables.append(DatasetInput(dataset, [InputTag("mlflow.data.context", use)]))
    return tables


def _log_files(client: MlflowClient, run: str, out: Path) -> None:
    for path in run_facts.small_files(out):
        below = path.parent.relative_to(out)
        client.log_artifact(run, str(path), None if below == Path() else below.as_posix())
    _log_records(client, run, out)


def _log_records(client: MlflowClient, run: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        for path in sorted((out / "records").glob("*.jsonl")):
            packed = Path(temporary) / f"{path.name}.gz"
            packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            client.log_artifact(run, str(packed), "records")


def _log_checkpoint(client: MlflowClient, run: str, job: Job) -> None:
    """A logged model that says where the checkpoint is and what it sums to; the files stay under DVC."""
    from mlflow.entities import LoggedModelOutput

    if not (sums := run_facts.weights(job.out)):
        return
    tags = {f"sha256.{Path(name).name}": sha for name, sha in sums.items()} | {"mlflow.model.isExternal": "true"}
    tags |= {"path": (stage_spec(job.stage).out / "model").as_posix(), "fingerprint": job.scratch.name}
    name = f"{job.stage}-{job.scratch.name[:6]}"
    model = client.create_logged_model(client.get_run(run).info.experiment_id, name, source_run_id=run, tags=tags, model_type="checkpoint")
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])


def _tag_checkpoints(client: MlflowClient, run: str, dvc_out: str) -> None:
    for output in client.get_run(run).outputs.model_outputs:
        client.set_logged_model_tags(output.model_id, {"dvc.out": dvc_out})


# ------------------------------------------------------------------------------------------------ a pipeline


class Pipeline:
    """The parent run of one pipeline run.

    It is opened when the first stage is about to run: a pipeline in which nothing had changed adds no line to the list of runs and
    does not import MLflow.
    """

    def __init__(self, flow_run_name: str | None) -> None:
        self.states: dict[str, State] = {}
        self.outs: dict[str, str] = {}
        self.flow_run_name = flow_run_name
        self.differing: dict[str, tuple[str, str]] = {}
        self.log = RunLog("the pipeline")

    @property
    def run_id(self) -> str | None:
        """MLflow's id of this run; None while nothing had to run, and when it is not tracked."""
        return self.log.run_id

    def begin(self) -> None:
        """Open the parent run if it is not open yet. To be called before a stage runs, so that its run becomes a child."""
        if self.log.opened or not is_on():
            return
        params = load_params("params.yaml")
        nearest, self.differing = run_facts.nearest_profile(params)
        profile = f"{nearest}+{len(self.differing)}" if self.differing else nearest
        self.log.open(f"{profile} {self.flow_run_name or ''}".strip(), {"stage": "pipeline", "profile": profile, "mlflow.source.name": "flows/pipeline.py"})
        if self.log.run_id is not None:
            os.environ[PARENT_RUN] = self.log.run_id
        self.log.params(run_facts.settings(params, vars(params)))
        self.log.text({"params.yaml": run_facts.as_yaml(plain(params))})

    def finished(self, stage: str, state: State) -> None:
        """Note how a stage came to be fresh. To be called when DVC says that it is clean."""
        if not is_on():
            return
        self.states[stage], self.outs[stage] = state, run_facts.locked_out(stage)
        tag_finished(stage)
        if state != "cached":
            self.begin()

    def failed(self, reason: str) -> None:
        """Note that the pipeline stopped, where that is told by a returned state and not by an exception."""
        self.log.fail(reason)

    def close(self) -> None:
        """Write what became of the stages, and the final scores."""
        if not self.log.opened and (not self.outs or self._stands_already()):
            return
        self.begin()
        runs = self.log.attempt(lambda client, run: {stage: _producer(client, stage, out) for stage, out in self.outs.items()}) or {}
        self.log.tags({f"state.{stage}": state for stage, state in self.states.items()})
        self.log.tags({f"run.{stage}": run.info.run_id for stage, run in runs.items() if run is not None})
        self.log.tags({"mlflow.note.content": self._description(runs)})
        if "evaluate" in self.states:
            self.log.scores(EVALUATED, run_facts.score_metrics)
            self.log.attempt(lambda client, run: client.log_inputs(run, datasets=_datasets("evaluate", stage_spec("evaluate").inputs, locked=True)))
            self.log.attempt(lambda client, run: client.log_artifact(run, str(EVALUATED / "scores.json")))
            if not runs.get("evaluate"):  # made elsewhere: `actial compare` needs its answers all the same
                self.log.attempt(lambda client, run: _log_records(client, run, EVALUATED))
        if self.log.run_id is not None:
            run_facts.write_note(run_facts.LAST_PIPELINE, {"run_id": self.log.run_id, "outs": self.outs})

    def _stands_already(self) -> bool:
        """Whether the newest parent run already stands for exactly these outputs."""
        last = run_facts.read_note(run_facts.LAST_PIPELINE)
        return bool(last) and ("MLFLOW_TRACKING_URI" in os.environ or Path("mlflow.db").exists()) and self.outs.items() <= last["outs"].items()

    def _description(self, runs: Mapping[str, Run | None]) -> str:
        """What MLflow's page of the run says: stages, their states, links to the runs that made their outputs; settings beside the profile's."""
        lines = ["| stage | state | output (DVC) | made by |", "|---|---|---|---|"]
        for stage, state in self.states.items():
            run = runs.get(stage)
            link = f"[{run.info.run_id[:8]}](#/experiments/{run.info.experiment_id}/runs/{run.info.run_id})" if run else "a run that is not in this database"
            lines.append(f"| {stage} | {state} | {self.outs[stage][:8]} | {link} |")
        if self.differing:
            lines += ["", "| setting | here | in the profile |", "|---|---|---|"]
            lines += [f"| {key} | {here} | {there} |".replace("\n", " ") for key, (here, there) in self.differing.items()]
        return "\n".join(lines)


@contextmanager
def pipeline_run(flow_run_name: str | None = None, flow_run_url: str | None = None) -> Iterator[Pipeline]:
    """A parent run around a pipeline run: stages that run inside become its children, and the final scores are written on it.

    The caller says `begin()` before a stage runs, `finished(stage, state)` when it is clean, and `failed(reason)` where it stops.
    """
    pipeline = Pipeline(flow_run_name)
    if not is_on():
        yield pipeline
        return
    with _environment({FLOW_RUN_URL: flow_run_url, PARENT_RUN: None}), pipeline.log.ending():
        try:
            yield pipeline
        except BaseException:
            if pipeline.log.opened:
                pipeline.close()
            raise
        pipeline.close()


def _producer(client: MlflowClient, stage: str, out: str) -> Run | None:
    """The newest run that made this output; None where it was made elsewhere, or untracked."""
    where = f"tags.stage = '{stage}' AND tags.`dvc.out` = '{out}'"
    found = client.search_runs([experiment_id(tracking_uri())], where, order_by=["attributes.start_time DESC"], max_results=1)
    return found[0] if found else None


# ------------------------------------------------------------------------------------------------ one run


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


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set (or, with None, remove) environment variables for the duration."""
    before = {name: os.environ.get(name) for name in values}
    _set_environment(values)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
