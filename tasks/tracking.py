"""What MLflow hears of stages and pipelines. With tasks/run_log.py the only code that imports it, late, and only when tracking is on.

A pipeline run is a parent run; a stage that really runs is a child of it, or stands alone under bare `dvc repro`. Nothing here may lose
a finished stage: the first failure of MLflow prints one warning, and the work goes on untracked. `ACTIAL_TRACKING=off` switches all off.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from actial.errors import UserError
from actial.params import STAGES, load_params
from tasks import run_facts, versioning
from tasks.body import MANIFEST, plain, stage_spec
from tasks.run_log import FLOW_RUN_URL, RunLog, experiment_id, is_on, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

    from actial.params import Params
    from tasks.body import Job, Made

PARENT_RUN = "ACTIAL_MLFLOW_PARENT"
EVALUATED = Path("outputs/evaluate")
RESULTS = "results"
"""Artifact folder of the report's tables and charts."""

State = Literal["ran", "restored", "cached"]
"""How a stage came to be fresh: its body ran, DVC's cache gave its output back, or nothing had changed."""


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
        if made.facts:
            log.tags(made.facts)
        log.points(log.attempt(lambda client, run: list(run_facts.curve_points(job.out))) or [])
        if job.stage == "evaluate":
            log.scores(job.out, run_facts.score_metrics, run_facts.kind_metrics, run_facts.benchmark_metrics)
        log.attempt(lambda client, run: _log_files(client, run, job.out))
        log.attempt(lambda client, run: _log_checkpoint(client, run, job))
        if log.run_id is not None:
            note = {"run_id": log.run_id, "manifest": run_facts.md5_of(job.out / MANIFEST), "tagged": False}
            run_facts.write_note(run_facts.produced_file(job.stage), note)
        if job.stage == "evaluate":
            log.attempt(lambda client, run: _log_results(client, run, job))

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
    if not note or note["tagged"] or run_facts.md5_of(stage_spec(stage).out / MANIFEST) != note["manifest"]:
        return
    log, locked = RunLog(f"stage {stage}", note["run_id"]), versioning.locked(stage)
    log.tags({"dvc.out": locked.out, "dvc.deps": json.dumps({path: md5[:8] for path, md5 in locked.deps.items()}, sort_keys=True)})
    log.attempt(lambda client, run: _tag_checkpoints(client, run, locked.out))
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
        digest = versioning.locked(producer).out[:8] if locked else run_facts.table_digest(inputs[producer])
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


def _log_results(client: MlflowClient, run: str, job: Job) -> None:
    """The report's tables and charts, of outputs among which that of `job` is not in its place yet."""
    from actial.report.build import results
    from actial.report.exports import write_results
    from actial.report.outputs import Outputs

    with tempfile.TemporaryDirectory() as temporary:
        outputs, written = Path(temporary, "outputs"), Path(temporary, RESULTS)
        outputs.mkdir()
        for stage in STAGES:
            (outputs / stage).symlink_to((job.out if stage == job.stage else stage_spec(stage).out).resolve())
        try:
            write_results(results(Outputs(outputs)), written)
        except UserError as error:
            print(f"actial: warning: no tables of results in MLflow: {error}", file=sys.stderr, flush=True)
            return
        client.log_artifacts(run, str(written), RESULTS)


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


# ------------------------------------------------------------------------------------------------ `actial evaluate`


def log_evaluation(scores: Mapping[str, Any], params: Params, files: Sequence[Path], results: Path) -> None:
    """A finished run for an evaluation outside of the pipeline.

    Args:
        scores: see `actial.evaluation.benchmarks.results`, with the model's name and fingerprint.
        params: the settings that it was asked with.
        files: artifacts.
        results: folder of its tables.
    """
    if not is_on():
        return
    log = RunLog("this evaluation")
    with log.ending():
        log.open(f"evaluate {scores['model']}", {"stage": "benchmarks", "model": scores["model"], "fingerprint": scores["fingerprint"]})
        log.params(run_facts.settings(params, ("seed", "model", "evaluate")) | {"model": scores["model"]})
        log.text({"params.yaml": run_facts.as_yaml(plain(params))})
        log.metrics(run_facts.benchmark_metrics({"benchmarks": scores}))
        for path in files:
            log.attempt(lambda client, run, path=path: client.log_artifact(run, str(path)))  # type: ignore[misc]  # mypy and default arguments
        log.attempt(lambda client, run: client.log_artifacts(run, str(results), RESULTS))


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
        self.results: Path | None = None
        """Folder of the report's tables and charts, where they were written."""
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
        self.states[stage], self.outs[stage] = state, versioning.locked(stage).out
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
            self.log.scores(EVALUATED, run_facts.score_metrics, run_facts.benchmark_metrics)
            self.log.attempt(lambda client, run: client.log_inputs(run, datasets=_datasets("evaluate", stage_spec("evaluate").inputs, locked=True)))
            self.log.attempt(lambda client, run: client.log_artifact(run, str(EVALUATED / "scores.json")))
            if results := self.results:
                self.log.attempt(lambda client, run: client.log_artifacts(run, str(results), RESULTS))
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
