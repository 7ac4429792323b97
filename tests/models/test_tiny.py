"""The tiny base: its recipe writes the committed bytes, and it is a real model whose tokens fit our words."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from toy_scenes import toy_views

from actial.errors import UserError
from actial.ids import scene_id
from actial.mix.descriptions import describe_pair
from actial.models import pretraining, tiny
from actial.models.load import LORA_LAYERS, freeze_vision, load_model, load_processor
from actial.params import load_params
from actial.prompts import content_parts
from actial.rng import generator_for
from actial.shards import ViewWriter
from actial.views import boxes, committed
from actial.views.committed import Plan

ROOT = Path(__file__).parents[2]
BASE = ROOT / "assets" / "tiny-base"
PARAMS = load_params(ROOT / "profiles" / "tiny.yaml")
MODEL = PARAMS.model


@pytest.fixture(scope="module")
def processor() -> Any:
    return load_processor(BASE, MODEL)


def picture(name: str) -> Image.Image:
    return Image.fromarray(generator_for(0, name).integers(0, 256, (84, 84, 3), dtype=np.uint8))


def test_the_recipe_writes_what_is_committed_before_its_schooling(tmp_path: Path) -> None:
    """All but the weights; those have the same names and shapes, and are not where they began."""
    tiny.build(tmp_path / "base")
    of_number_format = re.compile(rb' *"dtype": "float32",\n')  # a model that was loaded once says it
    for path in (tmp_path / "base").iterdir():
        if path.suffix != ".safetensors":
            built, kept = (of_number_format.sub(b"", file.read_bytes()) for file in (path, BASE / path.name))
            assert built == kept, path.name
    unschooled, committed = load_file(tmp_path / "base" / "model.safetensors"), load_file(BASE / "model.safetensors")
    assert {name: w.shape for name, w in unschooled.items()} == {name: w.shape for name, w in committed.items()}
    assert not any(torch.equal(unschooled[name], committed[name]) for name in unschooled)
    assert (BASE / "model.safetensors").stat().st_size <= 5_000_000


def test_the_log_tells_every_phase_of_the_schooling() -> None:
    log = json.loads((BASE / pretraining.LOG).read_text())
    assert [(name, curve[-1]["step"]) for name, curve in log.items()] == [(phase.name, phase.steps) for phase in pretraining.PHASES]


def test_schooling_goes_on_from_the_last_finished_phase_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two short phases on a few boxes pictures: the second alone is trained when the first is in the log."""
    write_boxes(tmp_path / "views")
    shutil.copytree(BASE, tmp_path / "base")
    phases = [replace(phase, steps=steps) for phase, steps in zip(pretraining.PHASES[:2], (2, 4), strict=True)]
    monkeypatch.setattr(pretraining, "PHASES", phases)
    monkeypatch.setattr(pretraining, "LOG_EVERY", 2)
    monkeypatch.setattr(pretraining, "HELD_OUT_SCENES", 2)
    (tmp_path / "base" / pretraining.LOG).write_text(json.dumps({phases[0].name: [{"step": 2}]}))
    before = load_file(tmp_path / "base" / "model.safetensors")
    pretraining.pretrain(tmp_path / "base", tmp_path / "views", PARAMS)
    log = json.loads((tmp_path / "base" / pretraining.LOG).read_text())
    assert log[phases[0].name] == [{"step": 2}]
    assert [entry["step"] for entry in log[phases[1].name]] == [2, 4]
    assert {"describe", "think drift_2d", "direct lot"} <= log[phases[1].name][-1].keys()
    after = load_file(tmp_path / "base" / "model.safetensors")
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_too_few_scenes_and_a_finished_folder_are_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_boxes(tmp_path / "views")
    command = ["pretraining", str(tmp_path / "base"), "--views", str(tmp_path / "views"), "--params", str(ROOT / "profiles/tiny.yaml")]
    monkeypatch.setattr("sys.argv", command)
    for _ in range(2):  # the second finds the folder of one that was interrupted
        with pytest.raises(UserError, match="of 6 scenes; schooling holds 50 apart"):
            pretraining.main()
    shutil.copy(BASE / pretraining.LOG, tmp_path / "base")
    with pytest.raises(UserError, match="been through all phases"):
        pretraining.main()


def test_one_matrix_product_embeds_patches_as_the_convolution_does(processor: Any) -> None:
    model = load_model(BASE, MODEL).eval()
    patches = processor.image_processor(images=[picture("a")], return_tensors="pt")["pixel_values"]
    embed = model.model.visual.patch_embed
    with torch.no_grad():
        assert torch.allclose(embed(patches), type(embed).forward(embed, patches), atol=1e-5)


def test_patches_are_mirrored_as_pictures_are(processor: Any) -> None:
    schooling = object.__new__(pretraining._Schooling)
    schooling.processor, schooling.grid = processor, torch.tensor([[1, 8, 8]])
    image = Image.fromarray(generator_for(0, "a").integers(0, 256, (112, 112, 3), dtype=np.uint8))
    plain, turned = (processor.image_processor(images=[i], return_tensors="np")["pixel_values"] for i in (image, ImageOps.mirror(image)))
    assert np.array_equal(schooling._flipped(plain[None])[0], turned)


def test_a_mirrored_view_is_described_as_its_mirror_image() -> None:
    """Columns run the other way, all else stays."""
    first, second = toy_views(0)[:2]
    plain, turned = (describe_pair(*pair, "short", (20, 20), sides=False) for pair in ((first, second), map(pretraining._mirrored, (first, second))))
    cells = [dict(re.findall(r"([a-z]+) ([a-z][A-Z])", text.split(" 2: ")[0])) for text in (plain, turned)]
    assert cells[0].keys() == cells[1].keys() and len(cells[0]) >= 2
    assert all(ord(cells[1][name][0]) - ord("a") == 19 - (ord(cell[0]) - ord("a")) and cells[1][name][1:] == cell[1:] for name, cell in cells[0].items())


def write_boxes(folder: Path) -> None:
    """Six scenes by the numpy renderer."""
    plan = Plan(root_seed=11, source="boxes", views_per_scene=6, width_px=112, height_px=112, samples=2)
    with ViewWriter(folder, 64) as writer:
        for scene, shots in (committed.composed(plan, scene_id(i)) for i in range(6)):
            committed.commit(folder.parent, plan, scene, shots, boxes.render_scene(scene, shots))
            writer.add_table(committed.read(folder.parent, scene.scene_id))


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


def test_a_prompt_has_sixteen_tokens_a_picture_where_its_marks_stand(processor: Any) -> None:
    turns = [{"role": "user", "content": content_parts("Picture 1: <image>Picture 2: <image>Describe.")}]
    text = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    assert text == f"<|im_start|>user\nPicture 1: {mark}Picture 2: {mark}Describe.<|im_end|>\n<|im_start|>assistant\n"
    batch = processor(text=[text], images=[[picture("a"), picture("b")]], return_tensors="pt")
    assert int((batch["input_ids"] == processor.image_token_id).sum()) == 32
    assert batch["image_grid_thw"].tolist() == [[1, 8, 8]] * 2


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
