"""Conversations of each mode, made from questions and views."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from actial import ids
from actial.mix.arc_evidence import reasoned_on_arc
from actial.mix.descriptions import describe_pair, reason_2d
from actial.mix.evidence import TELLERS, reasoned
from actial.mix.lengths import TokenCounter
from actial.mix.measures import measures_of
from actial.mix.reasoning import NoChain, tell
from actial.mix.sentences import in_sentences
from actial.mix.verification import FalseClaim, verify
from actial.mix.verified_arcs import verify_on_arc
from actial.mix.wording import in_words
from actial.params import ColdStartMix, Prompt
from actial.params_questions import KINDS_WITH_CHAINS, THREE_VIEW_KINDS
from actial.prompts import THINK_CLOSE, THINK_OPEN, completion_text, prompt_messages, prompt_sha
from actial.questions.kinds_2d import questions_2d
from actial.records import Conversation, Message, Mode, Question, View, is_viewpoint
from actial.rng import generator_for

ViewOf = Callable[[str], View]
TRIED_AT_ONCE = 50_000
"""Most questions that are tried for a chain before it is seen which more are wanted."""


@dataclass(frozen=True)
class Scribe:
    """What every conversation is written with."""

    prompt: Prompt
    settings: ColdStartMix
    views: ViewOf
    counter: TokenCounter | None
    seed: int

    def conversation(self, question: Question, mode: Mode, reasoning: str = "", answered: bool = True) -> Conversation:
        """One row; without the assistant's turn where it is not `answered`. A think row is what `settings.reasoning` makes of it."""
        messages = prompt_messages(self.prompt, question, mode)
        if mode == "think" and self.settings.reasoning == "auxiliary":
            mode = "describe"
            messages = (prompt_messages(self.prompt, question, mode)[0], *messages[1:])
        if answered:
            messages += (Message("assistant", self._completion(question, mode, reasoning)),)
        sizes_px = [(v.camera.width_px, v.camera.height_px) for v in map(self.views, question.view_ids)]
        return Conversation(
            question_id=question.question_id,
            view_ids=question.view_ids,
            kind=question.kind,
            mode=mode,
            messages=messages,
            options=question.options,
            labels=question.labels,
            truth=question.truth,
            scene_id=question.scene_id,
            prompt_sha=prompt_sha(self.prompt),
            n_tokens=self.counter.conversation_tokens(messages, sizes_px) if self.counter else 0,
        )

    def fits(self, question: Question, mode: Mode, reasoning: str = "", answered: bool = True) -> bool:
        """Whether a row is no longer than `settings.max_tokens`."""
        limit = self.settings.max_tokens
        return limit is None or self.conversation(question, mode, reasoning, answered).n_tokens <= limit

    def _completion(self, question: Question, mode: Mode, reasoning: str) -> str:
        answer = self._answer(question)
        if mode == "think" and self.settings.reasoning == "after":
            return f"{completion_text('direct', answer)}{THINK_OPEN}{reasoning}{THINK_CLOSE}"
        return completion_text(mode, answer, reasoning)

    def text_tokens(self, text: str) -> int:
        """Length of a text, up to a constant: tokens, or words where nothing counts tokens."""
        return self.counter.conversation_tokens((Message("assistant", text),), ()) if self.counter else len(text.split())

    def _answer(self, question: Question) -> str:
        if not question.options:
            return ""
        return question.truth if self.prompt.answer == "letter" else question.options[question.labels.index(question.label_of(question.truth))]


class WrittenChains(NamedTuple):
    """Chains, and what became of the questions that were tried."""

    told: list[tuple[Question, str]]
    """Questions with a verified chain of thought."""
    refused: Counter[str]
    """Why others have none."""
    tried: dict[str, Counter[str]]
    """How the tries of each kind ended: `TOLD`, or why there is no chain."""


TOLD = "told"


def written_chains(scribe: Scribe, questions: Sequence[Question], most: int) -> WrittenChains:
    """Questions with a verified chain of thought, of the kinds that chains can be told of in that wording.

    Within a kind every label gets equally many chains, about `most` in all and at most `settings.chains`: questions are tried in an order drawn by the
    seed, and what the rarest label cannot match is left out. The order returned is that of `questions`.
    """
    settings, refused = scribe.settings, Counter[str]()
    questions = [question for question in questions if question.kind in KINDS_WITH_CHAINS[settings.wording]]
    tried: dict[str, Counter[str]] = {kind: Counter() for kind in sorted({q.kind for q in questions})}
    quota = chains_of_each_sort(settings, questions, most)
    chains: Chains = {sort: [] for sort in sorts_of(questions)}
    order = generator_for(scribe.seed, "chains").permutation(len(questions)).tolist()
    is_wanted = lambda i: len(chains[questions[i].kind, questions[i].label_of(questions[i].truth)]) < quota
    n_wanted = lambda: sum(quota - len(found) for found in chains.values())
    for i, (chain, why_not) in _tried(scribe, questions, order, is_wanted, n_wanted):
        if not is_wanted(i):
            continue
        kind, ended = questions[i].kind, why_not or TOLD
        tried[kind][ended] += 1
        if why_not:
            refused[f"chains: {why_not}"] += 1
        else:
            chains[kind, questions[i].label_of(questions[i].truth)].append((i, chain))
    return WrittenChains([(questions[i], chain) for i, chain in evenly(chains, refused)], refused, tried)


