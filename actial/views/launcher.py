"""Who starts the rendering processes, as this machine's settings say, and what they render on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from actial.cluster.entry import ray_or_refuse
from actial.machine import Machine
from actial.views.blender import Renderers
from actial.views.supervisor import Done, Job


class Launcher:
    """Does a job with the workers that `machine` asks for."""

    def __init__(self, job: Job, logs: Path, machine: Machine, limit_s: float) -> None:
        self.devices = ""
        """What the workers render on, once they are ready: for logs and the record of the run, never for an output."""
        self._job, self._logs, self._machine, self._limit_s = job, logs, machine, limit_s

    def work(self, names: list[str]) -> Iterator[Done]:
        """Do all that is named, in any order.

        Raises:
            UserError: Blender does not start here, or not with these machine settings.
            OSError: a worker could not write (disk full).
        """
        machine = self._machine
        if machine.launcher == "ray":
            ray_or_refuse(machine)
            from actial.views.ray_launcher import RayLauncher

            return RayLauncher(self._job, self._logs, machine, self._limit_s, self._announce).work(names)
        renderers = Renderers(self._job, self._logs, machine.workers, self._limit_s, memory_mb=machine.worker_memory_mb, device=machine.render_device)
        renderers.on_devices = self._announce
        return renderers.work(names)

    def _announce(self, devices: list[str]) -> None:
        groups = [f"{n} worker{'s' if n > 1 else ''} on {device}" for device, n in sorted(Counter(devices).items())]
        self.devices = ", ".join(groups)
        print(f"render_views: {self.devices}", flush=True)
