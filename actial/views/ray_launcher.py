"""Scenes spread over a Ray cluster: each actor runs the same worker program under a supervisor of its own, on whichever machine it is.

The plan travels as JSON, assets as bytes where a node needs them, and finished files come back as bytes. A Ray worker never imports bpy: Blender stays in the
child process, which dies with it.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from actial.cluster import folders
from actial.cluster.crew import Crew, connected, node_address, node_id, other_version, source_version
from actial.errors import UserError
from actial.machine import Machine
from actial.views import carried, committed
from actial.views.blender import Renderers
from actial.views.supervisor import ATTEMPTS, LOST, Done, Job


@dataclass
class RayLauncher:
    """Does a job with actors of a Ray cluster; the same words as `Supervisor`."""

    job: Job
    logs: Path
    """Folder whose `LOST` gets the logs of Blender processes that nodes lost."""
    machine: Machine
    limit_s: float
    on_devices: Callable[[list[str]], None]

    def work(self, names: list[str]) -> Iterator[Done]:
        """Do all that is named, in any order.

        Raises:
            UserError: there is no cluster, it has no room, a node has another version of Actial, or Blender does not start there.
            OSError: a worker could not write (disk full).
        """
        if not names:
            return
        with connected(self.machine), contextlib.closing(self._crew(len(names)).work(names)) as done:
            for name, reply in done:
                if reply is None:
                    yield Done(name, "renderer died (its Ray node or actor)")
                    continue
                for path, data in reply["files"].items():
                    committed.write_whole(Path(carried.output_of(self.job)) / path, data)
                if reply["log"]:
                    (self.logs / LOST).mkdir(parents=True, exist_ok=True)
                    (self.logs / LOST / f"{name}.log").write_bytes(reply["log"])
                yield Done(name, reply["refused"])

    def _crew(self, n_names: int) -> Crew[str]:
        """As many actors as are asked for; else one a GPU of the cluster, or one a CPU."""
        there = ray.cluster_resources()
        n_gpus = int(there.get("GPU", 0))
        if self.machine.render_device not in ("auto", "cpu") and n_gpus == 0:
            raise UserError(f"machine setting render_device is {self.machine.render_device}, but no node of the Ray cluster has a GPU: set it to auto or cpu")
        n_gpus = n_gpus if self.machine.render_device != "cpu" else 0
        slots = self.machine.workers or n_gpus or max(1, int(there.get("CPU", 1)))
        return Crew(
            RayWorker,
            (self.job, self.limit_s, self.machine.render_device, self.machine.worker_memory_mb),
            code_version(),
            {folder: folders.listing(Path(folder)) for folder in carried.inputs_of(self.job)},
            n_actors=min(n_names, slots),
            n_cpus=1,
            n_gpus=min(1.0, n_gpus / (self.machine.workers or n_gpus)) if n_gpus else 0,
            attempts=ATTEMPTS,
            on_devices=self.on_devices,
        )


class RayWorker:
    """On a node: one worker process, whose finished files go back as bytes."""

    def __init__(self, job: Job, limit_s: float, device: str, memory_mb: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="actial-"))
        self._made = self._folder / "made"
        self._made.mkdir()
        self._logs = self._folder / "logs"
        self._job, self._moved = job, {carried.output_of(job): str(self._made)}
        self._limit_s, self._device, self._memory_mb = limit_s, device, memory_mb
        self._sent: set[str] = set()
        self._next = ""
        self._devices: list[str] = []
        self._work: Generator[Done, None, None] | None = None

    def ready(self, version: str, listings: dict[str, folders.Listing]) -> dict[str, Any]:
        """Whether this node can take part, before it is given any work, and what it "needs": folders that are not here as `listings` say they should be."""
        needed = [folder for folder, files in listings.items() if folder in self._moved or folders.listing(Path(folder)) != files]
        return other_version(code_version(), version) or {"needs": needed}

    def take(self, names: list[str], *packed: dict[str, bytes]) -> dict[str, Any]:
        """Unpack folders that this node needs; one that is written into, too, to where that goes."""
        for i, (folder, files) in enumerate(zip(names, packed, strict=True)):
            folders.unpack(files, Path(self._moved.setdefault(folder, str(self._folder / f"folder-{i}"))))
        self._sent = set(folders.listing(self._made))
        return {}

    def _start(self) -> Generator[Done, None, None]:
        job = carried.with_folders(self._job, self._moved)
        renderer = Renderers(job, self._logs, 1, self._limit_s, memory_mb=self._memory_mb, device=self._device, on_devices=self._devices.extend)
        return renderer.work(iter(lambda: self._next, None))  # asks for the next name when `make` has been called again

    def make(self, name: str) -> dict[str, Any]:
        """Do one thing.

        Returns:
            {"refused": reason or None, "files": bytes by path, "log": bytes of a process that was lost over it, if any, "device": what it was made on,
            "node": where}, or what is to be raised by the launcher.
        """
        self._next = name
        self._work = self._work or self._start()
        try:
            done = next(self._work)
        except UserError as error:
            return {"mistake": f"on the Ray node {node_address()}: {error}"}
        except OSError as error:
            return {"errno": error.errno, "file": f"{error.filename} on the Ray node {node_address()}"}
        committed.sweep(self._made)  # what workers that died left here is not sent
        files = {path: (self._made / path).read_bytes() for path in folders.listing(self._made) if path not in self._sent}
        for path in files:
            (self._made / path).unlink()
        lost = self._logs / LOST / f"{name}.log"
        log = lost.read_bytes() if lost.exists() else b""
        return {"refused": done.refused, "files": files, "log": log, "device": self._devices[0], "node": node_id()}

    def close(self) -> None:
        """End the worker process and leave nothing behind."""
        if self._work is not None:
            self._work.close()
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def code_version() -> str:
    """Of the source that makes pictures, and of the packages whose version shows in them."""
    return source_version(("geometry/*.py", "views/*.py"), ("blenderproc", "bpy", "numpy", "pillow", "pyarrow"))
