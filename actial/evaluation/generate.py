"""Asking models: batched generation with left padding, greedy or sampled, by several processes where a model is small.

What is written goes to the model's log batch by batch. Where machine setting `launcher` is ray, the batches are asked by a cluster (`ray_asking`).
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from tqdm import tqdm
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from actial.answers.parts import answer_span
from actial.cluster.entry import ray_or_refuse
from actial.evaluation.completions import Ask, Completion, append_completions
from actial.evaluation.conditions import hide
from actial.evaluation.token_logprobs import logprob_between
from actial.jobs import die_with_parent
from actial.machine import Machine
from actial.models.load import load_model, load_processor
from actial.models.vision import Seen
from actial.params import Model
from actial.prompts import content_parts
from actial.records import Message
from actial.rng import generator_for
from actial.shards import ViewStore

if TYPE_CHECKING:
    from PIL import Image

ASKS_PER_PROCESS = 400
"""Fewer are not worth a process of their own: it takes as long to start as to ask them."""
SHARED_MODEL_BYTES = 200_000_000
"""A model of larger files is not loaded several times at once."""
BATCHES_IN_ORDER_OF_PICTURES = 4
"""Among so many batches of prompts of like length, those about the same pictures stand together."""

Append = Callable[[Sequence[Completion]], None]


@dataclass(frozen=True)
class Interview:
    """What one model is to be asked."""

    name: str
    """What the progress bar calls it."""
    source: str
    """A checkpoint's folder, or `model.base`."""
    log: Path
    """Where its completions are appended."""
    asks: Sequence[Ask]


@dataclass(frozen=True)
class Batch:
    """Asks that a model completes at once. They are alike in length of completion and temperature."""

    asks: Sequence[Ask]
    texts: Sequence[str]
    """Their prompts, as the model's chat template has them."""


class Pictures(Protocol):
    """Opens pictures: a `ViewStore`, or what stands for one where there are no shards."""

    def picture(self, view_id: str) -> Image.Image:
        """The RGB picture of a view."""


def hold(interviews: Sequence[Interview], model: Model, machine: Machine, views: Sequence[Path], asks_per_process: int = ASKS_PER_PROCESS) -> None:
    """Ask every model what it is to be asked.

    On a CPU, small models are asked by several processes, each with an even share of every model's questions: `machine.workers` of them,
    as far as there is enough to ask. A completion does not depend on it beyond what batches do, see `complete`.

    Args:
        views: folders of shards.

    Raises:
        UserError: machine setting `launcher` is ray, and there is no such cluster, or it cannot ask.
        RuntimeError: one of those processes failed; what it had already asked is kept.
    """
    if machine.launcher == "ray":
        ray_or_refuse(machine)
        from actial.evaluation.ray_asking import hold_on_cluster

        hold_on_cluster(interviews, model, machine, views)
        return
    cuda = machine.device == "cuda" or (machine.device == "auto" and torch.cuda.is_available())
    n = 1 if cuda else _n_processes(interviews, machine, asks_per_process)
    dealt = [_dealt(i.asks, n) for i in interviews]
    shares = [[replace(i, asks=of[k], name=i.name if n == 1 else f"{i.name} {k + 1}/{n}") for i, of in zip(interviews, dealt, strict=True)] for k in range(n)]
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=_child, args=(share, model, machine, views, k), daemon=True) for k, share in enumerate(shares[1:], start=1)]
    for process in started:
        process.start()
    _hold_share(shares[0], model, machine, views, "cuda" if cuda else "cpu", 0)
    for process in started:
        process.join()
    if failed := [process.exitcode for process in started if process.exitcode != 0]:
        raise RuntimeError(f"{len(failed)} of {n} evaluation processes ended early (exit code {failed[0]}); their errors stand above")


def _dealt(asks: Sequence[Ask], n: int) -> list[list[Ask]]:
    """Questions by the process that asks them: as many tokens each, those about the same pictures together."""
    shares: list[list[Ask]] = [[] for _ in range(n)]
    weights = [0] * n
    alike = [list(group) for _, group in itertools.groupby(sorted(asks, key=lambda a: (a.view_ids, a.key)), key=lambda a: a.view_ids)]
    for group in sorted(alike, key=lambda group: -sum(a.max_new_tokens for a in group)):
        least = weights.index(min(weights))
        shares[least] += group
        weights[least] += sum(a.max_new_tokens for a in group)
    return shares


