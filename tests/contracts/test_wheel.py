"""What `pip install` of a built wheel brings along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKED = ("actial", "tasks", "flows", "profiles")


def test_a_wheel_holds_what_the_command_needs_outside_of_a_checkout(tmp_path: Path) -> None:
    source, wheel, empty = (tmp_path / name for name in ("source", "wheel", "empty"))
    for name in PACKED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in (source / "tests", source / "docs", empty):
        folder.mkdir()
        (folder / "left_out.py").touch()
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, wheel], cwd=source, capture_output=True, check=True)
    (packed,) = wheel.glob("*.whl")
    with zipfile.ZipFile(packed) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "installed")
    assert names == {path.relative_to(source).as_posix() for name in PACKED for path in (source / name).rglob("*") if path.is_file()}
    used = [sys.executable, "-m", "flows.cli", "use", "smoke"]
    done = subprocess.run(used, cwd=empty, env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")}, capture_output=True, text=True, check=True)
    assert done.stdout == "params.yaml is now profile smoke\n"
    assert (empty / "params.yaml").read_bytes() == (ROOT / "profiles/smoke.yaml").read_bytes()
