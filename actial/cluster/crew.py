"""Actors on the nodes of a Ray cluster with one task in hand at a time each. What was in the hands of one that died is done again by another.

No shared file system is assumed: folders go as bytes to a node that does not have them at the same path. Actial must be installed on every node, in the same
version. An actor's class has four methods, which reply with a dictionary:

    ready(version, folders)   whether it can take part, and what it "needs": folders that are not there as they are here
    take(folders, *packed)    unpack these
    make(*what)               do a task; also "device" (what it was done on) and "node"
    close()                   leave nothing behind

A reply with "mistake" (a sentence), or "errno" and "file", ends the work.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import secrets
import socket
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray

import actial
from actial.cluster import folders
from actial.errors import UserError
from actial.machine import Machine

OBJECT_STORE_BYTES = 256 * 2**20
"""Of a cluster that is started for one run: it holds a few finished tasks at a time."""
CARRIED_MB = 2000
"""Folders larger than this are not sent to nodes that do not have them."""
START_LIMIT_S = 300.0
CLOSE_LIMIT_S = 15.0
KNOCK_LIMIT_S = 10.0

Task = TypeVar("Task")


@dataclass
class Crew(Generic[Task]):
    """Does tasks with actors of a cluster that this process is connected to."""

    worker: type
    """Of the actors; see above."""
    arguments: tuple[Any, ...]
    """Of its constructor."""
    version: str
    """Of the code that a node must have."""
    folders: Mapping[str, Any]
    """Those that tasks read, with what tells whether a node has the same."""
    n_actors: int
    n_cpus: int
    n_gpus: float
    """What each takes of its node."""
    attempts: int
    """Times that a task may be begun: the actor that had it in hand may have died of it."""
    on_devices: Callable[[list[str]], None]
    """Told once what the actors work on, when each has done something."""
    what: Callable[[Task], tuple[Any, ...]] = lambda task: (task,)
    """What a task is to its actor; asked for when it is sent."""
    _flying: dict[Any, tuple[Any, int | None]] = field(default_factory=dict)
    """Actor and place of the task by the reply that is waited for; no task where it is only getting ready."""
    _idle: list[Any] = field(default_factory=list)
    _devices: dict[Any, tuple[str, str]] = field(default_factory=dict)
    _carried: dict[str, Any] = field(default_factory=dict)
    _failed_starts: int = 0

    def work(self, tasks: Sequence[Task]) -> Generator[tuple[Task, dict[str, Any] | None], None, None]:
        """Do all, in any order. Close it before the connection ends.

        Returns:
            Tasks with the replies to them; None of one whose actors died in all attempts.

        Raises:
            UserError: the cluster has no room, a node has another version of Actial, or says why it cannot work.
            OSError: an actor could not read or write.
        """
        self._tasks, self._todo, self._begun = tasks, deque(range(len(tasks))), Counter[int]()
        try:
            for _ in range(self.n_actors):
                self._hire()
            while self._todo or self._at_work():
                yield from self._wait()
        finally:
            self._dismiss()

    def _hire(self) -> None:
        kind = ray.remote(num_cpus=self.n_cpus, num_gpus=self.n_gpus, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")(self.worker)
        actor = kind.remote(*self.arguments)
        self._flying[actor.ready.remote(self.version, dict(self.folders))] = (actor, None)

    def _at_work(self) -> bool:
        return any(place is not None for _, place in self._flying.values())

    def _wait(self) -> Iterator[tuple[Task, dict[str, Any] | None]]:
        """Take what the actors have to say next."""
        finished, _ = ray.wait(list(self._flying), num_returns=1, timeout=START_LIMIT_S)
        if not finished and not self._at_work():
            raise UserError(f"no node of the Ray cluster had a free CPU (or GPU) within {START_LIMIT_S:.0f} s: wait for its other jobs, or set launcher: local")
        for ref in finished:
            actor, place = self._flying.pop(ref)
            try:
                reply = ray.get(ref)
            except ray.exceptions.RayTaskError:
                raise  # a bug of ours
            except ray.exceptions.RayError as error:  # the actor, its node or what it sent is lost
                yield from self._lost(actor, place, error)
                continue
            _raise_of(reply)
            if place is not None:
                self._announce(actor, reply)
                yield self._tasks[place], reply
            if needed := reply.get("needs"):
                self._flying[actor.take.remote(needed, *map(self._packed, needed))] = (actor, None)
            elif self._todo:
                following = self._todo.popleft()
                self._flying[actor.make.remote(*self.what(self._tasks[following]))] = (actor, following)
            else:
                self._idle.append(actor)

    def _announce(self, actor: Any, reply: Mapping[str, Any]) -> None:
        if actor in self._devices:
            return
        self._devices[actor] = (reply["device"], reply["node"])
        if len(self._devices) == self.n_actors:
            n_nodes = len({node for _, node in self._devices.values()})
            self.on_devices([f"{device} of {n_nodes} Ray node{'s' if n_nodes > 1 else ''}" for device, _ in self._devices.values()])

    def _packed(self, folder: str) -> Any:
        """A folder in Ray's object store, once for all nodes."""
        if folder not in self._carried:
            size_mb = sum(folders.listing(Path(folder)).values()) / 1e6
            if size_mb > CARRIED_MB:
                raise UserError(
                    f"{folder} ({size_mb:,.0f} MB) is not on every Ray node and too large to be sent there (limit {CARRIED_MB:,} MB): copy it there"
                )
            self._carried[folder] = ray.put(folders.pack(Path(folder)))
        return self._carried[folder]

    def _lost(self, actor: Any, place: int | None, error: Exception) -> Iterator[tuple[Task, None]]:
        """Put another actor in the place of one that died; it starts wherever there is room, now or later."""
        ray.kill(actor)
        if place is None:
            self._failed_starts += 1
            if self._failed_starts >= self.attempts * self.n_actors:
                raise UserError(f"Ray's actors do not start: {' '.join(str(error).split())}")
        else:
            self._begun[place] += 1
            if self._begun[place] < self.attempts:
                self._todo.appendleft(place)
            else:
                yield self._tasks[place], None
        if self._todo:
            self._hire()

    def _dismiss(self) -> None:
        actors = self._idle + [actor for actor, _ in self._flying.values()]
        closing = [actor.close.remote() for actor in self._idle + [actor for actor, place in self._flying.values() if place is not None]]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=CLOSE_LIMIT_S)
        for actor in actors:
            ray.kill(actor)


