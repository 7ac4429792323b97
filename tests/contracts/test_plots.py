"""`dvc plots diff` of two revisions draws the learning curves and the accuracy by kind, in a real repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CURVES = {"sft": ("SFT loss", "loss"), "grpo": ("GRPO reward", "reward")}


def write_outputs(folder: Path, accuracy: float) -> None:
    for stage, (_, column) in CURVES.items():
        (folder / stage).mkdir(parents=True, exist_ok=True)
        (folder / stage / "curve.csv").write_text(f"step,{column}\n1,{accuracy}\n2,0.5\n")
    (folder / "evaluate").mkdir(exist_ok=True)
    rows = "".join(f"{model} think {kind},{model},think,{kind},{accuracy},0.1,0.333\n" for model in ("sft", "grpo") for kind in ("orbit", "turn"))
    (folder / "evaluate" / "accuracy.csv").write_text(f"label,model,mode,group,accuracy,stderr,chance\n{rows}")


def test_both_revisions_stand_in_every_plot(tmp_path: Path) -> None:
    who = {f"GIT_{who}_{what}": "toy@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = os.environ | who | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "GIT_CONFIG_GLOBAL": os.devnull}
    project = tmp_path / "project"

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=True).stdout

    shutil.copytree(ROOT / ".dvc" / "plots", project / ".dvc" / "plots")
    shutil.copy(ROOT / ".dvc" / "config", project / ".dvc")
    (project / "dvc.yaml").write_text(yaml.safe_dump({"plots": yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]}))
    run("git", "init", "-q")
    for accuracy in (0.4, 0.6):
        write_outputs(project / "outputs", accuracy)
        run("git", "add", "-A")
        run("git", "commit", "-qm", f"{accuracy}")
    plots: dict[str, Any] = json.loads(run(sys.executable, "-m", "dvc", "plots", "diff", "--json", "HEAD~1", "HEAD"))["data"]
    drawn = {name: of[0]["content"] for name, of in plots.items()}
    assert {name: of["title"]["text"] for name, of in drawn.items()} == {
        "outputs/sft/curve.csv": "SFT loss",
        "outputs/grpo/curve.csv": "GRPO reward",
        "outputs/evaluate/accuracy.csv": "Accuracy on held-out questions",
    }
    bars = drawn["outputs/evaluate/accuracy.csv"]
    assert {(v["rev"], float(v["accuracy"])) for v in bars["data"]["values"]} == {("HEAD~1", 0.4), ("HEAD", 0.6)} and len(bars["data"]["values"]) == 8
    assert bars["encoding"]["y"]["field"] == "label" and bars["encoding"]["color"]["field"] == "rev" and "<DVC_METRIC" not in json.dumps(bars)
