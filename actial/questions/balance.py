"""Which scenes belong to which split, and how a split's questions are thinned until every label of a kind is equally frequent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from actial.questions.kinds import LEFT, NONE
from actial.rng import generator_for, seed_for

SPLITS = ("train", "rl", "val", "test")


def split_of_scenes(things: Sequence[str], held_out: Sequence[bool], shares: Mapping[str, float], seed: int) -> np.ndarray:
    """(n,) place in `SPLITS` of each scene.

    Scenes held out are of the test. The others are ranked by a seeded hash of what they show, and scenes of one thing stay together; the first share of the
    ranks is train, and so on. The sizes, counted in things, are exact (largest remainder) and do not depend on the order of the scenes.

    Args:
        things: see `scan.PosedScene.thing`: a scene's own id, where no other shows the same.
        held_out: whether a scene's family is; scenes of one thing are all held out or none.
    """
    split = np.full(len(things), SPLITS.index("test"), dtype=np.int8)
    free = np.flatnonzero(~np.array(held_out, dtype=bool))
    names, of_scene = np.unique([things[i] for i in free], return_inverse=True)
    n = len(names)
    exact = np.array([shares[name] * n for name in SPLITS])
    sizes = np.floor(exact + 1e-9).astype(int)
    for place in np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]:
        sizes[place] += 1
    hashes = np.array([seed_for(seed, f"{name}/split") for name in names], dtype=np.int64)
    of_thing = np.empty(n, dtype=np.int8)
    of_thing[np.argsort(hashes, kind="stable")] = np.repeat(np.arange(len(SPLITS)), sizes)
    split[free] = of_thing[of_scene]
    return split


def balanced(labels: np.ndarray, n_labels: int, seed: int, name: str, strata: np.ndarray | None = None) -> np.ndarray:
    """The largest even-handed choice of pairs: every label is equally frequent among both orders' labels.

    Args:
        labels: (n, 2) places among the kind's labels, both orders of each pair; the last label stands with itself alone.
        n_labels: how many labels the kind has.
        seed: root seed.
        name: what is balanced, for the generator.
        strata: (n,) to which stratum each pair belongs; the labels are then equally frequent within each.

    Returns:
        Places of the pairs kept, ascending.
    """
    shuffled = generator_for(seed, f"{name}/balance").permutation(len(labels))
    parts = [shuffled] if strata is None else _by_group(shuffled, strata[shuffled])
    chosen = [_of_three(labels, part) if n_labels == 3 else _of_any(labels, n_labels, part) for part in parts]
    return np.sort(np.concatenate(chosen)) if chosen else shuffled


def evenly_coupled(one: np.ndarray, other: np.ndarray, n_strata: int, seed: int, name: str) -> np.ndarray:
    """Places, ascending, of the largest choice of couples whose ones lie in every stratum as often as their others do.

    A couple leads from its other's stratum to its one's; as many are to lead into each as out of it, which is a circulation.

    Args:
        one, other: (n,) int below `n_strata`.
        seed: root seed.
        name: what is chosen from, for the generator.
    """
    shuffled = generator_for(seed, f"{name}/couples").permutation(len(one))
    if not len(shuffled):
        return shuffled
    from scipy.optimize import LinearConstraint, milp

    cell = (other * n_strata + one)[shuffled]
    cells, available = np.unique(cell, return_counts=True)
    led_from, led_to = np.divmod(cells, n_strata)
    flow = np.eye(n_strata)[:, led_to] - np.eye(n_strata)[:, led_from]
    solved = milp(-np.ones(len(cells)), integrality=np.ones(len(cells)), bounds=(0, available), constraints=LinearConstraint(flow, 0, 0))
    keep = np.round(solved.x).astype(int)
    return np.sort(np.concatenate([of_one[:n] for of_one, n in zip(_by_group(shuffled, cell), keep, strict=True)]))


def _by_group(places: np.ndarray, group: np.ndarray) -> list[np.ndarray]:
    """The places of each group, groups ascending, each in the order given."""
    _, sizes = np.unique(group, return_counts=True)
    return np.split(places[np.argsort(group, kind="stable")], np.cumsum(sizes))[:-1]


def _of_three(labels: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    """Of two sides and none.

    Rule. A pair whose label flips with the order gives one left and one right; a none pair gives two nones; a pair with the same side in
    both orders gives two of that side, and is kept with one of the opposite side. With a flipping pairs, c of each same-sided sort and b
    none pairs, 2 b = a + 2 c is reached by dropping, in the order shuffled, from whichever side has more; same-sided pairs keep their share.
    """
    first, second = labels[shuffled].T
    none = shuffled[first == NONE]
    flipping = shuffled[(first != NONE) & (first != second)]
    lefts, rights = (shuffled[(first == side) & (second == side)] for side in (LEFT, 1 - LEFT))
    a, b, c = len(flipping), len(none), min(len(lefts), len(rights))
    most = min(a + 2 * c, 2 * b) // 2 * 2
    c = c * most // (a + 2 * c) if a + 2 * c else 0
    c = max(c, -(-(most - a) // 2))
    return np.concatenate([flipping[: most - 2 * c], lefts[:c], rights[:c], none[: most // 2]])


def _of_any(labels: np.ndarray, n_labels: int, shuffled: np.ndarray) -> np.ndarray:
    """Of any labels, by integer programming over the sorts of pairs: how many to keep of each, so that all labels are equally and most frequent.

    A sort is the two labels of a pair, in whichever order; it adds one to the count of each (two to one, where they are the same).
    """
    if not len(shuffled):
        return shuffled
    from scipy.optimize import LinearConstraint, milp

    sort_of = labels.min(axis=1) * n_labels + labels.max(axis=1)
    sorts, available = np.unique(sort_of[shuffled], return_counts=True)
    adds = np.zeros((n_labels, len(sorts) + 1))
    for column, (one, other) in enumerate(zip(*np.divmod(sorts, n_labels), strict=True)):
        adds[one, column] += 1
        adds[other, column] += 1
    adds[:, -1] = -1  # the last unknown is how often each label stands
    most = np.append(available, 2 * len(labels))
    solved = milp(np.append(np.zeros(len(sorts)), -1.0), integrality=np.ones(len(most)), bounds=(0, most), constraints=LinearConstraint(adds, 0, 0))
    keep = dict(zip(sorts.tolist(), np.round(solved.x[:-1]).astype(int).tolist(), strict=True))
    return np.concatenate([shuffled[sort_of[shuffled] == sort][:n] for sort, n in keep.items()])