def _raise_of(reply: Mapping[str, Any]) -> None:
    if "mistake" in reply:
        raise UserError(reply["mistake"])
    if "errno" in reply:
        raise OSError(reply["errno"], os.strerror(reply["errno"]), reply["file"])


def node_address() -> str:
    """Of the node that this process is on."""
    return str(ray.util.get_node_ip_address())


def node_id() -> str:
    """Of the node that this process is on: several may share an address."""
    return str(ray.get_runtime_context().get_node_id())


def other_version(own: str, version: str) -> dict[str, str]:
    """What an actor replies whose code is another; nothing where it is the same."""
    if own == version:
        return {}
    why = f"has another version of Actial or of its packages ({own}, here {version}): install the same commit and requirements.lock there"
    return {"mistake": f"the Ray node {node_address()} {why}"}


def source_version(patterns: Sequence[str], packages: Sequence[str]) -> str:
    """Twelve hex digits of some of this project's source, of how crews work, and of the versions of packages, whatever device these are built for.

    Args:
        patterns: of files below `actial/`.
    """
    root = Path(actial.__file__).parent
    digest = hashlib.sha256()
    for path in sorted({path for pattern in ("*.py", "cluster/*.py", *patterns) for path in root.glob(pattern)}):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    for package in packages:
        digest.update(f"{package}=={importlib.metadata.version(package).partition('+')[0]}".encode())
    return digest.hexdigest()[:12]


@contextmanager
def connected(machine: Machine) -> Iterator[None]:
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
                _knock(address)
                ray.init(address, **quiet)
        except Exception as error:  # Ray raises a bare one where a node does not start in time
            said = f"no Ray cluster answers at {address}" if address else "Ray does not start on this machine"
            raise UserError(f"{said} (machine setting ray_address): {' '.join(str(error).split())}") from None
        try:
            yield
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Fail at once where nobody listens at `host:port`: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_LIMIT_S).close()
