"""Blender in worker processes of ours: what `Supervisor` does not know of it, which is GPUs, times, and what it lacks where it does not start."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from actial.views.committed import Plan
from actial.views.supervisor import Job, Supervisor, Worker

SYSTEM_LIBRARIES = "apt-get install -y libx11-6 libxrender1 libxxf86vm1 libxfixes3 libxi6 libxkbcommon0 libsm6 libxt6 libgl1 libgomp1"
LACKS_A_LIBRARY = re.compile(r"(ImportError|OSError): .*cannot open shared object file")


def rendering(plan: Plan, folder: Path) -> Job:
    """The job of rendering scenes, named by their ids, and committing them to `folder`."""
    return {"plan": asdict(plan), "folder": str(folder)}


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
class Renderers(Supervisor):
    """Renders scenes, or looks at assets, with Blender; with no number of workers asked for, one a GPU where the workers render on GPUs."""

    device: str = "cpu"
    """Machine setting `render_device`."""
    on_devices: Callable[[list[str]], None] = lambda devices: None
    """Told once what each worker renders on, when all of them have said so."""
    times: RenderTimes = field(default_factory=RenderTimes)

    module = "actial.views.inside_blender"
    word = "renderer"
    software = "Blender"

    def __post_init__(self) -> None:
        self.job = self.job | {"device": self.device}
        self._devices: dict[int, str] = {}
        self._all_ready = False

    def _is_wanted(self, worker: Worker) -> bool:
        """Not where it would share a GPU though nobody asked for so many workers."""
        self.times.start_s += worker.said["cpu_s"]
        wanted = self.n_workers > 0 or not 0 < worker.said["n_gpus"] <= worker.slot
        if wanted:
            self._devices[worker.slot] = worker.said["device"]
        if not self._all_ready and all(w.ready for w in self._workers):
            self._all_ready = True
            self.on_devices(list(self._devices.values()))
        return wanted

    def _remedy(self, last_lines: list[str]) -> str:
        lacks = any(LACKS_A_LIBRARY.match(line) for line in last_lines)
        return f": its system libraries come with `{SYSTEM_LIBRARIES}`" if lacks else ""

    def _end(self, worker: Worker, leave: bool = False) -> None:
        super()._end(worker, leave)
        self.times.cycles_s += worker.said.get("cycles_s", 0.0)
        self.times.workers_s += worker.said.get("cpu_s", 0.0)
