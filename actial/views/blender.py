"""Blender in worker processes of ours, watched by one supervisor.

Each worker has one thing in hand at a time, a scene to render or an asset to look at, and writes what it made itself; here it is only noted which is with
whom. A worker that dies, hangs or takes too much memory costs its thing one retry; the second time it is set aside with the reason. Workers die with
this process.
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
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from actial.errors import UserError
from actial.jobs import die_with_parent
from actial.views.committed import Plan
from actial.views.memory import held_mb, share_mb

RECYCLE_AFTER = 1000
"""Scenes or assets. A worker's start costs as much as 40 pictures; its memory grows by 50 kB a scene."""
START_LIMIT_S = 300.0
ATTEMPTS = 2
MEMORY_EVERY_S = 0.5
SYSTEM_LIBRARIES = "apt-get install -y libx11-6 libxrender1 libxxf86vm1 libxfixes3 libxi6 libxkbcommon0 libsm6 libxt6 libgl1 libgomp1"


Job = dict[str, Any]
"""What workers are told before anything else, as JSON: see `rendering`."""


def rendering(plan: Plan, folder: Path) -> Job:
    """The job of rendering scenes, named by their ids, and committing them to `folder`."""
    return {"plan": asdict(plan), "folder": str(folder)}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a scene or an asset."""

    name: str
    refused: str | None
    """Why it was set aside; None where what was made of it is written."""


@dataclass
class RenderTimes:
    """CPU seconds of all workers so far, for benchmarks."""

    cycles_s: float = 0.0
    """Inside the render call."""
    workers_s: float = 0.0
    """In the worker processes as a whole, start included."""
    start_s: float = 0.0
    """In the worker processes until they were ready."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    replies_fd: int
    log: Path
    deadline_s: float
    ready: bool = False
    in_hand: str | None = None
    n_done: int = 0
    unread: bytes = b""
    times: tuple[float, float] = (0.0, 0.0)


