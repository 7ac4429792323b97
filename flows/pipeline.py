"""The flow `actial`: six stages in order, each cached by DVC. Run by `actial run`, by the deployment `full-pipeline`, or by a worker."""

# No `from __future__ import annotations` here: Prefect loads this file for a worker and reads the flow's types from it.

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prefect import flow, get_run_logger
from prefect.artifacts import create_image_artifact, create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from actial.errors import UserError
from actial.params import STAGES
from flows.results import REPORT, RESULTS, SCORES
from flows.servers import TEMPORARY
from tasks import run_log, tracking, versioning
from tasks.stage import CACHED, REFUSED, RESTORED, stage, workspace_lock

Stage = Literal["render_views", "build_qa", "cold_start_mix", "sft", "grpo", "evaluate"]

PARAMS = Path("params.yaml")
SHOWN = ("benchmarks", "scores", "failures")
"""Sections of the report whose tables are results."""


@dataclass(frozen=True)
class Outcome:
    """How one stage of a flow ended."""

    stage: str
    state: str
    seconds: float


@flow(name="actial", log_prints=True, persist_result=False)
def pipeline(only: list[Stage] | None = None, from_stage: Stage | None = None, force: list[Stage] | None = None) -> Any:
    """Bring the pipeline up to date.

    Args:
        only: just these stages. Refused when an earlier stage they need is stale.
        from_stage: this stage and all after it. Refused when an earlier stage they need is stale.
        force: stages that run even when they are fresh.

    Returns:
        The `Outcome`s, one a stage; or a failed state (`Refused` for a user's mistake) whose message says why.
    """
    log = get_run_logger().info
    outcomes: list[Outcome] = []
    try:
        versioning.require_checkout()
        selected = select(only, from_stage, force)
        with workspace_lock(log), tracking.pipeline_run(flow_run.name, None if TEMPORARY in os.environ else flow_run.ui_url) as tracked:
            stopped = bring_up_to_date(selected, set(force or ()), outcomes, tracked, log)
            if stopped:
                tracked.failed(stopped.message or "")
            elif refresh_report(log):
                tracked.results = RESULTS
        publish(outcomes, tracked)
        return stopped or Completed(data=outcomes, message=", ".join(f"{o.stage} {o.state}" for o in outcomes))
    except UserError as error:
        return Failed(name=REFUSED, message=str(error))


def bring_up_to_date(
    selected: tuple[str, ...], forced: set[str], outcomes: list[Outcome], tracked: tracking.Pipeline, log: Callable[[str], None]
) -> State[Any] | None:
    """Run the selected stages in order and note their outcomes; returns the state at which it stopped, or None.

    Raises:
        UserError: an input is stale, or params.yaml was edited meanwhile.
    """
    at_start = params_bytes()
    needed_by = {above: name for name in reversed(selected) for above in versioning.ancestors(name) if above not in selected}
    freshness = versioning.Freshness(log)
    refuse_stale_inputs(needed_by, freshness)
    for name in selected:
        if params_bytes() != at_start:
            raise UserError(f"{PARAMS} was edited while the flow ran: it stopped before {name} and kept what was finished; run again with the new settings")
        start_s = time.monotonic()
        state = stage(name, name in forced, freshness, tracked.begin, return_state=True)
        outcomes.append(Outcome(name, state.name or "", time.monotonic() - start_s))
        if not state.is_completed():
            return Failed(name=state.name, message=state.message)
        tracked.finished(name, _TRACKED_AS.get(state.name or "", "ran"))
    return None


_TRACKED_AS: dict[str, tracking.State] = {CACHED: "cached", RESTORED: "restored"}


def select(only: list[Any] | None, from_stage: str | None, force: list[Any] | None) -> tuple[str, ...]:
    """The stages a flow is asked to bring up to date, in pipeline order.

    Raises:
        UserError: the wishes contradict each other.
    """
    if only and from_stage:
        raise UserError("`only` and `from` were both given: name single stages, or the stage to start from")
    selected = STAGES[STAGES.index(from_stage) :] if from_stage else tuple(s for s in STAGES if not only or s in only)
    if outside := [s for s in force or () if s not in selected]:
        raise UserError(f"{outside[0]} is to be forced, but is not among the stages to run ({', '.join(selected)})")
    return selected


