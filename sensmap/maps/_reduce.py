"""From the derivative with respect to a tensor's channels to one non-negative map."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# Each takes the derivative g and the tensor a itself, both (N, h, w, channels), and gives
# (N, h, w): what is done over the channels c is in the formula beside it.
REDUCTIONS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "max": lambda g, a: tf.reduce_max(tf.abs(g), axis=-1),  # max_c |g_c|
    "mean": lambda g, a: tf.reduce_mean(tf.abs(g), axis=-1),  # mean_c |g_c|
    "l2": lambda g, a: tf.sqrt(tf.reduce_sum(g * g, axis=-1)),  # (sum_c g_c^2)^(1/2)
    "activation": lambda g, a: tf.abs(tf.reduce_sum(g * a, axis=-1)),  # |sum_c g_c a_c|
}


def check(name: str) -> str:
    """The name, if it is one of a reduction.

    >>> check("max")
    'max'
    """
    if name not in REDUCTIONS:
        raise ValueError(
            f"There is no reduction over channels {name!r}; choose one of {', '.join(REDUCTIONS)}."
        )
    return name
