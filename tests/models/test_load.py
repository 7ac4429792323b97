"""Base models: what params may name, and the sentence for what they may not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from actial.errors import UserError
from actial.models.load import check_base, check_model_folder, folder_sha256
from actial.params import Model, load_params

ROOT = Path(__file__).parents[2]
MODEL = replace(load_params(ROOT / "profiles" / "tiny.yaml").model, base=str(ROOT / "assets" / "tiny-base"))


def write_model(folder: Path, config: str, weights: bool = True) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(config)
    if weights:
        (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def refusal(model: Model) -> str:
    with pytest.raises(UserError) as error:
        check_base(model)
    return str(error.value)


def test_the_shipped_base_is_accepted() -> None:
    check_base(MODEL)


def test_a_missing_folder_is_refused() -> None:
    said = refusal(replace(MODEL, base="assets/no-such-base"))
    assert "model.base assets/no-such-base does not exist" in said and "model.revision" in said


def test_a_hub_id_needs_a_revision_and_no_checksum() -> None:
    check_base(replace(MODEL, base="Qwen/Qwen2.5-VL-7B-Instruct", revision="cc59489", sha256=None))
    assert "model.revision" in refusal(replace(MODEL, revision="main"))


def test_a_folder_without_a_checksum_is_told_its_checksum(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "base", json.dumps({"model_type": "qwen2_5_vl"}))
    said = refusal(replace(MODEL, base=str(folder), sha256=None))
    sha256 = said.rsplit(" ", 1)[1]
    check_base(replace(MODEL, base=str(folder), sha256=sha256))


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "base", json.dumps({"model_type": "qwen2_5_vl"}))
    model = replace(MODEL, base=str(folder), sha256=folder_sha256(folder))
    (folder / "model.safetensors").write_bytes(b"weighty")
    assert "not model.sha256" in refusal(model)


def test_a_card_and_hidden_files_do_not_change_the_checksum(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "base", "{}")
    before = folder_sha256(folder)
    (folder / "README.md").write_text("a card")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "etag").write_text("x")
    assert folder_sha256(folder) == before
    (folder / "config.json").rename(folder / "configuration.json")
    assert folder_sha256(folder) != before


@pytest.mark.parametrize(
    ("config", "weights", "said"),
    [
        (json.dumps({"model_type": "llama"}), True, "of type 'llama', not a vision-language model"),
        (json.dumps({}), True, "of type None"),
        ("[]", True, "is not a JSON object"),
        ("{", True, "is not a JSON object"),
        (json.dumps({"model_type": "qwen2_5_vl"}), False, "has no weights"),
    ],
)
def test_a_folder_that_is_no_vision_language_model_is_refused(tmp_path: Path, config: str, weights: bool, said: str) -> None:
    folder = write_model(tmp_path / "base", config, weights)
    with pytest.raises(UserError, match=r"^model\.base") as error:
        check_model_folder(folder, "model.base")
    assert said in str(error.value)


def test_a_stage_refuses_a_bad_base_in_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    for name in ("actial", "tasks", "dvc.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    params = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    params["model"]["base"] = "no/such/base"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for stage in ("render_views", "build_qa/views", "cold_start_mix"):
        (tmp_path / "outputs" / stage).mkdir(parents=True)
    ran = subprocess.run(
        [sys.executable, "-m", "tasks.sft"], cwd=tmp_path, env={**os.environ, "ACTIAL_TRACKING": "off"}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("actial: error: model.base no/such/base does not exist") and ran.stderr.count("\n") == 1
    assert not (tmp_path / "outputs" / "sft").exists()
