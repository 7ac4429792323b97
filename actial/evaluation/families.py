"""Are a model's answers about the same views consistent? Families of questions whose answers constrain each other, beside their accuracy.

    families     by model, mode and sort (pair, cycle, all): n, consistent, stderr, contradicting, unanswered, accuracy, all_right, expected, excess, low, high

*Consistent* is the share of families that are answered whole and without contradiction, *contradicting* that of those whose answers no motion of the cameras
makes true together, *unanswered* the rest: some answer could not be read, and the others do not contradict each other. *Accuracy* is the share of the families'
questions that are answered right, *all_right* that of families without a wrong answer. Blind guesses are consistent now and then: compare with the stand-in
`random`. Whoever always says that nothing changed never contradicts itself: look at the accuracy, too.

How consistent would answers be that are as often right and wrong, in the same ways, but know nothing of each other? *Expected* is the share of consistent
families after the answers were exchanged at random among questions of one kind with the same truth, so that the accuracy of every kind stays, and what is
said where it is wrong: the mean of `EXCHANGES` of them. *Excess* is consistent - expected, *low* and *high* its 95 % interval by cluster bootstrap. Above 0,
the answers about the same views hang together, right or wrong, as if they came from one idea of where the cameras stand. Who is always right, or always says
the same, has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actial.comparisons import paired_comparison
from actial.records import Mode, Question, Verdict
from actial.rng import generator_for
from actial.stats import clustered_mean

ALL = "all"
SORTS = ("pair", "cycle", ALL)
EXCHANGES = 40
Labels = Mapping[str, str | None]
"""What was answered, by question; None where nothing could be read."""


@dataclass(frozen=True)
class AskedFamily:
    """A family whose questions were all asked."""

    sort: str
    scene_id: str
    question_ids: tuple[str, ...]
    contradicts: Callable[[Labels], bool | None]
    """Of labels by question: `questions.contradictions.contradicts`."""


def family_scores(
    families: Sequence[AskedFamily], questions: Mapping[str, Question], verdicts: Mapping[tuple[str, Mode], Sequence[Verdict]], root_seed: int
) -> dict[str, dict[str, Any]]:
    """The content of `families` in scores.json.

    Args:
        questions: by id.
        verdicts: by model and mode, about all questions of the families.
        root_seed: of the exchanges and of the bootstrap.
    """
    scores: dict[str, dict[str, Any]] = {}
    judge = _Judge(families)
    for (model, mode), found in verdicts.items():
        by_id = {v.question_id: v for v in found}
        labels = {v.question_id: None if v.answer is None else questions[v.question_id].label_of(v.answer) for v in found}
        judged = judge(labels)
        expected = _expected(judge, labels, questions, generator_for(root_seed, f"{model}/{mode}/exchanges"))
        cells = {}
        for sort in SORTS:
            places = [i for i, family in enumerate(families) if sort in (family.sort, ALL)]
            if places:
                generator = generator_for(root_seed, f"{model}/{mode}/{sort}/families")
                cells[sort] = _cell([families[i] for i in places], [judged[i] for i in places], [expected[i] for i in places], by_id, generator)
        scores.setdefault(model, {})[mode] = cells
    return scores


class _Judge:
    """Whether each family's answers contradict each other; what was judged once is remembered."""

    def __init__(self, families: Sequence[AskedFamily]) -> None:
        self.families = families
        self._known: list[dict[tuple[str | None, ...], bool | None]] = [{} for _ in families]

    def __call__(self, labels: Labels) -> list[bool | None]:
        return [self._judged(family, known, labels) for family, known in zip(self.families, self._known, strict=True)]

    def _judged(self, family: AskedFamily, known: dict[tuple[str | None, ...], bool | None], labels: Labels) -> bool | None:
        given = tuple(labels[q] for q in family.question_ids)
        if given not in known:
            known[given] = family.contradicts(dict(zip(family.question_ids, given, strict=True)))
        return known[given]


def _expected(judge: _Judge, labels: Labels, questions: Mapping[str, Question], generator: np.random.Generator) -> list[float]:
    """For each family how often it is consistent after answers were exchanged among questions alike."""
    alike = _alike([questions[question_id] for question_id in labels])
    ranks = {q: None if label is None else _ranked(questions[q]).index(label) for q, label in labels.items()}
    consistent = np.zeros(len(judge.families))
    for _ in range(EXCHANGES):
        exchanged: dict[str, str | None] = {}
        for members in alike:
            for question_id, place in zip(members, generator.permutation(len(members)), strict=True):
                rank = ranks[members[place]]
                exchanged[question_id] = None if rank is None else _ranked(questions[question_id])[rank]
        consistent += [found is False for found in judge(exchanged)]
    return [float(share) for share in consistent / EXCHANGES]


def _ranked(question: Question) -> list[str]:
    """The right label, then the others by alphabet: what an answer is, in terms that hold for other questions with other options."""
    right = question.label_of(question.truth)
    return [right, *sorted(label for label in question.labels if label != right)]


def _alike(questions: Sequence[Question]) -> list[list[str]]:
    """Ids of questions that are as hard as each other: of one kind with the same truth, where the kind has the same options throughout; else of one kind with
    as many options.
    """
    options: dict[str, set[frozenset[str]]] = {}
    for q in questions:
        options.setdefault(q.kind, set()).add(frozenset(q.labels))
    alike: dict[tuple[str, str], list[str]] = {}
    for q in questions:
        same = q.label_of(q.truth) if len(options[q.kind]) == 1 else str(len(q.labels))
        alike.setdefault((q.kind, same), []).append(q.question_id)
    return list(alike.values())


def _cell(
    families: Sequence[AskedFamily],
    judged: Sequence[bool | None],
    expected: Sequence[float],
    verdicts: Mapping[str, Verdict],
    generator: np.random.Generator,
) -> dict[str, Any]:
    scenes = [family.scene_id for family in families]
    consistent = clustered_mean([float(found is False) for found in judged], scenes)
    asked = list(dict.fromkeys(q for family in families for q in family.question_ids))
    share = lambda values: sum(values) / len(values)
    excess = paired_comparison([(found is False) - null for found, null in zip(judged, expected, strict=True)], scenes, [1.0] * len(scenes), generator)
    return {
        "n": len(families),
        "consistent": consistent.mean,
        "stderr": consistent.stderr,
        "contradicting": share([found is True for found in judged]),
        "unanswered": share([found is None for found in judged]),
        "accuracy": share([verdicts[q].correct for q in asked]),
        "expected": share(expected),
        "excess": excess.mean,
        "low": excess.low,
        "high": excess.high,
        "all_right": share([all(verdicts[q].correct for q in family.question_ids) for family in families]),
    }
