from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actial.evaluation.stats import Mean, clustered_mean
from actial.rng import generator_for

rows = st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcde"), st.sampled_from([1.0, 0.5, 1 / 3])), min_size=2, max_size=60)


def sandwich(x: np.ndarray, clusters: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    """Intercept of the weighted regression of x on a constant, with its CR1 sandwich error, written with the matrices of the textbook."""
    X, W = np.ones((len(x), 1)), np.diag(w)
    bread = np.linalg.inv(X.T @ W @ X)
    beta = bread @ X.T @ W @ x
    meat = np.zeros((1, 1))
    names = sorted(set(clusters))
    for name in names:
        of = clusters == name
        scores = X[of].T @ W[np.ix_(of, of)] @ (x - X @ beta)[of]
        meat += np.outer(scores, scores)
    n, k, G = len(x), 1, len(names)
    correction = G / (G - 1) * (n - 1) / (n - k)
    return float(beta[0]), float(np.sqrt(correction * (bread @ meat @ bread)[0, 0]))


@given(rows)
def test_equals_the_cluster_robust_intercept_of_a_regression(table):
    x, clusters, w = (np.array(column) for column in zip(*table, strict=True))
    found = clustered_mean(x, list(clusters), w)
    if len(set(clusters)) < 2:
        assert found.stderr is None
    else:
        assert (found.mean, found.stderr) == pytest.approx(sandwich(x, clusters, w), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_clusters_of_one_give_the_ordinary_standard_error(values):
    found = clustered_mean(values, [str(i) for i in range(len(values))])
    assert found.stderr == pytest.approx(np.std(values, ddof=1) / len(values) ** 0.5, abs=1e-9)


@given(rows)
def test_asking_everything_twice_makes_nothing_more_certain(table):
    x, clusters, w = zip(*table, strict=True)
    once, twice = clustered_mean(x, clusters, w), clustered_mean(x * 2, clusters * 2, w * 2)
    assert twice.mean == pytest.approx(once.mean)
    assert twice.n_clusters == once.n_clusters
    assert (twice.stderr is None) == (once.stderr is None)
    if once.stderr is not None:
        assert twice.stderr == pytest.approx(once.stderr, abs=1e-9)


def test_the_error_is_the_spread_over_repeated_samples_of_scenes():
    generator = generator_for(1, "test/clustered")
    means, errors = [], []
    for _ in range(400):
        of_scene = generator.beta(2, 2, 60)
        x = (generator.random((60, 8)) < of_scene[:, None]).astype(float)
        found = clustered_mean(x.ravel(), [str(s) for s in range(60) for _ in range(8)])
        means.append(found.mean)
        errors.append(found.stderr)
    assert np.mean(errors) == pytest.approx(np.std(means, ddof=1), rel=0.1)
    naive = np.std(x, ddof=1) / x.size**0.5
    assert np.mean(errors) > 1.3 * naive


@settings(max_examples=20)
@given(st.floats(0, 1), st.integers(1, 5))
def test_one_scene_gives_no_error(value, n):
    assert clustered_mean([value] * n, ["a"] * n) == Mean(pytest.approx(value), None, 1)


def test_no_data_is_none():
    assert clustered_mean([], []) == Mean(None, None, 0)


def test_columns_of_unequal_length_raise():
    with pytest.raises(ValueError, match="2 values, 1 clusters"):
        clustered_mean([1.0, 0.0], ["a"])
