"""A report of toy outputs, made once for each file of tests that asks for it."""

from pathlib import Path

import pytest
from toy_outputs import write_toy_outputs

from actial.report.build import write_report


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_toy_outputs(folder / "outputs")
    return folder


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    return write_report(project / "outputs", project / "runs" / "report" / "index.html")
