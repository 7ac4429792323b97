"""From a benchmark's questions to what models are asked, and from what they wrote to records and scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from actial.answers import Answer, is_well_formed, read_answer
from actial.evaluation.benchmarks.benchmark import Item, Metric, Scored
from actial.evaluation.benchmarks.stored import Stored
from actial.evaluation.completions import Ask, Completion, Sampling, ask
from actial.params import Prompt
from actial.prompts import prompt_messages
from actial.records import STRICT_RULES, Message, Mode
from actial.rng import seed_for
from actial.shards import ViewStore

CUT_OFF = "length"
"""How a completion ends that reached the limit of tokens."""


@dataclass(frozen=True)
class Manner:
    """How questions are asked."""

    prompt: Prompt
    max_new_tokens: Mapping[Mode, int]
    """By mode asked."""
    seed: int
    n_questions: int | None = None
    """Most questions of a benchmark, drawn by the seed in whole groups of variants; None for all."""
    n_samples: int | None = None
    """Sampled completions of each question; None for one greedy."""
    temperature: float = 1.0
    """Of samples."""

    def samplings(self) -> list[Sampling | None]:
        """Of the completions of one question."""
        if self.n_samples is None:
            return [None]
        return [Sampling(self.temperature, number, self.seed) for number in range(self.n_samples)]


@dataclass(frozen=True)
class Posed:
    """A question as it is asked once."""

    item: Item
    mode: Mode
    ask: Ask


@dataclass(frozen=True)
class Judged:
    """What came of it."""

    posed: Posed
    completion: Completion | None
    """None where a server gave none."""
    answer: str | None
    """The letter that was read; None where none could be."""
    rule: str
    """The rule that read it, or the reason why none did."""
    credit: float
    """0 to 1; 0 where nothing could be read."""
    strict: bool
    """Whether the answer stands exactly where and how the prompt asked for it."""


def drawn(items: Sequence[Item], n: int | None, seed: int) -> list[Item]:
    """`n` of the questions or a few more, since all variants of one are drawn together; in their own order."""
    if n is None or n >= len(items):
        return list(items)
    of_group: dict[str, list[Item]] = {}
    for item in items:
        of_group.setdefault(item.group, []).append(item)
    chosen, taken = set[str](), 0
    for group in sorted(of_group, key=lambda group: seed_for(seed, f"{items[0].question.source}/{group}/evaluate")):
        if taken >= n:
            break
        chosen.add(group)
        taken += len(of_group[group])
    return [item for item in items if item.group in chosen]


def pose(benchmark: Stored, manner: Manner, views: ViewStore) -> list[Posed]:
    """A benchmark's questions as a model is asked them, mode by mode."""
    items = drawn(benchmark.items, manner.n_questions, manner.seed)
    return [
        Posed(item, mode, ask(item.question, mode, _messages(item, manner.prompt, mode), views, limit, sampling=sampling))
        for mode, limit in manner.max_new_tokens.items()
        for item in items
        for sampling in manner.samplings()
    ]


def _messages(item: Item, prompt: Prompt, mode: Mode) -> tuple[Message, ...]:
    """The published user turn where there is one, below the mode's own system turn."""
    ours = prompt_messages(prompt, item.question, mode)
    return ours if item.prompt is None else (ours[0], Message("user", item.prompt))


def judge(posed: Posed, completion: Completion | None, refused: str = "") -> Judged:
    """Read and judge a completion.

    Args:
        refused: why there is none.
    """
    if completion is None:
        return Judged(posed, None, None, f"no reply: {refused}", 0.0, strict=False)
    question = posed.item.question
    reading = read_answer(completion.text, question.options)
    if not isinstance(reading, Answer):
        return Judged(posed, completion, None, reading.reason, 0.0, strict=False)
    strict = reading.rule in STRICT_RULES and is_well_formed(completion.text, posed.mode)
    return Judged(posed, completion, reading.letter, reading.rule, float(reading.letter == question.truth), strict)


