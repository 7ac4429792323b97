"""Toy outputs of the stages that are exported, made once; a test that changes them takes a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from toy_outputs import write_toy_outputs


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "outputs"
    write_toy_outputs(folder)
    (folder / "build_qa" / "README.md").write_text("# Card\n\n## Splits\n\nx\n\n## Shortcut audit\n\nA table of probes.\n", encoding="utf-8")
    return folder


@pytest.fixture
def copied(outputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(outputs, tmp_path / "outputs"))
