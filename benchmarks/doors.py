"""How much the doors cost when there is nothing to do: `python benchmarks/doors.py`.

In a temporary project with the six stages (toy bodies, all fresh), interleaved, as CPU seconds of the process and its children, and as ratios:

- `dvc repro` against `dvc status` (at most 2);
- `actial run` against twice `dvc status` plus a flow of six tasks that do nothing, both on the same running Prefect server (at most 1);
- `actial --help` (wall, under 0.5 s) and `actial plan` (wall, under 2 s).
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from actial.jobs import start_job, stop_job
from flows.servers import free_port, wait_until_answers

if TYPE_CHECKING:
    from project import Project

REPO = Path(__file__).resolve().parents[1]
ROUNDS = 7
BARE_FLOW = """
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
@task(cache_policy=NO_CACHE, persist_result=False)
def nothing(): ...
@flow(persist_result=False)
def six_times_nothing():
    for _ in range(6): nothing()
six_times_nothing()
"""


def measure(project: Project, command: list[str]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of a command in the project."""
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=project.root, env=os.environ | project.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall_s, after = time.monotonic() - start_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall_s


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} (of {len(ratios)} rounds: {min(ratios):.2f} to {max(ratios):.2f})"


def main() -> int:
    """Measure, print, and say whether every limit holds.

    Returns:
        The exit code: 0, or 1 where a limit is broken.
    """
    sys.path.insert(0, str(REPO / "tests" / "doors"))
    from project import Project  # the toy project of the tests

    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "project")
        api_url = f"http://127.0.0.1:{free_port()}/api"
        project.env |= {"PREFECT_API_URL": api_url, "PREFECT_HOME": f"{folder}/prefect", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        project.dvc("repro")
        python = [sys.executable, "-m"]
        port = api_url.split(":")[2].split("/")[0]
        server = start_job([*python, "prefect", "server", "start", "--host", "127.0.0.1", "--port", port], project.env, subprocess.DEVNULL)
        try:
            wait_until_answers(api_url, server, "the server")
            commands = {
                "dvc status": [*python, "dvc", "status"],
                "dvc repro": [*python, "dvc", "repro"],
                "bare flow": [sys.executable, "-c", BARE_FLOW],
                "actial run": [*python, "flows.cli", "run"],
                "actial --help": [*python, "flows.cli", "--help"],
                "actial plan": [*python, "flows.cli", "plan"],
            }
            for command in commands.values():
                measure(project, command)  # warm: bytecode, page cache, the flow's first registration
            rounds = [{name: measure(project, command) for name, command in commands.items()} for _ in range(ROUNDS)]
        finally:
            stop_job(server)
    return judge(rounds)


def judge(rounds: list[dict[str, tuple[float, float]]]) -> int:
    for name in rounds[0]:
        cpu, wall = (statistics.median(r[name][i] for r in rounds) for i in (0, 1))
        print(f"{name:<14} {cpu:6.2f} CPU-s {wall:6.2f} s wall")
    repro = [r["dvc repro"][0] / r["dvc status"][0] for r in rounds]
    run = [r["actial run"][0] / (2 * r["dvc status"][0] + r["bare flow"][0]) for r in rounds]
    print(f"dvc repro / dvc status: {spread(repro)}, at most 2")
    print(f"actial run / (2 x dvc status + a bare flow): {spread(run)}, at most 1")
    held = [statistics.median(repro) <= 2, statistics.median(run) <= 1]
    for name, limit_s in (("actial --help", 0.5), ("actial plan", 2.0)):
        best_s = min(r[name][1] for r in rounds)
        print(f"{name}: {best_s:.2f} s at best, under {limit_s} s")
        held.append(best_s < limit_s)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
