"""`actial doctor`: what it says where something is missing."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows import doctor

REPO = Path(__file__).resolve().parents[1]


def run_doctor(folder: Path, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    """As a newcomer would: a new process, in `folder`."""
    cmd = [sys.executable, *flags, "-m", "flows.doctor"]
    return subprocess.run(cmd, cwd=folder, env=os.environ | {"PYTHONPATH": str(REPO)} | env, capture_output=True, text=True, check=False)


def project(folder: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(REPO / name, folder / name)
    (folder / ".dvc").mkdir()
    (folder / ".git").mkdir()
    return folder


def line_about(done: subprocess.CompletedProcess[str], word: str) -> str:
    lines = [line for line in done.stdout.splitlines() if word in line]
    assert len(lines) == 1, done.stdout
    return lines[0]


def test_in_the_project_it_is_quick_and_every_line_has_a_status() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_doctor(REPO)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 10
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("actial: error: ")]
    assert len(lines) == 11
    assert all(line.startswith(("ok ", "warning ", "FAIL ")) for line in lines)
    assert done.returncode == (2 if any(line.startswith("FAIL") for line in lines) else 0)
    assert line_about(done, "as a Python module, rendering on ").startswith("ok ")


def test_without_git_on_the_path(tmp_path: Path) -> None:
    done = run_doctor(project(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 2
    assert line_about(done, "git is not on the PATH").startswith("FAIL") and "apt-get install -y git" in done.stdout


def test_invalid_params_are_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    params = project(tmp_path) / "params.yaml"
    params.write_text(params.read_text().replace("n_scenes:", "n_scnes:"))
    done = run_doctor(tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "render_views.n_scenes" in line_about(done, "n_scnes")
    assert line_about(done, "base model").startswith("warning")


def test_missing_base_folder(tmp_path: Path) -> None:
    done = run_doctor(project(tmp_path))
    assert done.returncode == 2
    assert line_about(done, "model.base").startswith("FAIL")


def test_outside_of_a_checkout(tmp_path: Path) -> None:
    done = run_doctor(tmp_path)
    assert done.returncode == 2 and line_about(done, "no dvc.yaml").startswith("FAIL")


def test_where_nothing_is_installed_it_still_starts_and_says_so(tmp_path: Path) -> None:
    done = run_doctor(project(tmp_path), "-S")  # -S: no site-packages
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert line_about(done, "packages are not installed").startswith("FAIL") and "make demo" in done.stdout


def test_a_missing_library_is_named_with_the_apt_line() -> None:
    finding = doctor.check_libraries({"libX11.so.6": "libx11-6", "libNoSuchThing.so.7": "libnosuchthing7"})
    assert finding.status == "FAIL"
    assert "libNoSuchThing.so.7" in finding.what and "libX11.so.6" not in finding.what.split("apt-get")[0]
    assert "apt-get install -y libx11-6 libnosuchthing7" in finding.what


def test_a_wheel_that_does_not_load_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "bpy.py").write_text("raise ImportError('libXi.so.6: cannot open shared object file')\n")
    done = run_doctor(project(tmp_path))
    assert line_about(done, "libXi.so.6").startswith("FAIL")


@pytest.mark.skipif(sys.platform != "linux", reason="ldd reads Linux binaries")
def test_the_list_of_libraries_is_what_the_wheel_links_to_beyond_the_c_library() -> None:
    import importlib.util

    spec = importlib.util.find_spec("bpy")
    assert spec is not None and spec.origin is not None
    linked = subprocess.run(["ldd", spec.origin], capture_output=True, text=True, check=True).stdout
    outside = {line.split()[0] for line in linked.splitlines() if "=>" in line and "site-packages" not in line}
    assert set(doctor.LIBRARIES) <= outside


def test_a_package_of_another_version_is_a_warning(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==0.0.1\nPyYAML==6.0.0 ; python_version < '4'\n")
    finding = doctor.check_packages(lock)
    assert finding.status == "warning" and "numpy" in finding.what and "0.0.1" in finding.what
    lock.write_text("no-such-package==1.0\n")
    assert doctor.check_packages(lock).status == "FAIL"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_disk(tmp_path).status in ("ok", "warning")
    monkeypatch.setattr(doctor, "LEAST_GB", 1e9)
    assert doctor.check_disk(tmp_path).status == "FAIL"
