"""Integrated gradients: derivatives along the way from a baseline to the image.

Sundararajan et al. 2017, section 3: for the class c, the network's input I and a baseline B,

    A(i, j, k) = (I - B)(i, j, k) * integral over a in [0, 1] of dS_c / dI(i, j, k) at B + a (I - B)
    M(i, j)    = | sum over channels k of A(i, j, k) |

The attributions A are complete: they add up to S_c(I) - S_c(B).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from sensmap.maps import _numbers
from sensmap.maps._base import given
from sensmap.maps._many_passes import ManyPasses, Passes, Sums

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

BASELINES = ("black", "mean")


class IntegratedGradients(ManyPasses):
    """Maps of the pixels by one backward pass a step along the way.

    Departure from the paper: the integral is taken by Gauss-Legendre quadrature instead of equal
    steps, and the quadrature is calibrated. Rectifiers make the derivative jump along the way, so
    that plain weights w_s leave the attributions a few percent short of complete even with
    hundreds of steps. What they should add up to is known, however: the weights that make them
    complete and differ least from w_s, which are

        w_s (1 + lambda f_s),    lambda = (S_c(I) - S_c(B) - sum of w_s f_s) / sum of w_s f_s^2

    with f_s the derivative along the way at step s. Completeness therefore says nothing about
    the number of steps.

    Args:
        classifier: whose class scores are differentiated.
        baseline: ``"black"``, pixels of 0; or ``"mean"``, the network's input of 0, which for
            most preprocessing is the mean colour of the images it was trained with.
        steps: at how many points of the way the derivative is taken.

    Raises:
        ValueError: for an option out of its range.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, kernel_initializer="ones")])
    >>> method = IntegratedGradients(classifiers.load(model, preprocessing="none"), steps=2)
    >>> method(np.full((1, 8, 8, 3), 5.0), [1]).maps[0].max().round(3)
    np.float32(15.0)
    """

    def __init__(self, classifier: Classifier, baseline: str = "black", steps: int = 50):
        if baseline not in BASELINES:
            raise ValueError(
                f"There is no baseline {baseline!r}; choose one of {', '.join(BASELINES)}."
            )
        self.baseline, self.steps = baseline, _numbers.whole("steps", steps, 1)
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)  # on [-1, 1]
        self._places = ((nodes + 1) / 2).astype(np.float32)
        self._weights = (weights / 2).astype(np.float32)
        super().__init__(classifier, self.steps)

    def input_of(self, number: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """See `ManyPasses.input_of`."""
        start = self._start(inputs)
        return start + tf.gather(self._places, number) * (inputs - start)

    def add(self, number: tf.Tensor, sums: Sums, derivative: tf.Tensor, inputs: tf.Tensor) -> Sums:
        """The derivatives with the weights w_s, and with w_s f_s."""
        plain, steep = sums
        way = (inputs - self._start(inputs))[:, None]
        along = tf.reduce_sum(way * derivative, axis=[2, 3, 4], keepdims=True)
        weighted = tf.gather(self._weights, number) * derivative
        return plain + weighted, steep + along * weighted

    def maps_of(self, passes: Passes) -> tf.Tensor:
        """See `ManyPasses.maps_of`."""
        return tf.abs(tf.reduce_sum(self._attributions(passes), axis=-1))

    def attributions(
        self, batch: np.ndarray, class_ids: Sequence[int] | np.ndarray | None = None
    ) -> np.ndarray:
        """What the maps are made of, with sign and channels.

        Args:
            batch, class_ids: as of `MapMethod.__call__`, with one class an image.

        Returns:
            ``(N, height, width, 3)`` float32, which adds up to the class score's difference
            between the image and the baseline.
        """
        pixels, wanted = self.check_batch(batch, class_ids)
        if wanted.ndim != 1:
            raise ValueError(f"Give one class id an image; received the shape {wanted.shape}.")
        return self._in_parts(self._compiled_attributions, pixels, wanted, classes=1)

    @functools.cached_property
    def _compiled_attributions(self):
        def compute(resized, class_ids):
            passes = self._all_passes(resized, given(class_ids[:, None]))
            return self._attributions(passes)[:, 0]

        return self._function(compute, [None])

    def _attributions(self, passes: Passes) -> tf.Tensor:
        """Of every class, ``(N, K, h, w, 3)``."""
        start = self._start(passes.inputs)
        plain, steep = ((passes.inputs - start)[:, None] * each for each in passes.sums)
        before = tf.gather(self.classifier.scores_from_input(start)[0], passes.class_ids)
        after = tf.gather(passes.scores, passes.class_ids, batch_dims=1)
        missing = (after - before)[..., None, None, None] - _total(plain)
        return plain + tf.math.divide_no_nan(missing, _total(steep)) * steep

    def _start(self, inputs: tf.Tensor) -> tf.Tensor:
        """The baseline as the network's input, ``(1, h, w, 3)``."""
        zero = tf.zeros([1, *inputs.shape[1:]])
        return self.classifier.preprocess(zero) if self.baseline == "black" else zero


def _total(attributions: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(attributions, axis=[2, 3, 4], keepdims=True)


# By the name of its module.
create = IntegratedGradients
