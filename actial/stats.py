"""Means with standard errors that respect that questions about one scene are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mean:
    """A weighted mean and its clustered standard error."""

    mean: float | None
    """None where there is no data."""
    stderr: float | None
    """None where there are fewer than two clusters: one cluster says nothing about the spread between clusters."""
    n_clusters: int


def clustered_mean(values: Sequence[float], clusters: Sequence[str], weights: Sequence[float] | None = None) -> Mean:
    """Weighted mean with a cluster-robust standard error (CR1).

    With weights w, mean m = Σ w x / Σ w, and G clusters g,

        se² = G / (G − 1) · Σ_g ( Σ_{i in g} w_i (x_i − m) )² / ( Σ w )²

    which is the cluster-robust variance of the intercept of a weighted regression on a constant, with the finite-cluster correction
    G/(G−1) · (n−1)/(n−k), k = 1: Cameron and Miller, "A Practitioner's Guide to Cluster-Robust Inference", J. Human Resources 50(2), 2015,
    sections II.B and VI.B. Without the correction it is equation 4 of Miller, "Adding Error Bars to Evals", arXiv 2411.00640.

    Args:
        values: n numbers.
        clusters: the cluster of each.
        weights: positive weights; all 1 where None.
    """
    x = np.asarray(values, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(x) == len(clusters) == len(w):
        raise ValueError(f"{len(x)} values, {len(clusters)} clusters and {len(w)} weights: they must be as many")
    if len(x) == 0:
        return Mean(None, None, 0)
    mean = float(np.sum(w * x) / np.sum(w))
    names, member_of = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        return Mean(mean, None, len(names))
    sums = np.bincount(member_of, weights=w * (x - mean))
    variance = len(names) / (len(names) - 1) * float(np.sum(sums**2)) / float(np.sum(w)) ** 2
    return Mean(mean, variance**0.5, len(names))


def wilson_interval(right: Sequence[bool], clusters: Sequence[str], weights: Sequence[float] | None = None) -> tuple[float, float] | None:
    """95 % interval of a share of right answers; None where there are none.

    Wilson's (J. Am. Stat. Assoc. 22, 1927), which stays within 0 and 1 however few answers there are, with n made smaller by as much as clusters make
    the variance larger (Kish, Survey Sampling, 1965, section 8.2). Where all answers are right, or all wrong, nothing tells by how much: n is then the
    number of clusters.

    Args:
        right, clusters: n values each.
        weights: n weights up to 1, where several answers count as one; all 1 where None.
    """
    found = clustered_mean([float(r) for r in right], clusters, weights)
    if found.mean is None:
        return None
    p, n = found.mean, float(found.n_clusters)
    if found.stderr:
        n = min(float(len(right)) if weights is None else sum(weights), p * (1 - p) / found.stderr**2 * found.n_clusters / (found.n_clusters - 1))
    z = 1.959964
    middle, reach = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, (middle - reach) / (1 + z**2 / n)), min(1.0, (middle + reach) / (1 + z**2 / n))


AT_CHANCE, ABOVE, BELOW, UNDECIDED = "at chance", "above", "below", "undecided"
LEVEL = 0.05
"""Of all tests."""


@dataclass(frozen=True)
class ChanceTest:
    """An accuracy against chance."""

    verdict: str
    """at chance, above, below or undecided."""
    low: float | None
    high: float | None
    """The 90 % interval of accuracy - chance: at chance means that it lies within the bound. None where no spread between clusters is known."""
    p: float | None
    """Of the two-sided test of accuracy = chance; None where it cannot be told."""


def chance_test(accuracy: Mean, chance: float | None, bound: float) -> ChanceTest:
    """Whether an accuracy is chance, by two one-sided tests of 5 % each, with the clustered error and Student's t of G - 1 degrees of freedom.

    *At chance* is a claim that needs evidence: both |accuracy - chance| >= bound to either side are rejected (Schuirmann, J. Pharmacokinetics
    and Biopharmaceutics 15, 1987). Else *above* or *below* where accuracy = chance is rejected by the two-sided test of 5 %, else *undecided*.
    Where all answers are right, or all wrong, the clustered error is 0 and says nothing: each cluster then counts as one binomial trial.

    Args:
        chance: the accuracy of guessing; None where there is no data.
        bound: largest difference from chance that counts as none.
    """
    if accuracy.mean is None or chance is None or accuracy.stderr is None:
        return ChanceTest(UNDECIDED, None, None, None)
    difference, df = accuracy.mean - chance, accuracy.n_clusters - 1
    if accuracy.stderr == 0:
        p = _p_without_spread(accuracy.mean, chance, accuracy.n_clusters)
        return ChanceTest(_side(difference, p), None, None, p)
    from scipy.stats import t

    reach = accuracy.stderr * float(t.ppf(1 - LEVEL, df))
    low, high = difference - reach, difference + reach
    p = float(2 * t.sf(abs(difference) / accuracy.stderr, df))
    return ChanceTest(AT_CHANCE if -bound < low and high < bound else _side(difference, p), low, high, p)


def p_above(accuracy: Mean, chance: float) -> float:
    """p of the one-sided test that an accuracy is at most chance, by Student's t of G - 1 degrees of freedom; 1 where nothing is known of the spread.

    Where all answers are right, each cluster counts as one binomial trial, as in `chance_test`.
    """
    if accuracy.mean is None or accuracy.stderr is None:
        return 1.0
    if accuracy.stderr == 0:
        return float(chance**accuracy.n_clusters) if accuracy.mean == 1 else 1.0
    from scipy.stats import t

    return float(t.sf((accuracy.mean - chance) / accuracy.stderr, accuracy.n_clusters - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that in the whole family at most `LEVEL` is the chance of one false alarm (Holm, Scand. J. Statistics 6, 1979): the i-th smallest
    of m is multiplied by m - i + 1, and none is less than a smaller one.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that of all that fall below `LEVEL` at most that share are false alarms, in the mean (Benjamini and Hochberg, J. Royal Stat. Soc. B
    57, 1995): the i-th smallest of m is multiplied by m / i, and none is more than a larger one. It holds for independent tests, and for tests that depend on
    each other positively, as a kind of questions and the total it is part of (Benjamini and Yekutieli, Annals of Statistics 29, 2001).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1)))
    return [float(value) for value in adjusted]


def _side(difference: float, p: float | None) -> str:
    if p is None or p >= LEVEL:
        return UNDECIDED
    return ABOVE if difference > 0 else BELOW


def _p_without_spread(accuracy: float, chance: float, n_clusters: int) -> float | None:
    """Twice the probability that guessing gets all clusters right, or all wrong; None where they are neither."""
    if accuracy not in (0, 1):
        return None
    return float(min(1.0, 2 * (chance if accuracy == 1 else 1 - chance) ** n_clusters))
