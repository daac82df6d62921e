"""Grad-CAM++: as Grad-CAM, with positions that raise the score weighted each for itself.

Chattopadhay et al. 2018, section 3.2: for the class c, a layer's output A and
g(i, j, k) = dS_c / dA(i, j, k),

    a(i, j, k) = g(i, j, k)^2 / (2 g(i, j, k)^2 + g(i, j, k)^3 * sum over positions of A(., ., k))
    w_k        = sum over positions (i, j) of a(i, j, k) * max(0, g(i, j, k))
    M(i, j)    = max(0, sum over channels k of w_k * A(i, j, k))

which is the paper's equation for exp(S_c), whose derivatives of every order are powers of g.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _layers
from sensmap.maps._one_pass import OnePass

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier


class GradCAMPlusPlus(OnePass):
    """Weighted feature maps, by a backward pass to the last of them.

    Departures from the paper: the factor exp(S_c), the same at every position, is left out, for
    it overflows. Where the weight's denominator is zero, so is the weight.

    Args:
        classifier, layers: as of `GradCAM`.

    Raises:
        ValueError: for a layer that there is not.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)),
    ...                           keras.layers.Conv2D(4, 3, 2, padding="same", name="conv"),
    ...                           keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> method = GradCAMPlusPlus(classifiers.load(model, preprocessing="none"))
    >>> method.layers, method(np.zeros((1, 8, 8, 3))).maps[0].shape
    (('conv',), (1, 4, 4))
    """

    def __init__(self, classifier: Classifier, layers: str | Sequence[str] = _layers.LAST):
        super().__init__(classifier, layers)

    def reduce(self, derivative: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """See `OnePass.reduce`."""
        total = tf.reduce_sum(at, axis=[1, 2], keepdims=True)
        # Both sides of the fraction over g^2, which would vanish in float32.
        alpha = tf.math.divide_no_nan(1.0, 2.0 + derivative * total)
        alpha = tf.where(derivative == 0, 0.0, alpha)
        weights = tf.reduce_sum(alpha * tf.nn.relu(derivative), axis=[1, 2], keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * at, axis=-1))


# By the name of its module.
create = GradCAMPlusPlus
