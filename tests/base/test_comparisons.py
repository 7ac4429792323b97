from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.comparisons import Comparison, detectable_difference, hierarchical_bootstrap, margin_test, paired_comparison
from actial.rng import generator_for
from actial.stats import Mean


def paired_data(n_scenes: int, gain: float) -> tuple[np.ndarray, list[str], np.ndarray]:
    generator = generator_for(5, f"test/pairs/{n_scenes}")
    sizes = generator.integers(2, 9, n_scenes)
    clusters = [f"s{i}" for i, n in enumerate(sizes) for _ in range(n)]
    of_scene = np.repeat(generator.normal(gain, 0.2, n_scenes), sizes)
    d = np.sign(of_scene + generator.normal(0, 0.5, len(clusters))) * (generator.random(len(clusters)) < 0.5)
    return d, clusters, generator.choice([1.0, 0.5, 1 / 3], len(clusters))


def scene_sums(d, clusters, w) -> tuple[np.ndarray, np.ndarray]:
    names = sorted(set(clusters))
    of = [np.array([c == name for c in clusters]) for name in names]
    return np.array([(w * d)[o].sum() for o in of]), np.array([w[o].sum() for o in of])


@pytest.mark.parametrize(("n_scenes", "gain"), [(6, 0.4), (11, 0.1), (60, 0.08), (60, 0.0)])
def test_the_sign_flip_test_is_scipys_permutation_test_of_scene_sums(n_scenes, gain):
    from scipy.stats import permutation_test

    d, clusters, w = paired_data(n_scenes, gain)
    sums, _ = scene_sums(d, clusters, w)
    expected = permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1)).pvalue
    found = paired_comparison(list(d), clusters, list(w), generator_for(1, "test")).p
    assert found == pytest.approx(expected, abs=1e-12 if 2**n_scenes <= 10_000 else 0.02)


def test_the_interval_is_scipys_bootstrap_of_whole_scenes():
    from scipy.stats import bootstrap

    d, clusters, w = paired_data(60, 0.1)
    sums, sizes = scene_sums(d, clusters, w)
    ratio = lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis)
    expected = bootstrap((sums, sizes), ratio, paired=True, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)).confidence_interval
    found = paired_comparison(list(d), clusters, list(w), generator_for(1, "test"))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.006)
    assert found.mean == pytest.approx(sums.sum() / sizes.sum())
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.stderr, rel=0.1)


def test_nothing_gained_is_found_in_one_of_twenty_experiments():
    p = []
    for i in range(200):
        generator = generator_for(6, f"test/{i}")
        of_scene = generator.normal(0, 0.3, 40)
        d = np.repeat(of_scene, 5) + generator.normal(0, 0.5, 200)
        p.append(paired_comparison(list(d), [str(s) for s in range(40) for _ in range(5)], [1.0] * 200, generator_for(7, f"test/{i}")).p)
    assert 2 <= sum(value < 0.05 for value in p) <= 20
    assert 0.4 < np.mean(p) < 0.6


def test_the_same_data_and_generator_give_the_same_numbers():
    d, clusters, w = paired_data(60, 0.1)
    one, two = (paired_comparison(list(d), clusters, list(w), generator_for(1, "test")) for _ in range(2))
    assert one == two != paired_comparison(list(d), clusters, list(w), generator_for(2, "test"))


# ------------------------------------------------------------------------------------------------ what could be seen


def test_the_detectable_difference_is_that_of_published_tables():
    """A paired t test of a difference of half a standard deviation needs 34 pairs for a power of 80 % (Cohen, Statistical Power Analysis, 1988; G*Power)."""
    by_pairs = {n: detectable_difference(Mean(0.0, n**-0.5, n)) for n in (33, 34)}
    assert by_pairs[34] < 0.5 < by_pairs[33]


@pytest.mark.parametrize("n_clusters", [10, 40, 373])
def test_a_difference_of_that_size_is_found_in_four_experiments_of_five(n_clusters):
    """By the noncentral t distribution of scipy, which is exact for normal differences."""
    from scipy.stats import nct, t

    detectable = detectable_difference(Mean(0.3, 0.02, n_clusters))
    df, shift = n_clusters - 1, detectable / 0.02
    critical = t.ppf(0.975, df)
    assert nct.sf(critical, df, shift) + nct.cdf(-critical, df, shift) == pytest.approx(0.8, abs=0.012)


