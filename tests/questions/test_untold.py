"""Rows are kept so that what is told does not tell the answer, and only as the seed says."""

from __future__ import annotations

import numpy as np
import pytest

from actial.questions.probes import LEARNERS, folds_by_scene, held_out_answers, held_out_chances
from actial.questions.untold import untold

N, SEED = 3000, 7


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers that two numbers tell together and neither alone, in part; a third number, often missing, tells nothing."""
    rng = np.random.default_rng(3)
    told = rng.uniform(-1, 1, size=(N, 3))
    by_quadrant = np.where(told[:, 0] * told[:, 1] > 0, 0, np.where(told[:, 0] > 0, 1, 2))
    answer = np.where(rng.random(N) < 0.6, by_quadrant, rng.integers(3, size=N))
    told[rng.random(N) < 0.5, 2] = np.nan
    return told, answer, np.arange(N) // 6


def known(told: np.ndarray, answer: np.ndarray, scene: np.ndarray) -> float:
    """How much better than the best constant answer what is told lets one answer about other scenes."""
    right = held_out_answers("trees", told, answer, folds_by_scene(answer, scene, SEED), SEED) == answer
    return float(right.mean() - np.bincount(answer).max() / len(answer))


def test_what_stays_is_told_by_nothing_and_no_answer_is_rare(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    told, answer, scene = rows
    kept = untold(told, answer, scene, SEED, "here")
    assert known(*rows) > 0.2 > 0.06 > known(told[kept], answer[kept], scene[kept])
    counts = np.bincount(answer[kept])
    assert len(kept) > 600 and counts.min() > 0.75 * counts.max()
    assert np.array_equal(kept, np.unique(kept)), "ascending, each once"


def test_the_choice_is_random_by_the_seed_only(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    some = tuple(column[:300] for column in rows)
    first, again, other = (untold(*some, seed, "here") for seed in (SEED, SEED, SEED + 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_of_too_few_scenes_or_one_answer_nothing_stays(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    told, answer, scene = rows
    assert not len(untold(told[:24], answer[:24], scene[:24], SEED, "here"))
    assert not len(untold(told, np.zeros_like(answer), scene, SEED, "here"))
    assert not len(untold(told[:0], answer[:0], scene[:0], SEED, "here"))


@pytest.mark.parametrize("learner", LEARNERS)
def test_chances_add_up_and_the_likeliest_is_the_answer(learner: str, rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    told, answer, scene = (column[:900] for column in rows)
    folds = folds_by_scene(answer, scene, SEED)
    chances = held_out_chances(learner, told, answer, folds, SEED)
    assert chances.shape == (900, 3) and chances.sum(axis=1) == pytest.approx(1)
    assert np.array_equal(chances.argmax(axis=1), held_out_answers(learner, told, answer, folds, SEED))
