"""params.yaml: typed, complete, and clear about what is wrong with it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from actial.errors import UserError
from actial.machine import load_machine
from actial.params import STAGES, Params, load_params

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))


def changed(tmp_path: Path, key: str, value: Any, remove: bool = False) -> Path:
    data = copy.deepcopy(yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text()))
    *parents, last = key.split(".")
    section = data
    for name in parents:
        section = section[name]
    if remove:
        del section[last]
    else:
        section[last] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.stem)
def test_every_profile_loads(profile: Path) -> None:
    assert load_params(profile).seed >= 0


def test_the_default_is_the_tiny_profile() -> None:
    assert (ROOT / "params.yaml").read_text() == (ROOT / "profiles" / "tiny.yaml").read_text()


def test_every_stage_has_a_section() -> None:
    assert set(STAGES) < set(Params.__dataclass_fields__)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("render_views.sampels", 4, "unknown key render_views.sampels; the nearest valid one is render_views.samples"),
        ("sed", 4, "unknown key sed; the nearest valid one is seed"),
        ("render_views.samples", 0, "render_views.samples is 0; it must be at least 1"),
        ("render_views.samples", "four", "render_views.samples must be a whole number, not 'four'"),
        ("render_views.backend", "eevee", "it must be one of blender, boxes"),
        ("model", 3, "model must be a map of keys"),
        ("build_qa.splits", {"train": 0.9, "rl": 0.2, "val": 0.1, "test": 0.1}, "adds up to 1.3; the shares must add up to 1"),
        ("model.min_pixels", 99999, "must not exceed model.max_pixels"),
        ("seed", True, "seed must be a whole number, not True"),
    ],
)
def test_a_mistake_gets_one_sentence_with_key_and_remedy(tmp_path: Path, key: str, value: Any, said: str) -> None:
    with pytest.raises(UserError, match=r"params\.yaml") as error:
        load_params(changed(tmp_path, key, value))
    assert said in str(error.value)


def test_a_missing_key_is_named_with_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"key render_views\.samples is missing.*Cycles samples"):
        load_params(changed(tmp_path, "render_views.samples", None, remove=True))


def test_a_number_that_yaml_reads_as_text_gets_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"write 1\.0e-4"):
        load_params(changed(tmp_path, "render_views.max_refused_share", "1e-4"))


def test_broken_yaml_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("seed: [1")
    with pytest.raises(UserError, match="not valid YAML"):
        load_params(tmp_path / "params.yaml")


def test_machine_settings_come_from_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_machine(tmp_path).train_processes == 1
    (tmp_path / "machine.yaml").write_text("train_processes: 8\n")
    assert load_machine(tmp_path).train_processes == 8
    monkeypatch.setenv("ACTIAL_WORKERS", "3")
    assert load_machine(tmp_path).workers == 3
    monkeypatch.setenv("ACTIAL_WORKERS", "many")
    with pytest.raises(UserError, match="ACTIAL_WORKERS must be a whole number, not 'many'"):
        load_machine(tmp_path)
