"""From a benchmark's questions to what models are asked, and from what they wrote to records and scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from actial.answers import is_well_formed
from actial.evaluation.benchmarks.benchmark import Item, Metric, Scored
from actial.evaluation.benchmarks.camera_moves import CameraMove
from actial.evaluation.benchmarks.credits import scored
from actial.evaluation.benchmarks.stored import Stored
from actial.evaluation.calibration import certainty
from actial.evaluation.completions import Ask, Completion, Sampling, ask
from actial.evaluation.conditions import BENCHMARK_CONTROLS, PLAIN, less_shown
from actial.params import Prompt
from actial.prompts import IMAGE_MARK, prompt_messages
from actial.records import STRICT_RULES, Message, Mode, Question
from actial.rng import seed_for
from actial.shards import ViewStore
from actial.stats import Mean, clustered_mean

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
    controls: tuple[str, ...] = ()
    """Of `conditions.BENCHMARK_CONTROLS`: with less to see, all is asked once more under each."""

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
    condition: str = PLAIN
    """Or one of `conditions.BENCHMARK_CONTROLS`. Under first_only and last_only, what shows one picture anyway is asked as it is."""

    def shows_less(self) -> bool:
        """Whether any of the question's pictures is hidden, or not there."""
        return bool(self.ask.hidden) or len(self.ask.view_ids) < len(self.item.question.view_ids)


@dataclass(frozen=True)
class Judged:
    """What came of it."""

    posed: Posed
    completion: Completion | None
    """None where a server gave none."""
    scored: Scored
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
    """A benchmark's questions as a model is asked them, mode by mode; under no control that changes none of them."""
    items = drawn(benchmark.items, manner.n_questions, manner.seed)
    controls = [condition for condition in manner.controls if any(less_shown(condition, item.question) for item in items)]
    return [
        _posed(item, mode, condition, manner, views, sampling)
        for mode in manner.max_new_tokens
        for condition in (PLAIN, *controls)
        for item in items
        for sampling in manner.samplings()
    ]


def _posed(item: Item, mode: Mode, condition: str, manner: Manner, views: ViewStore, sampling: Sampling | None) -> Posed:
    less = None if condition == PLAIN else less_shown(condition, item.question)
    question, hidden = (item.question, ()) if less is None else (less.question, less.hidden)
    messages = _messages(item.prompt, question, manner.prompt, mode)
    return Posed(item, mode, ask(question, mode, messages, views, manner.max_new_tokens[mode], hidden=hidden, sampling=sampling), condition)


def _messages(published: str | None, question: Question, prompt: Prompt, mode: Mode) -> tuple[Message, ...]:
    """The published user turn where there is one, below the mode's own system turn; without its pictures where the question has none."""
    system, ours = prompt_messages(prompt, question, mode)
    if published is None:
        return system, ours
    return system, Message("user", published if question.view_ids else published.replace(IMAGE_MARK, "").lstrip("\n"))


def judge(posed: Posed, completion: Completion | None, refused: str = "") -> Judged:
    """Read and judge a completion.

    Args:
        refused: why there is none.
    """
    if completion is None:
        return Judged(posed, None, Scored(posed.item, 0.0, answered=False, rule=f"no reply: {refused}"), strict=False)
    found = scored(posed.item, completion.text)
    return Judged(posed, completion, found, found.rule in STRICT_RULES and is_well_formed(completion.text, posed.mode))


def record(judged: Judged, benchmark: str, model: str, fingerprint: str) -> dict[str, Any]:
    """All that a person needs to open a number: what was asked, what is right, what was written, how it was read and what it was worth."""
    item, asked, written = judged.posed.item, judged.posed.ask, judged.completion
    question, sampling, found = item.question, asked.sampling, judged.scored
    control = {} if judged.posed.condition == PLAIN else {"condition": judged.posed.condition, "hidden": list(asked.hidden)}
    return control | {
        "benchmark": benchmark,
        "row_id": item.row_id,
        "question_id": question.question_id,
        "group": item.group,
        "variant": item.variant,
        "strata": dict(item.strata),
        "view_ids": list(asked.view_ids),
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
        "answer_logprob": None if written is None else written.answer_logprob,
        "answer": asdict(found.told) if isinstance(found.told, CameraMove) else found.told,
        "rule": found.rule,
        "correct": found.credit == 1,
        "credit": found.credit,
        "strict": judged.strict,
    }


def facts_of(benchmark: Stored, judged: Sequence[Judged]) -> dict[str, Any]:
    """What is true of a benchmark whoever is asked: its rows, and its metrics' chance and majority.

    Args:
        judged: of one model and mode.
    """
    first = _runs(judged)[0]
    metrics = {m.name: {"formula": m.formula, "n": len(m.units(first)), "chance": m.chance(first), "majority": m.majority(first)} for m in benchmark.metrics}
    return {
        "title": benchmark.title,
        "version": benchmark.version,
        "protocol": benchmark.protocol,
        "fingerprint": benchmark.fingerprint,
        "primary": benchmark.primary,
        "n_rows": len(benchmark.items) + sum(benchmark.refused.values()),
        "refused": benchmark.refused,
        "n": len(first),
        "metrics": metrics,
    }


