"""Intervals against published tables, the definition, and plain drawing with replacement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sensmap.metrics import _intervals


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
        # Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(successes, trials, low, high):
    assert _intervals.wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_one_trial():
    # k = n = 1: (1 + z²/2 ± z²/2) / (1 + z²), so the lower end is 1 / (1 + z²).
    low, high = _intervals.wilson(1, 1, z=3.0)
    assert low == pytest.approx(0.1)
    assert high == 1.0


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_are_where_the_normal_test_changes_its_mind(counts):
    successes, trials = counts
    share = successes / trials
    low, high = _intervals.wilson(successes, trials)
    assert 0.0 <= low <= share <= high <= 1.0
    for end in {low, high} - {0.0, 1.0}:
        deviation = _intervals.Z_95 * (end * (1 - end) / trials) ** 0.5
        assert abs(share - end) == pytest.approx(deviation, rel=1e-6)
    mirrored = _intervals.wilson(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(successes, trials):
    with pytest.raises(ValueError, match=f"received {successes} of {trials}"):
        _intervals.wilson(successes, trials)
    with pytest.raises(ValueError, match=f"received {successes} of {trials}"):
        _intervals.interval(successes, trials)


@pytest.mark.parametrize(("right", "images"), [(1, 3), (7, 40), (772, 1300), (39, 40)])
def test_the_bootstrap_is_what_drawing_converges_to(right, images):
    generator = np.random.default_rng(0)
    outcomes = np.arange(images) < right
    means = [outcomes[generator.integers(images, size=images)].mean() for _ in range(20_000)]
    drawn = np.percentile(means, [2.5, 97.5])
    assert _intervals.interval(right, images) == pytest.approx(drawn, abs=1.01 / images)


@given(st.integers(2, 3_000).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))))
def test_the_bootstrap_holds_95_percent_of_the_draws(counts):
    right, images = counts
    low, high = (round(end * images) for end in _intervals.interval(right, images))
    up_to_the_end = stats.binom.cdf(high, images, right / images)
    below = stats.binom.cdf(low - 1, images, right / images)
    assert up_to_the_end >= 0.975 - 1e-12
    assert below < 0.025
    assert low <= right <= high


def test_where_all_are_right_or_wrong_the_interval_has_a_width():
    assert _intervals.interval(10, 10) == _intervals.wilson(10, 10)
    assert _intervals.interval(0, 10) == _intervals.wilson(0, 10)
