"""How far a measured share may lie from the true one."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr

# The standard normal distribution lies within -Z_95 and Z_95 with a probability of 95%.
Z_95 = 1.959963984540054
# How often images are drawn anew where there is no closed form.
RESAMPLES = 1000
# What `interval` gives, in words.
METHOD = "bootstrap over images, percentile, 95%; Wilson score where none or all are right"


def interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of the share of images that are right, over other images of the same kind.

    The percentile bootstrap over images (Efron & Tibshirani, "An Introduction to the Bootstrap",
    chapter 13): as many images as there are, drawn from them with replacement, have a number of
    right ones that is binomially distributed, so the ends are its quantiles at 2.5 and 97.5%,
    exactly and without drawing. Where none or all of the images are right every draw is like
    them, which tells nothing; there `wilson` is taken.

    Args:
        successes: how many images are right, 0 to ``trials``.
        trials: how many there are, at least 1.

    Returns:
        The lower and the upper end, shares in 0 to 1.

    Raises:
        ValueError: without trials, or for more successes than trials.

    >>> interval(5, 10), [round(end, 2) for end in interval(10, 10)]
    ((0.2, 0.8), [0.72, 1.0])
    """
    _check(successes, trials)
    if successes in (0, trials):
        return wilson(successes, trials)
    share = successes / trials
    return _quantile(0.025, trials, share) / trials, _quantile(0.975, trials, share) / trials


def bootstrap_mean(values: np.ndarray) -> tuple[float, float]:
    """The same of the mean of numbers, one an image, by drawing `RESAMPLES` times.

    The draws are always the same, and the numbers are sorted first, so that their order does not
    matter.

    Args:
        values: ``(N,)`` at least one, finite.

    >>> bootstrap_mean(np.ones(3))
    (1.0, 1.0)
    """
    in_order = np.sort(np.asarray(values, np.float64))
    drawn = np.random.default_rng(0).integers(len(in_order), size=(RESAMPLES, len(in_order)))
    low, high = np.percentile(in_order[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _quantile(probability: float, trials: int, share: float) -> int:
    """The least number whose binomial distribution function reaches a probability."""
    low, high = -1, trials
    while high - low > 1:
        middle = (low + high) // 2
        reached = bdtr(middle, trials, share) >= probability
        low, high = (low, middle) if reached else (middle, high)
    return high


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a binomial proportion.

    The proportions ``p`` that a normal test would not reject, ``|k/n - p| <= z √(p (1-p) / n)``:

        ``(k + z²/2 ± z √(k (n-k) / n + z²/4)) / (n + z²)``

    (Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927). Unlike
    the textbook's ``p ± z √(p (1-p) / n)`` it stays within 0 to 1, keeps its level for few trials
    and has a width at 0% and 100%. No continuity correction.

    Args:
        successes: k, 0 to ``trials``.
        trials: n, at least 1.
        z: quantile of the standard normal distribution; the default gives 95%.

    Returns:
        The lower and the upper end, shares in 0 to 1.

    Raises:
        ValueError: without trials, or for more successes than trials.

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    _check(successes, trials)
    middle = successes + z * z / 2
    half = z * math.sqrt(successes * (trials - successes) / trials + z * z / 4)
    total = trials + z * z
    # The ends are 0 and 1 exactly where no trial succeeds or fails, but for rounding.
    low = (middle - half) / total if successes else 0.0
    high = (middle + half) / total if successes < trials else 1.0
    return low, high


def _check(successes: int, trials: int) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            "An interval needs at least one trial and no more successes than trials; "
            f"received {successes} of {trials}."
        )
