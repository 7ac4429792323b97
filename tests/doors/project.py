"""A temporary project: git, DVC, the six stage words, toy bodies, the real machinery."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from actial.jobs import start_job
from flows.servers import free_port

REPO = Path(__file__).resolve().parents[2]
TOY = Path(__file__).parent / "toy"
ALL = ["render_views", "build_qa", "cold_start_mix", "sft", "grpo", "evaluate"]
WAIT_S = 120.0
Flow = Callable[..., dict[str, str]]
"""Runs the flow in this process: the state's name by stage, or {"stopped": state name, "because": its message}."""


def toy_dvc_yaml() -> dict:
    """The project's own dvc.yaml, with the toy's source files."""
    real = yaml.safe_load((REPO / "dvc.yaml").read_text())
    stages = {}
    for name, entry in real["stages"].items():
        inputs = [d for d in entry["deps"] if not d.endswith(".py")]
        stages[name] = {
            "cmd": entry["cmd"].replace("tasks.", "toy."),
            "deps": [*inputs, f"toy/{name}.py", "toy/body.py"],
            "params": entry["params"],
            "outs": entry["outs"],
        }
    return {"stages": stages, "metrics": ["outputs/evaluate/metric.json"]}


def wait_for(what: Callable[[], object], said: str) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < give_up_s, f"waited {WAIT_S:.0f} s for: {said}"
        time.sleep(0.1)


class Project:
    """A project folder and what can be done to it from outside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {
            "PYTHONPATH": str(REPO),
            "ACTIAL_TRACKING": "off",
            "DVC_SITE_CACHE_DIR": str(root.parent / "dvc-site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "SHELL": "/bin/sh",
            "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
        }
        self.env |= {f"GIT_{who}_{what}": "toy@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    @classmethod
    def create(cls, root: Path) -> Project:
        root.mkdir(parents=True)
        shutil.copytree(TOY, root / "toy", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(REPO / "profiles", root / "profiles")
        for name in ("params.yaml", ".dvcignore", "prefect.toml"):
            shutil.copy(REPO / name, root / name)
        (root / "dvc.yaml").write_text(yaml.safe_dump(toy_dvc_yaml(), sort_keys=False))
        (root / ".gitignore").write_text("/outputs/\n/runs/\n/ran.log\n__pycache__/\n")
        for name in ("assets", "captures", "external"):
            (root / "data" / name).mkdir(parents=True)
            shutil.copy(REPO / "data" / name / "README.md", root / "data" / name)
        shutil.copytree(REPO / "data/external/benchmarks", root / "data/external/benchmarks")
        (root / ".dvc").mkdir()
        for name in ("config", ".gitignore"):
            shutil.copy(REPO / ".dvc" / name, root / ".dvc" / name)
        project = cls(root)
        project.git("init", "-q")
        project.commit("start")
        return project

    def copy_to(self, root: Path) -> Project:
        shutil.copytree(self.root, root, symlinks=True)
        return Project(root)

    def run(self, *cmd: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(cmd, cwd=self.root, env=os.environ | self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert not check or done.returncode == 0, f"{cmd} ended with {done.returncode}:\n{done.stdout}"
        return done

    def start(self, *cmd: str, log: str) -> subprocess.Popen[bytes]:
        """In the background, with its output in runs/<log>.log."""
        (self.root / "runs").mkdir(exist_ok=True)
        here = Path.cwd()
        os.chdir(self.root)
        try:
            with (self.root / "runs" / f"{log}.log").open("wb") as out:
                return start_job([sys.executable, "-m", *cmd], self.env, out)
        finally:
            os.chdir(here)

    def log(self, name: str) -> str:
        return (self.root / "runs" / f"{name}.log").read_text()

    def git(self, *args: str) -> str:
        return self.run("git", *args).stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def dvc(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *args, check=check)

    def actial(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "flows.cli", *args, check=check)

    def ran(self) -> list[str]:
        """The bodies that really ran since this was last asked, in order."""
        path = self.root / "ran.log"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def outputs(self) -> dict[str, bytes]:
        return {p.relative_to(self.root).as_posix(): p.read_bytes() for p in sorted((self.root / "outputs").rglob("*")) if p.is_file()}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text()
        assert old in text, f"{name} holds no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def change_params(self, section: str, **values: object) -> None:
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params[section] |= values
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def hold(self, stage: str) -> None:
        """Make the next body of a stage wait until `release`."""
        (self.root / "runs").mkdir(exist_ok=True)
        (self.root / f"runs/hold-{stage}").touch()

    def wait_until_held(self, stage: str) -> int:
        """Wait until a body waits; returns its process id."""
        note = self.root / f"runs/holding-{stage}"
        wait_for(lambda: note.exists() and note.read_text(), f"the body of {stage}")
        return int(note.read_text())

    def release(self, stage: str) -> None:
        (self.root / f"runs/holding-{stage}").unlink(missing_ok=True)
        (self.root / f"runs/hold-{stage}").unlink()

    def processes(self) -> list[psutil.Process]:
        """Whatever else runs in this project's folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and Path(process.cwd()) == self.root and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


def change_sft(project: Project) -> None:
    project.change_params("sft", freeze_vision=False)


def start_up(project: Project) -> subprocess.Popen[bytes]:
    """`actial up` at work in a project with a PREFECT_HOME of its own; `env` then leads to its server."""
    prefect, mlflow = free_port(), free_port()
    project.env |= {
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_API_URL": f"http://127.0.0.1:{prefect}/api",
        "DO_NOT_TRACK": "true",
    }
    up = project.start("flows.cli", "up", "--prefect-port", str(prefect), "--mlflow-port", str(mlflow), log="up")
    wait_for(lambda: "Ctrl-C stops all three" in project.log("up") or up.poll() is not None, "actial up")
    assert up.poll() is None, project.log("up")
    assert f"http://127.0.0.1:{mlflow}" in project.log("up")
    return up
