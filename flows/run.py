"""`actial run`: the flow in this process, and a summary a person reads."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from actial.errors import PREFIX, USER_ERROR_CODE, UserError
from flows.results import REPORT, SCORES
from flows.servers import Reached, reach_prefect_server
from tasks import versioning

LEVEL = "PREFECT_LOGGING_LEVEL"
"""Prefect's own variable. With DEBUG nothing that Prefect says is held back."""


def run(only: Sequence[str] | None = None, from_stage: str | None = None, force: Sequence[str] | None = None) -> int:
    """Run the flow and print what became of each stage, the scores and the report's path.

    Returns:
        The exit code: 0, or 1 where a stage failed. If the server dies meanwhile, the whole process ends with 2.

    Raises:
        UserError: a stage refused its params or inputs.
    """
    versioning.require_checkout()
    server = reach_prefect_server()
    from flows.pipeline import Outcome, pipeline
    from tasks.stage import REFUSED

    if os.environ.get(LEVEL) != "DEBUG":
        _say_once_that_a_server_is_gone(server)
    try:
        state = pipeline(only=_listed(only), from_stage=from_stage, force=_listed(force), return_state=True)
    except Exception as error:
        if server.is_there():
            raise
        said = f"the Prefect server at {server.api_url} stopped answering ({type(error).__name__}): what was finished is kept; run again"
        print(f"{PREFIX}{said}", file=sys.stderr, flush=True)
        os._exit(USER_ERROR_CODE)  # Prefect's threads would try for minutes to deliver their last logs
    if state.name == REFUSED:
        raise UserError(state.message or "")
    if not state.is_completed():
        print(f"actial: {state.name}: {state.message}", file=sys.stderr, flush=True)
        return 1
    outcomes: list[Outcome] = state.result()
    print("\n".join(f"{o.stage:<15} {o.state:<10} {o.seconds:8.1f} s" for o in outcomes))
    print_results()
    return 0


def _say_once_that_a_server_is_gone(server: Reached) -> None:
    """Hold back what Prefect says, for every event and at the end with a traceback, of a server that stopped answering: `run` says it in one sentence."""
    gone = False

    def is_news(record: logging.LogRecord) -> bool:
        nonlocal gone
        gone = gone or (record.exc_info is not None and not server.is_there())
        return not gone

    logging.getLogger("prefect.flow_runs").addFilter(is_news)
    for name in ("prefect.events.clients", "prefect._internal.concurrency"):
        logging.getLogger(name).addFilter(lambda record: record.levelno < logging.WARNING or server.is_there())
    logging.raiseExceptions = False  # the handler that sends logs to the server writes its own failures to standard error


def print_results() -> None:
    """Print the score table and where the report is, as far as they exist."""
    if SCORES.exists():
        print(f"\n{SCORES.read_text(encoding='utf-8').strip()}")
    if REPORT.exists():
        print(f"\nreport: {REPORT}")


def _listed(stages: Sequence[str] | None) -> list[str] | None:
    return list(stages) if stages else None
