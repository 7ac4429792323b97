"""Splits and balance: exact, seeded, and nothing kept that tips the scale."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actial.questions.balance import SPLITS, balanced, split_of_scenes
from actial.questions.kinds import LEFT, NONE, RIGHT

SHARES = {"train": 0.6, "rl": 0.2, "val": 0.05, "test": 0.15}
both_orders = st.lists(st.sampled_from([(LEFT, RIGHT), (RIGHT, LEFT), (LEFT, LEFT), (RIGHT, RIGHT), (NONE, NONE)]), max_size=60)


@given(both_orders, st.integers(0, 5))
def test_every_label_is_equally_frequent(pairs: list[tuple[int, int]], seed: int) -> None:
    labels = np.array(pairs, dtype=int).reshape(-1, 2)
    kept = balanced(labels, seed, "train/orbit")
    counts = Counter(labels[kept].ravel().tolist())
    assert len(set(kept.tolist())) == len(kept) and (np.diff(kept) > 0).all()
    assert len({counts[LEFT], counts[RIGHT], counts[NONE]}) == 1


@given(both_orders)
def test_no_larger_balanced_choice_is_missed(pairs: list[tuple[int, int]]) -> None:
    """The best total, found by trying every number of each sort."""
    labels = np.array(pairs, dtype=int).reshape(-1, 2)
    sorts = Counter(pairs)
    flipping, nones = sorts[LEFT, RIGHT] + sorts[RIGHT, LEFT], sorts[NONE, NONE]
    same = min(sorts[LEFT, LEFT], sorts[RIGHT, RIGHT])
    best = max(3 * (a + 2 * c) for a in range(flipping + 1) for c in range(same + 1) if a + 2 * c <= 2 * nones and (a + 2 * c) % 2 == 0)
    assert 2 * len(balanced(labels, 0, "x")) == best


def test_the_choice_is_random_by_the_seed_only() -> None:
    labels = np.array([(LEFT, RIGHT)] * 50 + [(NONE, NONE)] * 5)
    assert np.array_equal(balanced(labels, 1, "x"), balanced(labels, 1, "x"))
    assert not np.array_equal(balanced(labels, 1, "x"), balanced(labels, 2, "x"))
    assert not np.array_equal(balanced(labels, 1, "x"), balanced(labels, 1, "y"))


@given(st.integers(0, 300), st.integers(0, 3))
def test_splits_have_their_shares_and_do_not_depend_on_the_order(n: int, seed: int) -> None:
    names = [f"scene-{i:06d}" for i in range(n)]
    split = split_of_scenes(names, [False] * n, SHARES, seed)
    sizes = np.bincount(split, minlength=4)
    assert all(abs(size - SHARES[name] * n) < 1 for name, size in zip(SPLITS, sizes, strict=True))
    again = split_of_scenes(names[::-1], [False] * n, SHARES, seed)
    assert np.array_equal(split, again[::-1])


def test_another_seed_is_another_split() -> None:
    names = [f"scene-{i:06d}" for i in range(100)]
    assert not np.array_equal(*(split_of_scenes(names, [False] * 100, SHARES, seed) for seed in (0, 1)))


@given(st.lists(st.booleans(), max_size=120), st.integers(0, 3))
def test_scenes_held_out_are_of_the_test_and_do_not_touch_the_others(held_out: list[bool], seed: int) -> None:
    names = np.array([f"scene-{i:06d}" for i in range(len(held_out))])
    split, others = split_of_scenes(names.tolist(), held_out, SHARES, seed), ~np.array(held_out, dtype=bool)
    assert (split[~others] == SPLITS.index("test")).all()
    assert np.array_equal(split[others], split_of_scenes(names[others].tolist(), [False] * int(others.sum()), SHARES, seed))
