"""Logs of workers: quiet where all is well, whole where something was lost."""

import os
from pathlib import Path
from typing import ClassVar

import pytest

from actial.views.supervisor import LOST, Done, Supervisor
from actial.views.worker_log import WorkerLog

PROGRESS = (
    "Fra:1 Mem:12.43M (Peak 12.43M) | Time:00:00.03 | Mem:0.00M, Peak:0.00M | Scene, ViewLayer | Updating Shaders\n"
    "Saved: '/proc/self/fd/5'\nTime: 00:00.05 (Saving: 00:00.00)\n Time: 00:00.05\n\n"
)
WORKER = """
import ctypes, json, os, sys

def falls_over():
    ctypes.string_at(0)

with os.fdopen(int(sys.argv[1]), "w", buffering=1) as replies:
    sys.stdin.readline()
    print(json.dumps({"ready": True}), file=replies)
    for line in sys.stdin:
        print("Fra:1 in the midst of", line.strip(), flush=True)
        if line.startswith("bad"):
            falls_over()
        print(json.dumps({"done": line.strip()}), file=replies)
"""


def test_progress_goes_and_messages_stay(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+b") as file:
        os.write(file.fileno(), b"Using only the CPU for rendering\n")
        log, other = WorkerLog(file.fileno()), os.dup(file.fileno())  # standard error
        for i in range(3):
            os.write(file.fileno(), PROGRESS.encode() + f"Error: texture {i} is missing\n".encode())
            os.write(other, b"  a line that says Fra:1 further on\n" + PROGRESS.encode())
            assert PROGRESS in (tmp_path / "log").read_text(), "until the scene is done, all of it is there"
            log.drop_progress()
        os.write(other, b"the last word")
        os.close(other)
    lines = (tmp_path / "log").read_text().splitlines()
    messages = [line for i in range(3) for line in (f"Error: texture {i} is missing", "  a line that says Fra:1 further on")]
    assert lines == ["Using only the CPU for rendering", *messages, "the last word"]


def test_what_is_no_file_is_left_alone() -> None:
    read_fd, write_fd = os.pipe()
    log = WorkerLog(write_fd)
    os.write(write_fd, PROGRESS.encode())
    log.drop_progress()
    os.close(write_fd)
    with os.fdopen(read_fd) as pipe:
        assert pipe.read() == PROGRESS


def test_the_log_of_a_lost_worker_is_kept_and_says_where_it_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Toys(Supervisor):
        module: ClassVar[str] = "toy_worker"
        word: ClassVar[str] = "toy"
        software: ClassVar[str] = "a toy"

    (tmp_path / "toy_worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names = ["first", "bad", "last"]
    assert list(Toys({}, tmp_path / "logs", 1, 60).work(names)) == [Done("first", None), Done("bad", "toy died (SIGSEGV)"), Done("last", None)]
    assert [p.name for p in (tmp_path / "logs" / LOST).iterdir()] == ["bad.log"]
    kept, log = (tmp_path / "logs" / LOST / "bad.log").read_text(), (tmp_path / "logs/worker-0.log").read_text()
    assert "Fra:1 in the midst of bad" in kept and "Segmentation fault" in kept and "in falls_over" in kept
    assert log == "Fra:1 in the midst of last\n", "the worker after it began its log anew"
