"""Small learners that are trained afresh on what a reading offers, and asked about scenes they have not met."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

FOLDS = 5
FOLDS_TOGETHER = (1 + FOLDS / (FOLDS - 1)) ** 0.5
"""The standard error of a cross-validated accuracy is this many times that of as many independent answers, since what answers in one fold was trained on the
others: 1.5 for five folds (Nadeau and Bengio, Machine Learning 52, 2003, section 3)."""
Fold = tuple[np.ndarray, np.ndarray]
"""Places of the rows to train on, and of those to answer."""


def folds_by_scene(y: np.ndarray, scenes: np.ndarray, seed: int) -> list[Fold]:
    """Scenes dealt into `FOLDS` folds, answers as evenly as whole scenes allow: else the commonest answer of four folds is the rarest of the fifth, and who
    knows nothing would score below chance.

    Args:
        y: (n,) answers.
        scenes: (n,) which scene each question is about; at least `FOLDS` different ones.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an answer rarer than there are folds: it is counted as it is
        return list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32).split(y, y, scenes))


def held_out_answers(learner: str, X: np.ndarray, y: np.ndarray, folds: Sequence[Fold], seed: int) -> np.ndarray:
    """(n,) what a learner answers to each question, trained on the other folds. One thread, so that the same rows give the same answers.

    Args:
        learner: a key of `LEARNERS`.
        X: (n, d) features; NaN where one is not known.
    """
    from threadpoolctl import threadpool_limits

    answers = np.empty_like(y)
    with threadpool_limits(1):
        for train, test in folds:
            if len(np.unique(y[train])) < 2:
                answers[test] = y[train][0]
            else:
                answers[test] = LEARNERS[learner](seed % 2**32).fit(X[train], y[train]).predict(X[test])
    return answers


def held_out_chances(learner: str, X: np.ndarray, y: np.ndarray, folds: Sequence[Fold], seed: int) -> np.ndarray:
    """(n, k) how likely a learner trained on the other folds holds each of the k different answers of `y`, sorted, to be right; else as `held_out_answers`."""
    from threadpoolctl import threadpool_limits

    answers = np.unique(y)
    chances = np.zeros((len(y), len(answers)))
    with threadpool_limits(1):
        for train, test in folds:
            learnt = LEARNERS[learner](seed % 2**32).fit(X[train], y[train])
            chances[np.ix_(test, np.searchsorted(answers, learnt.classes_))] = learnt.predict_proba(X[test])
    return chances


def _linear(_: int) -> Any:
    """Linear discriminant analysis on the features and their squares: solved at once, so that it takes a hundredth of a second."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    known = SimpleImputer(keep_empty_features=True, add_indicator=True)
    squared = FunctionTransformer(_with_squares)
    return make_pipeline(known, StandardScaler(), squared, StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.02))


def _trees(seed: int) -> Any:
    """Gradient boosted trees: finds what only several features together tell."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    grown = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, min_samples_leaf=30, max_bins=63, early_stopping=False, random_state=seed)
    # a column that is not known of any row makes its own handling of missing numbers fail
    return make_pipeline(SimpleImputer(strategy="constant", fill_value=-1e3, keep_empty_features=True), grown)


def _with_squares(z: np.ndarray) -> np.ndarray:
    return np.hstack([z, np.clip(z, -5, 5) ** 2])


LEARNERS: Mapping[str, Callable[[int], ClassifierMixin]] = {"linear": _linear, "trees": _trees}
"""What learns from a reading, made by its seed."""
