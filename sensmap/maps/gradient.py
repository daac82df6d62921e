"""The derivative of a class score with respect to pixels and inner layers.

Simonyan et al. 2013, section 3.1, and Ebrahimpour & Noelle, section 2: for the class c,

    M(i, j) = max over channels k of | dS_c / dI(i, j, k) |

with S_c the class score before softmax and I the network's input; for an inner layer's output A
in place of I, M has the layer's resolution. One forward and one backward pass serve all places,
and the backward pass ends at the lowest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _layers, _reduce
from sensmap.maps._one_pass import OnePass

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier


class Gradient(OnePass):
    """Sensitivity maps by one backward pass.

    Departure from the papers: ``I`` is the network's input after preprocessing, so the choice of
    the maximal channel does not depend on each channel's scale in the preprocessing.

    Args:
        classifier: whose class scores are differentiated.
        layers: ``"pixels"``, layer names or paths (``"backbone/conv5"``), in any mixture; or
            ``"auto"``, one layer for each resolution; or ``"last"``, the last feature map.
        reduction: what is done over channels: ``"max"`` (of the absolute derivative, as in the
            papers), ``"mean"``, ``"l2"``, or ``"activation"`` (derivative times activation).

    Raises:
        ValueError: for a layer or reduction that there is not.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, kernel_initializer="ones")])
    >>> gradient = Gradient(classifiers.load(model, preprocessing="none"))
    >>> gradient(np.zeros((1, 8, 8, 3)), [1]).maps[0].max()
    np.float32(1.0)
    """

    def __init__(
        self,
        classifier: Classifier,
        layers: str | Sequence[str] = (_layers.PIXELS,),
        reduction: str = "max",
    ):
        self.reduction = _reduce.check(reduction)
        super().__init__(classifier, layers)

    def reduce(self, derivative: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """See `OnePass.reduce`."""
        return _reduce.REDUCTIONS[self.reduction](derivative, at)


# By the name of its module.
create = Gradient
