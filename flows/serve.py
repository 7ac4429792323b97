"""Serve the deployment `actial/full-pipeline`: `python -m flows.serve`, with a Prefect server running (`actial up` starts both)."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from typing import Any

from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType

from flows.pipeline import pipeline

NAME = "full-pipeline"
GRACE_S = 5.0
"""How long a run may take to stop its stage and to tell the server. Less than `actial.jobs.stop_job` gives this process."""


class _Runner(Runner):
    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End the runs, then this process. Prefect's own waits, inside the signal handler, for the very loop it has interrupted: it never ends."""
        runs = multiprocessing.active_children()
        for run in runs:
            run.terminate()
        give_up_s = time.monotonic() + GRACE_S
        for run in runs:
            run.join(max(0.0, give_up_s - time.monotonic()))
            if run.is_alive():
                run.kill()  # what it started dies with it
        os._exit(128 + signal.SIGTERM)


def main() -> None:
    """Wait for runs of the deployment and start them here, one at a time, until SIGTERM or Ctrl-C."""
    runner = _Runner(name=NAME, limit=1)
    runner.add_flow(
        pipeline,
        name=NAME,
        description="render_views, build_qa, cold_start_mix, sft, grpo, evaluate; DVC says which of them run",
        entrypoint_type=EntrypointType.MODULE_PATH,  # wherever the package is installed; the runs work in this folder
    )
    print(f"actial/{NAME} is being served", flush=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(runner.start())


if __name__ == "__main__":
    main()
