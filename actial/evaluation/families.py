"""Are a model's answers about the same views consistent? Families of questions whose answers constrain each other, beside their accuracy.

    families     by model, mode and sort (pair, cycle, all): n, consistent, stderr, contradicting, unanswered, accuracy, all_right

*Consistent* is the share of families that are answered whole and without contradiction, *contradicting* that of those whose answers no motion of the cameras
makes true together, *unanswered* the rest: some answer could not be read, and the others do not contradict each other. *Accuracy* is the share of the families'
questions that are answered right, *all_right* that of families without a wrong answer. Blind guesses are consistent now and then: compare with the stand-in
`random`. Whoever always says that nothing changed never contradicts itself: look at the accuracy, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actial.records import Mode, Question, Verdict
from actial.stats import clustered_mean

ALL = "all"
SORTS = ("pair", "cycle", ALL)


@dataclass(frozen=True)
class AskedFamily:
    """A family whose questions were all asked."""

    sort: str
    scene_id: str
    question_ids: tuple[str, ...]
    contradicts: Callable[[Mapping[str, str | None]], bool | None]
    """Of labels by question: `questions.contradictions.contradicts`."""


def family_scores(
    families: Sequence[AskedFamily], questions: Mapping[str, Question], verdicts: Mapping[tuple[str, Mode], Sequence[Verdict]]
) -> dict[str, dict[str, Any]]:
    """The content of `families` in scores.json.

    Args:
        questions: by id.
        verdicts: by model and mode, about all questions of the families.
    """
    scores: dict[str, dict[str, Any]] = {}
    for (model, mode), found in verdicts.items():
        by_id = {v.question_id: v for v in found}
        labels = {v.question_id: None if v.answer is None else questions[v.question_id].label_of(v.answer) for v in found}
        judged = [family.contradicts({q: labels[q] for q in family.question_ids}) for family in families]
        cells = {}
        for sort in SORTS:
            places = [i for i, family in enumerate(families) if sort in (family.sort, ALL)]
            if places:
                cells[sort] = _cell([families[i] for i in places], [judged[i] for i in places], by_id)
        scores.setdefault(model, {})[mode] = cells
    return scores


def _cell(families: Sequence[AskedFamily], judged: Sequence[bool | None], verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    scenes = [family.scene_id for family in families]
    consistent = clustered_mean([float(found is False) for found in judged], scenes)
    asked = list(dict.fromkeys(q for family in families for q in family.question_ids))
    share = lambda values: sum(values) / len(values)
    return {
        "n": len(families),
        "consistent": consistent.mean,
        "stderr": consistent.stderr,
        "contradicting": share([found is True for found in judged]),
        "unanswered": share([found is None for found in judged]),
        "accuracy": share([verdicts[q].correct for q in asked]),
        "all_right": share([all(verdicts[q].correct for q in family.question_ids) for family in families]),
    }