def scores_of(benchmark: Stored, judged: Sequence[Judged]) -> dict[str, Any]:
    """A model's scores in one mode: every metric with its error, lenient and strict, and what could not be read.

    Shares lie between 0 and 1; of several samples of a question the mean counts. Certainty: see `results`.
    """
    lenient, strict = _runs(judged), _runs([j if j.strict else replace(j, scored=replace(j.scored, credit=0.0, told=None)) for j in judged])
    written = [j.completion for j in judged if j.completion is not None]
    share = lambda n: n / len(judged)
    return {
        "n": len(lenient[0]),
        "n_completions": len(written),
        "unparsed": share(sum(not j.scored.answered for j in judged)),
        "no_reply": len(judged) - len(written),
        "cut_off": share(sum(c.finish == CUT_OFF for c in written)),
        "mean_tokens": sum(c.n_tokens for c in written) / len(written) if written else None,
        "certainty": _certainty(judged),
        "metrics": {m.name: _metric(m, lenient, strict) for m in benchmark.metrics},
    }


def controls_of(benchmark: Stored, judged: Sequence[Judged]) -> dict[str, Any]:
    """What a model's scores in one mode come to with less to see, by control: those of `scores_of`, with how many questions showed less, and of every metric
    `lost`, how much it falls from plain to there, of the same questions. A metric has no value where none of the questions it counts showed less.

    Args:
        judged: of one model and mode; those asked plainly, and under controls.
    """
    by_condition: dict[str, list[Judged]] = {}
    for j in judged:
        by_condition.setdefault(j.posed.condition, []).append(j)
    plain = _runs(by_condition.pop(PLAIN))
    return {condition: _control(benchmark, plain, found) for condition, found in by_condition.items()}


def _control(benchmark: Stored, plain: Sequence[Sequence[Scored]], judged: Sequence[Judged]) -> dict[str, Any]:
    scores, less = scores_of(benchmark, judged), _runs(judged)
    anew = {j.posed.item.row_id for j in judged if j.posed.shows_less()}
    for metric in benchmark.metrics:
        if _counts(metric, less[0], anew):
            mean = _mean_of(metric, plain[0], _credits(metric, plain), _credits(metric, less))
            scores["metrics"][metric.name]["lost"] = {"value": mean.mean, "stderr": mean.stderr}
        else:
            scores["metrics"][metric.name] = _metric(metric, [[]], [[]]) | {"lost": {"value": None, "stderr": None}}
    return {"title": BENCHMARK_CONTROLS[judged[0].posed.condition], "n_showed_less": len(anew)} | scores


def _counts(metric: Metric, scored: Sequence[Scored], rows: set[str]) -> bool:
    """Whether any of these rows is of a question that the metric counts: whether it is another metric without them."""
    weights = lambda found: {u.key: (u.weight, u.credit) for u in metric.units([replace(s, credit=0.5, told=None) for s in found])}
    return weights(scored) != weights([s for s in scored if s.item.row_id not in rows])


def _certainty(judged: Sequence[Judged]) -> dict[str, Any]:
    """Of answers that chose among options and whose probability is known; each question, and each of its variants, counts once."""
    chosen = [j for j in judged if j.posed.item.question.options and j.scored.answered and j.completion is not None]
    return certainty([j.completion.answer_logprob for j in chosen if j.completion], [j.scored.credit for j in chosen], [1.0] * len(chosen))


def _metric(metric: Metric, lenient: Sequence[Sequence[Scored]], strict: Sequence[Sequence[Scored]]) -> dict[str, Any]:
    mean = _mean(metric, lenient)
    return {"value": mean.mean, "stderr": mean.stderr, "n_clusters": mean.n_clusters, "strict": _mean(metric, strict).mean}


def _mean(metric: Metric, runs: Sequence[Sequence[Scored]]) -> Mean:
    """Of a metric over samples: of each of its units the mean counts."""
    return _mean_of(metric, runs[0], _credits(metric, runs))


def _mean_of(metric: Metric, first: Sequence[Scored], credits: Mapping[str, float], less: Mapping[str, float] | None = None) -> Mean:
    """Of the credits of a metric's units, or of what they have more than `less`."""
    units = metric.units(first)
    values = [credits[u.key] - (less[u.key] if less else 0.0) for u in units]
    return clustered_mean(values, [u.cluster for u in units], [u.weight for u in units])


def _credits(metric: Metric, runs: Sequence[Sequence[Scored]]) -> dict[str, float]:
    """By unit, the mean over samples."""
    credits: dict[str, float] = {}
    for unit in (unit for run in runs for unit in metric.units(run)):
        credits[unit.key] = credits.get(unit.key, 0.0) + unit.credit / len(runs)
    return credits


def _runs(judged: Sequence[Judged]) -> list[list[Scored]]:
    """The first sample of every question, the second of every question, and so on."""
    runs: dict[int, list[Scored]] = {}
    for j in judged:
        sampling = j.posed.ask.sampling
        runs.setdefault(0 if sampling is None else sampling.number, []).append(j.scored)
    return [runs[number] for number in sorted(runs)]
