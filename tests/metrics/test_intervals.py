"""The Wilson interval against published tables and the definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
