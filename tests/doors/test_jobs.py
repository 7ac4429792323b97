"""Jobs: streamed, stopped whole, their failure told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from project import wait_for

from actial.errors import PREFIX, UserError
from actial.jobs import JobFailed, run_job

PY = sys.executable


def code(text: str) -> list[str]:
    return ["python", "-c", text]


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_output_comes_line_by_line_while_the_job_runs() -> None:
    arrived: list[tuple[str, float]] = []
    run_job(code("import sys, time\nprint('one')\ntime.sleep(0.6)\nprint('two', file=sys.stderr)"), lambda line: arrived.append((line, time.monotonic())))
    assert [line for line, _ in arrived] == ["one", "two"]
    assert arrived[1][1] - arrived[0][1] > 0.3


def test_python_is_this_interpreter_and_the_environment_is_laid_over(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setenv("ABOVE", "kept")
    run_job(code("import os, sys; print(sys.prefix, os.environ['ABOVE'], os.environ['GIVEN'])"), lines.append, env={"GIVEN": "1"})
    assert lines == [f"{sys.prefix} kept 1"]


def test_a_failure_carries_its_code_and_last_lines() -> None:
    with pytest.raises(JobFailed) as failure:
        run_job(code("import sys\nfor i in range(50): print(i)\nsys.exit(7)"), lambda line: None)
    assert failure.value.exit_code == 7
    assert failure.value.last_lines[-1] == "49"
    assert len(failure.value.last_lines) == 20


def test_a_users_mistake_stays_one_sentence() -> None:
    said = f"import sys; print({PREFIX!r} + 'mend the key', file=sys.stderr); print('more'); sys.exit(2)"
    with pytest.raises(UserError, match=r"^mend the key$"):
        run_job(code(said), lambda line: None)
    run_job(code(said.replace("sys.exit(2)", "sys.exit(0)")), lambda line: None)  # it got over it


def test_a_progress_bar_is_thinned() -> None:
    lines: list[str] = []
    run_job(code("import sys\nfor i in range(1000): sys.stdout.write(f'{i} of 1000\\r')\nprint('done')"), lines.append)
    assert lines[0] == "0 of 1000"
    assert lines[-1] == "done"
    assert len(lines) < 5


def test_a_stray_grandchild_neither_hangs_nor_survives(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    stray = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); open({str(note)!r}, 'w').write(str(p.pid))"
    start_s = time.monotonic()
    run_job(code(stray), lambda line: None)
    assert time.monotonic() - start_s < 20
    wait_for(lambda: is_gone(int(note.read_text())), "the end of the grandchild")


@pytest.mark.parametrize("stubborn", [False, True])
def test_an_interruption_stops_the_whole_tree_also_what_left_the_group(stubborn: bool, tmp_path: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else ""
    child = f"{ignore}\nimport time\ntime.sleep(60)"
    tree = f"""
import subprocess, sys, time
{ignore}
p = subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)
time.sleep(0.5)
print(p.pid)
time.sleep(60)
"""
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(code(tree), interrupt, grace_s=1)
    assert is_gone(pids[0])


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux")
def test_a_job_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    job = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = subprocess.Popen([PY, "-c", f"from actial.jobs import run_job; run_job(['python', '-c', {job!r}], print)"])
    wait_for(lambda: note.exists() and note.read_text(), "the job")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: is_gone(int(note.read_text())), "the end of the job")


def test_a_body_ends_in_order_on_sigterm(tmp_path: Path) -> None:
    """`exit_on_terminate`: finally blocks run, so that a stage's own jobs are stopped."""
    waits = "try:\n    print('ready', flush=True)\n    time.sleep(60)\nfinally:\n    print('ended')"
    text = f"import time\nfrom actial.jobs import exit_on_terminate\nexit_on_terminate()\n{waits}"
    child = subprocess.Popen([PY, "-c", text], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    os.kill(child.pid, signal.SIGTERM)
    assert child.communicate(timeout=20)[0] == "ended\n"
    assert child.returncode == 143


def test_a_job_can_be_interrupted_though_its_starter_ignores_it() -> None:
    said: list[str] = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_job([sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"], said.append)
    finally:
        signal.signal(signal.SIGINT, before)
    assert said == ["True"]
