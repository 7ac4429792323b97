"""How much of what a model thinks is true, not only what it answers.

Of each group, shares of the thoughts whose claims can be checked (`Verdict.n_claims`), each thought with its question's weight; null where there is none:

    n               thoughts
    true, stderr    the mean share of a thought's claims that are true, and its error, clustered by scene
    near            the same where places may be off by a column or a row
    not_understood  the mean share of claims that the verifier does not understand, which count as not true
    sound           of the thoughts behind right answers, those all of whose claims are true, within a column or a row
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actial.evaluation.groups import Group
from actial.records import Verdict
from actial.stats import Mean, clustered_mean

_Checked = Sequence[tuple[Verdict, str, float]]
"""Each with its scene and weight."""


def claim_scores(group: Group, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """See the head of this file.

    Args:
        verdicts: of all questions, in their order.
    """
    checked = [(verdicts[i], scene, weight) for i, scene, weight in zip(group.places, group.scenes, group.weights, strict=True) if verdicts[i].n_claims]
    right = [row for row in checked if row[0].correct]
    true = _mean(checked, lambda v: _share(v.n_claims_true, v))
    return {
        "n": len(checked),
        "true": true.mean,
        "stderr": true.stderr,
        "near": _mean(checked, lambda v: _share(v.n_claims_near, v)).mean,
        "not_understood": _mean(checked, lambda v: 1 - _share(v.n_claims_understood, v)).mean,
        "sound": _mean(right, lambda v: float(v.n_claims_near == v.n_claims)).mean,
    }


def _mean(checked: _Checked, value: Callable[[Verdict], float]) -> Mean:
    return clustered_mean([value(verdict) for verdict, _, _ in checked], [scene for _, scene, _ in checked], [weight for _, _, weight in checked])


def _share(n: int | None, verdict: Verdict) -> float:
    assert n is not None and verdict.n_claims, "its claims were checked"
    return n / verdict.n_claims