def refuse_stale_inputs(needed_by: dict[str, str], freshness: versioning.Freshness) -> None:
    """Check that what the selected stages read, and nobody brings up to date in this flow, is fresh.

    Args:
        needed_by: by stage that is not selected: the selected one that reads its output.
        freshness: what DVC says.

    Raises:
        UserError: an input is stale; the sentence says which, and why.
    """
    for above in (s for s in STAGES if s in needed_by):
        if reasons := freshness.reasons(above):
            raise UserError(
                f"{needed_by[above]} is not run, because its input {above} is stale ({versioning.why_text(reasons)}): "
                f"run `actial run`, or `actial run --from {above}`, which bring it up to date first"
            )


def refresh_report(log: Callable[[str], None]) -> bool:
    """Write the report anew, its tables and charts beside it, when an output has changed since it was written; returns whether it is there."""
    shown = REPORT.with_name("shows.txt")
    now = "".join(f"{s} {versioning.output_md5(s)}\n" for s in STAGES)
    if REPORT.exists() and RESULTS.exists() and shown.exists() and shown.read_text(encoding="utf-8") == now:
        return True
    from actial.report.build import write_report

    try:
        shutil.rmtree(RESULTS, ignore_errors=True)
        write_report(Path("outputs"), REPORT, tables=RESULTS)
    except UserError as error:
        log(f"no report: {error}")
        return False
    shown.write_text(now, encoding="utf-8")
    log(f"report: {REPORT}")
    return True


def publish(outcomes: list[Outcome], tracked: tracking.Pipeline) -> None:
    """Put what happened to each stage, the scores and where to look on the flow run's page in Prefect."""
    if outcomes:
        rows = [{"stage": o.stage, "state": o.state, "seconds": round(o.seconds, 1), "output": versioning.output_md5(o.stage)} for o in outcomes]
        create_table_artifact(table=rows, key="dvc-status", description="What DVC says of each stage's output")
    if SCORES.exists() and any(o.stage == "evaluate" for o in outcomes):
        create_markdown_artifact(markdown=SCORES.read_text(encoding="utf-8"), key="scores", description="Percent right on the held-out test")
    if tracked.results and any(o.state != CACHED for o in outcomes):  # each takes the server some time
        publish_results(REPORT.read_text(encoding="utf-8"))
    if REPORT.exists():
        create_link_artifact(link=REPORT.resolve().as_uri(), link_text=str(REPORT), key="report", description="The report, on the machine that ran the flow")
    if tracked.run_id:
        place = f"#/experiments/{run_log.experiment_id(run_log.tracking_uri())}/runs/{tracked.run_id}"
        mlflow_ui = os.environ.get("ACTIAL_MLFLOW_UI", "http://127.0.0.1:5000")
        create_link_artifact(link=f"{mlflow_ui}/{place}", link_text=tracked.run_id, key="mlflow-run", description="This run in MLflow (`actial up` serves it)")


def publish_results(page: str) -> None:
    """Put the tables of results and the charts that the report shows on the flow run's page."""
    from actial.report.exports import names_of, tables_of
    from actial.report.figures import charts_of

    tables, charts = [table for table in tables_of(page) if table.section in SHOWN], charts_of(page)
    for name, table in zip(names_of(tables), tables, strict=True):
        rows = [dict(zip(table.columns(), row, strict=True)) for row in table.rows]
        create_table_artifact(table=rows, key=name, description=table.title())
    for name, chart in zip(names_of(charts), charts, strict=True):
        create_image_artifact(image_url=chart.address(), key=f"chart-{name}", description=chart.title)


def params_bytes() -> bytes:
    """params.yaml as it stands now.

    Raises:
        UserError: there is none.
    """
    try:
        return PARAMS.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{PARAMS} does not exist: copy a profile with `actial use tiny`") from None
