"""Scenes spread over a Ray cluster: each actor runs the same worker program under a supervisor of its own, on whichever machine it is.

No shared file system is assumed: the plan travels as JSON, assets as bytes to a node that does not have them at the same path, and finished files come back as
bytes. Actial must be installed on every node, in the same version. A Ray worker never imports bpy: Blender stays in the child process, which dies with it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import secrets
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

import actial
from actial.errors import UserError
from actial.machine import Machine
from actial.views import carried, committed
from actial.views.blender import Renderers
from actial.views.supervisor import ATTEMPTS, START_LIMIT_S, Done, Job

OBJECT_STORE_BYTES = 256 * 2**20
"""Of a cluster that is started for one run: it holds a few finished scenes at a time."""
CARRIED_MB = 2000
"""Folders larger than this are not sent to nodes that do not have them."""
CLOSE_LIMIT_S = 15.0


@dataclass
class RayLauncher:
    """Does a job with actors of a Ray cluster; the same words as `Supervisor`."""

    job: Job
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
        with _cluster(self.machine):
            self._todo, self._attempts = deque(names), Counter[str]()
            self._flying: dict[Any, tuple[Any, str | None]] = {}
            self._idle: list[Any] = []
            self._devices: dict[Any, tuple[str, str]] = {}
            self._failed_starts = 0
            self._listings = {folder: carried.listing(Path(folder)) for folder in carried.inputs_of(self.job)}
            self._carried: dict[str, Any] = {}
            self._n_actors = min(len(names), self._slots())
            try:
                for _ in range(self._n_actors):
                    self._hire()
                while self._todo or self._at_work():
                    yield from self._wait()
            finally:
                self._dismiss()

    def _slots(self) -> int:
        """As many actors as are asked for; else one a GPU of the cluster, or one a CPU."""
        there = ray.cluster_resources()
        n_gpus = int(there.get("GPU", 0))
        if self.machine.render_device not in ("auto", "cpu") and n_gpus == 0:
            raise UserError(f"machine setting render_device is {self.machine.render_device}, but no node of the Ray cluster has a GPU: set it to auto or cpu")
        self._n_gpus = n_gpus if self.machine.render_device != "cpu" else 0
        return self.machine.workers or self._n_gpus or max(1, int(there.get("CPU", 1)))

    def _hire(self) -> None:
        gpu_share = min(1.0, self._n_gpus / (self.machine.workers or self._n_gpus)) if self._n_gpus else 0
        kind = ray.remote(num_cpus=1, num_gpus=gpu_share, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")(RayWorker)
        actor = kind.remote(self.job, self.limit_s, self.machine.render_device, self.machine.worker_memory_mb)
        self._flying[actor.ready.remote(code_version(), self._listings)] = (actor, None)

    def _at_work(self) -> bool:
        return any(name is not None for _, name in self._flying.values())

    def _wait(self) -> Iterator[Done]:
        """Take what the actors have to say next."""
        finished, _ = ray.wait(list(self._flying), num_returns=1, timeout=START_LIMIT_S)
        if not finished and not self._at_work():
            raise UserError(f"no node of the Ray cluster had a free CPU (or GPU) within {START_LIMIT_S:.0f} s: wait for its other jobs, or set launcher: local")
        for ref in finished:
            actor, name = self._flying.pop(ref)
            try:
                reply = ray.get(ref)
            except ray.exceptions.RayTaskError:
                raise  # a bug of ours
            except ray.exceptions.RayError as error:  # the actor, its node or what it sent is lost
                yield from self._lost(actor, name, error)
                continue
            yield from self._heard(actor, name, reply)
            if needed := reply.get("needs"):
                self._flying[actor.take.remote(needed, *map(self._packed, needed))] = (actor, None)
            elif self._todo:
                following = self._todo.popleft()
                self._flying[actor.make.remote(following)] = (actor, following)
            else:
                self._idle.append(actor)

    def _heard(self, actor: Any, name: str | None, reply: dict[str, Any]) -> Iterator[Done]:
        if "mistake" in reply:
            raise UserError(reply["mistake"])
        if "errno" in reply:
            raise OSError(reply["errno"], os.strerror(reply["errno"]), reply["file"])
        if name is None:
            return
        if actor not in self._devices:
            self._devices[actor] = (reply["device"], reply["node"])
            if len(self._devices) == self._n_actors:
                n_nodes = len({node for _, node in self._devices.values()})
                self.on_devices([f"{device} of {n_nodes} Ray node{'s' if n_nodes > 1 else ''}" for device, _ in self._devices.values()])
        for path, data in reply["files"].items():
            committed.write_whole(Path(carried.output_of(self.job)) / path, data)
        yield Done(name, reply["refused"])

    def _packed(self, folder: str) -> Any:
        """A folder in Ray's object store, once for all nodes."""
        if folder not in self._carried:
            size_mb = sum(self._listings[folder].values()) / 1e6
            if size_mb > CARRIED_MB:
                raise UserError(
                    f"{folder} ({size_mb:,.0f} MB) is not on every Ray node and too large to be sent there (limit {CARRIED_MB:,} MB): copy it there"
                )
            self._carried[folder] = ray.put(carried.pack(Path(folder)))
        return self._carried[folder]

    def _lost(self, actor: Any, name: str | None, error: Exception) -> Iterator[Done]:
        """Put another actor in the place of one that died; it starts wherever there is room, now or later."""
        ray.kill(actor)
        if name is None:
            self._failed_starts += 1
            if self._failed_starts >= ATTEMPTS * self._n_actors:
                raise UserError(f"Ray's actors do not start: {' '.join(str(error).split())}")
        else:
            self._attempts[name] += 1
            if self._attempts[name] < ATTEMPTS:
                self._todo.appendleft(name)
            else:
                yield Done(name, "renderer died (its Ray node or actor)")
        if self._todo:
            self._hire()

    def _dismiss(self) -> None:
        actors = self._idle + [actor for actor, _ in self._flying.values()]
        closing = [actor.close.remote() for actor in self._idle + [actor for actor, name in self._flying.values() if name is not None]]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=CLOSE_LIMIT_S)
        for actor in actors:
            ray.kill(actor)


