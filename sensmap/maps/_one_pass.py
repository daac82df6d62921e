"""Map methods that need one forward pass, and one backward pass a class."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _rectifiers
from sensmap.maps._base import Choice, MapMethod, Sensitivity
from sensmap.maps._derivatives import Derivatives

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier


class OnePass(MapMethod):
    """Base of these methods; a subclass gives `reduce`.

    Args:
        classifier: whose class scores are differentiated.
        layers: as of `Derivatives`.
    """

    # What rectifiers do on the way back.
    rule = "gradient"

    def __init__(self, classifier: Classifier, layers: str | Sequence[str]):
        self._derivatives = Derivatives(classifier, layers, self.rule)
        super().__init__(classifier, self._derivatives.layers)

    def reduce(self, derivative: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        """The map ``(N, h, w)`` of a derivative and of what it is with respect to, both
        ``(N, h, w, channels)`` float32."""
        raise TypeError(f"{type(self).__name__} is a map method without `reduce`.")

    def explain(self, resized: tf.Tensor, choose: Choice) -> Sensitivity:
        """See `MapMethod.explain`."""
        return self._derivatives(self.classifier.preprocess(resized), choose, self.reduce)

    @functools.cached_property
    def rectifiers(self) -> int:
        """How many rectifiers of the network follow another rule than their derivative."""
        return _rectifiers.count(self.compiled.get_concrete_function().graph)
