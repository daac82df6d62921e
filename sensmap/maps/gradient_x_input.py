"""The derivative of a class score times the network's input.

Shrikumar et al. 2016, "Not just a black box: learning important features through propagating
activation differences", section 2: for the class c and the network's input I,

    M(i, j) = | sum over channels k of I(i, j, k) * dS_c / dI(i, j, k) |

which for a linear score without bias adds up, before the absolute value, to the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _layers, _reduce
from sensmap.maps._one_pass import OnePass

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier


class GradientXInput(OnePass):
    """Maps of derivative times input, by one backward pass.

    Departure from the paper: the absolute value is taken of what a position's channels add up
    to, since maps are not negative.

    Args:
        classifier: whose class scores are differentiated.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, kernel_initializer="ones")])
    >>> method = GradientXInput(classifiers.load(model, preprocessing="none"))
    >>> method(np.full((1, 8, 8, 3), 5.0), [1]).maps[0].max()
    np.float32(15.0)
    """

    def __init__(self, classifier: Classifier):
        super().__init__(classifier, _layers.PIXELS)

    def reduce(self, derivative: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """See `OnePass.reduce`."""
        return _reduce.REDUCTIONS["activation"](derivative, at)


# By the name of its module.
create = GradientXInput
