"""Distinct class-specific saliency maps.

Shimoda & Yanai 2016, sections 3.3 and 3.4. For the class c, layer i and scale s of the image, with
w the derivative dS_c / dA_i by guided back-propagation, at the layer's output A_i,

    M_is^c(x, y)  = max over channels k of | w_is^c(x, y, k) |            brought to image size
    M~_is^c       = sum over candidates c' != c of max(M_is^c - b M_is^c', 0)
    M_i^c         = mean over scales s of tanh(a M~_is^c / max over x, y of M~_is^c)

and the paper's map M^c is the mean of M_i^c over the layers. Candidates are the classes with a
probability above 0.5, padded to at least N with the next best ones; in the paper b = 1, N = 4,
a = 3. What is sensitive for any class falls away, and what is specific to one stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _layers, _numbers, _positions, _rectifiers, _reduce
from sensmap.maps._base import Choice, MapMethod, Sensitivity, given, top
from sensmap.maps._derivatives import Derivatives

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# Of the scale 1 in the paper, which takes images of 400, 500 and 600 pixels.
_SCALES = (0.8, 1.0, 1.2)
# More classes than this with a probability above 0.5 are not subtracted.
_MOST = 6


class DCSM(MapMethod):
    """Maps of inner layers, distinct from those of the other classes of the image.

    One forward and K + max(N, 6) backward passes a scale give the maps of K classes. Maps have
    the size of the input, one for each layer; they are 0 to 1.

    The published codes of the paper differ from it: they take the signed derivative's maximum and
    subtract at the layer's resolution. This is the paper's order: absolute maximum, image size,
    subtraction, then the division by the maximum.

    Args:
        classifier: whose class scores are differentiated; for several scales it must take images
            of any size (`sensmap.classifiers.fully_convolutional`).
        layers: layer names or paths, such as VGG-16's ``("block3_conv3", "block4_conv3",
            "block5_conv3")``; or ``"auto"``, one layer for each resolution.
        rule: what rectifiers do on the way back, ``"guided"`` or ``"gradient"``.
        scales: of the image, relative to the classifier's input size; None for 0.8, 1 and 1.2,
            or for 1 alone where the classifier takes one size only. The classes are those of
            the scale nearest to 1.
        candidates: N, at least so many classes are subtracted; 0 for those above 0.5 only.
        subtraction: b, how much of the other classes' maps is subtracted; 0 for nothing.
        alpha: a, how soon the maps saturate.

    Raises:
        ValueError: for a layer that there is not, or an option out of its range.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)),
    ...                           keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu",
    ...                                               name="conv"),
    ...                           keras.layers.Flatten(), keras.layers.Dense(3)])
    >>> method = DCSM(classifiers.load(model, preprocessing="tf"), ["conv"])
    >>> method.scales, method(np.zeros((1, 8, 8, 3)), top_k=2).maps[0].shape
    ((1.0,), (1, 2, 8, 8))
    """

    def __init__(
        self,
        classifier: Classifier,
        layers: str | Sequence[str] = _layers.AUTO,
        rule: str = "guided",
        scales: Sequence[float] | None = None,
        candidates: int = 4,
        subtraction: float = 1.0,
        alpha: float = 3.0,
    ):
        if rule not in _rectifiers.RULES:
            raise ValueError(
                f"There is no rule {rule!r} for rectifiers; choose one of "
                f"{', '.join(_rectifiers.RULES)}."
            )
        if scales is None:
            scales = _SCALES if classifier.takes_any_size else (1.0,)
        self.rule = rule
        self.scales = tuple(_numbers.between("scales", scale, 0.1, 10) for scale in scales)
        if not self.scales:
            raise ValueError("At least one scale is needed.")
        if set(self.scales) != {1.0} and not classifier.takes_any_size:
            raise ValueError(
                f"{classifier.source} takes images of one size only, so the scale must be 1; "
                f"received {self.scales}. Train a fully convolutional one: train/classifier.py "
                "--task=multilabel."
            )
        self.candidates = min(_numbers.whole("candidates", candidates, 0), classifier.num_classes)
        self.subtraction = _numbers.between("subtraction", subtraction, 0, 1)
        self.alpha = _numbers.between("alpha", alpha, 1e-3, 1e3)
        self._derivatives = Derivatives(classifier, layers, rule)
        super().__init__(classifier, self._derivatives.layers)
        self._cells = {scale: self._cells_at(scale) for scale in self.scales}

    def explain(self, resized: tf.Tensor, choose: Choice) -> Sensitivity:
        """See `MapMethod.explain`."""
        rivals = 0
        if self.subtraction:
            rivals = min(max(self.candidates, _MOST), self.classifier.num_classes)

        def with_rivals(scores: tf.Tensor) -> tf.Tensor:
            chosen = choose(scores)
            return tf.concat([chosen, top(rivals)(scores)], axis=1) if rivals else chosen

        # The scale nearest to 1 comes first, and tells the others which classes there are.
        scales = sorted(self.scales, key=lambda scale: abs(scale - 1))
        first = self._scaled(resized, scales[0], with_rivals)
        found = [first.maps]
        for scale in scales[1:]:
            # One scale after the other, so that only one is in memory.
            with tf.control_dependencies(found[-1]):
                rest = self._scaled(tf.identity(resized), scale, given(first.class_ids))
            found.append(rest.maps)
        classes = first.class_ids.shape[1] - rivals
        subtracted = self._subtracted(first.class_ids, first.scores, classes)
        maps = tuple(
            tf.add_n([self._distinct(of_scale, classes, subtracted) for of_scale in of_layer])
            / len(found)
            for of_layer in zip(*found, strict=True)
        )
        return Sensitivity(maps, first.class_ids[:, :classes], first.scores)

    def _scaled(self, resized: tf.Tensor, scale: float, choose: Choice) -> Sensitivity:
        """The derivatives' maxima at one scale, ``(N, K + rivals, H, W)`` at image size."""
        if scale != 1:
            resized = tf.image.resize(resized, self._size(scale), antialias=scale < 1)
        inputs = self.classifier.preprocess(resized)
        found = self._derivatives(inputs, choose, _reduce.REDUCTIONS["max"])
        maps = tuple(map(self._at_image_size, found.maps, self._cells[scale]))
        return found._replace(maps=maps)

    def _cells_at(self, scale: float) -> list[_positions.Positions]:
        """Of each layer, in pixels of the image before it is scaled."""
        size = self._size(scale)
        down, right = (side / scaled for side, scaled in zip(self.image_size, size, strict=True))
        return [
            (
                rows._replace(offset=rows.offset * down, stride=rows.stride * down),
                columns._replace(offset=columns.offset * right, stride=columns.stride * right),
            )
            for rows, columns in _positions.of_layers(self.classifier.model, self.layers, size)
        ]

    def _size(self, scale: float) -> tuple[int, int]:
        height, width = self.image_size
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _at_image_size(self, maps: tf.Tensor, cells: _positions.Positions) -> tf.Tensor:
        rows, columns = (
            _positions.resampling(axis, length)
            for axis, length in zip(cells, self.image_size, strict=True)
        )
        return tf.einsum("Yy,nkyx,Xx->nkYX", rows, maps, columns)

    def _subtracted(self, class_ids: tf.Tensor, scores: tf.Tensor, classes: int) -> tf.Tensor:
        """Which rivals are subtracted from which class, ``(N, K, rivals)`` of 0 and 1."""
        own, rivals = class_ids[:, :classes], class_ids[:, classes:]
        present = tf.gather(self.classifier.probabilities(scores), rivals, batch_dims=1) > 0.5
        padded = tf.range(rivals.shape[1]) < self.candidates
        others = own[:, :, None] != rivals[:, None, :]
        return tf.cast(others & (present | padded)[:, None, :], tf.float32)

    def _distinct(self, maps: tf.Tensor, classes: int, subtracted: tf.Tensor) -> tf.Tensor:
        """tanh(a M~ / max M~) of ``(N, K + rivals, H, W)``: ``(N, K, H, W)``."""
        own = maps[:, :classes]
        total = tf.zeros_like(own)
        for rank in range(subtracted.shape[2]):
            rival = maps[:, classes + rank][:, None]
            weights = subtracted[:, :, rank, None, None]
            total += weights * tf.nn.relu(own - self.subtraction * rival)
        # Without any other class there is nothing to be distinct from.
        alone = tf.reduce_sum(subtracted, axis=2)[:, :, None, None] == 0
        total = tf.where(alone, own, total)
        peaks = tf.reduce_max(total, axis=[2, 3], keepdims=True)
        return tf.tanh(self.alpha * tf.math.divide_no_nan(total, peaks))


# By the name of its module.
create = DCSM
