"""Does a model know when it is right? Confidences beside what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """All None where there is no data."""

    confidence: float | None
    """The mean: above the accuracy, the model is surer than it may be."""
    ece: float | None
    """Expected calibration error: the mean distance of confidence and accuracy within `N_BINS` bins of equal width (Guo et al., "On calibration of modern
    neural networks", ICML 2017, equation 3). Few answers make it larger than it is."""
    brier: float | None
    """The mean squared distance of confidence and outcome (Brier, Monthly Weather Review 78, 1950, of the event that the answer is right)."""


def calibration(confidences: Sequence[float], right: Sequence[float], weights: Sequence[float]) -> Calibration:
    """How far confidences are from outcomes.

    Args:
        confidences: n values in [0, 1]: a probability that a model gave its answer, or how often it gave it.
        right: n values in [0, 1], 1 where the answer is right.
        weights: n positive weights.
    """
    p, y, w = (np.asarray(values, dtype=np.float64) for values in (confidences, right, weights))
    if not len(p):
        return Calibration(None, None, None)
    in_bin = np.clip(np.ceil(p * N_BINS - 1e-9).astype(int) - 1, 0, N_BINS - 1)  # each bin with its upper end, the first with both, as in the paper
    gaps = np.bincount(in_bin, weights=w * (y - p), minlength=N_BINS)
    total = w.sum()
    return Calibration(float(np.sum(w * p) / total), float(np.sum(np.abs(gaps)) / total), float(np.sum(w * (p - y) ** 2) / total))
