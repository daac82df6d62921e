"""The derivative of a class score with respect to pixels and inner layers.

Simonyan et al. 2013, section 3.1, and Ebrahimpour & Noelle, section 2: for the class c,

    M(i, j) = max over channels k of | dS_c / dI(i, j, k) |

with S_c the class score before softmax and I the network's input; for an inner layer's output A
in place of I, M has the layer's resolution. One forward and one backward pass serve all places,
and the backward pass ends at the lowest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from sensmap.maps import _layers, _reduce
from sensmap.maps._base import PREDICTED, MapMethod, Sensitivity

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# Half precision has no numbers below 6e-8, where many derivatives lie: they are taken of 2^10
# times the score and divided afterwards, which is exact.
_HALF_SCALE = 1024.0


class Gradient(MapMethod):
    """Sensitivity maps by one backward pass.

    Departure from the papers: ``I`` is the network's input after preprocessing, so the choice of
    the maximal channel does not depend on each channel's scale in the preprocessing.

    Args:
        classifier: whose class scores are differentiated.
        layers: ``"pixels"``, layer names or paths (``"backbone/conv5"``), in any mixture; or
            ``"auto"``, one layer for each resolution.
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
        places: list[str] = []
        for name in [layers] if isinstance(layers, str) else layers:
            if name == _layers.AUTO:
                places += _layers.one_per_resolution(classifier.model, classifier.input_size)
            else:
                places.append(name)
        self.reduction = _reduce.check(reduction)
        self._inner = {
            name: _layers.find(classifier.model, name) for name in places if name != _layers.PIXELS
        }
        once = {id(layer) for layer in self._inner.values()} | {_layers.PIXELS} & set(places)
        if not places or len(once) != len(places):
            raise ValueError(f"Layers must be named, each once; received {places}.")
        layers_of_model = _layers.named_layers(classifier.model).values()
        half = any(getattr(layer, "compute_dtype", "") == "float16" for layer in layers_of_model)
        self._scale = _HALF_SCALE if half else 1.0
        super().__init__(classifier, places)

    @property
    def config(self) -> dict[str, Any]:
        """See `MapMethod.config`."""
        return {"name": "gradient", "layers": list(self.layers), "reduction": self.reduction}

    def sensitivity(self, resized: tf.Tensor, class_ids: tf.Tensor) -> Sensitivity:
        """See `MapMethod.sensitivity`."""
        outputs: dict[str, tf.Tensor] = {}
        faults: list[str] = []  # raised below, for Keras wraps what is raised inside a layer
        names = {id(layer): name for name, layer in self._inner.items()}
        inputs = self.classifier.preprocess(resized)
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def watch(layer, _, output):
                name = names[id(layer)]
                if name in outputs:
                    faults.append(f"{name!r} is used more than once in a pass")
                elif not tf.is_tensor(output) or len(output.shape) != 4:
                    faults.append(f"{name!r} gives no feature map (N, height, width, channels)")
                else:
                    tape.watch(output)
                    outputs[name] = output

            if _layers.PIXELS in self.layers:
                tape.watch(inputs)
                outputs[_layers.PIXELS] = inputs
            with _layers.listening(list(self._inner.values()), watch):
                scores = self.classifier.scores_from_input(inputs)
            chosen = tf.where(
                class_ids == PREDICTED, tf.argmax(scores, axis=1, output_type=tf.int32), class_ids
            )
            score = tf.gather(scores, chosen, batch_dims=1) * self._scale
        faults += [f"{name!r} is not used in a pass" for name in self.layers if name not in outputs]
        if faults:
            raise ValueError(f"The layer {faults[0]}; choose another.")
        derivatives = tape.gradient(score, [outputs[name] for name in self.layers])
        for name, derivative in zip(self.layers, derivatives, strict=True):
            if derivative is None:
                raise ValueError(f"The class scores do not depend on {name!r}; choose another.")
        reduce = _reduce.REDUCTIONS[self.reduction]
        maps = tuple(
            reduce(
                tf.cast(derivative, tf.float32) / self._scale, tf.cast(outputs[name], tf.float32)
            )
            for name, derivative in zip(self.layers, derivatives, strict=True)
        )
        return Sensitivity(maps, chosen, scores)


def create(classifier: Classifier, **options) -> Gradient:
    """`Gradient` by the name of its module."""
    return Gradient(classifier, **options)
