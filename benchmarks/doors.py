"""How much the doors cost when there is nothing to do: `python benchmarks/doors.py`.

In a temporary project with the six stages (toy bodies, the real sources as `deps`, all fresh, tracking on), interleaved, as CPU seconds of the process
and its children, and as ratios:

- `dvc repro` against `dvc status` (at most 2);
- `actial run` against twice `dvc status` plus an empty flow, both on the same running Prefect server (at most 1);
- the same without a server: both start a temporary one;
- `actial --help` (wall, under 0.5 s) and `actial plan` (wall, under 2 s).
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from actial.jobs import start_job, stop_job
from actial.params import STAGES
from flows.servers import free_port, wait_until_answers

if TYPE_CHECKING:
    from project import Project

REPO = Path(__file__).resolve().parents[1]
ROUNDS, ROUNDS_ALONE = 7, 3
Round = dict[str, tuple[float, float]]
"""(CPU seconds, wall seconds) by command."""

EMPTY_FLOW = """
from prefect import flow
@flow(persist_result=False)
def nothing(): ...
nothing()
"""


def measure(project: Project, command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of a command in the project."""
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=project.root, env=os.environ | project.env | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall_s, after = time.monotonic() - start_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall_s


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} (of {len(ratios)} rounds: {min(ratios):.2f} to {max(ratios):.2f})"


def made_project(folder: Path) -> Project:
    """The tests' toy project with the real stages' sources as `deps`, everything made, and a pipeline run in MLflow that stands for it."""
    sys.path.insert(0, str(REPO / "tests" / "doors"))
    from project import Project

    from tasks import run_facts, versioning

    project = Project.create(folder)
    for package in ("actial", "tasks"):
        shutil.copytree(REPO / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "dvc.yaml").write_text((REPO / "dvc.yaml").read_text(encoding="utf-8").replace("python -m tasks.", "python -m toy."), encoding="utf-8")
    project.env |= {"PYTHONDONTWRITEBYTECODE": "", "PREFECT_HOME": f"{folder.parent}/prefect", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    project.dvc("repro")
    os.chdir(folder)
    run_facts.write_note(run_facts.LAST_PIPELINE, {"run_id": "made", "outs": {stage: versioning.locked(stage).out for stage in STAGES}})
    (folder / "mlflow.db").touch()
    project.env["ACTIAL_TRACKING"] = "on"
    return project


def main() -> int:
    """Measure, print, and say whether every limit holds.

    Returns:
        The exit code: 0, or 1 where a limit is broken.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = made_project(Path(folder) / "project")
        port = free_port()
        with_server = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        alone = {"PREFECT_API_URL": "", "PREFECT_SERVER_EPHEMERAL_ENABLED": "true", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}
        python = [sys.executable, "-m"]
        commands = {
            "dvc status": ([*python, "dvc", "status"], with_server),
            "dvc repro": ([*python, "dvc", "repro"], with_server),
            "empty flow": ([sys.executable, "-c", EMPTY_FLOW], with_server),
            "actial run": ([*python, "flows.cli", "run"], with_server),
            "actial --help": ([*python, "flows.cli", "--help"], with_server),
            "actial plan": ([*python, "flows.cli", "plan"], with_server),
        }
        commands_alone = {"dvc status": commands["dvc status"]} | {name: (commands[name][0], alone) for name in ("empty flow", "actial run")}
        server = start_job([*python, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)], project.env | with_server, subprocess.DEVNULL)
        try:
            wait_until_answers(with_server["PREFECT_API_URL"], server, "the server")
            rounds = measured(project, commands, ROUNDS)
        finally:
            stop_job(server)
        return judge(rounds, measured(project, commands_alone, ROUNDS_ALONE))


def measured(project: Project, commands: dict[str, tuple[list[str], dict[str, str]]], n: int) -> list[Round]:
    """`n` interleaved rounds, after one that warms bytecode, the page cache and Prefect's registration of the flow."""
    return [{name: measure(project, *command) for name, command in commands.items()} for _ in range(n + 1)][1:]


def judge(rounds: list[Round], rounds_alone: list[Round]) -> int:
    held = []
    for title, some in (("with a running server", rounds), ("without", rounds_alone)):
        print(title)
        for name in some[0]:
            cpu, wall = (statistics.median(r[name][i] for r in some) for i in (0, 1))
            print(f"  {name:<14} {cpu:6.2f} CPU-s {wall:6.2f} s wall")
        run = [r["actial run"][0] / (2 * r["dvc status"][0] + r["empty flow"][0]) for r in some]
        print(f"  actial run / (2 x dvc status + an empty flow): {spread(run)}, at most 1")
        held.append(statistics.median(run) <= 1)
    repro = [r["dvc repro"][0] / r["dvc status"][0] for r in rounds]
    print(f"dvc repro / dvc status: {spread(repro)}, at most 2")
    held.append(statistics.median(repro) <= 2)
    for name, limit_s in (("actial --help", 0.5), ("actial plan", 2.0)):
        best_s = min(r[name][1] for r in rounds)
        print(f"{name}: {best_s:.2f} s at best, under {limit_s} s")
        held.append(best_s < limit_s)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
