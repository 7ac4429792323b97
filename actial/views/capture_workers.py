"""Captures read by worker processes: one that dies or hangs over a capture costs that capture a retry; the second time it is set aside with the reason."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from actial.jobs import die_with_parent
from actial.params import Captures

ATTEMPTS = 2
LIMIT_S = 3600.0
"""A capture that takes longer counts as hung; a thousand pictures of 20 megapixels take a quarter of that."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    scene_id: str | None = None
    """In hand."""
    deadline_s: float = 0.0


@dataclass
class CaptureWorkers:
    """Reads captures below `root` into `scratch` with `n_workers` processes of one thread each."""

    root: Path
    scratch: Path
    settings: Captures
    n_workers: int
    limit_s: float = LIMIT_S
    on_start: Callable[[int], None] = lambda pid: None
    """Told the process id of each worker (tests kill them)."""

    def read(self, folders: dict[str, Path]) -> Iterator[tuple[str, str | None]]:
        """Read captures, by their scene's id; in any order.

        Returns:
            Scene id, and None where its note stands in scratch, or else how the workers were lost that had it in hand.

        Raises:
            OSError: a worker could not read or write (disk full).
            RuntimeError: a worker ended by itself: a bug of ours, whose traceback is on standard error.
        """
        self._folders, self._todo, self._attempts = folders, deque(folders), Counter[str]()
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        try:
            for _ in range(min(self.n_workers, len(folders))):
                self._start()
            while self._workers:
                yield from self._wait()
        finally:
            for worker in list(self._workers):
                self._end(worker)
            self._selector.close()

    def _start(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "actial.views.capture_reading"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        worker = _Worker(process)
        self._workers.append(worker)
        self._selector.register(_pipe(process.stdout), selectors.EVENT_READ, worker)
        self.on_start(process.pid)
        self._tell(worker, {"root": str(self.root), "scratch": str(self.scratch), "settings": asdict(self.settings)})
        self._next(worker)

    def _next(self, worker: _Worker) -> None:
        """Give a worker its next capture, or send it home."""
        if not self._todo:
            self._end(worker)
            return
        worker.scene_id, worker.deadline_s = self._todo.popleft(), time.monotonic() + self.limit_s
        self._tell(worker, [worker.scene_id, str(self._folders[worker.scene_id])])

    def _wait(self) -> Iterator[tuple[str, str | None]]:
        """Take replies until the next deadline."""
        first_s = min(worker.deadline_s for worker in self._workers)
        for key, _ in self._selector.select(timeout=max(0.0, first_s - time.monotonic())):
            worker: _Worker = key.data
            reply = _pipe(worker.process.stdout).readline()  # workers write whole lines, and one for each capture
            if not reply.endswith(b"\n"):
                yield from self._lost(worker, "died")
                continue
            said = json.loads(reply)
            if "errno" in said:
                raise OSError(said["errno"], os.strerror(said["errno"]), said["file"])
            worker.scene_id = None
            yield said["scene"], None
            self._next(worker)
        for worker in [w for w in self._workers if w.deadline_s <= time.monotonic()]:
            yield from self._lost(worker, "hung")

    def _lost(self, worker: _Worker, how: str) -> Iterator[tuple[str, str | None]]:
        scene_id = worker.scene_id
        assert scene_id is not None
        self._end(worker, kill=how == "hung")
        code = worker.process.returncode
        if code >= 0:
            raise RuntimeError(f"reading {self._folders[scene_id]} ended with exit code {code}; the traceback stands above")
        self._attempts[scene_id] += 1
        if self._attempts[scene_id] < ATTEMPTS:
            self._todo.appendleft(scene_id)
        else:
            yield scene_id, how if how == "hung" else f"died ({signal.Signals(-code).name})"
        if self._todo:
            self._start()

    def _tell(self, worker: _Worker, line: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died: the end of its replies says so next
            stdin = _pipe(worker.process.stdin)
            stdin.write(json.dumps(line).encode() + b"\n")
            stdin.flush()

    def _end(self, worker: _Worker, kill: bool = True) -> None:
        """Take a worker out, by force where it has a capture in hand."""
        self._workers.remove(worker)
        self._selector.unregister(_pipe(worker.process.stdout))
        if kill and worker.scene_id is not None:
            worker.process.kill()
        for pipe in (worker.process.stdin, worker.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                _pipe(pipe).close()
        worker.process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
