"""From the derivative with respect to a tensor's channels to one non-negative map."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

# Up to so many channels are taken one by one: TensorFlow's reductions of a last axis as short as
# that of an image take five times as long.
_FEW_CHANNELS = 4


def _over_channels(
    whole: Callable[[tf.Tensor, int], tf.Tensor],
    pairwise: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> Callable[[tf.Tensor], tf.Tensor]:
    def reduced(values: tf.Tensor) -> tf.Tensor:
        channels = values.shape[-1]
        if channels is not None and channels <= _FEW_CHANNELS:
            return functools.reduce(pairwise, tf.unstack(values, axis=-1))
        return whole(values, -1)

    return reduced


_max = _over_channels(tf.reduce_max, tf.maximum)
_sum = _over_channels(tf.reduce_sum, tf.add)

# Each takes the derivative g and the tensor a itself, both (N, h, w, channels), and gives
# (N, h, w): what is done over the channels c is in the formula beside it.
REDUCTIONS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "max": lambda g, a: _max(tf.abs(g)),  # max_c |g_c|
    "mean": lambda g, a: _sum(tf.abs(g)) / tf.cast(tf.shape(g)[-1], g.dtype),  # mean_c |g_c|
    "l2": lambda g, a: tf.sqrt(_sum(g * g)),  # (sum_c g_c^2)^(1/2)
    "activation": lambda g, a: tf.abs(_sum(g * a)),  # |sum_c g_c a_c|
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
