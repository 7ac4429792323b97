"""The Prefect task that runs any stage: asks DVC whether it is fresh, runs it as a job if not, and says truthfully which it was."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from actial.errors import UserError
from actial.jobs import JobFailed
from tasks import tracking, versioning

LOCK = Path(".dvc/tmp/actial.lock")
REFUSED = "Refused"
"""Name of the failed state of a stage that stopped at a user's mistake; its message is the sentence."""


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def stage(name: str, force: bool = False) -> State[Any]:
    """Bring one stage up to date.

    Call it directly, not with `submit`: only the main thread can be interrupted by a cancellation.

    Returns:
        The state `Cached` (nothing to do), `Restored` (outputs taken from DVC's cache), `Completed` (the stage ran),
        `Refused` (a user's mistake) or `Failed`.
    """
    log = get_run_logger().info
    try:
        reasons = versioning.changes(name, log)
        if not reasons and not force:
            _tag(name)
            return Completed(name="Cached", message="dvc.lock matches inputs, code, params and outputs")
        log(f"{name} runs: {'forced' if force else why_text(reasons)}")
        how = versioning.reproduce(name, log, force)
        _tag(name)
    except UserError as error:
        return Failed(name=REFUSED, message=str(error))
    except JobFailed as error:
        return Failed(message=f"{name} failed: {error}")
    if how == "clean":
        return Completed(name="Cached", message="another run had finished it")
    if how == "restored":
        return Completed(name="Restored", message="outputs taken from DVC's cache")
    return Completed(message=why_text(reasons) if reasons else "forced")


def why_text(reasons: versioning.Reasons, most: int = 6) -> str:
    """Reasons as one line: `params.yaml: sft.method modified, tasks/sft.py modified`."""
    said = [f"{what} {how}" for what, how in reasons.items()]
    return ", ".join(said[:most]) + (f" and {len(said) - most} more" if len(said) > most else "")


@contextmanager
def workspace_lock(log: Callable[[str], None]) -> Iterator[None]:
    """At most one flow at a time in this checkout; a second one waits. The kernel frees it when its holder ends, however it ends."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            log(f"another flow (process {lock.read().strip() or 'unknown'}) is at work in this folder; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _tag(name: str) -> None:
    """Tell MLflow what DVC knows about a stage that is up to date; tracking may fail without harming a finished stage."""
    tag_finished = getattr(tracking, "tag_finished", None)
    if tag_finished is not None:
        tag_finished(name, versioning.locked(name))
