"""The angles offered: three sizes that lie apart, each right equally often, and no more questions left out than must be."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actial.questions.angle_options import with_options
from actial.questions.kinds import ANGLE_LABELS, LEFT, NONE, RIGHT

angles = st.lists(st.integers(-150, 150).filter(lambda a: abs(a) >= 10), max_size=40)


def pairs(sided: list[int], n_none: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles and labels of both orders, none last."""
    value = np.array([*sided, *[0.3] * n_none], dtype=float)
    label = [(LEFT, RIGHT) if a > 0 else (RIGHT, LEFT) for a in sided] + [(NONE, NONE)] * n_none
    return value, np.array(label, dtype=np.int8).reshape(-1, 2)


@given(angles, st.integers(0, 8), st.integers(0, 3))
def test_each_size_is_right_as_often_as_the_others_of_its_set(sided: list[int], n_none: int, seed: int) -> None:
    value, label = pairs(sided, n_none)
    places, asked, sizes = with_options(value, label, 15, seed, "train/turn_angle")
    assert (np.diff(places) > 0).all() and len(places) == len(asked) == len(sizes)
    by_set: dict[tuple[int, ...], Counter[str]] = {}
    for place, both, offered in zip(places, asked, sizes, strict=True):
        assert (np.diff(offered) >= 15).all()
        told = [ANGLE_LABELS[code] for code in both]
        by_set.setdefault(tuple(offered), Counter()).update(told)
        if label[place, 0] == NONE:
            assert told == ["none", "none"]
            continue
        assert [name.split("_")[0] for name in told] == (["left", "right"] if value[place] > 0 else ["right", "left"])
        assert offered[ANGLE_LABELS.index(told[0]) % 3] == abs(value[place])
    assert all(len({of_set[name] for name in ANGLE_LABELS[:6]}) == 1 for of_set in by_set.values())
    counts = Counter(ANGLE_LABELS[code] for both in asked for code in both)
    assert len({counts[name] for name in ANGLE_LABELS}) == 1


@given(st.lists(st.integers(10, 60), min_size=6, max_size=12))
def test_no_larger_choice_is_missed(sided: list[int]) -> None:
    """The most triples, found by trying every way; an even number of them is kept."""
    value, label = pairs(sided, 2)
    sizes = sorted(sided)

    def most(left: tuple[int, ...]) -> int:
        best = 0
        for i, low in enumerate(left[:1]):
            best = most(left[1:])
            for j in range(i + 1, len(left)):
                for k in range(j + 1, len(left)):
                    if left[j] - low >= 15 and left[k] - left[j] >= 15:
                        best = max(best, 1 + most(left[1:j] + left[j + 1 : k] + left[k + 1 :]))
                        if best == 4:
                            return best
        return best

    pool = len(sided) // 6 * 6
    kept = len(with_options(value, label, 15, 0, "x")[0])
    if pool == len(sided):  # else which pairs are tried is drawn by lot
        assert kept == most(tuple(sizes)) // 2 * 7
    assert kept % 7 == 0


def test_the_choice_is_random_by_the_seed_only() -> None:
    value, label = pairs([a for a in range(-140, 141, 3) if abs(a) > 10], 6)
    first, again, other, elsewhere = (with_options(value, label, 15, seed, name) for seed, name in ((1, "x"), (1, "x"), (2, "x"), (1, "y")))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0]) and not np.array_equal(first[0], elsewhere[0])


def test_without_none_pairs_nothing_is_asked() -> None:
    value, label = pairs(list(range(10, 100)), 0)
    assert [len(found) for found in with_options(value, label, 15, 0, "x")] == [0, 0, 0]
