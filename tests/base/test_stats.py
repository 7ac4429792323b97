from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actial.rng import generator_for
from actial.stats import LEVEL, Mean, benjamini_hochberg, chance_test, clustered_mean, holm, p_above, wilson_interval

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


# ------------------------------------------------------------------------------------------------ against chance


@given(st.floats(0, 1), st.floats(0.001, 0.2), st.integers(2, 80), st.sampled_from([0.02, 0.05, 0.1]))
def test_at_chance_is_two_one_sided_t_tests(accuracy, stderr, n_clusters, bound):
    """With scipy's own t tests, from the summary statistics of a sample that has this mean and this error."""
    from scipy.stats import ttest_1samp

    chance = 1 / 3
    spread = generator_for(3, "test/chance").normal(size=n_clusters)
    sample = accuracy + (spread - spread.mean()) / spread.std(ddof=1) * stderr * n_clusters**0.5
    below = ttest_1samp(sample, chance + bound, alternative="less").pvalue
    above = ttest_1samp(sample, chance - bound, alternative="greater").pvalue
    two_sided = ttest_1samp(sample, chance)
    found = chance_test(Mean(accuracy, stderr, n_clusters), chance, bound)
    assert (found.verdict == "at chance") == (max(below, above) < 0.05)
    if found.verdict != "at chance":
        expected = "undecided" if two_sided.pvalue >= 0.05 else "above" if accuracy > chance else "below"
        assert found.verdict == expected
    interval = two_sided.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low - chance, interval.high - chance), abs=1e-9)
    assert found.p == pytest.approx(two_sided.pvalue, abs=1e-12)


@given(st.floats(0, 1), st.floats(0.001, 0.2), st.integers(2, 80))
def test_p_above_is_a_one_sided_t_test(accuracy, stderr, n_clusters):
    from scipy.stats import ttest_1samp

    spread = generator_for(4, "test/above").normal(size=n_clusters)
    sample = accuracy + (spread - spread.mean()) / spread.std(ddof=1) * stderr * n_clusters**0.5
    assert p_above(Mean(accuracy, stderr, n_clusters), 0.4) == pytest.approx(ttest_1samp(sample, 0.4, alternative="greater").pvalue, abs=1e-9)


def test_p_above_without_spread():
    assert p_above(Mean(1.0, 0.0, 3), 0.5) == 0.125
    assert p_above(Mean(0.5, 0.0, 3), 0.5) == p_above(Mean(1.0, None, 1), 0.5) == p_above(Mean(None, None, 0), 0.5) == 1.0


def test_holm_as_in_the_textbooks():
    """R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"), and the example of Wright, Biometrics 48, 1992, table 1 is of the same form."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_false_discovery_rate_is_scipys(p_values):
    from scipy.stats import false_discovery_control

    assert benjamini_hochberg(p_values) == pytest.approx(list(false_discovery_control(p_values)), abs=1e-12)


def test_false_discovery_rate_finds_what_its_authors_found():
    """Benjamini and Hochberg, 1995, section 3.2: fifteen p-values of a trial; their procedure rejects four, Bonferroni's and Hochberg's three."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert [value < LEVEL for value in benjamini_hochberg(p)] == [True] * 4 + [False] * 11
    assert [value < LEVEL for value in holm(p)] == [True] * 3 + [False] * 12
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])  # R: p.adjust(…, "BH")
    assert benjamini_hochberg([]) == []


def test_all_right_or_all_wrong_is_judged_by_the_number_of_scenes():
    verdict = lambda accuracy, n: chance_test(Mean(accuracy, 0.0, n), 1 / 3, 0.05).verdict
    assert [verdict(1.0, n) for n in (3, 4)] == ["undecided", "above"]
    assert [verdict(0.0, n) for n in (9, 10)] == ["undecided", "below"]
    assert verdict(1 / 3, 50) == "undecided", "no spread at all is no evidence"


def test_no_data_or_one_scene_decides_nothing():
    assert chance_test(Mean(None, None, 0), None, 0.05).verdict == "undecided"
    assert chance_test(Mean(1.0, None, 1), 1 / 3, 0.05).verdict == "undecided"


def test_a_model_at_chance_is_hardly_ever_called_above_or_below_and_a_better_one_never_at_chance():
    generator = generator_for(4, "test/chance")
    told = {accuracy: [] for accuracy in (1 / 3, 1 / 3 + 0.05)}
    for accuracy, verdicts in told.items():
        for _ in range(400):
            of_scene = accuracy + generator.uniform(-0.2, 0.2, 160)
            x = (generator.random((160, 12)) < of_scene[:, None]).astype(float)
            verdicts.append(chance_test(clustered_mean(x.ravel(), [str(s) for s in range(160) for _ in range(12)]), 1 / 3, 0.05).verdict)
    assert told[1 / 3].count("at chance") > 340
    assert told[1 / 3].count("above") + told[1 / 3].count("below") < 0.09 * 400
    assert told[1 / 3 + 0.05].count("at chance") < 0.08 * 400  # the bound itself: an error of 5 % by design


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), min_size=1, max_size=40))
def test_a_bit_that_is_asked_twice_is_no_more_certain_than_asked_once(answers):
    right, clusters = (list(column) for column in zip(*answers, strict=True))
    assert wilson_interval(right * 2, clusters * 2, [0.5] * 2 * len(right)) == pytest.approx(wilson_interval(right, clusters), abs=1e-9)


def test_of_single_questions_the_interval_is_scipys():
    from scipy.stats import binomtest

    expected = binomtest(27, 36).proportion_ci(0.95, method="wilson")
    assert wilson_interval([i < 27 for i in range(36)], [str(i) for i in range(36)]) == pytest.approx((expected.low, expected.high), abs=1e-6)
