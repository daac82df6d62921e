"""Map methods that put derivatives at many inputs together, with the memory of one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from sensmap.maps import _layers
from sensmap.maps._base import Choice, MapMethod, Sensitivity, given
from sensmap.maps._derivatives import Derivatives

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# What is added up over the passes, each of the derivative's shape (N, K, h, w, 3).
Sums = tuple[tf.Tensor, ...]


class Passes(NamedTuple):
    """What is known after all passes.

    Attributes:
        sums: see `ManyPasses.add`.
        inputs: ``(N, h, w, 3)``, the network's input.
        class_ids: ``(N, K)`` int32, the chosen classes.
        scores: ``(N, C)``, of the inputs.
    """

    sums: Sums
    inputs: tf.Tensor
    class_ids: tf.Tensor
    scores: tf.Tensor


class ManyPasses(MapMethod):
    """Base of these methods; a subclass gives `input_of`, `add` and `maps_of`.

    The passes run one after the other in a loop of the graph. Classes are chosen, and scores
    given, by a forward pass of the image itself.

    Args:
        classifier: whose class scores are differentiated, with respect to the pixels.
        count: how many passes.
    """

    # How many sums `add` keeps.
    kept = 2

    def __init__(self, classifier: Classifier, count: int):
        self._derivatives = Derivatives(classifier, _layers.PIXELS)
        self._count = count
        super().__init__(classifier, self._derivatives.layers)

    def input_of(self, number: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """What the network gets in the pass of that number, from 0, instead of ``inputs``."""
        raise TypeError(f"{type(self).__name__} is a map method without `input_of`.")

    def add(self, number: tf.Tensor, sums: Sums, derivative: tf.Tensor, inputs: tf.Tensor) -> Sums:
        """The sums after that pass; they start from zero."""
        raise TypeError(f"{type(self).__name__} is a map method without `add`.")

    def maps_of(self, passes: Passes) -> tf.Tensor:
        """The maps ``(N, K, h, w)``."""
        raise TypeError(f"{type(self).__name__} is a map method without `maps_of`.")

    def explain(self, resized: tf.Tensor, choose: Choice) -> Sensitivity:
        """See `MapMethod.explain`."""
        passes = self._all_passes(resized, choose)
        return Sensitivity((self.maps_of(passes),), passes.class_ids, passes.scores)

    def _all_passes(self, resized: tf.Tensor, choose: Choice) -> Passes:
        inputs = self.classifier.preprocess(resized)
        scores = self.classifier.scores_from_input(inputs)
        class_ids = choose(scores)
        zeros = tf.zeros([tf.shape(inputs)[0], class_ids.shape[1], *inputs.shape[1:]])

        def one_more(number, *sums):
            derivative = self._derivative(self.input_of(number, inputs), class_ids)
            return number + 1, *self.add(number, sums, derivative, inputs)

        _, *sums = tf.while_loop(
            lambda number, *_: number < self._count,
            one_more,
            (0, *[zeros] * self.kept),
            parallel_iterations=1,
        )
        return Passes(tuple(sums), inputs, class_ids, scores)

    def _derivative(self, inputs: tf.Tensor, class_ids: tf.Tensor) -> tf.Tensor:
        return self._derivatives(inputs, given(class_ids), _all_of_it).maps[0]

    def bytes_per_image(self, classes: int = 1) -> int:
        """See `MapMethod.bytes_per_image`; and the sums before and after a pass."""
        height, width = self.image_size
        return super().bytes_per_image(classes) + 2 * self.kept * classes * height * width * 3 * 4

    def _measured(self, classes: int) -> tf.Graph:
        """That of one pass, for the estimate does not look into loops."""
        return self._derivatives.graph(_all_of_it, classes)


def _all_of_it(derivative: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    return derivative
