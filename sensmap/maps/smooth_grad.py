"""Derivatives at noisy copies of the image, averaged: SmoothGrad and its two other forms.

With g_1 ... g_n the derivatives dS_c/dI(i, j, k) at I + e_1 ... I + e_n, where every number of e
is normal with mean 0 and a standard deviation of `noise` times the input's range,

    mean      M(i, j) = max over k of | mean of g |     SmoothGrad, Smilkov et al. 2017
    squared   M(i, j) = max over k of mean of g^2       SmoothGrad-Squared, Hooker et al. 2019
    variance  M(i, j) = max over k of variance of g     VarGrad, Adebayo et al. 2018
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _numbers
from sensmap.maps._many_passes import ManyPasses, Passes, Sums

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# From the mean and variance of the derivatives.
_FORMS = {
    "mean": lambda mean, variance: tf.abs(mean),
    "squared": lambda mean, variance: mean * mean + variance,
    "variance": lambda mean, variance: variance,
}


class SmoothGrad(ManyPasses):
    """Maps of the pixels by one backward pass a sample.

    Departures from the papers: the same noise, but for its size, is added to every image, so
    that an image's map does not depend on its place in a batch; the noise is not cut off where
    it leaves the range of pixels.

    Args:
        classifier: whose class scores are differentiated.
        samples: how many noisy copies; at least 2 for the variance.
        noise: standard deviation as a share, 0 to 1, of the range (maximum minus minimum) of an
            image's input to the network; the paper advises 0.1 to 0.2.
        form: ``"mean"``, ``"squared"`` or ``"variance"``.
        seed: of the noise; not negative.

    Raises:
        ValueError: for an option out of its range.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, kernel_initializer="ones")])
    >>> method = SmoothGrad(classifiers.load(model, preprocessing="none"), samples=3)
    >>> method(np.eye(8)[None, ..., None] * np.ones(3), [1]).maps[0].max()
    np.float32(1.0)
    """

    def __init__(
        self,
        classifier: Classifier,
        samples: int = 25,
        noise: float = 0.15,
        form: str = "mean",
        seed: int = 0,
    ):
        if form not in _FORMS:
            raise ValueError(
                f"There is no form of SmoothGrad {form!r}; choose one of {', '.join(_FORMS)}."
            )
        self.samples = _numbers.whole("samples", samples, 2 if form == "variance" else 1)
        self.noise = _numbers.between("noise", noise, 0, 1)
        self.form = form
        self.seed = _numbers.whole("seed", seed, 0)
        super().__init__(classifier, self.samples)

    def input_of(self, number: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """See `ManyPasses.input_of`."""
        axes = [1, 2, 3]
        high = tf.reduce_max(inputs, axes, keepdims=True)
        low = tf.reduce_min(inputs, axes, keepdims=True)
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(number, tf.int64)])
        field = tf.random.stateless_normal(inputs.shape[1:], seed, alg="philox")
        return inputs + self.noise * (high - low) * field

    def add(self, number: tf.Tensor, sums: Sums, derivative: tf.Tensor, inputs: tf.Tensor) -> Sums:
        """Mean and sum of squared differences from it (Welford's recurrence); the plain sum of
        squares would lose a small variance to rounding."""
        mean, squares = sums
        difference = derivative - mean
        mean += difference / tf.cast(number + 1, tf.float32)
        return mean, squares + difference * (derivative - mean)

    def maps_of(self, passes: Passes) -> tf.Tensor:
        """See `ManyPasses.maps_of`."""
        mean, squares = passes.sums
        return tf.reduce_max(_FORMS[self.form](mean, squares / self.samples), axis=-1)


# By the name of its module.
create = SmoothGrad
