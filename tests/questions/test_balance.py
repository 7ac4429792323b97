"""Splits and balance: exact, seeded, and nothing kept that tips the scale."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actial.questions.balance import SPLITS, balanced, evenly_coupled, split_of_scenes
from actial.questions.kinds import LEFT, NONE, RIGHT

SHARES = {"train": 0.6, "rl": 0.2, "val": 0.05, "test": 0.15}
both_orders = st.lists(st.sampled_from([(LEFT, RIGHT), (RIGHT, LEFT), (LEFT, LEFT), (RIGHT, RIGHT), (NONE, NONE)]), max_size=60)


@given(both_orders, st.integers(0, 5))
def test_every_label_is_equally_frequent(pairs: list[tuple[int, int]], seed: int) -> None:
    labels = np.array(pairs, dtype=int).reshape(-1, 2)
    kept = balanced(labels, 3, seed, "train/orbit")
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
    assert 2 * len(balanced(labels, 3, 0, "x")) == best


@given(st.lists(st.sampled_from([*itertools.combinations_with_replacement(range(4), 2), (4, 4), (4, 4)]), max_size=60), st.integers(0, 3))
@settings(max_examples=60)
def test_many_labels_are_equally_frequent_whatever_the_other_order_says(pairs: list[tuple[int, int]], seed: int) -> None:
    labels = np.array([pair[::-1] if i % 2 else pair for i, pair in enumerate(pairs)], dtype=int).reshape(-1, 2)
    kept = balanced(labels, 5, seed, "x")
    counts = np.bincount(labels[kept].ravel(), minlength=5)
    assert len(set(kept.tolist())) == len(kept) and (np.diff(kept) > 0).all() and len(set(counts.tolist())) == 1
    flipping = min(np.sum((labels.min(axis=1) == a) & (labels.max(axis=1) == a + 1)) for a in (0, 2))
    easy = min(flipping, 2 * np.sum(labels[:, 0] == 4)) // 2 * 2
    assert counts[0] >= easy  # pairs that flip and nones alone give so many


@given(st.integers(0, 30), st.integers(0, 30))
def test_yes_and_no_are_equally_frequent(n_yes: int, n_no: int) -> None:
    labels = np.array([(0, 0)] * n_yes + [(1, 1)] * n_no, dtype=int).reshape(-1, 2)
    assert np.bincount(labels[balanced(labels, 2, 0, "x")].ravel(), minlength=2).tolist() == [2 * min(n_yes, n_no)] * 2


def test_the_choice_is_random_by_the_seed_only() -> None:
    labels = np.array([(LEFT, RIGHT)] * 50 + [(NONE, NONE)] * 5)
    assert np.array_equal(balanced(labels, 3, 1, "x"), balanced(labels, 3, 1, "x"))
    assert not np.array_equal(balanced(labels, 3, 1, "x"), balanced(labels, 3, 2, "x"))
    assert not np.array_equal(balanced(labels, 3, 1, "x"), balanced(labels, 3, 1, "y"))


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


def test_labels_are_equally_frequent_within_each_stratum() -> None:
    rng = np.random.default_rng(5)
    labels = np.array([[0, 1], [2, 2]])[rng.integers(2, size=600)]
    strata = np.where(labels[:, 0] == 2, rng.integers(3, size=600), rng.integers(2, size=600))  # what is none alone lies in stratum 2
    kept = balanced(labels, 3, 7, "toy", strata)
    for s in range(2):
        counts = np.bincount(labels[kept][strata[kept] == s].ravel(), minlength=3)
        assert counts.min() == counts.max() > 0
    assert not (strata[kept] == 2).any()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=80), st.integers(0, 3))
@settings(max_examples=40)
def test_within_strata_every_one_of_many_labels_is_equally_frequent(rows: list[tuple[int, int]], seed: int) -> None:
    label, strata = np.array(rows, dtype=int).reshape(-1, 2).T
    kept = balanced(np.column_stack([label, label]), 5, seed, "x", strata)
    for stratum in range(3):
        counts = [int(np.count_nonzero(label[kept][strata[kept] == stratum] == place)) for place in range(5)]
        assert counts == [min(np.count_nonzero((label == place) & (strata == stratum)) for place in range(5))] * 5


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40), st.integers(0, 3))
@settings(max_examples=40)
def test_couples_lead_into_every_stratum_as_often_as_out_of_it(couples: list[tuple[int, int]], seed: int) -> None:
    one, other = np.array(couples, dtype=int).reshape(-1, 2).T
    kept = evenly_coupled(one, other, 4, seed, "x")
    assert len(set(kept.tolist())) == len(kept) and (np.diff(kept) > 0).all()
    assert Counter(one[kept].tolist()) == Counter(other[kept].tolist())
    assert set(np.flatnonzero(one == other).tolist()) <= set(kept.tolist()), "who leads nowhere stays"
