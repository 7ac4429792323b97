"""The tiny base: its recipe writes the committed bytes, and it is a real model whose tokens fit our words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from actial.models import tiny
from actial.models.load import LORA_LAYERS, freeze_vision, load_model, load_processor
from actial.params import load_params
from actial.prompts import content_parts
from actial.rng import generator_for

ROOT = Path(__file__).parents[2]
BASE = ROOT / "assets" / "tiny-base"
MODEL = load_params(ROOT / "profiles" / "tiny.yaml").model


@pytest.fixture(scope="module")
def processor() -> Any:
    return load_processor(BASE, MODEL)


def picture(name: str) -> Image.Image:
    return Image.fromarray(generator_for(0, name).integers(0, 256, (84, 84, 3), dtype=np.uint8))


def test_the_recipe_writes_what_is_committed(tmp_path: Path) -> None:
    tiny.build(tmp_path / "base")
    for path in (tmp_path / "base").iterdir():
        if path.suffix != ".safetensors":
            assert path.read_bytes() == (BASE / path.name).read_bytes(), path.name
    rebuilt, committed = load_file(tmp_path / "base" / "model.safetensors"), load_file(BASE / "model.safetensors")
    assert rebuilt.keys() == committed.keys()
    assert all(torch.equal(rebuilt[name], committed[name]) for name in rebuilt)
    assert (BASE / "model.safetensors").stat().st_size <= 5_000_000


def test_every_word_and_tag_is_one_token(processor: Any) -> None:
    tokenizer = processor.tokenizer
    whole = [f" {w}" for w in tiny.WORDS.split() if w.isalpha()] + [*tiny.OPENING_WORDS.split(), *tiny.TAGS]
    split = {w: tokenizer.tokenize(w) for w in whole if len(tokenizer.tokenize(w)) != 1}
    assert not split


def test_tags_survive_decoding_and_turn_ends_do_not(processor: Any) -> None:
    text = "<think>The red box moved left.</think><answer>B</answer>"
    ids = processor.tokenizer(text + "<|im_end|>")["input_ids"]
    assert processor.tokenizer.decode(ids, skip_special_tokens=True) == text


def test_any_text_goes_through_unharmed(processor: Any) -> None:
    text = "Ünïcode 東京 🧭 \t tabs, 12.5° and\nlines"
    assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"]) == text


def test_a_prompt_has_nine_tokens_a_picture_where_its_marks_stand(processor: Any) -> None:
    turns = [{"role": "user", "content": content_parts("Picture 1: <image>Picture 2: <image>Describe.")}]
    text = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    assert text == f"<|im_start|>user\nPicture 1: {mark}Picture 2: {mark}Describe.<|im_end|>\n<|im_start|>assistant\n"
    batch = processor(text=[text], images=[[picture("a"), picture("b")]], return_tensors="pt")
    assert int((batch["input_ids"] == processor.image_token_id).sum()) == 18
    assert batch["image_grid_thw"].tolist() == [[1, 6, 6]] * 2


def test_the_template_marks_the_assistants_turn(processor: Any) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Yes"}]}]
    marked = processor.tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    ids = [i for i, kept in zip(marked["input_ids"], marked["assistant_masks"], strict=True) if kept]
    assert processor.tokenizer.decode(ids) == "Yes<|im_end|>\n"


def test_pictures_change_what_the_model_predicts_and_a_reload_does_not(processor: Any, tmp_path: Path) -> None:
    model = load_model(BASE, MODEL).eval()
    text = "<|vision_start|><|image_pad|><|vision_end|>Describe."

    def logits(of: Any, name: str) -> torch.Tensor:
        with torch.no_grad():
            return of(**processor(text=[text], images=[[picture(name)]], return_tensors="pt")).logits

    assert not torch.allclose(logits(model, "a"), logits(model, "b"))
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(load_model(tmp_path, MODEL).eval(), "a"), logits(model, "a"))


def test_a_saved_processor_reads_back_the_same_and_names_the_stock_class(processor: Any, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (BASE / path.name).read_bytes(), path.name
    assert json.loads((tmp_path / "processor_config.json").read_text())["processor_class"] == "Qwen2_5_VLProcessor"


def test_freezing_and_adapters_name_opposite_halves() -> None:
    model = load_model(BASE, MODEL)
    freeze_vision(model)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen and all(name.startswith("model.visual.") for name in frozen)
    adapted = {name for name, _ in model.named_modules() if re.fullmatch(LORA_LAYERS, name)}
    assert len(adapted) == 3 * 7 and all(name.startswith("model.language_model.layers.") for name in adapted)
