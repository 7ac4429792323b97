"""Real Ray nodes on this machine, for tests that spread work over them and kill one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "ACTIAL_TEST_OF_RAY"


@dataclass
class Nodes:
    """A head without CPUs, and at most two nodes with one each."""

    process: subprocess.Popen[str]
    address: str

    def settings(self) -> dict[str, str]:
        """Of the environment of a program that uses them."""
        return {"ACTIAL_LAUNCHER": "ray", "ACTIAL_RAY_ADDRESS": self.address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "ACTIAL_TRACKING": "off"}

    def tell(self, word: str) -> None:
        """`two`: have two nodes again. `kill`: the last one, with all that runs on it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


@contextmanager
def ray_nodes() -> Iterator[Nodes]:
    """They leave nothing behind."""
    folder = tempfile.mkdtemp(prefix="ray-")  # a socket's path must be short
    program = Path(__file__).with_name("ray_cluster.py")
    env = os.environ | {MARK: folder}
    with subprocess.Popen([sys.executable, str(program), folder], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = process.stdout.readline().strip()
            assert address
            yield Nodes(process, address)
        finally:
            process.communicate(timeout=60)
            shutil.rmtree(folder, ignore_errors=True)
    until = time.monotonic() + 30  # on a busy machine its processes need a while to end
    while marked() and time.monotonic() < until:
        time.sleep(0.2)
    assert not marked(), "nothing of the cluster is left"


def marked() -> list[str]:
    """Command lines of the cluster's processes, and of what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            if MARK in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
