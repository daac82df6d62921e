"""Splits: sizes worked out by hand, and no example in two parts whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.splits import folds, split


@pytest.mark.parametrize(
    ("n", "fractions", "sizes"),
    [
        (8, (0.75, 0.125, 0.125), [6, 1, 1]),
        (16, (0.75, 0.125, 0.125), [12, 2, 2]),
        (10, (0.5, 0.5), [5, 5]),
        (7, (1.0,), [7]),  # one part is everything
        (10, (0.75, 0.125, 0.125), [8, 1, 1]),  # ends at 7.5, 8.75 and 10; half goes to even
    ],
)
def test_sizes_of_a_split(n, fractions, sizes):
    assert [len(part) for part in split(n, fractions)] == sizes


@pytest.mark.parametrize(
    ("n", "fractions", "message"),
    [
        (100, (0.75, 0.125, 0.175), "add up to 1"),  # 105 %
        (100, (1.5, -0.5), "positive"),
        (100, (1.0, 0.0), "positive"),
        (100, (float("nan"), 1.0), "positive"),
        (100, (), "add up to 1"),
        (3, (0.75, 0.125, 0.125), "leave a part empty"),
        (0, (0.5, 0.5), "leave a part empty"),
    ],
)
def test_a_split_that_cannot_be_made(n, fractions, message):
    with pytest.raises(ValueError, match=message):
        split(n, fractions)


@given(
    shares=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    spare=st.integers(0, 500),
    seed=st.integers(0, 2**32),
)
def test_every_example_is_in_exactly_one_part(shares, spare, seed):
    n = 2 * sum(shares) + spare  # every part has two or more on average
    parts = split(n, [share / sum(shares) for share in shares], seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    for part, share in zip(parts, shares, strict=True):
        assert (np.diff(part) > 0).all()
        assert abs(len(part) - n * share / sum(shares)) <= 1


def test_the_seed_decides():
    first, again, other = (split(100, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@given(st.integers(2, 60), st.data(), st.integers(0, 2**32))
def test_every_example_is_tested_in_exactly_one_fold(n, data, seed):
    k = data.draw(st.integers(2, n))
    pairs = folds(n, k, seed)
    assert len(pairs) == k
    assert sorted(np.concatenate([test for _, test in pairs]).tolist()) == list(range(n))
    sizes = {len(test) for _, test in pairs}
    assert max(sizes) - min(sizes) <= 1
    for train, test in pairs:
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(n))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()


@pytest.mark.parametrize(("n", "k"), [(3, 4), (10, 1), (10, 0), (0, 2)])
def test_folds_that_cannot_be_made(n, k):
    with pytest.raises(ValueError, match=f"received {k} folds for {n} examples"):
        folds(n, k)
