"""Does a model know when it is right? Confidences beside what came of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    gaps = np.bincount(_bins_of(p), weights=w * (y - p), minlength=N_BINS)
    total = w.sum()
    return Calibration(float(np.sum(w * p) / total), float(np.sum(np.abs(gaps)) / total), float(np.sum(w * (p - y) ** 2) / total))


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: a point of a reliability diagram."""

    up_to: float
    """Upper end of the bin, which belongs to it."""
    n: int
    confidence: float
    right: float
    """Means of confidence and outcome."""


def reliability(confidences: Sequence[float], right: Sequence[float], weights: Sequence[float]) -> list[Bin]:
    """The bins that hold answers, from the least confident. Arguments as of `calibration`."""
    p, y, w = (np.asarray(values, dtype=np.float64) for values in (confidences, right, weights))
    of = _bins_of(p)
    inside = ((place, of == place) for place in sorted(set(of.tolist())))
    mean = lambda values, here: float(np.sum(values[here] * w[here]) / np.sum(w[here]))
    return [Bin((place + 1) / N_BINS, int(here.sum()), mean(p, here), mean(y, here)) for place, here in inside]


def certainty(logprobs: Sequence[float | None], right: Sequence[float], weights: Sequence[float]) -> dict[str, Any]:
    """Of the answers whose probability is known: n, right (their share), confidence, ece, brier, and reliability (bins: up_to, n, confidence, right).

    Args:
        logprobs: n natural logarithms of probabilities; None where one is not known.
        right, weights: as of `calibration`.
    """
    known = [(math.exp(logprob), y, w) for logprob, y, w in zip(logprobs, right, weights, strict=True) if logprob is not None]
    of = [p for p, _, _ in known], [y for _, y, _ in known], [w for _, _, w in known]
    share = sum(y * w for _, y, w in known) / sum(of[2]) if known else None
    return {"n": len(known), "right": share, **asdict(calibration(*of)), "reliability": [asdict(found) for found in reliability(*of)]}


def _bins_of(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) places of bins, each with its upper end, the first with both, as in the paper."""
    return np.clip(np.ceil(p * N_BINS - 1e-9).astype(np.int64) - 1, 0, N_BINS - 1)
