"""MLflow: the only module that imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.body import Job, Made


@contextmanager
def stage_run(job: Job) -> Iterator[Callable[[Made], None]]:
    """A child run for a stage that really runs; yields the function that logs what it made."""
    yield lambda made: None
