"""`actial mask`: the marks are where training's own batch has labels, for each mode; counts add up; mistakes are one sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from training_project import ROOT, make_project, plan_of

from actial.errors import UserError
from actial.tables import read_conversations, write_conversations
from actial.training.checks import IGNORED
from actial.training.common import load_for_training
from actial.training.data import load_rows, sft_dataset
from actial.training.mask import LOSS, RESET, told
from actial.training.sft import PairSFTTrainer, sft_arguments


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("mask") / "project", unreadable=("scene-000005.v01",))
    path = root / "outputs/cold_start_mix/sft.parquet"
    rows = read_conversations(path)
    described = [replace(row, question_id=f"{row.question_id.rpartition('.')[0]}.describe") if row.mode == "describe" else row for row in rows]
    again = replace(described[0], mode="direct", messages=(*described[0].messages[:2], described[1].messages[2]))
    write_conversations(path, [*described, described[0], again])
    return root


@pytest.fixture
def mask(project: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]  # a function with defaults
    monkeypatch.chdir(ROOT)  # model.base is a path from the project's folder

    return lambda identifier, mode=None, coloured=False: told(identifier, mode, project / "outputs", project / "params.yaml", coloured)


def test_marked_tokens_are_those_with_labels_in_the_batch_of_the_trainer(project: Path, mask) -> None:  # type: ignore[no-untyped-def]
    plan = plan_of(project, "sft")
    model, processor = load_for_training(plan, plan.params.sft)
    trainer = PairSFTTrainer(model=model, args=_config(plan), train_dataset=sft_dataset(plan, [0, 1, 2]), processing_class=processor)
    for number, row in enumerate(load_rows(plan)[:3]):
        batch = trainer.data_collator([trainer.train_dataset[number]])
        ids, labels = batch["input_ids"][0], batch["labels"][0]
        shown = mask(row.question_id, row.mode)
        conversation = shown.split("\n", 2)[2]
        assert re.findall(r"\[\[(.*?)\]\]", conversation, re.S) == [processor.tokenizer.decode(ids[labels != IGNORED])]
        n_pictures = int((ids == processor.image_token_id).sum())
        said = f"{len(ids)} tokens: {len(ids) - n_pictures} of text, {n_pictures} of 2 pictures; the loss falls on {int((labels != IGNORED).sum())} ("
        assert said in shown, row.mode
        assert all(f"(picture {i}: {n_pictures // 2} tokens)" in shown for i in (1, 2))
        assert "sft would refuse" not in shown
        before = conversation.partition("[[")[0]
        assert row.messages[0].content in before and row.messages[1].content.rpartition("<image>")[2] in before


def _config(plan):  # type: ignore[no-untyped-def]  # of trl
    from trl import SFTConfig

    return SFTConfig(**sft_arguments(plan, 1, True))


def test_the_same_text_in_colours(mask) -> None:  # type: ignore[no-untyped-def]
    plain, coloured = (mask("scene-000000.v00-v01.lateral", coloured=c) for c in (False, True))
    assert "\x1b" not in plain and "\x1b" in coloured
    (learned,) = re.findall(r"\[\[(<think>.*?)\]\]", plain, re.S)
    assert f"{LOSS}{learned.rstrip()}{RESET}" in coloured and "[[" not in coloured


def test_modes_repeats_and_a_count_that_does_not_fit(mask) -> None:  # type: ignore[no-untyped-def]
    shown = mask("scene-000000.v00-v01.lateral")
    assert shown.startswith("scene-000000.v00-v01.lateral  think, 2 times in the mix; also there: direct\n")
    assert "cold_start_mix counted 90 tokens: it ran with another model.base" in shown, "toy rows claim 90"
    assert "direct, once in the mix; also there: think" in mask("scene-000000.v00-v01.lateral", "direct")
    assert mask("scene-000002.v00-v01.lateral", "describe").startswith("scene-000002.v00-v01.describe  describe, once")


@pytest.mark.parametrize(
    ("identifier", "mode", "said"),
    [
        ("scene-000000.v00-v01.lateral", "describe", "has no conversation in mode describe: it has think, direct"),
        ("scene-000000.v00-v01.orbit", None, "not every question is drawn into the mix; scene-000000.v00-v01.lateral is there"),
        ("nonsense", None, "holds no conversation about nonsense"),
        ("", None, "holds no conversation about "),
        ("scene-000005.v00-v01.describe", None, "the picture of scene-000005.v01 cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(identifier: str, mode: str | None, said: str, mask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError) as refused:
        mask(identifier, mode)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_without_a_mix_it_says_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `actial run --only cold_start_mix` first"):
        told("scene-000000.v00-v01.lateral", None, tmp_path, ROOT / "params.yaml", coloured=False)


def test_control_characters_of_a_text_do_not_reach_the_terminal(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    path = project / "outputs/cold_start_mix/sft.parquet"
    row = read_conversations(path)[0]
    hostile = replace(row.messages[1], content=row.messages[1].content + "\x1b]0;owned\x07")
    write_conversations(tmp_path / "cold_start_mix/sft.parquet", [replace(row, messages=(row.messages[0], hostile, row.messages[2]))])
    (tmp_path / "render_views").symlink_to(project / "outputs/render_views")
    shown = told(row.question_id, None, tmp_path, project / "params.yaml", coloured=False)
    assert "\x1b" not in shown and "\x07" not in shown and "\\x1b]0;owned" in shown
