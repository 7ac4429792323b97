"""The Prefect task that runs any stage: asks DVC whether it is fresh, runs it as a job if not, and says truthfully which it was."""

# No `from __future__ import annotations` here: Prefect reads the task's types.

import fcntl
import os
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
from tasks import versioning

LOCK = Path(".dvc/tmp/actial.lock")

CACHED, RESTORED, REFUSED = "Cached", "Restored", "Refused"
"""State names beside Prefect's Completed and Failed: nothing to do; output taken from DVC's cache; stopped by a user's mistake."""


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def stage(name: str, force: bool, freshness: versioning.Freshness, before_run: Callable[[], None]) -> State[Any]:
    """Bring one stage up to date; `before_run` is called once it is known that it has to run.

    Call it directly, not with `submit`: only the main thread can be interrupted by a cancellation.

    Returns:
        The state Cached, Restored, Completed (its body ran), Refused (its message is the one sentence) or Failed.
    """
    log = get_run_logger().info
    try:
        reasons = freshness.reasons(name)
        if not reasons and not force:
            return Completed(name=CACHED, message="dvc.lock matches inputs, code, params and outputs")
        why = versioning.why_text(reasons) if reasons else "forced"
        log(f"{name} runs: {why}")
        before_run()
        freshness.forget()
        how = versioning.reproduce(name, log, force)
    except UserError as error:
        return Failed(name=REFUSED, message=str(error))
    except JobFailed as error:
        return Failed(message=f"{name} failed; its log ends: {' | '.join(error.last_lines[-3:])}")
    if how == "clean":
        return Completed(name=CACHED, message="another run had finished it")
    if how == "restored":
        return Completed(name=RESTORED, message=f"output taken from DVC's cache ({why})")
    return Completed(message=why)


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
