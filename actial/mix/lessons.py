"""Chains of thought from a teacher: who is asked what, round by round, until there are enough or the budget is used up.

Which questions are asked, and in which order, follows from the seed and from the replies alone. So replies kept from before lead to the same chains, and
the budget counts them as if they were asked now.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actial.endpoint.asking import Ask, NoReply, Outcome, Reply, picture_format
from actial.endpoint.client import Client
from actial.errors import UserError
from actial.mix.conversations import Chains, Scribe, WrittenChains, chains_of_each_sort, evenly, sorts_of
from actial.mix.teacher import Verdict, judge, once_more, opening, prompt_sha
from actial.params import Teacher
from actial.records import Question
from actial.rng import generator_for
from actial.shards import ViewStore, encode_png
from actial.views.progress import ViewProgress

TRIAL = 48
"""Requests after which a teacher none of whose replies was verified is asked no more."""
Sort = tuple[str, str]
"""Kind and label."""


@dataclass(frozen=True)
class Lesson:
    """One request for the reasoning of a question."""

    place: int
    """Of the question, among all."""
    earlier: tuple[tuple[Reply, Verdict], ...] = ()
    """Its replies so far, and what was wrong with them."""

    @property
    def attempt(self) -> int:
        """From 1."""
        return len(self.earlier) + 1


@dataclass
class Lessons:
    """What came of all requests: the rows of teacher.parquet, and counts."""

    rows: list[dict[str, object]] = field(default_factory=list)
    n_used: int = 0
    """Replies that were judged."""
    n_failed: int = 0
    tokens: int = 0
    n_verified: int = 0
    out_of_budget: bool = False

    def write(self, path: Path) -> None:
        """Write a row for each request: what was asked, what came, and what became of it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        number = {name: pa.int64() for name in ("attempt", "n_tokens")}
        names = ("question_id", "kind", "truth", "attempt", "model", "prompt_sha", "text", "n_tokens", "verdict", "detail")
        pq.write_table(pa.Table.from_pylist(self.rows, pa.schema([(name, number.get(name, pa.string())) for name in names])), path)

    def counts(self, teacher: Teacher) -> dict[str, int]:
        """What the manifest says: the same whether replies were asked for now or before."""
        left = {"requests": (teacher.max_requests, self.n_used + self.n_failed), "tokens": (teacher.max_total_tokens, self.tokens)}
        counts = {"teacher's replies": self.n_used, "teacher's chains verified": self.n_verified, "teacher's tokens": self.tokens}
        return counts | {f"teacher's {what} left": max(0, most - used) for what, (most, used) in left.items() if most is not None}


