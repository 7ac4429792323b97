"""A temporary project with a real MLflow database (sqlite) in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tracked_project import REPO, Project

from tasks import run_log, tracking


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, without a run: making them takes a second, so every test gets a copy."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    run_log.connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(tmp_path: Path, blank_database: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return enter_project(tmp_path, blank_database, monkeypatch)


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory: pytest.TempPathFactory, blank_database: Path) -> Iterator[Project]:
    """One project for a whole module, for tests that only add to it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield enter_project(tmp_path_factory.mktemp("project"), blank_database, monkeypatch)


def enter_project(folder: Path, blank_database: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in (run_log.SWITCH, tracking.PARENT_RUN, run_log.FLOW_RUN_URL, "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)
    shutil.copy(REPO / "params.yaml", "params.yaml")
    stages = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]
    whole = [entry["outs"][0] for entry in stages.values()]
    for entry in stages.values():
        entry["deps"] = [d for d in entry.get("deps", []) if d in whole]
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    shutil.copytree(REPO / "profiles", "profiles")
    shutil.copy(blank_database, "mlflow.db")
    return Project(folder)
