"""`actial doctor`: can this machine and this folder run the pipeline? A line a check: ok, warning or FAIL, with the remedy.

Needs the standard library only: it starts where nothing is installed yet, and says what is missing.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PYTHON = (3, 11)
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
}
"""Shared libraries that the bpy wheel links to but does not bring (`ldd` over the wheel), and Debian's package of each."""

NEEDED_GB, LEAST_GB = 6.0, 2.0
"""Disk: what the environment and the demo take together, and what is too little to begin with."""

Status = Literal["ok", "warning", "FAIL"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    status: Status
    what: str
    """One sentence; for a warning or a failure with its remedy."""


def main() -> int:
    """Print every finding.

    Returns:
        The exit code: 0, or 2 where something would stop the pipeline.
    """
    failed = False
    for finding in diagnose():
        print(f"{finding.status:<8} {finding.what}", flush=True)
        failed = failed or finding.status == "FAIL"
    if failed:
        print(
            "actial: error: this machine or folder cannot run the pipeline yet: mend the lines that begin with FAIL, then run `actial doctor` again", flush=True
        )
    return 2 if failed else 0


def diagnose() -> Iterator[Finding]:
    """All findings, in the order in which they should be mended. The slow checks run side by side."""
    checks: tuple[Callable[[], Finding], ...] = (
        check_python,
        check_packages,
        check_libraries,
        check_blender,
        check_git,
        check_checkout,
        check_params,
        check_machine,
        check_base_model,
        check_disk,
        check_gpu,
    )
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda check: check(), checks)


def check_python() -> Finding:
    said = f"Python {sys.version.split()[0]} ({sys.executable})"
    if sys.version_info[:2] != PYTHON:
        return Finding(
            "FAIL", f"{said}: Blender's wheel exists for Python 3.11 only; install it and run `make demo` again, or `make PYTHON=/path/to/python3.11 demo`"
        )
    return Finding("ok", said)


