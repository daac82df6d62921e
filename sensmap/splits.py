"""Parts of a data set: drawn without replacement, so that no image is in two of them.

The default shares, 75 / 12.5 / 12.5 %, are those of Ebrahimpour & Noelle. The counts that the
paper publishes for its three parts add up to 105 % of its images, so they cannot be matched.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np


def split(
    n: int, fractions: Sequence[float] = (0.75, 0.125, 0.125), seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Divides ``n`` examples into parts at random.

    Part ``k`` ends at ``round(n * (f_0 + ... + f_k))`` of a random order, so that the parts'
    sizes are within one of ``n * f_k`` and add up to ``n``.

    Args:
        n: how many examples there are.
        fractions: share of each part, positive, with the sum 1.
        seed: the same seed gives the same parts.

    Returns:
        One ``(n_k,)`` int64 array of positions a part, ascending; data sets are read fastest so.

    Raises:
        ValueError: if the fractions do not fit, or a part would be empty.

    >>> train, validation, test = split(8)
    >>> len(train), len(validation), len(test)
    (6, 1, 1)
    """
    if not all(fraction > 0 for fraction in fractions) or not math.isclose(sum(fractions), 1.0):
        raise ValueError(
            f"The fractions of a split must be positive and add up to 1; "
            f"received {tuple(fractions)} with the sum {sum(fractions):g}."
        )
    ends = np.round(np.cumsum(fractions) * n).astype(np.int64)
    sizes = np.diff(ends, prepend=0)
    if (sizes < 1).any():
        raise ValueError(
            f"{n} examples in parts of {tuple(fractions)} leave a part empty; "
            f"use more examples or fewer parts."
        )
    order = np.random.default_rng(seed).permutation(n)
    return tuple(np.sort(part) for part in np.split(order, ends[:-1]))


def ids_sha256(ids: Sequence[str]) -> str:
    """The hash of images' ids in their order, by which a result says what it was fitted on.

    >>> ids_sha256(["a", "b"])[:8]
    '7e18f737'
    """
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def folds(n: int, k: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divides ``n`` examples into ``k`` folds at random, for cross-validation.

    Args:
        n: how many examples there are.
        k: how many folds, 2 to ``n``; their sizes differ by one at most.
        seed: the same seed gives the same folds.

    Returns:
        ``k`` pairs ``(train, test)`` of ascending int64 positions. Every example is in the test
        part of exactly one pair, and in the training part of all others.

    Raises:
        ValueError: for fewer than two folds, or more folds than examples.

    >>> [len(test) for _, test in folds(10, 4)]
    [3, 3, 2, 2]
    """
    if not 2 <= k <= n:
        raise ValueError(
            f"Cross-validation needs 2 folds or more and an example for each; "
            f"received {k} folds for {n} examples."
        )
    parts = [
        np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(n), k)
    ]
    return [
        (np.sort(np.concatenate(parts[:fold] + parts[fold + 1 :])), parts[fold])
        for fold in range(k)
    ]
