"""How far a measured share may lie from the true one."""

from __future__ import annotations

import math

# The standard normal distribution lies within -Z_95 and Z_95 with a probability of 95%.
Z_95 = 1.959963984540054


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
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            "An interval needs at least one trial and no more successes than trials; "
            f"received {successes} of {trials}."
        )
    middle = successes + z * z / 2
    half = z * math.sqrt(successes * (trials - successes) / trials + z * z / 4)
    total = trials + z * z
    # The ends are 0 and 1 exactly where no trial succeeds or fails, but for rounding.
    low = (middle - half) / total if successes else 0.0
    high = (middle + half) / total if successes < trials else 1.0
    return low, high
