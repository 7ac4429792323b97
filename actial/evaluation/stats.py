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
