"""Two models on the same questions: is one better, is one no worse, and how small a difference could be seen at all?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actial.stats import LEVEL, Mean, clustered_mean

DRAWS = 10_000
"""Bootstrap samples and sign flips."""
POWER = 0.8
"""Share of experiments in which a difference of the detectable size is found."""


@dataclass(frozen=True)
class Comparison:
    """The mean of paired differences."""

    mean: float | None
    stderr: float | None
    """Clustered; None for fewer than two clusters, as all that follows."""
    low: float | None
    high: float | None
    """95 % interval, percentiles of the cluster bootstrap."""
    p: float | None
    """Two-sided, by flipping the signs of whole clusters."""
    detectable: float | None
    """The smallest true difference that such a test finds in `POWER` of experiments with clusters like these; None where no spread is known."""


def paired_comparison(differences: Sequence[float], clusters: Sequence[str], weights: Sequence[float], generator: np.random.Generator) -> Comparison:
    """Weighted mean of differences between two models' answers to the same questions, with an interval and a test that keep clusters whole.

    Interval: clusters are drawn with replacement, `DRAWS` times, and the mean is taken anew (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, sections 13.3 and 8.5). Test: if the models were alike, each cluster's sum of weighted differences could as well have the
    other sign; p is the share of sign assignments whose |sum| is at least the one seen, over all 2^G of them where that is at most `DRAWS`,
    else over `DRAWS` at random, where p = (1 + count) / (1 + DRAWS) (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9(1), 2010).

    Args:
        differences, clusters, weights: n values each; see `clustered_mean`.
    """
    overall = clustered_mean(differences, clusters, weights)
    if overall.stderr is None:
        return Comparison(overall.mean, None, None, None, None, None)
    names, member_of = np.unique(np.asarray(clusters), return_inverse=True)
    w = np.asarray(weights, dtype=np.float64)
    sums, sizes = np.bincount(member_of, weights=w * np.asarray(differences, dtype=np.float64)), np.bincount(member_of, weights=w)
    drawn = [_bootstrapped(sums, sizes, n, generator) for n in _chunks(len(names))]
    low, high = np.quantile(np.concatenate(drawn), [LEVEL / 2, 1 - LEVEL / 2])
    return Comparison(overall.mean, overall.stderr, float(low), float(high), _sign_flip_p(sums, generator), detectable_difference(overall))


def _bootstrapped(sums: np.ndarray, sizes: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    times = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=n)
    return (times @ sums) / (times @ sizes)


def _sign_flip_p(sums: np.ndarray, generator: np.random.Generator) -> float:
    seen = abs(sums.sum()) * (1 - 1e-12)  # so that sums that are equal but for rounding count as equal
    if 2 ** len(sums) <= DRAWS:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs((2 * bits - 1) @ sums) >= seen))
    count = sum(int(np.count_nonzero(np.abs((2.0 * generator.integers(0, 2, (n, len(sums))) - 1) @ sums) >= seen)) for n in _chunks(len(sums)))
    return (1 + count) / (1 + DRAWS)


def _chunks(n_clusters: int) -> list[int]:
    """`DRAWS` in portions that need little memory."""
    size = max(1, min(DRAWS, 4_000_000 // n_clusters))
    return [min(size, DRAWS - at) for at in range(0, DRAWS, size)]


def detectable_difference(difference: Mean) -> float | None:
    """The smallest true difference that a two-sided test of 5 % finds in `POWER` of experiments with as many clusters and this error: with G - 1 degrees of
    freedom, (t at 97.5 % + t at 80 %) standard errors (Bloom, "Minimum detectable effects", Evaluation Review 19(5), 1995). None where no spread is known.
    """
    if not difference.stderr:
        return None
    from scipy.stats import t

    df = difference.n_clusters - 1
    return difference.stderr * float(t.ppf(1 - LEVEL / 2, df) + t.ppf(POWER, df))


@dataclass(frozen=True)
class MarginTest:
    """A difference against the largest one that is of no account."""

    low: float | None
    high: float | None
    """The 90 % interval of the difference; None where no spread between clusters is known."""
    no_worse: bool
    """Shown to be no loss of the margin or more: the interval lies above -margin (non-inferiority)."""
    equal: bool
    """Shown to be neither a loss nor a gain of the margin or more: the interval lies between -margin and +margin (equivalence)."""


def margin_test(difference: Mean, margin: float) -> MarginTest:
    """Whether a difference is shown to be smaller than a margin, by one-sided t tests of 5 % each with the clustered error and G - 1 degrees of freedom.

    Not to have found a difference shows nothing; that it is no loss of `margin` is a claim of its own, and shown where that loss is rejected (Schuirmann, J.
    Pharmacokinetics and Biopharmaceutics 15, 1987; Committee for Proprietary Medicinal Products, "Points to consider on switching between superiority and
    non-inferiority", 2000). Where not one answer differs, the error is 0 and says nothing; each cluster then counts as one trial, of which so many without a
    change leave at most 1 - 5 %^(1/G) of clusters that do (Hanley and Lippman-Hand, JAMA 249, 1983).

    Args:
        difference: the mean of paired differences.
        margin: above 0.
    """
    if difference.mean is None or difference.stderr is None or (difference.stderr == 0 and difference.mean != 0):
        return MarginTest(None, None, False, False)
    from scipy.stats import t

    df = difference.n_clusters - 1
    reach = difference.stderr * float(t.ppf(1 - LEVEL, df)) if difference.stderr else 1 - LEVEL ** (1 / difference.n_clusters)
    low, high = difference.mean - reach, difference.mean + reach
    return MarginTest(low, high, no_worse=low > -margin, equal=low > -margin and high < margin)


@dataclass(frozen=True)
class OverSeeds:
    """A difference of accuracies over training seeds."""

    mean: float
    median: float
    low: float | None
    high: float | None
    """95 % interval of the mean; None for fewer than two seeds."""
    p: float | None
    """Two-sided, of the mean."""
    n_seeds: int


def hierarchical_bootstrap(trios: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], generator: np.random.Generator) -> OverSeeds:
    """Mean difference with the uncertainty of both seeds and scenes: seeds are drawn with replacement, then scenes within each drawn seed, both models
    on the same scenes; 10,000 times. p is twice the smaller share of draws on one side of 0, counted so that it is never 0 (Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, sections 3.8 and 4.4).

    Args:
        trios: for each seed the weights of its scenes and the weighted right answers of both models, (n_scenes,) each.
    """
    differences = [float((a.sum() - b.sum()) / w.sum()) for w, a, b in trios]
    mean, middle = statistics.mean(differences), statistics.median(differences)
    if len(trios) < 2:
        return OverSeeds(mean, middle, None, None, None, len(trios))
    drawn = generator.integers(len(trios), size=(DRAWS, len(trios)))
    values = np.empty(drawn.shape)
    for seed, (w, a, b) in enumerate(trios):
        here = drawn == seed
        times = generator.multinomial(len(w), np.full(len(w), 1 / len(w)), size=int(here.sum()))
        weight = times @ w
        values[here] = np.divide(times @ (a - b), weight, out=np.zeros(len(weight)), where=weight > 0)
    means = values.mean(axis=1)
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    sides = [(1 + np.count_nonzero(means <= 0)) / (1 + DRAWS), (1 + np.count_nonzero(means >= 0)) / (1 + DRAWS)]
    return OverSeeds(mean, middle, float(low), float(high), float(min(1.0, 2 * min(sides))), len(trios))
