"""What must never be committed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
READMES = [f"data/{folder}/README.md" for folder in ("assets", "captures", "external")]


@pytest.mark.skipif(not TRACKED, reason="not a git checkout: nothing is tracked")
class TestTracked:
    def test_no_lock_file_that_names_an_index(self) -> None:
        assert not [f for f in TRACKED if Path(f).name in ("uv.lock", "poetry.lock", "package-lock.json")]

    def test_the_lock_holds_names_and_versions_only(self) -> None:
        for line in (ROOT / "requirements.lock").read_text().splitlines():
            assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.!]+( ; .*)?", line), line

    def test_nothing_past_five_megabytes(self) -> None:
        assert not [f for f in TRACKED if (ROOT / f).exists() and (ROOT / f).stat().st_size > 5_000_000]

    def test_the_project_ships_no_dvc_lock(self) -> None:
        assert "dvc.lock" not in TRACKED

    def test_the_folders_of_data_exist_in_every_clone_and_what_people_put_there_stays_out_of_git(self) -> None:
        assert [f for f in TRACKED if f.startswith("data/")] == [*READMES, "data/external/benchmarks/.gitignore"]
        ignored = ["data/assets/chair.glb", "data/captures/mug/images/1.jpg", "data/captures/transforms.json", "data/external/SAT_train.parquet"]
        ignored.append("data/external/benchmarks/blink")
        kept = [*READMES, "data/external/SAT_train.parquet.dvc", "data/external/benchmarks/blink.dvc"]
        said = subprocess.run(["git", "check-ignore", *ignored, *kept], cwd=ROOT, capture_output=True, text=True, check=True)
        assert said.stdout.splitlines() == ignored
