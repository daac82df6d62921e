"""Class activation maps: the score, before it is averaged over positions.

Zhou et al. 2016, section 2: where the score is a weighted sum of the last feature map A's mean
over its Z positions, S_c = sum over k of w_k * mean of A(., ., k) + b,

    M(i, j) = sum over channels k of w_k * A(i, j, k)

and the map's mean is the score less b. The weights are found as w_k = Z * dS_c / dA(i, j, k), the
same at every position (i, j), whatever layers the head is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from sensmap.maps import _layers
from sensmap.maps._base import given
from sensmap.maps._one_pass import OnePass

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# How far the derivatives of a linear head may be apart, of the largest: half precision rounds.
_TOLERANCE = 1e-2
# Classes that the head is tried with, at most.
_CLASSES = 8


class CAM(OnePass):
    """Class activation maps, of networks that end with global average pooling and linear layers.

    Departure from the paper: of each map its least value is taken away, since maps are not
    negative.

    Args:
        classifier: whose class scores are explained. Whether its head allows it is tried with two
            images, noise and black: the derivatives must be the same at all positions of both.

    Raises:
        ValueError: if the head does not allow it.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)),
    ...                           keras.layers.Conv2D(4, 3, 2, padding="same", name="conv"),
    ...                           keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    >>> method = CAM(classifiers.load(model, preprocessing="none"))
    >>> method.layers, method(np.zeros((1, 8, 8, 3))).maps[0].shape
    (('conv',), (1, 4, 4))
    """

    def __init__(self, classifier: Classifier):
        super().__init__(classifier, _layers.LAST)
        derivatives = self._derivatives_of_two_images()
        if not np.allclose(
            derivatives,
            derivatives[:1, :, :1, :1],
            rtol=0,
            atol=_TOLERANCE * np.abs(derivatives).max(),
        ):
            raise ValueError(
                f"{classifier.source} has no global average pooling and linear layers behind "
                f"{self.layers[0]!r}, its last feature map, which class activation maps need; "
                "use the map method 'grad_cam'."
            )

    def _derivatives_of_two_images(self) -> np.ndarray:
        """Those with respect to the last feature map; ``(2, classes, h, w, channels)``."""
        size = (*self.classifier.input_size, 3)
        noise = np.random.default_rng(0).uniform(0, 255, size)
        inputs = self.classifier.preprocess(np.stack([noise, np.zeros(size)]).astype(np.float32))
        count = self.classifier.num_classes
        class_ids = np.linspace(0, count - 1, min(count, _CLASSES)).astype(np.int32)
        found = self._derivatives(
            tf.constant(inputs), given(np.stack([class_ids, class_ids])), lambda g, _: g
        )
        return found.maps[0].numpy()

    def reduce(self, derivative: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """See `OnePass.reduce`."""
        weights = tf.reduce_sum(derivative, axis=[1, 2], keepdims=True)
        scores = tf.reduce_sum(weights * at, axis=-1)
        return scores - tf.reduce_min(scores, axis=[1, 2], keepdims=True)


# By the name of its module.
create = CAM
