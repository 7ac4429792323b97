"""Which angles a question about an angle offers: three sizes, each to both sides, and none.

Three pairs of views share their three sizes: each pair's own size is the right one in its questions and a wrong one in the other two's. So of the options
of every question each size is right equally often over the split, whatever the sizes are, and a wrong one is always an angle that some pair really has: who
sees the options alone cannot do better than guess. As a pair is asked about in both orders, each size is right as often to the left as to the right.
"""

from __future__ import annotations

import numpy as np

from actial.questions.kinds import ANGLE_LABELS, NONE
from actial.rng import generator_for

N_SIZES = 3


def with_options(value_deg: np.ndarray, label: np.ndarray, least_gap_deg: float, seed: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest choice of pairs that can share sizes so, with as many none pairs as make every option equally often right.

    Args:
        value_deg: (n,) angle of each pair in its first order; the other order's is its negative.
        label: (n, 2) `kinds.LEFT`, `RIGHT` or `NONE`, both orders.
        least_gap_deg: sizes offered together differ by at least so much.
        seed: root seed.
        name: what is chosen from, for the generator.

    Returns:
        Places of the pairs kept, ascending (k,); places of their labels in `ANGLE_LABELS` (k, 2); the sizes offered, ascending, degrees (k, 3).
    """
    generator = generator_for(seed, f"{name}/angles")
    none = generator.permutation(np.flatnonzero(label[:, 0] == NONE))
    sided = generator.permutation(np.flatnonzero(label[:, 0] != NONE))
    size_deg = np.round(np.abs(value_deg)).astype(np.int16)
    most = 2 * min(len(none), len(sided) // (2 * N_SIZES))  # one none pair for two triples: 2 questions of 14
    triples = generator.permutation(_triples(sided[: N_SIZES * most], size_deg, least_gap_deg))
    offered = size_deg[triples]
    none = none[: len(triples) // 2]
    places = np.concatenate([triples.ravel(), none])
    rank = np.tile(np.arange(N_SIZES), len(triples))[:, None]
    asked = np.concatenate([label[triples.ravel()] * N_SIZES + rank, np.full((len(none), 2), len(ANGLE_LABELS) - 1)])
    sizes = np.concatenate([np.repeat(offered, N_SIZES, axis=0), offered[: len(none)]])
    order = np.argsort(places)
    return places[order], asked[order], sizes[order]


def _triples(places: np.ndarray, size_deg: np.ndarray, least_gap_deg: float) -> np.ndarray:
    """(t, 3) places of pairs whose sizes ascend by at least the gap, for the largest even t.

    Of t triples the smallest sizes are the t smallest of all, the largest the t largest: more are not found otherwise. Halving finds the largest t.
    """
    ascending = places[np.argsort(size_deg[places], kind="stable")]
    found = np.empty((0, N_SIZES), dtype=int)
    low, high = 0, len(places) // (2 * N_SIZES)
    while low < high:
        half = (low + high + 1) // 2
        tried = _tried(ascending, size_deg, 2 * half, least_gap_deg)
        if tried is None:
            high = half - 1
        else:
            low, found = half, tried
    return found


def _tried(ascending: np.ndarray, size_deg: np.ndarray, t: int, least_gap_deg: float) -> np.ndarray | None:
    """`t` triples, or None where there are not so many: each smallest size takes the next larger one that is far enough, if it leaves room above."""
    smallest, between, largest = ascending[:t], ascending[t:-t], ascending[-t:]
    middle, at = np.empty(t, dtype=int), 0
    for i in range(t):
        while at < len(between) and size_deg[between[at]] < size_deg[smallest[i]] + least_gap_deg:
            at += 1
        if at == len(between) or size_deg[between[at]] + least_gap_deg > size_deg[largest[i]]:
            return None
        middle[i], at = between[at], at + 1
    return np.stack([smallest, middle, largest], axis=1)
