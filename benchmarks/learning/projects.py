"""Scratch projects in which the real stages run: a frozen copy of the code, one folder a seed and arm, each stage run once and its CPU seconds kept."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).resolve().parents[2]
CODE = ("actial", "tasks", "assets")
Params = dict[str, Any]


def freeze_code(folder: Path) -> str:
    """Copy the committed code once, so that edits of the checkout reach no run that is under way.

    Returns:
        The commit that the copy is of.
    """
    noted = folder / "COMMIT"
    if not noted.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPO, check=True, capture_output=True, text=True).stdout.strip()
        archive = subprocess.run(["git", "archive", commit, *CODE, "dvc.yaml", "profiles"], cwd=REPO, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
        noted.write_text(commit + "\n", encoding="utf-8")
    return noted.read_text(encoding="utf-8").strip()


class Project:
    """A folder in which `python -m tasks.<stage>` runs."""

    def __init__(self, folder: Path, code: Path, params: Params, outputs: dict[str, Path], workers: int) -> None:
        """
        Args:
            outputs: output folders of stages that were run elsewhere.
            workers: processes that a stage may use.
        """
        self.folder, self.workers, self.params = folder, workers, params
        for name in ("outputs", "data/assets", "data/captures", "data/external/benchmarks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name in CODE:
            link(folder / name, code / name)
        for stage, made in outputs.items():
            link(folder / "outputs" / stage, made)
        shutil.copy(code / "dvc.yaml", folder)
        self._write_params(params["seed"])

    def output(self, stage: str) -> Path:
        return self.folder / "outputs" / stage

    def _write_params(self, seed: int) -> None:
        _write(self.folder / "params.yaml", yaml.safe_dump(self.params | {"seed": seed}, sort_keys=False))

    def run_stage(self, stage: str, seed: int | None = None, **machine: int) -> float:
        """Run a stage that has not run yet. One that was cut off begins anew, so that its CPU seconds are all of it.

        Args:
            seed: another than the project's.
            machine: settings of machine.yaml.

        Returns:
            Its CPU seconds, all its processes together.

        Raises:
            RuntimeError: it failed.
        """
        if not self._note(stage).exists():
            for cut_off in (self.folder / "runs" / stage, self.folder / "kept" / stage):
                shutil.rmtree(cut_off, ignore_errors=True)
        self._write_params(self.params["seed"] if seed is None else seed)
        return self._once(stage, ["-m", f"tasks.{stage}"], machine)

    def run_inside(self, name: str, task: str, **arguments: Any) -> float:
        """Run a function of `learning.inside` with this project's code, once; it writes `inside/<name>.json`. Returns its CPU seconds. One that was cut off
        begins anew, as a stage does.

        Raises:
            RuntimeError: it failed.
        """
        if not self._note(name).exists():
            shutil.rmtree(self.folder / "inside" / "completions", ignore_errors=True)
        (self.folder / "inside").mkdir(exist_ok=True)
        wanted = {"arguments": arguments, "out": f"inside/{name}.json"}
        return self._once(name, ["-m", "learning.inside", task, json.dumps(wanted)], {})

    def made_inside(self, name: str) -> Any:
        return json.loads((self.folder / "inside" / f"{name}.json").read_text(encoding="utf-8"))

    def _note(self, name: str) -> Path:
        return self.folder / "done" / f"{name}.json"

    def _once(self, name: str, arguments: list[str], machine: dict[str, int]) -> float:
        note = self._note(name)
        if not note.exists():
            cpu_s = self._run(name, arguments, machine)
            note.parent.mkdir(exist_ok=True)
            _write(note, json.dumps({"cpu_s": round(cpu_s, 1)}))
        return float(json.loads(note.read_text(encoding="utf-8"))["cpu_s"])

    def _run(self, name: str, arguments: list[str], machine: dict[str, int]) -> float:
        settings = {"ACTIAL_TRACKING": "off", "ACTIAL_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        settings |= {"ACTIAL_WORKERS": str(self.workers), "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": f"{self.folder}:{REPO / 'benchmarks'}"}
        settings |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        settings |= {f"ACTIAL_{key.upper()}": str(value) for key, value in machine.items()}
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        print(f"{self.folder.parent.name}/{self.folder.name}: {name}", flush=True)
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen([sys.executable, *arguments], cwd=self.folder, env=os.environ | settings, stdout=file, stderr=subprocess.STDOUT)
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            tail = log.read_text(encoding="utf-8", errors="replace")[-1500:]
            raise RuntimeError(f"{name} of {self.folder} ended with exit code {process.returncode}; the end of its log:\n{tail}")
        return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def checkpoints_kept(project: Project, stage: str) -> Iterator[Path]:
    """While a stage trains, copy the weights of each of its checkpoints to `kept/<stage>/<step>/`: the trainer itself keeps but the last two."""
    kept, over = project.folder / "kept" / stage, threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            for state in project.folder.glob(f"runs/{stage}/*/checkpoints/checkpoint-*/trainer_state.json"):  # written last
                target = kept / state.parent.name.removeprefix("checkpoint-")
                part = target.with_suffix(".part")
                with contextlib.suppress(FileNotFoundError):  # the stage has just ended
                    if not target.exists():
                        part.mkdir(parents=True, exist_ok=True)
                        shutil.copy(state.parent / "model.safetensors", part)
                        part.rename(target)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield kept
    finally:
        over.set()
        watcher.join()


def as_models(kept: Path, finished: Path) -> dict[int, Path]:
    """Kept weights by step, each made a whole model folder with the other files of the finished model."""
    folders = {int(p.name): p for p in kept.iterdir() if p.name.isdigit()} if kept.exists() else {}
    for folder in folders.values():
        for file in finished.iterdir():
            if file.suffix != ".safetensors" and file.is_file():
                shutil.copy(file, folder)
    return dict(sorted(folders.items()))


def link(place: Path, target: Path) -> None:
    """Make `place` a relative link to `target`, unless it is one already."""
    if not place.is_symlink():
        place.symlink_to(os.path.relpath(target, place.parent))


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.rename(path)
