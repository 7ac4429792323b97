"""Rows that are kept so that what is read off them does not tell the answer, whatever a learner of the audit's makes of it.

Pictures from places near each other are more alike than others, so of three the middle one can be told by comparing them, without any idea which way the
camera went. Strata of what is told are too coarse to stop that: it takes several numbers together, and no straight line. So the audit's own learner says how
likely each answer is by what is told, trained on other scenes; and of rows that tell the same, all answers are made equally frequent (inverse probability
sampling: Horvitz and Thompson, Journal of the American Statistical Association 47, 1952).
"""

from __future__ import annotations

import numpy as np

from actial.questions.probes import FOLDS, folds_by_scene, held_out_chances
from actial.rng import generator_for, seed_for

LEARNER = "trees"
ROUNDS = 2
"""The second finds what the first left, as what is rare is learnt badly."""


def untold(told: np.ndarray, answer: np.ndarray, scene: np.ndarray, seed: int, name: str) -> np.ndarray:
    """Places, ascending, of the rows that stay. A row whose answer is held p likely, and the least likely of all answers q, stays with probability q / p.

    Args:
        told: (n, d) what may not tell the answer; NaN where something is not known.
        answer: (n,) int.
        scene: (n,) of which scene each row is; with fewer scenes than `FOLDS`, or one answer alone, nothing can be learnt of others, and no row stays.
        seed: root seed.
        name: what is chosen from, for the generators.
    """
    kept = np.arange(len(answer))
    for number in range(ROUNDS):
        of_round = f"{name}/untold/{number}"
        answers, right = np.unique(answer[kept], return_inverse=True)
        if len(np.unique(scene[kept])) < FOLDS or len(answers) < 2:
            return kept[:0]
        folds = folds_by_scene(right, scene[kept], seed_for(seed, f"{of_round}/folds"))
        chances = held_out_chances(LEARNER, told[kept], right, folds, seed_for(seed, of_round))
        stays = chances.min(axis=1) / np.maximum(chances[np.arange(len(kept)), right], 1e-9)
        kept = kept[generator_for(seed, of_round).random(len(kept)) < stays]
    return kept
