"""The flow `actial`: six stages in order, each cached by DVC. Run by `actial run`, by the deployment `full-pipeline`, or by a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from actial.errors import UserError
from actial.params import STAGES
from tasks import versioning
from tasks.stage import REFUSED, stage, why_text, workspace_lock

Stage = Literal["render_views", "build_qa", "cold_start_mix", "sft", "grpo", "evaluate"]

PARAMS = Path("params.yaml")


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
        The list of `Outcome`s, one a stage; or a failed state whose message is one sentence.
    """
    log = get_run_logger().info
    outcomes: list[Outcome] = []
    try:
        versioning.require_checkout()
        selected = select(only, from_stage, force)
        with workspace_lock(log):
            params_at_start = _params_bytes()
            refuse_stale_inputs(selected, log)
            for name in selected:
                if _params_bytes() != params_at_start:
                    raise UserError(
                        f"{PARAMS} was edited while the flow ran: it stopped before {name}, what was finished is kept; run again with the new settings"
                    )
                state, seconds = _timed(name, name in (force or ()))
                outcomes.append(Outcome(name, state.name or "", seconds))
                if not state.is_completed():
                    return Failed(name=state.name, message=state.message)
            return Completed(data=outcomes, message=", ".join(f"{o.stage} {o.state}" for o in outcomes))
    except UserError as error:
        return Failed(name=REFUSED, message=str(error))
    finally:
        publish(outcomes)


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


def refuse_stale_inputs(selected: tuple[str, ...], log: Callable[[str], None] = print) -> None:
    """Check that what the selected stages read, and nobody brings up to date in this flow, is fresh.

    Raises:
        UserError: an input is stale; the sentence says which, and why.
    """
    needed = [(name, above) for name in selected for above in versioning.ancestors(name) if above not in selected]
    if not needed:
        return
    reasons = versioning.all_changes(tuple(s for s in STAGES if s in {above for _, above in needed}), log)
    for above in STAGES:
        for name, needs in needed:
            if needs == above and reasons[above]:
                raise UserError(
                    f"{name} is not run, because its input {above} is stale ({why_text(reasons[above])}): "
                    f"run `actial run`, or `actial run --from {above}`, which bring it up to date first"
                )


def publish(outcomes: list[Outcome]) -> None:
    """Put what happened to each stage on the flow run's page in Prefect."""
    if outcomes:
        rows = [{"stage": o.stage, "state": o.state, "seconds": round(o.seconds, 1), "output md5": _md5(o.stage)} for o in outcomes]
        create_table_artifact(table=rows, key="dvc-status", description="What DVC says of each stage's output")


def _timed(name: str, force: bool) -> tuple[State[Any], float]:
    start_s = time.monotonic()
    return stage(name, force, return_state=True), time.monotonic() - start_s


def _md5(name: str) -> str:
    try:
        return next(iter(versioning.locked(name).outs.values()), "")
    except KeyError:
        return ""


def _params_bytes() -> bytes:
    try:
        return PARAMS.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{PARAMS} does not exist: copy a profile with `actial use tiny`") from None
