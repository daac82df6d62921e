"""What every map method gives, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensmap import images, registry

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# In place of a class id: the class that the classifier itself gives the highest score.
PREDICTED = -1


class Sensitivity(NamedTuple):
    """What one pass over a batch gives.

    Attributes:
        maps: one ``(N, h, w)`` float32 array a layer, non-negative, not normalised, in the order
            of the method's ``layers``.
        class_ids: ``(N,)`` int32, the classes the maps are of.
        scores: ``(N, C)`` float32 class scores before softmax.
    """

    maps: tuple
    class_ids: tf.Tensor | np.ndarray
    scores: tf.Tensor | np.ndarray


class MapMethod:
    """Base of the map methods; a subclass gives `sensitivity`.

    Args:
        classifier: whose class scores are explained.
        layers: where the maps are taken; one map each.

    Attributes:
        classifier, layers: as given, ``layers`` with every choice made.
        compiled: `sensitivity` as one `tf.function` of ``(None, height, width, 3)`` float32
            and ``(None,)`` int32, so that a last, smaller batch does not retrace.
    """

    def __init__(self, classifier: Classifier, layers: Sequence[str]):
        self.classifier = classifier
        self.layers = tuple(layers)
        height, width = classifier.input_size
        self.compiled = tf.function(
            self.sensitivity,
            input_signature=[
                tf.TensorSpec([None, height, width, 3], tf.float32),
                tf.TensorSpec([None], tf.int32),
            ],
            autograph=False,
        )

    @property
    def config(self) -> dict[str, Any]:
        """The name and options that `create` makes the same method from; JSON can hold it."""
        raise TypeError(f"{type(self).__name__} is a map method without `config`.")

    def sensitivity(self, resized: tf.Tensor, class_ids: tf.Tensor) -> Sensitivity:
        """The maps, traceable into a larger graph.

        Args:
            resized: ``(N, height, width, 3)`` float32, 0 to 255, at the classifier's input size.
            class_ids: ``(N,)`` int32, or `PREDICTED`.
        """
        raise TypeError(f"{type(self).__name__} is a map method without `sensitivity`.")

    def __call__(self, batch: np.ndarray, class_ids: Sequence[int] | None = None) -> Sensitivity:
        """The maps of a batch of images, as arrays.

        Args:
            batch: ``(N, H, W, 3)`` RGB, 0 to 255, any size: it is resized to the classifier's.
            class_ids: ``(N,)`` class ids; None for the predicted classes.

        Returns:
            `Sensitivity` of NumPy arrays.

        Raises:
            ValueError: for images of another shape, none, or class ids that the classifier lacks.
        """
        pixels, wanted = self.check_batch(batch, class_ids)
        result = self.compiled(images.resize(pixels, self.classifier.input_size), wanted)
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), result)

    def check_batch(
        self, batch: np.ndarray, class_ids: Sequence[int] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images and class ids as arrays, if they are what `__call__` takes."""
        pixels = np.asarray(batch)
        if pixels.ndim != 4 or pixels.shape[-1] != 3 or not pixels.size:
            raise ValueError(
                f"Images must have the shape (N, height, width, 3), N not 0; "
                f"received {pixels.shape}."
            )
        count = len(pixels)
        if class_ids is None:
            return pixels, np.full(count, PREDICTED, np.int32)
        wanted = np.asarray(class_ids)
        if wanted.shape != (count,):
            raise ValueError(
                f"There must be one class id an image: {count} images, "
                f"class ids of the shape {wanted.shape}."
            )
        if not np.issubdtype(wanted.dtype, np.integer):
            raise ValueError(f"Class ids must be whole numbers; received {wanted.dtype}.")
        classes = self.classifier.num_classes
        if (wanted >= classes).any() or (wanted < PREDICTED).any():
            worst = wanted[(wanted >= classes) | (wanted < PREDICTED)][0]
            raise ValueError(
                f"The class id {worst} is out of range: the classifier has the classes "
                f"0 to {classes - 1} (and {PREDICTED} stands for the predicted one)."
            )
        return pixels, wanted.astype(np.int32)


def create(name: str, classifier: Classifier, **options) -> MapMethod:
    """The map method of that name for a classifier.

    Args:
        name: a module of `sensmap.maps`, such as ``"gradient"``.
        classifier: whose class scores are explained.
        **options: what the method takes besides.

    Raises:
        ValueError: for an unknown name or option value.
    """
    return registry.find("sensmap.maps", name).create(classifier, **options)
