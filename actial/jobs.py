"""Child processes: run in a group of their own, streamed line by line, stopped whole, never outliving whoever started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING

from actial.errors import PREFIX, UserError

if TYPE_CHECKING:
    from psutil import Process

PROGRESS_EVERY_S = 10.0
"""A progress bar that redraws itself (lines ended by a carriage return) is logged at most this often."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: nothing may be loaded between fork and exec


class JobFailed(Exception):
    """A child process ended with an exit code other than 0 and without a user's mistake in its log."""

    def __init__(self, cmd: Sequence[str], exit_code: int, last_lines: Sequence[str]) -> None:
        how = f"was stopped by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        super().__init__(f"`{' '.join(cmd)}` {how}; its last lines:\n" + "\n".join(last_lines))
        self.cmd, self.exit_code, self.last_lines = tuple(cmd), exit_code, tuple(last_lines)


def die_with_parent(term: int = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when the thread that started it ends (Linux): a killed run leaves nothing behind."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(term))


def exit_on_terminate() -> None:
    """Make SIGTERM end this process by `SystemExit`, so that `finally` blocks run and jobs of its own are stopped too."""

    def leave(signum: int, frame: object) -> None:
        sys.exit(128 + signum)

    signal.signal(signal.SIGTERM, leave)


def start_job(cmd: Sequence[str], env: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start `cmd` in a session of its own, with `python` meaning this interpreter; standard error goes to standard output.

    Call it from the main thread: the kernel ends the child when the starting *thread* ends. `env` is laid over this process's environment.
    """
    parent = os.getpid()

    def in_child() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's `&` makes it ignored below, and `actial up` could not be stopped by it
        die_with_parent()
        if os.getppid() != parent:  # the parent died before the request above
            os._exit(128 + signal.SIGTERM)

    full_env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
    full_env["PATH"] = os.path.dirname(sys.executable) + os.pathsep + full_env.get("PATH", os.defpath)
    return subprocess.Popen(
        list(cmd), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT, env=full_env, start_new_session=True, preexec_fn=in_child
    )


def stop_job(child: subprocess.Popen[bytes], grace_s: float = 10.0) -> None:
    """End a job and everything below it: SIGTERM to the whole tree, SIGKILL to what is left after `grace_s` seconds."""
    import psutil

    tree = [psutil.Process(child.pid)] if child.poll() is None else []
    tree += _below(tree)
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _signal_group(child.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(tree, timeout=grace_s)
    stubborn = alive + _below(alive)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=grace_s)  # the kernel takes a moment
    _signal_group(child.pid, signal.SIGKILL)  # what left the tree (its parent ended) but not the group
    child.wait()


def run_job(cmd: Sequence[str], log: Callable[[str], None], env: Mapping[str, str] | None = None, grace_s: float = 10.0) -> None:
    """Run `cmd` to its end and pass its output to `log`, line by line, while it runs.

    Whatever interrupts the wait (an exception in `log`, Ctrl-C, a cancellation) stops the whole tree of processes first.

    Raises:
        UserError: the job ended with an error and had printed a user's mistake (a line that starts with `actial.errors.PREFIX`).
        JobFailed: the job ended with any other error.
    """
    last_lines: deque[str] = deque(maxlen=20)
    mistake: str | None = None
    child = start_job(cmd, env)
    try:
        for line in _lines(child):
            if line.startswith(PREFIX):
                mistake = line.removeprefix(PREFIX)
            last_lines.append(line)
            log(line)
        exit_code = child.wait()
    finally:
        stop_job(child, grace_s)
        assert child.stdout is not None
        child.stdout.close()
    if exit_code and mistake:
        raise UserError(mistake)
    if exit_code:
        raise JobFailed(cmd, exit_code, last_lines)


def _lines(child: subprocess.Popen[bytes]) -> Iterator[str]:
    """Lines of a child's output until it closes it, or has ended and stays silent (a stray grandchild may hold the pipe open)."""
    assert child.stdout is not None
    pipe, rest, next_progress_s = child.stdout.fileno(), b"", 0.0
    while True:
        if not select.select([pipe], [], [], 0.5)[0]:
            if child.poll() is not None:
                break
            continue
        if not (chunk := os.read(pipe, 1 << 16)):
            break
        *ended, rest = re.split(rb"(?<=[\r\n])", rest + chunk)
        for line in ended:
            if line.endswith(b"\r"):
                if time.monotonic() < next_progress_s:
                    continue
                next_progress_s = time.monotonic() + PROGRESS_EVERY_S
            if text := line.decode(errors="replace").rstrip():
                yield text
    if text := rest.decode(errors="replace").rstrip():
        yield text


def _below(processes: Sequence[Process]) -> list[Process]:
    """What descends from these processes and still runs."""
    from psutil import NoSuchProcess

    found: list[Process] = []
    for process in processes:
        with contextlib.suppress(NoSuchProcess):
            found += process.children(recursive=True)
    return found


def _signal_group(group: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)
