"""A temporary project: git, DVC, the six stage words, toy bodies, the real machinery."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

REPO = Path(__file__).resolve().parents[2]
TOY = Path(__file__).parent / "toy"
ALL = ("render_views", "build_qa", "cold_start_mix", "sft", "grpo", "evaluate")


def toy_dvc_yaml() -> dict:
    """The project's own dvc.yaml, with the toy's source files."""
    real = yaml.safe_load((REPO / "dvc.yaml").read_text())
    stages = {}
    for name, entry in real["stages"].items():
        inputs = [d for d in entry["deps"] if str(d).startswith("outputs/")]
        stages[name] = entry | {"cmd": f"python -m toy.{name}", "deps": [*inputs, f"toy/{name}.py", "toy/body.py"]}
    return {"stages": stages, "metrics": ["outputs/evaluate/metric.json"]}


class Project:
    """A project folder and its doors."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = os.environ | {
            "PYTHONPATH": str(REPO),
            "ACTIAL_TRACKING": "off",
            "DVC_SITE_CACHE_DIR": str(root.parent / "dvc-site"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        self.env |= {f"GIT_{who}_{what}": "toy" if what == "NAME" else "toy@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.env["PATH"] = str(Path(sys.executable).parent) + os.pathsep + self.env["PATH"]

    @classmethod
    def create(cls, root: Path) -> Project:
        root.mkdir(parents=True)
        shutil.copytree(TOY, root / "toy", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPO / "params.yaml", root / "params.yaml")
        shutil.copytree(REPO / "profiles", root / "profiles")
        shutil.copy(REPO / ".dvcignore", root / ".dvcignore")
        (root / "dvc.yaml").write_text(yaml.safe_dump(toy_dvc_yaml(), sort_keys=False))
        (root / ".gitignore").write_text("/outputs/\n/runs/\n/ran.log\n__pycache__/\n")
        project = cls(root)
        project.git("init", "-q")
        (root / ".dvc").mkdir()
        shutil.copy(REPO / ".dvc/config", root / ".dvc/config")
        (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
        project.commit("start")
        return project

    def run(self, *cmd: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(cmd, cwd=self.root, env=self.env | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"{cmd} ended with {done.returncode}:\n{done.stdout}")
        return done

    def git(self, *args: str) -> str:
        return self.run("git", *args).stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def dvc(self, *args: str, **options) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *args, **options)

    def ran(self) -> list[str]:
        """The bodies that really ran since this was last asked, in order."""
        path = self.root / "ran.log"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names