def test_without_spread_nobody_knows_what_could_be_seen():
    assert [detectable_difference(Mean(0.0, stderr, 5)) for stderr in (0.0, None)] == [None, None]
    assert paired_comparison([1.0], ["a"], [1.0], generator_for(1, "test")) == Comparison(1.0, None, None, None, None, None)


# ------------------------------------------------------------------------------------------------ no worse, equal


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.integers(2, 80), st.sampled_from([0.02, 0.05]))
def test_no_worse_and_equal_are_one_sided_t_tests(mean, stderr, n_clusters, margin):
    """With scipy's own, of a sample that has this mean and this error."""
    from scipy.stats import ttest_1samp

    spread = generator_for(3, "test/margin").normal(size=n_clusters)
    sample = mean + (spread - spread.mean()) / spread.std(ddof=1) * stderr * n_clusters**0.5
    loss = ttest_1samp(sample, -margin, alternative="greater").pvalue
    won = ttest_1samp(sample, margin, alternative="less").pvalue
    found = margin_test(Mean(mean, stderr, n_clusters), margin)
    assert (found.no_worse, found.equal) == (loss < 0.05, max(loss, won) < 0.05)
    interval = ttest_1samp(sample, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_answers_that_never_changed_are_judged_by_the_number_of_scenes():
    """The rule of three: none in 59 leaves less than 5 % at 95 % confidence, none in 58 does not (Hanley and Lippman-Hand, 1983)."""
    assert [margin_test(Mean(0.0, 0.0, n), 0.05).equal for n in (58, 59)] == [False, True]
    assert margin_test(Mean(1.0, 0.0, 100), 0.05).low is None, "all changed alike"
    assert margin_test(Mean(0.0, None, 1), 0.05).low is None


def test_a_loss_of_the_margin_is_called_no_worse_in_one_of_twenty_experiments():
    generator = generator_for(8, "test/margin")
    called = 0
    for _ in range(400):
        sample = generator.normal(-0.05, 0.3, 60)
        called += margin_test(Mean(float(sample.mean()), float(sample.std(ddof=1) / 60**0.5), 60), 0.05).no_worse
    assert 8 <= called <= 34


# ------------------------------------------------------------------------------------------------ over seeds


def trios(differences: list[float], spread: float, generator: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each seed 50 scenes of weight 2 with the given mean difference and spread between scenes."""
    made = []
    for d in differences:
        b = np.full(50, 1.0)
        made.append((np.full(50, 2.0), b + 2 * (d + spread * generator.standard_normal(50)), b))
    return made


def test_the_bootstrap_covers_the_spread_of_seeds_and_of_scenes() -> None:
    """With one of both alone, the interval is the textbook's: 1.96 standard errors of a mean."""
    generator = np.random.Generator(np.random.PCG64(1))
    seeds = [0.1 * x for x in generator.standard_normal(30)]
    of_seeds = hierarchical_bootstrap(trios(seeds, 0.0, generator), generator)
    assert of_seeds.high - of_seeds.low == pytest.approx(2 * 1.96 * np.std(seeds) / 30**0.5, rel=0.05)
    made = trios([0.0] * 30, 0.5, generator)
    of_scenes = hierarchical_bootstrap(made, generator)
    per_seed = [((a - b) / w) for w, a, b in made]
    variance = np.mean([x.var() / 50 for x in per_seed]) / 30 + np.var([x.mean() for x in per_seed]) / 30
    assert of_scenes.high - of_scenes.low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.05)


def test_p_is_small_for_an_effect_and_one_for_none() -> None:
    generator = np.random.Generator(np.random.PCG64(2))
    assert hierarchical_bootstrap(trios([0.1] * 6, 0.2, generator), generator).p < 0.001
    assert hierarchical_bootstrap(trios([0.1, -0.1] * 3, 0.2, generator), generator).p > 0.5
    assert hierarchical_bootstrap(trios([0.0] * 6, 0.0, generator), generator).p == 1.0
    alone = hierarchical_bootstrap(trios([0.1], 0.0, generator), generator)
    assert alone.mean == pytest.approx(0.1) and (alone.low, alone.high, alone.p) == (None, None, None)