def _n_processes(interviews: Sequence[Interview], machine: Machine, asks_per_process: int) -> int:
    n_asks = sum(len(i.asks) for i in interviews)
    files = [sum(p.stat().st_size for p in Path(i.source).glob("*.safetensors")) if Path(i.source).is_dir() else SHARED_MODEL_BYTES + 1 for i in interviews]
    if max(files, default=0) > SHARED_MODEL_BYTES:
        return 1
    return max(1, min(machine.workers or os.cpu_count() or 1, n_asks // asks_per_process))


def _child(share: Sequence[Interview], model: Model, machine: Machine, views: Sequence[Path], place: int) -> None:
    die_with_parent()
    _hold_share(share, model, machine, views, "cpu", place)


def _hold_share(share: Sequence[Interview], model: Model, machine: Machine, views: Sequence[Path], device: str, place: int) -> None:
    store = ViewStore(*views)
    for interview in share:
        if interview.asks:
            loaded, processor = load_for_asking(interview.source, model, device, machine.threads)
            append = functools.partial(append_completions, interview.log)
            complete(loaded, processor, interview.asks, store, append, machine.generate_rows, interview.name, place)


def load_for_asking(source: str, model: Model, device: str, threads: int) -> tuple[Any, Any]:
    """A model in evaluation mode on `device` and its processor; this process computes on so many CPU threads."""
    torch.set_num_threads(threads)
    return load_model(source, model).eval().to(device), load_processor(source, model)


def device_name(device: str) -> str:
    """What logs call it."""
    return str(torch.cuda.get_device_name()) if device == "cuda" else "the CPU"


def complete(model: Any, processor: Any, asks: Sequence[Ask], views: ViewStore, append: Append, rows: int, name: str, place: int = 0) -> None:
    """Ask a model, `rows` questions at once, the shortest prompts first.

    Greedy where an ask has no `sampling`. A sampled completion is drawn by uniform numbers of its own, made from the root seed and the ask's
    key, see `_Sampler`. So either way a completion does not depend on what else is asked, in which order or batch, beyond floating-point
    rounding: padding is masked, but the kernels of matrix products differ with a batch's shape, and where two tokens are as probable as
    rounding can tell, another one may win.

    Args:
        model: a Qwen2.5-VL in evaluation mode, on its device.
        processor: its processor; the tokenizer pads on the left.
        append: takes the completions of each batch.
        name: what the progress bar calls the model.
        place: line of the progress bar.
    """
    seen = seen_in(model, processor, views)
    with tqdm(total=len(asks), unit="question", desc=f"ask {name}", mininterval=1, smoothing=0.1, position=place) as bar:
        for batch in batches_of(processor, asks, views, rows):
            append(complete_batch(model, processor, batch, seen))
            bar.update(len(batch.asks))


def seen_in(model: Any, processor: Any, views: Pictures) -> Seen:
    """What `model` makes of pictures, hidden ones among them."""
    return Seen(model, processor, lambda shown: _opened(views, *shown))


def batches_of(processor: Any, asks: Sequence[Ask], views: ViewStore, rows: int) -> Iterator[Batch]:
    """Batches of at most `rows` asks, whoever completes them: the shortest prompts first."""
    if processor.tokenizer.padding_side != "left":
        raise ValueError("generation needs a processor that pads on the left")
    texts = {a.key: chat_text(processor, a.messages) for a in asks}
    for _, alike in itertools.groupby(_in_order(processor, asks, texts, views, rows), key=_batch_key):
        group = list(alike)
        for start in range(0, len(group), rows):
            batch = group[start : start + rows]
            yield Batch(batch, [texts[a.key] for a in batch])


def _in_order(processor: Any, asks: Sequence[Ask], texts: dict[str, str], views: ViewStore, rows: int) -> list[Ask]:
    """Prompts of a like length stand together, so that little is padded; and among these, those about the same pictures, so that each is encoded once."""
    if not asks:
        return []
    written = processor.tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"]
    n_text = dict(zip(texts, map(len, written), strict=True))
    size_of = lambda view_id: (views[view_id].camera.height_px, views[view_id].camera.width_px)
    patches_of = {view_id: processor.image_processor.get_number_of_image_patches(*size_of(view_id)) for view_id in {v for a in asks for v in a.view_ids}}
    n_pictures = lambda a: sum(patches_of[view_id] for view_id in a.view_ids) // processor.image_processor.merge_size**2
    ordered = sorted(asks, key=lambda a: (_batch_key(a), n_text[a.key] + n_pictures(a), a.view_ids, a.key))
    near: list[Ask] = []
    for _, alike in itertools.groupby(ordered, key=_batch_key):
        group, n = list(alike), rows * BATCHES_IN_ORDER_OF_PICTURES
        for start in range(0, len(group), n):
            near += sorted(group[start : start + n], key=lambda a: (a.view_ids, n_text[a.key], a.key))
    return near


def chat_text(processor: Any, messages: Sequence[Message]) -> str:
    """The prompt as the model's chat template has it, one placeholder a picture, open for the assistant's turn, or for what follows its beginning."""
    turns = [{"role": m.role, "content": content_parts(m.content)} for m in messages]
    begun = messages[-1].role == "assistant"
    return processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun)


def _batch_key(one: Ask) -> tuple[int, float]:
    """Asks of different keys never stand in one batch."""
    return one.max_new_tokens, 0.0 if one.sampling is None else one.sampling.temperature


@torch.inference_mode()
def complete_batch(model: Any, processor: Any, asked: Batch, seen: Seen) -> list[Completion]:
    """What a model writes, in the order of the asks."""
    batch = asked.asks
    inputs = seen.inputs(asked.texts, [(view_id, i in a.hidden) for a in batch for i, view_id in enumerate(a.view_ids)])
    end_ids = _end_ids(model, processor)
    model.generation_config = GenerationConfig(  # the checkpoint's own may sample or penalise repetition
        do_sample=False, num_beams=1, max_new_tokens=batch[0].max_new_tokens, eos_token_id=end_ids, pad_token_id=processor.tokenizer.pad_token_id
    )
    n_prompt = inputs["input_ids"].shape[1]
    greedy = _Logprobs() if batch[0].sampling is None else None
    steering = LogitsProcessorList([greedy or _Sampler(batch, n_prompt, model.device)])
    written = model.generate(**inputs, logits_processor=steering)[:, n_prompt:].tolist()
    completions = []
    for one, tokens, logprobs in zip(batch, written, greedy.by_row() if greedy else itertools.repeat(()), strict=bool(greedy)):
        kept = list(itertools.takewhile(lambda token: token not in end_ids, tokens))
        finish = "length" if len(kept) == one.max_new_tokens else "stop"
        text = processor.tokenizer.decode(kept, skip_special_tokens=True)
        completions.append(Completion(one.key, text, len(kept), finish, answer_logprob(processor, kept, text, logprobs) if greedy else None))
    return completions


def answer_logprob(processor: Any, tokens: Sequence[int], text: str, logprobs: Sequence[float]) -> float | None:
    """Of the tokens that any part of the answer in a completion's last `<answer>` stands in, see `Completion`; None where no answer is there.

    Args:
        tokens: of the completion, whose `text` they are.
        logprobs: of each of them, or of more.
    """
    if (span := answer_span(text)) is None:
        return None
    ends = [0, *itertools.accumulate(map(len, processor.tokenizer.convert_ids_to_tokens(tokens)))]
    length: Callable[[int], int] = ends.__getitem__
    if ends[-1] != len(text):  # a letter of several tokens, or a token that is not shown: slower
        length = lambda n: len(processor.tokenizer.decode(tokens[:n], skip_special_tokens=True))
    return logprob_between(*span, length, logprobs, len(tokens))


def _opened(views: Pictures, view_id: str, hidden: bool) -> Image.Image:
    picture = views.picture(view_id)
    if hidden:
        hide(picture)
    return picture


class _Logprobs(LogitsProcessor):
    """Notes how probable each token is that greedy decoding takes: all scores of all tokens would fill the memory."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []
        """(rows,) of each token written."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """(rows, vocabulary) logits, as they are."""
        self.steps.append(scores.amax(dim=-1) - scores.logsumexp(dim=-1))
        return scores

    def by_row(self) -> list[list[float]]:
        return torch.stack(self.steps, dim=1).tolist()


class _Sampler(LogitsProcessor):
    """Makes greedy decoding draw from softmax(logits / temperature), every row by numbers of its own.

    The library's own sampling draws one stream of numbers for a whole batch, so that a row's tokens depend on its neighbours. Here token t of
    a row is the one at which the distribution function first exceeds the row's t-th uniform number; all others are ruled out.
    """

    def __init__(self, batch: Sequence[Ask], n_prompt: int, device: Any) -> None:
        drawn = [(a.key, a.max_new_tokens, a.sampling) for a in batch if a.sampling is not None]
        rows = np.stack([generator_for(sampling.root_seed, f"{key}/sample").random(n) for key, n, sampling in drawn])
        self.uniform, self.n_prompt = torch.from_numpy(rows).to(device), n_prompt
        self.temperature = drawn[0][2].temperature

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """(rows, vocabulary) logits, minus infinity for all but the token drawn."""
        cumulative = torch.softmax(scores.double() / self.temperature, dim=-1).cumsum(dim=-1)
        threshold = self.uniform[:, input_ids.shape[1] - self.n_prompt, None] * cumulative[:, -1:]
        token = torch.searchsorted(cumulative, threshold, right=True).clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)


def _end_ids(model: Any, processor: Any) -> list[int]:
    """Tokens that end a completion: what the checkpoint says, and the tokenizer's own end token."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return sorted({processor.tokenizer.eos_token_id, *(i for i in ids if i is not None)})
