"""Derivatives of class scores with respect to pixels and inner layers, of any number of classes.

One forward pass serves all classes and layers; each class takes one backward pass, which ends at
the lowest of the layers. The backward passes run one after the other, so that several classes
take hardly more memory than one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from sensmap.maps import _concatenated, _folding, _layers, _rectifiers, _strided
from sensmap.maps._base import Choice, Sensitivity, given

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# float16 has no numbers below 6e-8, where many derivatives lie, nor above 65,504: they are taken of
# a multiple of the score, by the first of these powers of two that leaves room, and divided
# afterwards. Images differ in the size of their derivatives: so much room there has to be.
_HALF_SCALES = (1024.0, 256.0, 64.0, 16.0, 4.0, 1.0)
_ROOM = 16.0

# From the derivative g of a class score and the tensor a that it is with respect to, both
# (N, h, w, channels) float32, to what is kept of them, (N, ...).
Reduce = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Derivatives:
    """A classifier's derivatives at fixed places.

    Args:
        classifier: whose class scores are differentiated.
        layers: ``"pixels"`` (the network's input), layer names or paths (``"backbone/conv5"``),
            in any mixture; or ``"auto"``, one layer for each resolution; or ``"last"``, the
            last feature map.
        rule: what the rectifiers do on the way back, one of `_rectifiers.RULES`.

    Attributes:
        layers: the places, with every choice made.

    Raises:
        ValueError: for a layer that there is not.
    """

    def __init__(self, classifier: Classifier, layers: str | Sequence[str], rule: str = "gradient"):
        places: list[str] = []
        for name in [layers] if isinstance(layers, str) else layers:
            if name == _layers.AUTO:
                places += _layers.one_per_resolution(classifier.model, classifier.input_size)
            elif name == _layers.LAST:
                places.append(_layers.last(classifier.model, classifier.input_size))
            else:
                places.append(name)
        self.layers = tuple(places)
        self._classifier = classifier
        self._rule = rule
        self._inner = {
            name: _layers.find(classifier.model, name) for name in places if name != _layers.PIXELS
        }
        once = {id(layer) for layer in self._inner.values()} | {_layers.PIXELS} & set(places)
        if not places or len(once) != len(places):
            raise ValueError(f"Layers must be named, each once; received {places}.")
        layers_of_model = _layers.named_layers(classifier.model).values()
        half = any(getattr(layer, "compute_dtype", "") == "float16" for layer in layers_of_model)
        self._scale = self._scale_of_half() if half else 1.0

    def __call__(self, inputs: tf.Tensor, choose: Choice, reduce: Reduce) -> Sensitivity:
        """One forward pass, and one backward pass a class.

        Args:
            inputs: ``(N, h, w, 3)`` float32, the network's input.
            choose: which classes, given the scores.
            reduce: what is kept of each derivative.

        Returns:
            `Sensitivity` with the axis of classes: of each place what ``reduce`` gave, stacked
            to ``(N, K, ...)``.
        """
        scores, outputs, backward = self._forward(inputs)
        class_ids = choose(scores)
        found: list[list[tf.Tensor]] = []
        for rank in range(class_ids.shape[1]):
            seed = tf.one_hot(class_ids[:, rank], scores.shape[1], on_value=self._scale)
            # Not before the last class is done, so that only one backward pass is in memory.
            with tf.control_dependencies(found[-1] if found else []):
                derivatives = backward(scores, outputs, tf.identity(seed))
            for name, derivative in zip(self.layers, derivatives, strict=True):
                if derivative is None:
                    raise ValueError(f"The class scores do not depend on {name!r}; choose another.")
            found.append(
                [
                    reduce(self._unscaled(derivative), tf.cast(at, tf.float32))
                    for derivative, at in zip(derivatives, outputs, strict=True)
                ]
            )
        maps = tuple(tf.stack(of_layer, axis=1) for of_layer in zip(*found, strict=True))
        return Sensitivity(maps, class_ids, scores)

    def _scale_of_half(self) -> float:
        """The multiple of the scores whose derivatives float16 can hold, as tried on noise."""
        height, width = self._classifier.input_size
        noise = np.random.default_rng(0).uniform(0, 255, (1, height, width, 3))

        @tf.function(input_signature=[tf.TensorSpec([])], autograph=False)
        def are_finite(scale):
            inputs = self._classifier.preprocess(tf.constant(noise, tf.float32))
            scores, outputs, backward = self._forward(inputs)
            seed = scale * tf.one_hot(tf.argmax(scores, axis=1), scores.shape[1])
            found = [each for each in backward(scores, outputs, seed) if each is not None]
            return tf.reduce_all([tf.reduce_all(tf.math.is_finite(each)) for each in found])

        for scale in _HALF_SCALES:
            if are_finite(_ROOM * scale):
                return scale
        raise ValueError(
            f"The derivatives of {self._classifier.source} are too large for float16; bfloat16 has "
            "the range of float32."
        )

    def _unscaled(self, derivative: tf.Tensor) -> tf.Tensor:
        found = tf.cast(derivative, tf.float32)
        return found if self._scale == 1.0 else found / self._scale

    def graph(self, reduce: Reduce, classes: int) -> tf.Graph:
        """The graph of a pass for so many classes, over a batch of any size."""

        def of_given(inputs, class_ids):
            return self(inputs, given(class_ids), reduce)

        height, width = self._classifier.input_size
        function = tf.function(
            of_given,
            input_signature=[
                tf.TensorSpec([None, height, width, 3], tf.float32),
                tf.TensorSpec([None, classes], tf.int32),
            ],
            autograph=False,
        )
        return function.get_concrete_function().graph

    def _forward(self, inputs: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor], Callable]:
        """Class scores, the output of each place, and what differentiates the one with respect
        to the others."""
        outputs: dict[str, tf.Tensor] = {}
        faults: list[str] = []  # raised below, for Keras wraps what is raised inside a layer
        names = {id(layer): name for name, layer in self._inner.items()}
        with contextlib.ExitStack() as context:
            if self._rule != "gradient":
                context.enter_context(_rectifiers.rewritten(self._rule, self._classifier.source))
            backward: Callable = tf.gradients
            watch: Callable = lambda tensor: None  # noqa: E731

            def needed(tensor):
                return any(tensor is each for each in outputs.values())

            if tf.executing_eagerly():
                tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
                backward, watch = context.enter_context(tape).gradient, tape.watch
            else:
                context.enter_context(_strided.rewritten())
                context.enter_context(_concatenated.rewritten())
                context.enter_context(_folding.folded(self._classifier.model, needed))

            def heard(layer, _, output):
                name = names[id(layer)]
                if name in outputs:
                    faults.append(f"{name!r} is used more than once in a pass")
                elif not tf.is_tensor(output) or len(output.shape) != 4:
                    faults.append(f"{name!r} gives no feature map (N, height, width, channels)")
                else:
                    watch(output)
                    outputs[name] = output

            if _layers.PIXELS in self.layers:
                watch(inputs)
                outputs[_layers.PIXELS] = inputs
            context.enter_context(_layers.listening(list(self._inner.values()), heard))
            scores = self._classifier.scores_from_input(inputs)
        faults += [f"{name!r} is not used in a pass" for name in self.layers if name not in outputs]
        if faults:
            raise ValueError(f"The layer {faults[0]}; choose another.")
        return scores, [outputs[name] for name in self.layers], backward
