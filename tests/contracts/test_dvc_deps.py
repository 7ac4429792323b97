"""dvc.yaml lists exactly what a stage's bytes depend on: an edit of the report never retrains a model, a helper's edit is never missed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from closure import EXEMPT, ROOT, closure

from actial.params import STAGES
from tasks.versioning import ancestors

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))


def test_stages_are_the_six_words_in_order() -> None:
    assert tuple(DVC["stages"]) == STAGES
    for stage, entry in DVC["stages"].items():
        assert entry["cmd"] == f"exec python -m tasks.{stage}"
        assert entry["outs"] == [f"outputs/{stage}"]
        assert {"seed", stage} <= set(entry["params"])


@pytest.mark.parametrize("stage", STAGES)
def test_sources_are_the_import_closure(stage: str) -> None:
    listed = {dep for dep in DVC["stages"][stage]["deps"] if dep.endswith(".py")}
    assert listed == closure(stage), f"`python tests/contracts/closure.py {stage}` prints what dvc.yaml should list"


def test_exempt_files_exist() -> None:
    assert {path for path in EXEMPT if not (ROOT / path).exists()} == set()


def test_inputs_come_from_earlier_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for i, stage in enumerate(STAGES):
        assert set(ancestors(stage)) <= set(STAGES[:i])


def test_closure_follows_functions_strings_and_packages_but_no_types(tmp_path: Path) -> None:
    files = {
        "tasks/__init__.py": '"""Only words."""',
        "tasks/a.py": 'from typing import TYPE_CHECKING\nfrom actial import b\nif TYPE_CHECKING:\n    from actial import only_types\nJOB = "actial.job"\n',
        "actial/__init__.py": "X = 1",
        "actial/b.py": "def f():\n    from .sub.c import g\n    return g\n",
        "actial/sub/__init__.py": "",
        "actial/sub/c.py": "import actial.errors\ng = 1\n",
        "actial/errors.py": "import actial.unseen\n",
        "actial/unseen.py": "",
        "actial/job.py": "",
        "actial/only_types.py": "",
        "actial/unrelated.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert closure("a", tmp_path) == {"tasks/a.py", "actial/__init__.py", "actial/b.py", "actial/sub/c.py", "actial/job.py"}
