"""The derivative of a class score with respect to inner layers.

Ebrahimpour & Noelle, section 2; Shimoda & Yanai 2016, section 3.3: for the class c and a layer's
output A,

    M(i, j) = max over channels k of | dS_c / dA(i, j, k) |

at the layer's resolution. The backward pass ends at the lowest of the layers, so it costs less
than that of `sensmap.maps.gradient` to the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _layers, _reduce
from sensmap.maps._one_pass import OnePass

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier


class LayerSensitivity(OnePass):
    """Sensitivity maps of inner layers, by one backward pass.

    Args:
        classifier: whose class scores are differentiated.
        layers: layer names or paths (``"backbone/conv5"``); or ``"auto"``, one layer for each
            resolution; or ``"last"``, the last feature map, whose derivative is the same at
            every position where global average pooling follows.

    Raises:
        ValueError: for a layer that there is not, or the pixels.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)),
    ...                           keras.layers.Conv2D(4, 3, 2, padding="same", name="conv"),
    ...                           keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> method = LayerSensitivity(classifiers.load(model, preprocessing="none"))
    >>> method.layers, method(np.zeros((1, 8, 8, 3))).maps[0].shape
    (('conv',), (1, 4, 4))
    """

    def __init__(self, classifier: Classifier, layers: str | Sequence[str] = _layers.AUTO):
        super().__init__(classifier, layers)
        if _layers.PIXELS in self.layers:
            raise ValueError("'layer_sensitivity' is of inner layers; for 'pixels' use 'gradient'.")

    def reduce(self, derivative: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """See `OnePass.reduce`."""
        return _reduce.REDUCTIONS["max"](derivative, at)


# By the name of its module.
create = LayerSensitivity
