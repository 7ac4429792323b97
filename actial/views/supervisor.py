"""Worker processes of ours, watched by one supervisor.

Each worker has one thing in hand at a time, named by one line on its standard input, and writes what it makes of it itself; here it is only noted which is
with whom. A worker that dies, hangs or takes too much memory costs its thing one retry; the second time it is set aside with the reason. Workers die with
this process.

A worker is started as `python -m MODULE FD`. The first line that it reads is the job, as JSON. It replies on file descriptor FD, one JSON object a line:
{"ready": true} once it can begin, or {"mistake": sentence} where it is the user's mistake that it cannot; then {"done": name} for each thing, with
"refused": reason where it set it aside, or {"errno": number, "file": path} where the system failed to read or write. Further keys are for subclasses.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, ClassVar

from actial.errors import UserError
from actial.jobs import die_with_parent
from actial.views.memory import held_mb, share_mb

RECYCLE_AFTER = 1000
"""Things that a worker does before a fresh one takes its place: libraries leak (Blender 10 kB a scene), and a start costs little beside so many."""
START_LIMIT_S = 300.0
ATTEMPTS = 2
MEMORY_EVERY_S = 0.5
LEAVE_LIMIT_S = 10.0
"""A worker that is sent home, or closed its replies by itself, has so long to end: to write its traceback, for one."""
LAST_LINES = 20
LOST = "lost"
"""Folder, among the logs, of the logs of workers that died, hung, or took too much memory over something."""

Job = dict[str, Any]
"""What workers are told before anything else, as JSON."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a thing."""

    name: str
    refused: str | None
    """Why it was set aside; None where what was made of it is written."""