Chains = dict[tuple[str, str], list[tuple[int, str]]]
"""Chains found, each with the place of its question, by kind and label."""


def sorts_of(questions: Sequence[Question]) -> list[tuple[str, str]]:
    """Every kind with each of its labels that is ever right."""
    return sorted({(q.kind, q.label_of(q.truth)) for q in questions})


def chains_of_each_sort(settings: ColdStartMix, questions: Sequence[Question], most: int) -> int:
    """How many chains each kind and label gets at most, of about `most` in all and at most `settings.chains`."""
    n = max(1, len(sorts_of(questions)))
    quota = math.ceil(most / n)
    return min(quota, max(1, settings.chains // n)) if settings.chains else quota


def evenly(chains: Chains, refused: Counter[str]) -> list[tuple[int, str]]:
    """As many chains of each label of a kind as its rarest has, in the order of their questions; the others are counted."""
    kept: dict[int, str] = {}
    for (kind, _), found in chains.items():
        rarest = min(len(others) for (other, _), others in chains.items() if other == kind)
        kept |= dict(found[:rarest])
        refused["chains: thinned to balance labels"] += len(found) - rarest
    return sorted(kept.items())


def _tried(
    scribe: Scribe, questions: Sequence[Question], order: Sequence[int], is_wanted: Callable[[int], bool], n_wanted: Callable[[], int]
) -> Iterator[tuple[int, tuple[str, str]]]:
    """The questions' places in this order, each with its chain, or with why there is none, while any are wanted.

    They are tried by the block, and within a block by the views they are about, so that a view is read and measured once for all questions about it.
    """
    start = 0
    while start < len(order) and (n := n_wanted()):
        end = start + min(64 + n * 5 // 4, TRIED_AT_ONCE)
        block = [i for i in order[start:end] if is_wanted(i)]
        found = {i: _chain_or_reason(scribe, questions[i]) for i in sorted(block, key=lambda i: questions[i].view_ids)}
        yield from ((i, found[i]) for i in block)
        start = end


def _chain_or_reason(scribe: Scribe, question: Question) -> tuple[str, str]:
    try:
        return _verified_chain(scribe, question), ""
    except NoChain as reason:
        return "", str(reason)
    except FalseClaim:
        return "", "not verified"


def _verified_chain(scribe: Scribe, question: Question) -> str:
    settings = scribe.settings
    generator = generator_for(scribe.seed, f"{question.question_id}/chain")
    if question.kind in THREE_VIEW_KINDS:
        views = [scribe.views(v) for v in question.view_ids]
        chain = in_sentences(reasoned_on_arc(question, views), generator)
        verify_on_arc(chain, question, views)
        return chain
    first, second = (scribe.views(v) for v in question.view_ids)
    if question.kind in TELLERS:
        chain = in_sentences(reasoned(question, measures_of(first, second)), generator)
    else:
        story = tell(question, first, second, settings.wording == "full", settings.grid if settings.quote_places else None)
        chain = in_words(story, settings.wording, generator)
    verify(chain, question, first, second, settings.grid)
    return chain


def written_descriptions(scribe: Scribe, questions: Sequence[Question], most: int) -> tuple[list[tuple[Question, str]], Counter[str]]:
    """Descriptions of at most so many of the ordered pairs that the questions are about, drawn by the seed, and why others have none."""
    found: list[tuple[Question, str]] = []
    refused = Counter[str]()
    for question in _of_each_pair(scribe, questions, "descriptions"):
        if len(found) == most:
            break
        first, second = (scribe.views(v) for v in question.view_ids)
        if text := describe_pair(first, second, scribe.settings.wording, scribe.settings.grid, sides=True):
            found.append((_about_pair(question), text))
        else:
            refused["descriptions: no named part seen"] += 1
    return found, refused


def written_2d(scribe: Scribe, questions: Sequence[Question], most: int) -> list[tuple[Question, str]]:
    """At most so many questions about the pictures alone, with their reasoning: one of each kind for ordered pairs that the questions are about."""
    found: list[tuple[Question, str]] = []
    for question in _of_each_pair(scribe, questions, "2d"):
        if len(found) >= most:
            break
        first, second = map(scribe.views, question.view_ids)
        found += [(asked.question, reason_2d(asked, first, second, scribe.settings.grid)) for asked in questions_2d(first, second, scribe.seed)]
    return found[:most]


def _of_each_pair(scribe: Scribe, questions: Sequence[Question], name: str) -> list[Question]:
    """One of the viewpoint questions about each ordered pair, in an order drawn by the seed. Of one picture, or three, nothing is described."""
    one = list({q.view_ids: q for q in questions if len(q.view_ids) == 2 and is_viewpoint(q.kind)}.values())
    return [one[i] for i in generator_for(scribe.seed, name).permutation(len(one))]


def _about_pair(question: Question) -> Question:
    """The question's pair, asked to be described."""
    described = ids.question_id(ids.group_id(*question.view_ids), "describe")
    return replace(question, question_id=described, kind="describe", options=(), labels=(), truth="", tied_class="")
