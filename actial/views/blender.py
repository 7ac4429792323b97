"""Rendering with Blender in worker processes of ours, watched by one supervisor.

Each worker renders one scene at a time and commits it itself (`committed`); here it is only noted which scene is with whom. A worker that dies or hangs
costs its scene one retry; the second time the scene is set aside with the reason. Workers die with this process.
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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from actial.errors import UserError
from actial.jobs import die_with_parent
from actial.views.committed import Plan

RECYCLE_AFTER_SCENES = 1000
"""A worker's start costs as much as 40 pictures; its memory grows by 50 kB a scene."""
START_LIMIT_S = 300.0
ATTEMPTS = 2
SYSTEM_LIBRARIES = "apt-get install -y libx11-6 libxrender1 libxxf86vm1 libxfixes3 libxi6 libxkbcommon0 libsm6 libxt6 libgl1 libgomp1"


@dataclass(frozen=True, slots=True)
class SceneDone:
    """What became of a scene."""

    scene_id: str
    refused: str | None
    """Why it was set aside; None where it was committed."""


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
    scene_id: str | None = None
    n_scenes: int = 0
    unread: bytes = b""
    times: tuple[float, float] = (0.0, 0.0)


@dataclass
class Supervisor:
    """Renders scenes with `n_workers` processes; `render` yields what became of each as it is known."""

    plan: Plan
    folder: Path
    """Where scenes are committed."""
    logs: Path
    n_workers: int
    scene_limit_s: float
    """A scene that takes longer counts as hung."""
    on_start: Callable[[int], None] = lambda pid: None
    """Told the process id of each worker (tests kill them)."""
    times: RenderTimes = field(default_factory=RenderTimes)

    def render(self, scene_ids: list[str]) -> Iterator[SceneDone]:
        """Render scenes, in any order.

        Raises:
            UserError: Blender does not start here.
            OSError: a worker could not write (disk full).
        """
        self._todo = deque(scene_ids)
        self._attempts: dict[str, int] = {}
        self._failed_starts = 0
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            for slot in range(min(self.n_workers, len(scene_ids))):
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
        self._tell(worker, json.dumps({"plan": asdict(self.plan), "folder": str(self.folder)}))

    def _wait(self) -> Iterator[SceneDone]:
        """Take replies until the next deadline."""
        first_s = min(w.deadline_s for w in self._workers)
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

    def _heard(self, worker: _Worker, reply: dict[str, Any]) -> Iterator[SceneDone]:
        if "errno" in reply:
            raise OSError(reply["errno"], os.strerror(reply["errno"]), reply["file"])
        if "scene" in reply:
            worker.times = (reply["cycles_s"], reply["cpu_s"])
            worker.n_scenes += 1
            worker.scene_id = None
            yield SceneDone(reply["scene"], reply.get("refused"))
        else:
            worker.ready = True
            self.times.start_s += reply["cpu_s"]
        self._next(worker)

    def _next(self, worker: _Worker) -> None:
        """Give a worker its next scene; send it home where there is none, or a fresh one in its place where it has done its share."""
        if self._todo and worker.n_scenes < RECYCLE_AFTER_SCENES:
            worker.scene_id = self._todo.popleft()
            worker.deadline_s = time.monotonic() + self.scene_limit_s
            self._tell(worker, worker.scene_id)
            return
        self._end(worker)
        if self._todo:
            self._start(_slot(worker))

    def _lost(self, worker: _Worker, how: str) -> Iterator[SceneDone]:
        self._end(worker)
        scene_id = worker.scene_id
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= ATTEMPTS * self.n_workers:
                raise UserError(
                    f"Blender does not start ({_last_line(worker.log)}; full text in {worker.log}): its system libraries come with `{SYSTEM_LIBRARIES}`"
                )
        if scene_id is not None:
            attempt = self._attempts[scene_id] = self._attempts.get(scene_id, 0) + 1
            if attempt < ATTEMPTS:
                self._todo.appendleft(scene_id)
            else:
                code = worker.process.returncode
                yield SceneDone(scene_id, f"renderer {how}" + (f" ({_said(code)})" if how == "died" else ""))
        if self._todo:
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
        if worker.scene_id is None and worker.ready:
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
