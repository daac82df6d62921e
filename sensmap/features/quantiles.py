"""Marginal quantiles: where along the width and the height a map's mass lies.

For each power p, the map M^p is summed over rows and over columns; with F the cumulative sum of
such a marginal, divided by its total, the features are the positions F^-1(q) for each quantile
q. With the mass of a pixel spread evenly over its width,

    F^-1(q) = 1/n * sum_i clip((q - F(i)) / (F(i+1) - F(i)), 0, 1)

for n pixels: each counts as far as the quantile reaches into it. Low powers read the extent of
the whole map, high ones that of its peaks. A regression on pixels must learn a position for
every pixel; on quantiles it reads positions off.
"""

from __future__ import annotations

import tensorflow as tf

POWERS = (0.5, 1.0, 2.0, 3.0)
# Denser towards both ends, which is where a box has its sides.
QUANTILES = (
    *(0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40),
    0.50,
    *(0.60, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 0.98, 0.99),
)
SIZE = len(POWERS) * 2 * len(QUANTILES)


def compute(maps: tf.Tensor) -> tf.Tensor:
    """Marginal quantiles of maps.

    Args:
        maps: ``(N, h, w)`` float32, non-negative, with a positive sum and a maximum near 1.

    Returns:
        ``(N, SIZE)`` float32, relative positions in 0 to 1: for each power, the quantiles along
        the width, then those along the height.

    >>> compute(tf.ones((1, 4, 4)))[0, 9].numpy()  # a uniform map's median is in the middle
    np.float32(0.5)
    """
    positions = []
    for power in POWERS:
        raised = maps if power == 1.0 else tf.pow(maps, power)
        positions += [_quantiles(tf.reduce_sum(raised, axis=axis)) for axis in (1, 2)]
    return tf.concat(positions, axis=1)


def _quantiles(marginal: tf.Tensor) -> tf.Tensor:
    """From ``(N, n)`` masses to ``(N, Q)`` positions in 0 to 1."""
    share = marginal / tf.reduce_sum(marginal, axis=1, keepdims=True)
    before = tf.cumsum(share, axis=1, exclusive=True)
    reached = (tf.constant(QUANTILES) - before[:, :, None]) / tf.maximum(share, 1e-12)[:, :, None]
    return tf.reduce_mean(tf.clip_by_value(reached, 0.0, 1.0), axis=1)