@dataclass
class Supervisor:
    """Does a job with worker processes; `work` yields what became of each scene or asset as it is known."""

    job: Job
    logs: Path
    n_workers: int
    """0 for one a CPU core, or one a GPU where the workers render on GPUs."""
    limit_s: float
    """What takes longer counts as hung."""
    on_start: Callable[[int], None] = lambda pid: None
    """Told the process id of each worker (tests kill them)."""
    times: RenderTimes = field(default_factory=RenderTimes)
    device: str = "cpu"
    """Machine setting `render_device`."""
    memory_mb: int = 0
    """Machine setting `worker_memory_mb`."""
    on_devices: Callable[[list[str]], None] = lambda devices: None
    """Told once what each worker renders on, when all of them have said so."""

    def work(self, names: Iterable[str]) -> Generator[Done, None, None]:
        """Do all that is named, in any order; the next name is asked for when a worker is free.

        Raises:
            UserError: Blender does not start here, or not with that device or so little memory.
            OSError: a worker could not write (disk full).
        """
        n_workers = self.n_workers or len(os.sched_getaffinity(0))
        self._names = iter(names)
        self._todo = deque(islice(self._names, n_workers))
        self._most_failed_starts = ATTEMPTS * n_workers
        self._most_mb = self.memory_mb or share_mb(n_workers)
        self._memory_s = time.monotonic()
        self._devices: dict[int, str] = {}
        self._all_ready = False
        self._attempts: dict[str, int] = {}
        self._failed_starts = 0
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            for slot in range(len(self._todo)):
                self._start(slot)
            while self._workers:
                yield from self._wait()
        finally:
            for worker in list(self._workers):
                self._end(worker)
            self._selector.close()

    def _start(self, slot: int) -> None:
        read_fd, write_fd = os.pipe()
        log = self.logs / f"worker-{slot}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "actial.views.inside_blender", str(write_fd)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                pass_fds=[write_fd],
                preexec_fn=lambda: die_with_parent(signal.SIGKILL),
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        os.close(write_fd)
        worker = _Worker(process, read_fd, log, time.monotonic() + START_LIMIT_S)
        self._workers.append(worker)
        self._selector.register(read_fd, selectors.EVENT_READ, worker)
        self.on_start(process.pid)
        self._tell(worker, json.dumps(self.job | {"device": self.device, "slot": slot}))

    def _wait(self) -> Iterator[Done]:
        """Take replies until the next deadline, or look at memory."""
        first_s = min([self._memory_s, *(w.deadline_s for w in self._workers)])
        for key, _ in self._selector.select(timeout=max(0.0, first_s - time.monotonic())):
            worker: _Worker = key.data
            data = os.read(worker.replies_fd, 65536)
            if not data:
                yield from self._lost(worker, "died")
                continue
            *lines, worker.unread = (worker.unread + data).split(b"\n")
            for line in lines:
                yield from self._heard(worker, json.loads(line))
        now_s = time.monotonic()
        for worker in [w for w in self._workers if w.deadline_s <= now_s]:
            yield from self._lost(worker, "hung")
        if self._memory_s <= now_s:
            self._memory_s = now_s + MEMORY_EVERY_S
            for worker in [w for w in self._workers if held_mb(w.process.pid) > self._most_mb]:
                yield from self._lost(worker, f"took more than {self._most_mb} MB")

    def _heard(self, worker: _Worker, reply: dict[str, Any]) -> Iterator[Done]:
        if "errno" in reply:
            raise OSError(reply["errno"], os.strerror(reply["errno"]), reply["file"])
        if "mistake" in reply:
            raise UserError(reply["mistake"])
        if "done" in reply:
            worker.times = (reply["cycles_s"], reply["cpu_s"])
            worker.n_done += 1
            worker.in_hand = None
            yield Done(reply["done"], reply.get("refused"))
        else:
            worker.ready = True
            self.times.start_s += reply["cpu_s"]
            if self._is_spare(worker, reply["n_gpus"]):
                self._end(worker)
                return
            self._devices[_slot(worker)] = reply["device"]
            if not self._all_ready and all(w.ready for w in self._workers):
                self._all_ready = True
                self.on_devices(list(self._devices.values()))
        self._next(worker)

    def _is_spare(self, worker: _Worker, n_gpus: int) -> bool:
        """Whether a worker would share a GPU though nobody asked for so many workers."""
        return self.n_workers == 0 and 0 < n_gpus <= _slot(worker)

    def _has_more(self) -> bool:
        self._todo.extend(islice(self._names, 0 if self._todo else 1))
        return bool(self._todo)

    def _next(self, worker: _Worker) -> None:
        """Give a worker what is next; send it home where nothing is, or put a fresh one in its place where it has done its share."""
        if worker.n_done < RECYCLE_AFTER and self._has_more():
            worker.in_hand = self._todo.popleft()
            worker.deadline_s = time.monotonic() + self.limit_s
            self._tell(worker, worker.in_hand)
            return
        self._end(worker)
        if self._has_more():
            self._start(_slot(worker))

    def _lost(self, worker: _Worker, how: str) -> Iterator[Done]:
        self._end(worker)
        name = worker.in_hand
        if not worker.ready:
            self._failed_starts += 1
            if how.startswith("took"):
                raise UserError(
                    f"machine setting worker_memory_mb ({self._most_mb}) is less than Blender takes before the first picture: raise it, or set it to 0"
                )
            if self._failed_starts >= self._most_failed_starts:
                raise UserError(
                    f"Blender does not start ({_last_line(worker.log)}; full text in {worker.log}): its system libraries come with `{SYSTEM_LIBRARIES}`"
                )
        if name is not None:
            attempt = self._attempts[name] = self._attempts.get(name, 0) + 1
            if attempt < ATTEMPTS:
                self._todo.appendleft(name)
            else:
                code = worker.process.returncode
                yield Done(name, f"renderer {how}" + (f" ({_said(code)})" if how == "died" else ""))
        if self._has_more():
            self._start(_slot(worker))

    def _tell(self, worker: _Worker, line: str) -> None:
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died: its reply pipe says so next
            worker.process.stdin.write(line.encode() + b"\n")
            worker.process.stdin.flush()

    def _end(self, worker: _Worker) -> None:
        """Take a worker out, by force where it does not leave at once."""
        self._workers.remove(worker)
        self._selector.unregister(worker.replies_fd)
        os.close(worker.replies_fd)
        assert worker.process.stdin is not None
        if worker.in_hand is None and worker.ready:
            _close(worker.process.stdin)
            try:
                worker.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                worker.process.kill()
        else:
            worker.process.kill()
            _close(worker.process.stdin)
        worker.process.wait()
        self.times.cycles_s += worker.times[0]
        self.times.workers_s += worker.times[1]


def _close(pipe: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # flushing to a dead worker
        pipe.close()


def _slot(worker: _Worker) -> int:
    return int(worker.log.stem.rpartition("-")[2])


def _said(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