@dataclass
class Worker:
    """A process, and what is known of it here."""

    slot: int
    process: subprocess.Popen[bytes]
    replies_fd: int
    log: Path
    deadline_s: float
    ready: bool = False
    in_hand: str | None = None
    n_done: int = 0
    unread: bytes = b""
    said: dict[str, Any] = field(default_factory=dict)
    """Its last reply."""

    def stdin(self) -> IO[bytes]:
        """Where it is told things."""
        assert self.process.stdin is not None
        return self.process.stdin

    def last_lines(self) -> list[str]:
        """Of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LAST_LINES:] or ["no message"]


@dataclass
class Supervisor:
    """Does a job with worker processes; `work` yields what became of each thing as it is known. Subclasses say which program the workers run."""

    job: Job
    logs: Path
    """Folder of each worker's standard output and error. A worker in the place of another begins its file anew; that of one that was lost is kept in `LOST`,
    under the name of what it had in hand."""
    n_workers: int
    """0 for one a CPU core."""
    limit_s: float
    """What takes longer counts as hung."""
    on_start: Callable[[int], None] = lambda pid: None
    """Told the process id of each worker (tests kill them)."""
    memory_mb: int = 0
    """Machine setting `worker_memory_mb`."""

    module: ClassVar[str]
    """The workers' program."""
    word: ClassVar[str]
    """For a worker in reasons: renderer."""
    software: ClassVar[str]
    """For what it runs, in sentences: Blender."""

    def work(self, names: Iterable[str]) -> Generator[Done, None, None]:
        """Do all that is named, in any order; the next name is asked for when a worker is free.

        Raises:
            UserError: the workers do not start here, or not with so little memory, or say that it is the user's mistake.
            OSError: a worker could not read or write (disk full).
        """
        n_workers = self.n_workers or len(os.sched_getaffinity(0))
        self._names = iter(names)
        self._todo = deque(islice(self._names, n_workers))
        self._most_failed_starts = ATTEMPTS * n_workers
        self._most_mb = self.memory_mb or share_mb(n_workers)
        self._memory_s = time.monotonic()
        self._attempts: dict[str, int] = {}
        self._failed_starts = 0
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            for slot in range(len(self._todo)):
                self._start(slot)
            while self._workers:
                yield from self._wait()
        finally:
            for worker in list(self._workers):
                self._end(worker, leave=_is_idle(worker))
            self._selector.close()

    def _line(self, name: str) -> str:
        """What a worker is told, to do the thing of that name."""
        return name

    def _is_wanted(self, worker: Worker) -> bool:
        """Whether a worker that has just become ready is given things to do."""
        return True

    def _ended_by_itself(self, worker: Worker) -> None:
        """A worker closed its replies, and has ended; raises where that is no fault of what it had in hand."""

    def _remedy(self, last_lines: list[str]) -> str:
        """What is added to the sentence that says that workers do not start, from the last lines of a log."""
        return ""

    def _start(self, slot: int) -> None:
        read_fd, write_fd = os.pipe()
        log = self.logs / f"worker-{slot}.log"
        with log.open("w+b") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", self.module, str(write_fd)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                pass_fds=[write_fd],
                preexec_fn=lambda: die_with_parent(signal.SIGKILL),
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},  # a crash says where, in the log
            )
        os.close(write_fd)
        worker = Worker(slot, process, read_fd, log, time.monotonic() + START_LIMIT_S)
        self._workers.append(worker)
        self._selector.register(read_fd, selectors.EVENT_READ, worker)
        self.on_start(process.pid)
        self._tell(worker, json.dumps(self.job | {"slot": slot}))

    def _wait(self) -> Iterator[Done]:
        """Take replies until the next deadline, or look at memory."""
        first_s = min([self._memory_s, *(w.deadline_s for w in self._workers)])
        for key, _ in self._selector.select(timeout=max(0.0, first_s - time.monotonic())):
            worker: Worker = key.data
            data = os.read(worker.replies_fd, 65536)
            if not data:
                yield from self._died(worker)
                continue
            *lines, worker.unread = (worker.unread + data).split(b"\n")
            for line in lines:
                yield from self._heard(worker, json.loads(line))
        now_s = time.monotonic()
        for worker in [w for w in self._workers if w.deadline_s <= now_s]:
            self._end(worker)
            yield from self._lost(worker, "hung")
        if self._memory_s <= now_s:
            self._memory_s = now_s + MEMORY_EVERY_S
            for worker in [w for w in self._workers if held_mb(w.process.pid) > self._most_mb]:
                if not worker.ready:
                    raise self._too_little_memory()
                self._end(worker)
                yield from self._lost(worker, f"took more than {self._most_mb} MB")

    def _too_little_memory(self) -> UserError:
        return UserError(
            f"machine setting worker_memory_mb ({self._most_mb}) is less than {self.software} takes before the first picture: raise it, or set it to 0"
        )

    def _heard(self, worker: Worker, reply: dict[str, Any]) -> Iterator[Done]:
        if "errno" in reply:
            raise OSError(reply["errno"], os.strerror(reply["errno"]), reply["file"])
        if "mistake" in reply:
            raise UserError(reply["mistake"])
        worker.said = reply
        if "done" in reply:
            worker.n_done += 1
            worker.in_hand = None
            yield Done(reply["done"], reply.get("refused"))
        else:
            if held_mb(worker.process.pid) > self._most_mb:  # else its first thing would be blamed
                raise self._too_little_memory()
            worker.ready = True
            if not self._is_wanted(worker):
                self._end(worker, leave=True)
                return
        self._next(worker)

    def _has_more(self) -> bool:
        self._todo.extend(islice(self._names, 0 if self._todo else 1))
        return bool(self._todo)

    def _next(self, worker: Worker) -> None:
        """Give a worker what is next; send it home where nothing is, or put a fresh one in its place where it has done its share."""
        if worker.n_done < RECYCLE_AFTER and self._has_more():
            worker.in_hand = self._todo.popleft()
            worker.deadline_s = time.monotonic() + self.limit_s
            self._tell(worker, self._line(worker.in_hand))
            return
        self._end(worker, leave=True)
        if self._has_more():
            self._start(worker.slot)

    def _died(self, worker: Worker) -> Iterator[Done]:
        self._end(worker, leave=True)
        self._ended_by_itself(worker)
        code = worker.process.returncode
        yield from self._lost(worker, f"died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})")

    def _lost(self, worker: Worker, how: str) -> Iterator[Done]:
        """Try again what a worker had in hand that is gone, or set it aside, and put another worker in its place."""
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= self._most_failed_starts:
                lines = worker.last_lines()
                raise UserError(f"{self.software} does not start ({lines[-1]}; full text in {worker.log}){self._remedy(lines)}")
        name = worker.in_hand
        if name is not None:
            kept = self.logs / LOST / f"{name}.log"
            kept.parent.mkdir(exist_ok=True)
            worker.log.replace(kept)
            attempt = self._attempts[name] = self._attempts.get(name, 0) + 1
            if attempt < ATTEMPTS:
                self._todo.appendleft(name)
            else:
                yield Done(name, f"{self.word} {how}")
        if self._has_more():
            self._start(worker.slot)

    def _tell(self, worker: Worker, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died: its reply pipe says so next
            worker.stdin().write(line.encode() + b"\n")
            worker.stdin().flush()

    def _end(self, worker: Worker, leave: bool = False) -> None:
        """Take a worker out, by force where it may not `leave`, or does not within its time."""
        self._workers.remove(worker)
        self._selector.unregister(worker.replies_fd)
        os.close(worker.replies_fd)
        if not leave:
            worker.process.kill()
        with contextlib.suppress(BrokenPipeError):  # flushing to a dead worker
            worker.stdin().close()
        try:
            worker.process.wait(timeout=LEAVE_LIMIT_S)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def _is_idle(worker: Worker) -> bool:
    return worker.ready and worker.in_hand is None
