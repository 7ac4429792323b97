from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_evaluation import ROOT, toy_questions, write_views

from actial.errors import UserError
from actial.evaluation.completions import CompletionLog, ask
from actial.params import load_params
from actial.prompts import prompt_messages
from actial.shards import ViewStore


@pytest.fixture(scope="module")
def asked(checkpoints, tmp_path_factory):
    """A random tiny model with its processor, and some questions in both modes about noise."""
    import torch

    from actial.models.load import load_model, load_processor

    torch.set_num_threads(1)
    params = load_params(ROOT / "profiles" / "tiny.yaml")
    folder: Path = tmp_path_factory.mktemp("generate")
    write_views(folder, 5)
    views = ViewStore(folder)
    asks = [ask(q, mode, prompt_messages(params.prompt, q, mode), views, n) for q in toy_questions(5) for mode, n in (("think", 16), ("direct", 4))]
    source = checkpoints["base"]
    return SimpleNamespace(model=load_model(source, params.model).eval(), processor=load_processor(source, params.model), asks=asks, views=views, params=params)


def write(asked, folder: Path, rows: int, asks=None) -> dict:
    from actial.evaluation.generate import complete

    log = CompletionLog(folder / "log.jsonl")
    complete(asked.model, asked.processor, asked.asks if asks is None else asks, asked.views, log, rows, "base")
    return log.known


def test_a_completion_does_not_depend_on_its_neighbours_in_the_batch(asked, tmp_path):
    alone, sevens, together = (write(asked, tmp_path / str(rows), rows) for rows in (1, 7, 64))
    assert alone == sevens == together
    assert len(alone) == len({a.key for a in asked.asks})
    assert all(c.n_tokens <= {a.key: a.max_new_tokens for a in asked.asks}[c.key] for c in alone.values())
    assert len({c.text for c in alone.values()}) > 3, "the model writes the same whatever it is asked: this test would show nothing"


def test_generation_is_greedy_whatever_the_checkpoint_prefers(asked, tmp_path):
    from transformers import GenerationConfig

    plain = write(asked, tmp_path / "plain", 8)
    ends = asked.model.generation_config.eos_token_id
    asked.model.generation_config = GenerationConfig(do_sample=True, temperature=3.0, repetition_penalty=5.0, num_beams=2, max_length=3, eos_token_id=ends)
    assert write(asked, tmp_path / "sampling", 8) == plain


def test_generation_stops_at_the_end_token_and_counts_what_stands_before_it(asked, tmp_path):
    from transformers import GenerationConfig

    full = write(asked, tmp_path / "full", 8)
    some = next(a for a in asked.asks if full[a.key].n_tokens == a.max_new_tokens == 16)
    tokens = asked.processor.tokenizer(full[some.key].text)["input_ids"]
    ends = asked.model.generation_config
    asked.model.generation_config = GenerationConfig(eos_token_id=[asked.processor.tokenizer.eos_token_id, tokens[0]])
    stopped = write(asked, tmp_path / "stopped", 8, [some])[some.key]
    asked.model.generation_config = ends
    assert stopped.n_tokens < 16
    assert full[some.key].text.startswith(stopped.text)


def test_the_prompt_has_one_placeholder_a_picture_and_is_open_for_the_answer(asked):
    from actial.evaluation.generate import chat_text

    text = chat_text(asked.processor, asked.asks[0].messages)
    assert text.count("<|image_pad|>") == 2
    assert "<image>" not in text
    assert text.endswith("<|im_start|>assistant\n")
    assert text.index(asked.params.prompt.think) < text.index("<|image_pad|>") < text.index("How did the camera move?")


def test_right_padding_is_refused(asked, tmp_path):
    asked.processor.tokenizer.padding_side = "right"
    try:
        with pytest.raises(ValueError, match="pads on the left"):
            write(asked, tmp_path, 8)
    finally:
        asked.processor.tokenizer.padding_side = "left"


def test_the_log_is_named_by_content_and_settings_and_not_by_place(checkpoints, tmp_path):
    import shutil
    from dataclasses import replace

    from actial.evaluation.completions import log_name
    from actial.models.load import folder_sha256

    model = replace(load_params(ROOT / "profiles" / "tiny.yaml").model, base=str(checkpoints["base"]), sha256=folder_sha256(checkpoints["base"]))
    name = log_name(model.base, model)
    copy = shutil.copytree(checkpoints["base"], tmp_path / "copy")
    assert log_name(str(copy), model) == name
    assert log_name(str(checkpoints["sft"]), model) != name
    assert log_name(str(copy), replace(model, max_pixels=model.max_pixels * 2)) != name
    with pytest.raises(UserError, match="holds no model"):
        log_name(str(tmp_path), model)