class RayWorker:
    """On a node: one worker process, whose finished files go back as bytes."""

    def __init__(self, job: Job, limit_s: float, device: str, memory_mb: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="actial-"))
        self._made = self._folder / "made"
        self._made.mkdir()
        self._job, self._moved = job, {carried.output_of(job): str(self._made)}
        self._limit_s, self._device, self._memory_mb = limit_s, device, memory_mb
        self._sent: set[str] = set()
        self._next = ""
        self._devices: list[str] = []
        self._work: Generator[Done, None, None] | None = None

    def ready(self, version: str, listings: dict[str, carried.Listing]) -> dict[str, Any]:
        """Whether this node can take part, before it is given any work, and what it "needs": folders that are not here as `listings` say they should be."""
        if (own := code_version()) != version:
            why = f"has another version of Actial or of its packages ({own}, here {version}): install the same commit and requirements.lock there"
            return {"mistake": f"the Ray node {_node()} {why}"}
        return {"needs": [folder for folder, files in listings.items() if folder in self._moved or carried.listing(Path(folder)) != files]}

    def take(self, folders: list[str], *packed: dict[str, bytes]) -> dict[str, Any]:
        """Unpack folders that this node needs; one that is written into, too, to where that goes."""
        for i, (folder, files) in enumerate(zip(folders, packed, strict=True)):
            carried.unpack(files, Path(self._moved.setdefault(folder, str(self._folder / f"folder-{i}"))))
        self._sent = set(carried.listing(self._made))
        return {}

    def _start(self) -> Generator[Done, None, None]:
        job, logs = carried.with_folders(self._job, self._moved), self._folder / "logs"
        renderer = Renderers(job, logs, 1, self._limit_s, memory_mb=self._memory_mb, device=self._device, on_devices=self._devices.extend)
        return renderer.work(iter(lambda: self._next, None))  # asks for the next name when `make` has been called again

    def make(self, name: str) -> dict[str, Any]:
        """Do one thing.

        Returns:
            {"refused": reason or None, "files": bytes by path, "device": what it was made on, "node": where}, or what is to be raised by the launcher.
        """
        self._next = name
        self._work = self._work or self._start()
        try:
            done = next(self._work)
        except UserError as error:
            return {"mistake": f"on the Ray node {_node()}: {error}"}
        except OSError as error:
            return {"errno": error.errno, "file": f"{error.filename} on the Ray node {_node()}"}
        committed.sweep(self._made)  # what workers that died left here is not sent
        files = {path: (self._made / path).read_bytes() for path in carried.listing(self._made) if path not in self._sent}
        for path in files:
            (self._made / path).unlink()
        return {"refused": done.refused, "files": files, "device": self._devices[0], "node": ray.get_runtime_context().get_node_id()}

    def close(self) -> None:
        """End the worker process and leave nothing behind."""
        if self._work is not None:
            self._work.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _node() -> str:
    return str(ray.util.get_node_ip_address())


@functools.cache
def code_version() -> str:
    """Twelve hex digits of the source that makes pictures, and of the packages whose version shows in them."""
    root = Path(actial.__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*root.glob("*.py"), *root.glob("geometry/*.py"), *root.glob("views/*.py")]):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    for package in ("blenderproc", "bpy", "numpy", "pillow", "pyarrow"):
        digest.update(f"{package}=={importlib.metadata.version(package)}".encode())
    return digest.hexdigest()[:12]


@contextmanager
def _cluster(machine: Machine) -> Iterator[None]:
    """A connection to the cluster of machine setting `ray_address`, or to one of this machine alone that ends with it.

    Raises:
        UserError: no cluster answers at that address.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address = machine.ray_address or os.environ.get("RAY_ADDRESS")
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as logs:
        try:
            if address is None:
                os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into the home folder
                n_cpus = machine.workers or len(os.sched_getaffinity(0))
                ray.init("local", num_cpus=n_cpus, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, _temp_dir=logs, **quiet)
            else:
                ray.init(address, **quiet)
        except Exception as error:  # Ray raises a bare one where a node does not start in time
            said = f"no Ray cluster answers at {address}" if address else "Ray does not start on this machine"
            raise UserError(f"{said} (machine setting ray_address): {' '.join(str(error).split())}") from None
        try:
            yield
        finally:
            ray.shutdown()