def check_packages(lock: Path | None = None) -> Finding:
    """Whether every package of requirements.lock is installed, in that version."""
    lock = lock or Path(__file__).parents[1] / "requirements.lock"
    if not lock.exists():
        return Finding("warning", f"{lock} does not exist, so installed packages were not compared with it")
    wanted = dict(re.findall(r"^([A-Za-z0-9_.\-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))
    present = {name: _installed(name) for name in wanted}
    missing = [name for name, version in present.items() if version is None]
    others = [f"{name} {version} ({wanted[name]})" for name, version in present.items() if version and version.split("+")[0] != wanted[name].split("+")[0]]
    if missing:
        return Finding(
            "FAIL", f"{len(missing)} of {len(wanted)} packages are not installed ({_some(missing)}): run `make demo` or `make test`, which install them"
        )
    if others:
        return Finding(
            "warning", f"{len(others)} packages differ from requirements.lock ({_some(others)}): if something breaks, `rm -r .venv` and run `make demo`"
        )
    return Finding("ok", f"{len(wanted)} packages as in requirements.lock")


def check_libraries(libraries: dict[str, str] | None = None) -> Finding:
    libraries = LIBRARIES if libraries is None else libraries
    if sys.platform != "linux":
        return Finding("ok", "system libraries: bpy brings its own on this platform")
    missing = [name for name in libraries if not _loads(name)]
    if missing:
        packages = " ".join(libraries.values())
        return Finding("FAIL", f"Blender links to {_some(missing)}, not on this system: run `apt-get install -y {packages}` as root")
    return Finding("ok", f"system libraries that Blender links to ({len(libraries)})")


GPUS_OF_BLENDER = """
import os, bpy
preferences = bpy.context.preferences.addons["cycles"].preferences
kinds = [kind for kind, *_ in preferences.get_device_types(bpy.context) if kind != "NONE"]
gpus = sorted({f"{name} ({kind})" for k in kinds for name, kind, *_ in preferences.get_device_list(k) if kind != "CPU"})
print(f"{bpy.app.version_string} as a Python module, rendering on", ", ".join(gpus) or "the CPU", flush=True)
os._exit(0)
"""


def check_blender() -> Finding:
    """Whether the wheel really loads, and which GPUs it could render on; in a process of its own, which it may take down."""
    try:
        done = subprocess.run([sys.executable, "-c", GPUS_OF_BLENDER], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return Finding("FAIL", "Blender's wheel (bpy) did not load within 60 s: is the disk or the machine overloaded?")
    if done.returncode:
        reason = _last_line(done.stderr) or f"exit code {done.returncode}"
        return Finding("FAIL", f"Blender's wheel (bpy) does not load: {reason}; mend the lines above, or reinstall it with `make demo`")
    return Finding("ok", f"Blender {_last_line(done.stdout)}")


def check_git() -> Finding:
    if shutil.which("git") is None:
        return Finding("FAIL", "git is not on the PATH: DVC and the record of versions need it; run `apt-get install -y git` as root")
    return Finding("ok", f"git ({shutil.which('git')})")


def check_checkout() -> Finding:
    folder = Path.cwd()
    if not Path("dvc.yaml").exists():
        return Finding("FAIL", f"{folder} holds no dvc.yaml: run from the project's folder, made with `git clone`")
    if not Path(".dvc").is_dir():
        return Finding("FAIL", f"{folder} is no DVC project: clone the project with git, or run `dvc init` here")
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return Finding("FAIL", f"{folder} is not under git: clone the project with git, or run `git init` here")
    return Finding("ok", f"checkout under git and DVC ({folder})")


def check_params() -> Finding:
    return _without_packages(_check_params)


def check_machine() -> Finding:
    return _without_packages(_check_machine)


def check_base_model() -> Finding:
    return _without_packages(_check_base_model)


def check_disk(folder: Path = Path(".")) -> Finding:
    free_gb = shutil.disk_usage(folder).free / 1e9
    said = f"{free_gb:.1f} GB of disk free"
    if free_gb < LEAST_GB:
        return Finding("FAIL", f"{said}; at least {LEAST_GB:g} GB are needed: free some space, or clone to a larger disk")
    if free_gb < NEEDED_GB:
        return Finding(
            "warning", f"{said}; the environment and the demo together take about {NEEDED_GB:g} GB: free some space if the environment is not installed yet"
        )
    return Finding("ok", said)


def check_gpu() -> Finding:
    """A GPU is welcome, never needed."""
    if shutil.which("nvidia-smi") is None:
        return Finding("ok", "no NVIDIA GPU: the tiny profile runs on the CPU; the single-gpu and paper profiles need one")
    code = "from torch import cuda; print(*map(cuda.get_device_name, range(cuda.device_count())), sep=', ')"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return Finding("warning", "a GPU is there, but torch did not answer within 60 s: try `nvidia-smi`; everything runs on the CPU meanwhile")
    if done.returncode or not done.stdout.strip():
        reason = _last_line(done.stderr) or "it sees none"
        return Finding(
            "warning",
            f"a GPU is there, but torch cannot use it ({reason}): update the driver or install torch's CUDA build; everything runs on the CPU meanwhile",
        )
    return Finding("ok", f"GPU: {done.stdout.strip()}")


def _check_params() -> Finding:
    from actial.params import load_params

    load_params("params.yaml")
    return Finding("ok", "params.yaml")


def _check_machine() -> Finding:
    from actial.machine import MACHINE_FILE, load_machine

    load_machine()
    return Finding("ok", MACHINE_FILE if Path(MACHINE_FILE).exists() else f"machine settings (defaults; {MACHINE_FILE} would change them)")


def _check_base_model() -> Finding:
    from actial.errors import UserError
    from actial.models.load import check_base
    from actial.params import load_params

    try:
        model = load_params("params.yaml").model
    except UserError:
        return Finding("warning", "the base model was not looked at, because params.yaml is not valid")
    check_base(model)
    return Finding("ok", f"base model {model.base}" + (f" at {model.revision} (from the hub)" if model.revision else ", checksum as in params.yaml"))


def _without_packages(check: Callable[[], Finding]) -> Finding:
    """A check that needs the project's own modules, where even those may not import yet."""
    try:
        from actial.errors import UserError
    except ImportError as error:
        return Finding("FAIL", f"the project itself does not import: {error}; run `make demo`, which installs it")
    try:
        return check()
    except ImportError as error:
        return Finding("FAIL", f"a check could not run: {error}; run `make demo`, which installs what is missing")
    except UserError as error:
        return Finding("FAIL", " ".join(str(error).split()))


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _some(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


if __name__ == "__main__":
    sys.exit(main())
