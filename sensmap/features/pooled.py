"""The pooled map itself, as the box regression of Ebrahimpour & Noelle takes it.

    z = pool(M^(1/2)) / sum(pool(M^(1/2)))

with means over a grid of at most 32 x 32. The paper regresses from every pixel of the map; the
square root (derivatives are heavy-tailed) and the division by the sum (their scale varies with
the class score) are additions, and so is the pooling, which keeps the regression's coefficients
fewer than most training sets.
"""

from __future__ import annotations

import tensorflow as tf

GRID = 32


def compute(maps: tf.Tensor) -> tf.Tensor:
    """The pooled, normalised maps as vectors.

    Args:
        maps: ``(N, h, w)`` float32, non-negative, with a positive sum.

    Returns:
        ``(N, min(h, 32) * min(w, 32))`` float32, summing to 1.

    >>> compute(tf.ones((1, 64, 64))).shape
    TensorShape([1, 1024])
    """
    height, width = (min(side, GRID) for side in maps.shape[1:3])
    pooled = tf.image.resize(tf.sqrt(maps)[..., None], (height, width), method="area")
    vectors = tf.reshape(pooled, [-1, height * width])
    return vectors / tf.reduce_sum(vectors, axis=1, keepdims=True)
