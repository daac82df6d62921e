"""Deep descriptor transforming: what varies most over all images of a class is its object.

Wei, Zhang, Wu, Shen & Zhou, "Unsupervised object discovery and co-localization by deep descriptor
transformation", Pattern Recognition 2019 (DDT, IJCAI 2017), section 3. With the descriptors
x(i, j), the C numbers of an inner layer at a position (i, j), of all images of a class, their mean
m and the first eigenvector e of their covariance, the indicator of an image is

    P(i, j) = e · (x(i, j) - m)

which is positive on the common object. The box is that of the largest connected component of
{P > 0}. The paper brings P to the image's size by the nearest neighbour first, which changes no
sign: relative to the image the box is the same, and here it is read off the layer's own grid.

An eigenvector has no sign, and the paper gives none. Here it is the one with which P correlates
with a position's mean activation a = mean over channels of |x|, over all positions of the class:
objects excite a classifier more than backgrounds do. Where the layer is rectified, as the paper's
is, cov(P, a) = λ (1 · e) / C, and it is the sign with which e's entries have a positive sum; with
the absolute value it holds for linear bottlenecks too.

Departures: the layer is that of the given classifier (the paper's is the last rectified convolution
of VGG-19, its DDT+ joins two), and images have the classifier's input size (the paper's their own).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from scipy.linalg import eigh
from tqdm import tqdm

from sensmap.batches import read_batches
from sensmap.colocalizers._base import CoLocalizer
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.localizers._masks import largest_box
from sensmap.maps import MEMORY_BUDGET, PIXELS, _layers, _memory

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# Images that are put through the network at once, at most.
_BATCH = 32
# A variance below this share of the mean square is rounding, and its direction noise.
_ROUNDING = 1e-10


class DDT(CoLocalizer):
    """Boxes around what the images of a class have in common, by a classifier's inner layer.

    Images are read once, class by class, and the descriptors of one class are in memory at a
    time. An image on which nothing is positive, or whose class's descriptors are all the same,
    gets the whole image.

    Args:
        classifier: whose inner layer describes the images; its class scores are not used.
        layer: a layer's name or path, or ``"last"`` for the last feature map. The paper's has 14
            positions for 224 pixels; where the last one has 7, as MobileNetV2's, or one channel a
            class, as SqueezeNet's, one before it is better.

    Attributes:
        classifier: as given.
        layer: as given, with the choice made.
        compiled: from ``(N, height, width, 3)`` float32 pixels to descriptors
            ``(N, h, w, C)`` float32; one `tf.function` for all batches.

    Raises:
        ValueError: for a layer that there is not, or that has no feature map.

    >>> import keras
    >>> from sensmap import classifiers, datasets
    >>> model = keras.Sequential([keras.Input((16, 16, 3)),
    ...                           keras.layers.Conv2D(4, 3, 2, padding="same", name="conv"),
    ...                           keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    >>> digits = list(datasets.load("digits", count=3))
    >>> found = DDT(classifiers.load(model, preprocessing="tf"))
    >>> found.layer, found.boxes(digits, [1, 1, -1]).shape
    ('conv', (3, 4))
    """

    title = "DDT"
    needs_classifier = True

    def __init__(self, classifier: Classifier, layer: str = _layers.LAST):
        if layer in (PIXELS, _layers.AUTO):
            raise ValueError(
                f"DDT takes one inner layer, or {_layers.LAST!r} for the last; received {layer!r}."
            )
        if layer == _layers.LAST:
            layer = _layers.last(classifier.model, classifier.input_size)
        self.classifier = classifier
        self.layer = layer
        self._listened = _layers.find(classifier.model, layer)
        self.compiled = tf.function(
            self._forward,
            input_signature=[tf.TensorSpec([None, *classifier.input_size, 3], tf.float32)],
            autograph=False,
        )
        graph = self.compiled.get_concrete_function().graph
        self._at_once = max(1, min(_BATCH, MEMORY_BUDGET // max(1, _memory.peak(graph))))

    def _forward(self, pixels: tf.Tensor) -> tf.Tensor:
        heard: list = []
        with _layers.listening([self._listened], lambda *call: heard.append(call[-1])):
            self.classifier.scores_from_input(self.classifier.preprocess(pixels))
        if len(heard) != 1 or len(getattr(heard[0], "shape", ())) != 4:
            raise ValueError(
                f"The layer {self.layer!r} gives no feature map (N, height, width, channels), or "
                "is not used once in a pass; choose another."
            )
        # What lies behind the layer is not in the outputs, so it is never computed.
        return tf.cast(heard[0], tf.float32)

    def locate(
        self, classes: Sequence[Sequence[Example]], description: str
    ) -> Generator[np.ndarray]:
        """The boxes of the images of each class, ``(n, 4)`` xyxy."""
        in_order = [example for of_class in classes for example in of_class]
        with contextlib.closing(self._descriptors(in_order, description)) as descriptors:
            for of_class in classes:
                described = list(itertools.islice(descriptors, len(of_class)))
                yield np.stack([largest_box(each > 0) for each in indicators(described)])

    def _descriptors(self, examples: Sequence[Example], description: str) -> Generator[np.ndarray]:
        """The descriptors ``(h, w, C)`` float32 of each image, in order."""
        data = Dataset(description, (), [each.id for each in examples], lambda i: examples[i])
        skipped: list[tuple[str, str]] = []
        size = self.classifier.input_size
        batches = read_batches(data, size, self._at_once, lambda example: 0, skipped)
        with tqdm(total=len(data), desc=description, unit="image", disable=None) as progress:
            for pixels, batch in batches:
                _refuse(skipped)
                progress.update(len(batch))
                yield from self.compiled(pixels).numpy()
        _refuse(skipped)


# By the name of its module.
create = DDT


def indicators(descriptors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """P of the images of one class.

    Args:
        descriptors: ``(h, w, C)`` of each image; h and w may differ.

    Returns:
        ``(h, w)`` float64 of each; zero everywhere where all descriptors are the same.

    >>> image = np.zeros((1, 4, 3))
    >>> image[0, 1] = [0.0, 3.0, 4.0]
    >>> indicators([image])[0].round(2).tolist()
    [[-1.25, 3.75, -1.25, -1.25]]
    """
    # As they are: in float64, as the mean makes what is computed with it, is one image at a time.
    flat = [each.reshape(-1, each.shape[-1]) for each in descriptors]
    sums = [each.sum(axis=0, dtype=np.float64) for each in flat]
    mean = np.sum(sums, axis=0) / sum(map(len, flat))
    component = _first_component(flat, mean)
    projected = [(of_image - mean) @ component for of_image in flat]
    # P sums to zero, so this is the covariance with the activation, but for a positive factor.
    with_activation = sum(
        float(of_image @ np.abs(each).sum(axis=1, dtype=np.float64))
        for of_image, each in zip(projected, flat, strict=True)
    )
    sign = -1.0 if with_activation < 0 else 1.0
    return [
        sign * of_image.reshape(each.shape[:2])
        for of_image, each in zip(projected, descriptors, strict=True)
    ]


def _first_component(flat: Sequence[np.ndarray], mean: np.ndarray) -> np.ndarray:
    """The eigenvector ``(C,)`` of the covariance with the highest eigenvalue, of either sign;
    zero where nothing varies."""
    count, channels = sum(map(len, flat)), len(mean)
    if count < channels:  # X Xᵀ is smaller than Xᵀ X, and has the same eigenvalues
        centred = np.concatenate(flat) - mean
        values, vectors = eigh(centred @ centred.T, subset_by_index=[count - 1, count - 1])
        component = centred.T @ vectors[:, 0]
    else:
        scatter = np.zeros((channels, channels))
        for of_image in flat:
            centred = of_image - mean
            scatter += centred.T @ centred
        values, vectors = eigh(scatter, subset_by_index=[channels - 1, channels - 1])
        component = vectors[:, 0]
    square = sum(float(np.square(each, dtype=np.float64).sum()) for each in flat)
    if values[0] <= _ROUNDING * square:
        return np.zeros(channels)
    return component / np.linalg.norm(component)


def _refuse(skipped: Sequence[tuple[str, str]]) -> None:
    if skipped:
        raise ExampleError(f"{skipped[0][0]}: {skipped[0][1]}")