class School:
    """Puts questions to a teacher."""

    def __init__(self, scribe: Scribe, store: ViewStore, client: Client) -> None:
        self.scribe, self.store, self.client = scribe, store, client
        self.teacher = scribe.settings.teacher
        self.lessons = Lessons()

    def taught_chains(self, questions: Sequence[Question], most: int) -> WrittenChains:
        """Questions with a verified chain of thought; labels as even as in `conversations.written_chains`.

        Raises:
            UserError: the server cannot be asked, or left too many requests without a reply.
        """
        refused = Counter[str]()
        quota = chains_of_each_sort(self.scribe.settings, questions, most)
        chains: Chains = {sort: [] for sort in sorts_of(questions)}
        waiting = {sort: deque[Lesson]() for sort in chains}
        fresh: dict[Sort, deque[int]] = {sort: deque() for sort in chains}
        for i in generator_for(self.scribe.seed, "chains").permutation(len(questions)):
            fresh[_sort_of(questions[i])].append(int(i))
        with ViewProgress(sum(min(quota, len(places)) for places in fresh.values()), 0, "chain", "cold_start_mix") as progress:
            while lessons := self._round(quota, chains, waiting, fresh):
                for lesson, outcome, verdict in self._held(questions, lessons, progress):
                    question = questions[lesson.place]
                    self._note(question, lesson, outcome, verdict, refused)
                    if verdict and verdict.chain:
                        chains[_sort_of(question)].append((lesson.place, verdict.chain))
                    elif verdict and isinstance(outcome, Reply) and lesson.attempt < self.teacher.attempts:
                        waiting[_sort_of(question)].append(Lesson(lesson.place, (*lesson.earlier, (outcome, verdict))))
                if self.lessons.out_of_budget:
                    refused["chains: wanted when the teacher's budget was used up"] += sum(
                        min(quota - len(found), len(waiting[sort]) + len(fresh[sort])) for sort, found in chains.items()
                    )
                    break
                self._refuse_hopeless()
        self._refuse_failures()
        return WrittenChains([(questions[i], chain) for i, chain in evenly(chains, refused)], refused, {})

    def _round(self, quota: int, chains: Chains, waiting: dict[Sort, deque[Lesson]], fresh: dict[Sort, deque[int]]) -> list[Lesson]:
        """As many requests of each sort as it lacks chains, questions asked before first; the sorts take turns, so that a budget ends evenly.

        Until a chain was verified, no more than a trial.
        """
        most = quota if self.lessons.n_verified else math.ceil(TRIAL / max(1, len(chains)))
        of_sorts = []
        for sort, found in chains.items():
            lessons: list[Lesson] = []
            while len(lessons) < min(most, quota - len(found)) and (waiting[sort] or fresh[sort]):
                lessons.append(waiting[sort].popleft() if waiting[sort] else Lesson(fresh[sort].popleft()))
            of_sorts.append(lessons)
        return [lesson for turn in itertools.zip_longest(*of_sorts) for lesson in turn if lesson]

    def _held(self, questions: Sequence[Question], lessons: list[Lesson], progress: ViewProgress) -> list[tuple[Lesson, Outcome, Verdict | None]]:
        """Ask, and judge each reply as it comes; what the budget does not cover is left out at the end."""
        spent = self.lessons
        if self.teacher.max_requests is not None:
            lessons = self._within(lessons, self.teacher.max_requests - spent.n_used - spent.n_failed)
        verdicts: dict[int, Verdict] = {}

        def heard(i: int, outcome: Outcome) -> None:
            if isinstance(outcome, Reply):
                question = questions[lessons[i].place]
                verdicts[i] = judge(outcome, question, *(self.store[v] for v in question.view_ids))
            tally = self.client.tally
            note = f"{tally.n_asked:,} asked, {tally.n_kept:,} from before, {tally.tokens:,} tokens spent"
            progress.add(bool(verdicts[i].chain) if i in verdicts else 0, note=note)

        left = None if self.teacher.max_total_tokens is None else max(0, self.teacher.max_total_tokens - spent.tokens)
        outcomes = self.client.ask_all((self._ask(questions[lesson.place], lesson) for lesson in lessons), left, heard)
        self.lessons.out_of_budget |= len(outcomes) < len(lessons)
        return [(lesson, outcome, verdicts.get(i)) for i, (lesson, outcome) in enumerate(zip(lessons, outcomes, strict=False))]

    def _within(self, lessons: list[Lesson], most: int) -> list[Lesson]:
        self.lessons.out_of_budget |= most < len(lessons)
        return lessons[: max(0, most)]

    def _ask(self, question: Question, lesson: Lesson) -> Ask:
        messages = opening(question, *map(self.store.__getitem__, question.view_ids))
        for reply, verdict in lesson.earlier:
            messages = once_more(messages, reply, verdict)
        teacher = self.teacher
        return Ask(question.question_id, teacher.model or "", messages, tuple(map(self._picture, question.view_ids)), teacher.temperature, teacher.max_tokens)

    def _picture(self, view_id: str) -> bytes:
        """As it is stored, where servers read that format; else, and of a mirror image, as PNG."""
        stored = None if self.store.mirrored_from(view_id) else self.store.picture_bytes(view_id)
        if stored and picture_format(stored):
            return stored
        import numpy as np

        return encode_png(np.asarray(self.store.picture(view_id)))

    def _note(self, question: Question, lesson: Lesson, outcome: Outcome, verdict: Verdict | None, refused: Counter[str]) -> None:
        row: dict[str, object] = {"question_id": question.question_id, "kind": question.kind, "attempt": lesson.attempt, "model": self.teacher.model}
        row |= {"prompt_sha": prompt_sha(), "truth": question.truth}
        if isinstance(outcome, NoReply) or verdict is None:
            self.lessons.n_failed += 1
            refused["chains: no reply of the teacher"] += 1
            self.lessons.rows.append(row | {"text": None, "n_tokens": None, "verdict": "no reply", "detail": ""})
            return
        self.lessons.n_used += 1
        self.lessons.tokens += outcome.n_tokens
        self.lessons.n_verified += bool(verdict.chain)
        if verdict.reason:
            refused[f"chains: teacher's reply rejected, {verdict.reason}"] += 1
        used = {"text": outcome.text, "n_tokens": outcome.n_tokens, "verdict": verdict.reason or "verified", "detail": verdict.detail}
        self.lessons.rows.append(row | used)

    def _refuse_hopeless(self) -> None:
        if self.lessons.n_used >= TRIAL and not self.lessons.n_verified:
            rejected = Counter(str(row["verdict"]) for row in self.lessons.rows)
            raise UserError(
                f"none of the first {self.lessons.n_used} replies of {self.teacher.model} could be verified ("
                + ", ".join(f"{n} {reason}" for reason, n in rejected.most_common(3))
                + f"), so it is asked no more: look at them in {self.client.kept.path}, or name another model in cold_start_mix.teacher.model"
            )

    def _refuse_failures(self) -> None:
        n, n_failed = self.lessons.n_used + self.lessons.n_failed, self.lessons.n_failed
        if n_failed > self.teacher.max_failed_share * n:
            raise UserError(
                f"{n_failed} of {n} requests to the teacher got no reply, more than cold_start_mix.teacher.max_failed_share "
                f"({self.teacher.max_failed_share:g}) allows: what came is kept, run again and only the rest is asked, or raise the share"
            )


def _sort_of(question: Question) -> Sort:
    return question.kind, question.label_of(question.truth)
