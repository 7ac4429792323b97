"""GRPO's prompts, opened by `datasets` itself and turned into what TRL and verl ask a model with."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import yaml
from toy_exports import COMMIT, change_views, cut_off, exported
from toy_outputs import toy_params

from actial.prompts import completion_text
from actial.records import Message
from actial.shards import ViewStore
from actial.tables import read_conversations, write_conversations


@pytest.fixture(scope="module")
def folder(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(outputs, "grpo", tmp_path_factory.mktemp("grpo") / "prompts")


@pytest.fixture(scope="module")
def opened(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return datasets.load_dataset(str(folder), split="rl", cache_dir=str(tmp_path_factory.mktemp("cache")))


def test_datasets_opens_every_prompt_with_its_truth_and_its_pictures_to_the_byte(outputs: Path, opened: datasets.Dataset) -> None:
    mix, store = read_conversations(outputs / "cold_start_mix" / "rl.parquet"), ViewStore(outputs / "render_views" / "views")
    assert isinstance(opened.features["images"].feature, datasets.Image)
    undecoded = opened.cast_column("images", datasets.List(datasets.Image(decode=False)))
    for place, (row, asked) in enumerate(zip(undecoded, mix, strict=True)):
        same = ("question_id", "kind", "mode", "options", "labels", "truth", "scene_id", "view_ids", "n_tokens")
        assert {name: row[name] for name in same} == {name: list(v) if isinstance(v := getattr(asked, name), tuple) else v for name in same}
        assert [image["bytes"] for image in row["images"]] == [store.picture_bytes(v) for v in asked.view_ids]
        assert row["sources"] == ["toy"] * 2 and row["licences"] == ["CC0-1.0"] * 2
        assert row["reward_model"] == {"style": "rule", "ground_truth": asked.truth} and row["data_source"] == "actial"
        assert row["extra_info"] == {"index": place, "question_id": asked.question_id, "options": list(asked.options)}
    assert np.array_equal(np.asarray(opened[0]["images"][1]), np.asarray(store.picture(mix[0].view_ids[1])))


def test_both_forms_of_a_prompt_say_what_the_mix_says_with_the_pictures_in_their_places(outputs: Path, opened: datasets.Dataset) -> None:
    for row, asked in zip(opened.remove_columns("images"), read_conversations(outputs / "cold_start_mix" / "rl.parquet"), strict=True):
        said = [{"role": m.role, "content": m.content} for m in asked.messages]
        assert row["chat"] == said == [{"role": turn["role"], "content": in_text(turn["content"])} for turn in row["prompt"]]
        assert [turn["role"] for turn in said] == ["system", "user"]
        assert [part["text"] is None for turn in row["prompt"] for part in turn["content"]] == [
            part["type"] == "image" for turn in row["prompt"] for part in turn["content"]
        ]
        assert sum(part["type"] == "image" for part in row["prompt"][1]["content"]) == len(row["view_ids"])
        assert said[0]["content"] == getattr(toy_params().prompt, row["mode"])
        assert not {"messages", "completion", "chosen", "rejected", "label"} & set(row), "beside `prompt` TRL would refuse them"


def in_text(parts: list[dict[str, Any]]) -> str:
    return "".join("<image>" if part["type"] == "image" else part["text"] for part in parts)


def test_the_reward_in_the_card_tells_right_from_wrong(folder: Path, opened: datasets.Dataset) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    told: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], told)  # as its reader would run it
    rows = opened.remove_columns("images").to_list()
    by_letter, by_text = ([completion_text(row["mode"], said, "So.") for row, said in zip(rows, saying, strict=True)] for saying in truths(rows))
    wrong = [completion_text(row["mode"], next(c for c in "AB" if c != row["truth"])) for row in rows]
    twice = [text + "<answer>A</answer>" for text in by_letter]
    for completions, reward in ((by_letter, 1.0), (by_text, 1.0), (wrong, 0.0), (twice, 0.0), ([row["truth"] for row in rows], 0.0)):
        turns = [[{"role": "assistant", "content": text}] for text in completions]
        asked = {name: [row[name] for row in rows] for name in ("truth", "options", "kind")}
        assert told["right_answer"](completions=turns, prompts=None, **asked) == [reward] * len(rows)
        for row, completion in zip(rows, completions, strict=True):
            assert told["compute_score"](row["data_source"], completion, row["reward_model"]["ground_truth"], row["extra_info"]) == reward


def truths(rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    return [row["truth"] for row in rows], [row["options"]["ABC".index(row["truth"])] for row in rows]


def test_the_card_says_what_is_in_it_and_how_to_make_it_again(outputs: Path, folder: Path, opened: datasets.Dataset) -> None:
    _, header, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    mix = read_conversations(outputs / "cold_start_mix" / "rl.parquet")
    told = yaml.safe_load(header)
    assert told["configs"] == [{"config_name": "default", "data_files": [{"split": "rl", "path": "data/rl-*.parquet"}]}] and told["license"] == ["cc0-1.0"]
    half = len(mix) // 2
    assert f"{len(mix):,} prompts ({half} direct, {half} think)" in text and f"{len({m.scene_id for m in mix})} scenes" in text
    assert COMMIT in text and "dvc repro cold_start_mix" in text and "actial export --to grpo --split rl" in text
    table = text.split("| --- | --- |\n")[1].split("\n\n")[0]
    assert set(opened.column_names) == {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_prompts_that_cannot_be_asked_are_set_aside_and_counted(copied: Path, tmp_path: Path) -> None:
    path = copied / "cold_start_mix" / "rl.parquet"
    mix = read_conversations(path)
    broken = mix[0].view_ids[0]
    kept = [row for row in mix if broken not in row.view_ids]
    system = kept[0].messages[0]
    odd = [
        replace(kept[0], messages=(system, Message("user", "<image> only one"))),
        replace(kept[0], messages=(*kept[0].messages, Message("assistant", "B"))),
        replace(kept[0], truth=""),
        replace(kept[0], truth="D"),
    ]
    change_views(copied, cut_off(broken))
    write_conversations(path, [*mix, *odd])
    out = exported(copied, "grpo", tmp_path / "out")
    record = json.loads((out / "export.json").read_text())
    assert record["prompts"] == {"rl": len(kept)} and record["broken_views"] == {broken: "the picture cannot be read"}
    assert record["set_aside"] == {
        "prompts with a picture that is missing or cannot be read": len(mix) - len(kept),
        "prompts whose <image> marks are not as many as their pictures": 1,
        "prompts that do not end with a user's turn": 1,
        "prompts whose truth is the letter of no option": 2,
    }
    rows = datasets.load_dataset(str(out), split="rl", cache_dir=str(tmp_path / "cache"))
    assert [row["index"] for row in rows["extra_info"]] == list(range(len(kept)))