def record(judged: Judged, benchmark: str, model: str, fingerprint: str) -> dict[str, Any]:
    """All that a person needs to open a number: what was asked, what is right, what was written, how it was read and what it was worth."""
    item, asked, written = judged.posed.item, judged.posed.ask, judged.completion
    question, sampling = item.question, asked.sampling
    return {
        "benchmark": benchmark,
        "row_id": item.row_id,
        "question_id": question.question_id,
        "group": item.group,
        "variant": item.variant,
        "strata": dict(item.strata),
        "view_ids": list(question.view_ids),
        "question": question.text,
        "options": list(question.options),
        "truth": question.truth,
        "number": None if item.number is None else asdict(item.number),
        "model": model,
        "fingerprint": fingerprint,
        "mode": judged.posed.mode,
        "prompt": [asdict(message) for message in asked.messages],
        "prompt_sha": hashlib.sha256(json.dumps([asdict(message) for message in asked.messages]).encode()).hexdigest()[:12],
        "settings": {"max_new_tokens": asked.max_new_tokens, "sampling": None if sampling is None else asdict(sampling)},
        "key": asked.key,
        "completion": None if written is None else written.text,
        "finish": None if written is None else written.finish,
        "n_tokens": None if written is None else written.n_tokens,
        "answer": judged.answer,
        "rule": judged.rule,
        "correct": judged.credit == 1,
        "credit": judged.credit,
        "strict": judged.strict,
    }


def facts_of(benchmark: Stored, judged: Sequence[Judged]) -> dict[str, Any]:
    """What is true of a benchmark whoever is asked: its rows and its metrics' chance.

    Args:
        judged: of one model and mode.
    """
    scored = _scored(judged)
    metrics = {m.name: {"formula": m.formula, "n": len(m.units(scored)), "chance": m.chance(scored)} for m in benchmark.metrics}
    return {
        "title": benchmark.title,
        "version": benchmark.version,
        "protocol": benchmark.protocol,
        "fingerprint": benchmark.fingerprint,
        "primary": benchmark.primary,
        "n_rows": len(benchmark.items) + sum(benchmark.refused.values()),
        "refused": benchmark.refused,
        "n": len(scored),
        "metrics": metrics,
    }


def scores_of(benchmark: Stored, judged: Sequence[Judged]) -> dict[str, Any]:
    """A model's scores in one mode: every metric with its error, lenient and strict, and what could not be read.

    Shares lie between 0 and 1; of several samples of a question the mean counts.
    """
    lenient, strict = _scored(judged), _scored([replace(j, credit=j.credit if j.strict else 0.0) for j in judged])
    written = [j.completion for j in judged if j.completion is not None]
    share = lambda n: n / len(judged)
    return {
        "n": len(lenient),
        "n_completions": len(written),
        "unparsed": share(sum(j.answer is None for j in judged)),
        "no_reply": len(judged) - len(written),
        "cut_off": share(sum(c.finish == CUT_OFF for c in written)),
        "mean_tokens": sum(c.n_tokens for c in written) / len(written) if written else None,
        "metrics": {m.name: _metric(m, lenient, strict) for m in benchmark.metrics},
    }


def _metric(metric: Metric, lenient: Sequence[Scored], strict: Sequence[Scored]) -> dict[str, Any]:
    mean = metric.mean(lenient)
    return {"value": mean.mean, "stderr": mean.stderr, "n_clusters": mean.n_clusters, "strict": metric.value(strict)}


def _scored(judged: Sequence[Judged]) -> list[Scored]:
    """One a question, the mean over its samples."""
    of_item: dict[str, list[Judged]] = {}
    for j in judged:
        of_item.setdefault(j.posed.item.row_id, []).append(j)
    return [Scored(of[0].posed.item, sum(j.credit for j in of) / len(of), any(j.answer is not None for j in of)) for of in of_item.values()]
