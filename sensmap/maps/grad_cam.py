"""Grad-CAM: the last feature map's channels, weighted by their mean derivative.

Selvaraju et al. 2017, section 3: for the class c and a layer's output A with Z positions,

    w_k     = 1/Z * sum over positions (i, j) of dS_c / dA(i, j, k)
    M(i, j) = max(0, sum over channels k of w_k * A(i, j, k))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _layers
from sensmap.maps._one_pass import OnePass

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier


class GradCAM(OnePass):
    """Weighted feature maps, by a backward pass to the last of them.

    Args:
        classifier: whose class scores are differentiated.
        layers: ``"last"``, the last feature map that everything passes through, as in the paper;
            or layer names or paths; or ``"auto"``, one layer for each resolution.

    Raises:
        ValueError: for a layer that there is not.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)),
    ...                           keras.layers.Conv2D(4, 3, 2, padding="same", name="conv"),
    ...                           keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> method = GradCAM(classifiers.load(model, preprocessing="none"))
    >>> method.layers, method(np.zeros((1, 8, 8, 3))).maps[0].shape
    (('conv',), (1, 4, 4))
    """

    def __init__(self, classifier: Classifier, layers: str | Sequence[str] = _layers.LAST):
        super().__init__(classifier, layers)

    def reduce(self, derivative: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """See `OnePass.reduce`."""
        weights = tf.reduce_mean(derivative, axis=[1, 2], keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * at, axis=-1))


# By the name of its module.
create = GradCAM
