"""Projects whose six stages were made once, and one `actial up` for all tests: server, deployment and MLflow."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from project import ALL, Flow, Project, change_sft, start_up


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One server and one set of made projects: all tests that need them in one xdist worker."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "made" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("doors"))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project brought up to date by `dvc repro`, and committed. Copy it before changing it."""
    project = Project.create(tmp_path_factory.mktemp("made") / "project")
    project.dvc("repro")
    assert project.ran() == ALL
    project.commit("made")
    return project


@pytest.fixture(scope="session")
def changed(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, after `sft.method` was changed, undisturbed."""
    project = made.copy_to(tmp_path_factory.mktemp("changed") / "project")
    change_sft(project)
    project.dvc("repro")
    assert project.ran() == ["sft", "grpo", "evaluate"]
    assert project.outputs() != made.outputs()
    return project


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    """An up-to-date project of the test's own."""
    return made.copy_to(tmp_path / "project")


@pytest.fixture(scope="session")
def served(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with `actial up` at work in it; its `env` leads to the server."""
    project = made.copy_to(tmp_path_factory.mktemp("served") / "project")
    project.env["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect"))
    up = start_up(project)
    try:
        yield project
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0, project.log("up")
        assert project.processes() == []
    finally:
        up.kill()
        up.wait()


@pytest.fixture
def own_prefect(project: Project, served: Project, tmp_path: Path) -> Project:
    """A project for a Prefect server of its own. Making Prefect's tables takes seven CPU seconds: they are copied from the server that runs."""
    (tmp_path / "prefect").mkdir()
    project.env |= {"PREFECT_HOME": str(tmp_path / "prefect"), "DO_NOT_TRACK": "true"}
    with closing(sqlite3.connect(Path(served.env["PREFECT_HOME"]) / "prefect.db")) as source, closing(sqlite3.connect(tmp_path / "prefect/prefect.db")) as copy:
        source.backup(copy)
    return project


@pytest.fixture
def flow(project: Project, served: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    """Runs the flow in this process, in `project`, against the server of `served`; returns the state's name by stage.

    A flow that stopped gives {"stopped": state name, "because": its message}.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.pipeline import pipeline

    for name, value in (project.env | {"PREFECT_API_URL": served.env["PREFECT_API_URL"]}).items():
        monkeypatch.setenv(name, value)
    project.env["PREFECT_API_URL"] = served.env["PREFECT_API_URL"]
    project.env["PREFECT_HOME"] = served.env["PREFECT_HOME"]
    monkeypatch.chdir(project.root)

    def run(**parameters: object) -> dict[str, str]:
        state = pipeline(return_state=True, **parameters)
        if not state.is_completed():
            return {"stopped": state.name or "", "because": state.message or ""}
        return {o.stage: o.state for o in state.result()}

    with temporary_settings({PREFECT_API_URL: served.env["PREFECT_API_URL"]}):
        yield run
