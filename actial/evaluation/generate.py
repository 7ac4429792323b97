"""Asking a model: batched greedy generation with left padding. What it writes is appended to a `CompletionLog` batch by batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm
from transformers import GenerationConfig

from actial.evaluation.completions import Ask, Completion, CompletionLog
from actial.machine import Machine
from actial.models.load import load_model, load_processor
from actial.params import Model
from actial.prompts import content_parts
from actial.records import Message
from actial.shards import ViewStore


def load_and_complete(source: str, model: Model, machine: Machine, asks: Sequence[Ask], views: ViewStore, log: CompletionLog, name: str) -> None:
    """Load a model and ask it; see `complete`."""
    torch.set_num_threads(machine.threads)
    cuda = machine.device == "cuda" or (machine.device == "auto" and torch.cuda.is_available())
    loaded = load_model(source, model).eval().to("cuda" if cuda else "cpu")
    complete(loaded, load_processor(source, model), asks, views, log, machine.generate_rows, name)


def complete(model: Any, processor: Any, asks: Sequence[Ask], views: ViewStore, log: CompletionLog, rows: int, name: str) -> None:
    """Ask a model everything that the log does not know yet, `rows` questions at once, the shortest prompts first.

    Greedy: a completion does not depend on its neighbours in the batch beyond floating-point rounding (padding is masked).

    Args:
        model: a Qwen2.5-VL in evaluation mode, on its device.
        processor: its processor; the tokenizer pads on the left.
        name: what the progress bar calls the model.
    """
    if processor.tokenizer.padding_side != "left":
        raise ValueError("generation needs a processor that pads on the left")
    texts = {a.key: chat_text(processor, a.messages) for a in asks}
    lengths = dict(zip(texts, map(len, processor.tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"]), strict=True)) if texts else {}
    ordered = sorted(asks, key=lambda a: (a.max_new_tokens, lengths[a.key], a.key))
    with tqdm(total=len(asks), unit="question", desc=f"ask {name}", mininterval=1, smoothing=0.1) as bar:
        for batch in _batches(ordered, rows):
            log.append(_complete_batch(model, processor, batch, [texts[a.key] for a in batch], views))
            bar.update(len(batch))


def chat_text(processor: Any, messages: Sequence[Message]) -> str:
    """The prompt as the model's chat template has it, one placeholder a picture, open for the assistant's turn, or for what follows its beginning."""
    turns = [{"role": m.role, "content": content_parts(m.content)} for m in messages]
    begun = messages[-1].role == "assistant"
    return processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun)


def _batches(asks: Sequence[Ask], rows: int) -> Iterator[list[Ask]]:
    """At most `rows` asks at once, never of different limits."""
    for _, same_limit in itertools.groupby(asks, key=lambda a: a.max_new_tokens):
        group = list(same_limit)
        yield from (group[i : i + rows] for i in range(0, len(group), rows))


@torch.inference_mode()
def _complete_batch(model: Any, processor: Any, batch: Sequence[Ask], texts: list[str], views: ViewStore) -> list[Completion]:
    pictures = [views.picture(view_id) for a in batch for view_id in a.view_ids]
    inputs = processor(text=texts, images=pictures or None, padding=True, return_tensors="pt").to(model.device)
    end_ids = _end_ids(model, processor)
    model.generation_config = GenerationConfig(  # the checkpoint's own may sample or penalise repetition
        do_sample=False, num_beams=1, max_new_tokens=batch[0].max_new_tokens, eos_token_id=end_ids, pad_token_id=processor.tokenizer.pad_token_id
    )
    written = model.generate(**inputs)[:, inputs["input_ids"].shape[1] :].tolist()
    completions = []
    for one, tokens in zip(batch, written, strict=True):
        kept = list(itertools.takewhile(lambda token: token not in end_ids, tokens))
        completions.append(Completion(one.key, processor.tokenizer.decode(kept, skip_special_tokens=True), len(kept)))
    return completions


def _end_ids(model: Any, processor: Any) -> list[int]:
    """Tokens that end a completion: what the checkpoint says, and the tokenizer's own end token."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return sorted({processor.tokenizer.eos_token_id, *(i for i in ids if i is not None)})
