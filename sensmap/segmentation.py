"""From the maps of an image's classes to its segmentation.

Shimoda & Yanai 2016, section 3.4. With M^c the map of each class c of the image, 0 to 1, the
background's score and the unary energies of the fully connected CRF are

    M^0 = b (1 - max over c of M^c)        u(x = c) = -log(M^c / sum over labels c' of M^c')

and the mask has the label with the highest marginal. In the paper b = 1. Without a CRF the mask
has the label with the highest score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sensmap.dense_crf import DenseCRF
from sensmap.localizers._masks import merged
from sensmap.maps import MapMethod

# The least probability that a label has before its logarithm is taken.
_FLOOR = 1e-4


class Segmentation(NamedTuple):
    """What an image was divided into.

    Attributes:
        class_ids: ``(K,)`` int32, the classes that were looked for.
        maps: ``(K, H, W)`` float32, their maps, each of maximum 1; 0 for a map that said nothing.
        mask: ``(H, W)`` uint8, 0 for the background and ``class_id + 1`` for a class.
        unrefined: the mask without the CRF.
    """

    class_ids: np.ndarray
    maps: np.ndarray
    mask: np.ndarray
    unrefined: np.ndarray


class Segmenter:
    """Divides images into the classes that a classifier sees in them, and background.

    Args:
        method: where the maps come from, such as ``dcsm``.
        background: b, how much the background's score counts; best chosen on some masks.
        crf: what refines the masks; None to leave them as they are.

    Raises:
        ValueError: for a background that is not above 0, or a classifier of too many classes
            for masks of 8 bits.

    >>> import keras
    >>> from sensmap import classifiers, maps
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3),
    ...                           keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(3)])
    >>> segment = Segmenter(maps.create("gradient", classifiers.load(model, preprocessing="tf")))
    >>> found = segment(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8), [2])
    >>> found.mask.shape, set(np.unique(found.mask)) <= {0, 3}
    ((20, 30), True)
    """

    def __init__(self, method: MapMethod, background: float = 1.0, crf: DenseCRF | None = None):
        if not 0 < background < np.inf:
            raise ValueError(f"background is a weight above 0; received {background}.")
        if method.classifier.num_classes > 254:
            raise ValueError(
                f"{method.classifier.source} has {method.classifier.num_classes} classes; masks "
                "of 8 bits hold 254 of them besides the background."
            )
        self.method, self.background, self.crf = method, background, crf

    def classes_of(self, image: np.ndarray) -> np.ndarray:
        """The classes of a probability above 0.5, the highest first, or the highest alone."""
        classifier = self.method.classifier
        scores = classifier.class_scores(image[None])
        probabilities = np.asarray(classifier.probabilities(scores))[0]
        order = np.argsort(-probabilities, kind="stable")
        count = max(1, int((probabilities > 0.5).sum()))
        return order[:count].astype(np.int32)

    def __call__(
        self, image: np.ndarray, class_ids: Sequence[int] | np.ndarray | None = None
    ) -> Segmentation:
        """Segments one image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            class_ids: which classes to look for; None for those of `classes_of`.

        Raises:
            ValueError: for another image, or classes that the classifier lacks.
        """
        wanted = self.classes_of(image) if class_ids is None else np.asarray(class_ids, np.int32)
        found = self.method(image[None], wanted[None]).maps
        maps = class_maps([each[0] for each in found], image.shape[:2])
        return divide(maps, wanted, image, self.background, self.crf)


def divide(
    maps: np.ndarray,
    class_ids: np.ndarray,
    image: np.ndarray,
    background: float = 1.0,
    crf: DenseCRF | None = None,
) -> Segmentation:
    """Divides an image by the `class_maps` of its classes.

    Args:
        maps: ``(K, H, W)`` float32, 0 to 1.
        class_ids: ``(K,)`` their classes, up to 253.
        image: ``(H, W, 3)`` uint8 RGB.
        background, crf: as of `Segmenter`.

    >>> maps = np.array([[[0.9, 0.2]]], np.float32)
    >>> divide(maps, np.array([6]), np.zeros((1, 2, 3), np.uint8)).mask.tolist()
    [[7, 0]]
    """
    probabilities = label_probabilities(maps, background)
    labels = np.concatenate([[0], np.asarray(class_ids) + 1]).astype(np.uint8)
    unrefined = labels[probabilities.argmax(axis=0)]
    mask = unrefined
    if crf is not None:
        energies = -np.log(np.maximum(probabilities, _FLOOR))
        mask = labels[crf.infer(energies, image).argmax(axis=0)]
    return Segmentation(np.asarray(class_ids), maps, mask, unrefined)


def class_maps(maps: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """One map a class of the layers' maps, at the image's size, of maximum 1.

    Args:
        maps: ``(K, h, w)`` of each layer, non-negative.
        size: ``(height, width)`` in pixels.

    Returns:
        ``(K, height, width)`` float32; 0 everywhere where a layer says nothing of a class.

    >>> class_maps([np.array([[[1.0, 4.0]]])], (1, 2)).tolist()
    [[[0.25, 1.0]]]
    """
    of_classes = [merged(list(layers), size) for layers in zip(*maps, strict=True)]
    return np.stack([each / max(each.max(), np.finfo(np.float32).tiny) for each in of_classes])


def label_probabilities(maps: np.ndarray, background: float) -> np.ndarray:
    """The share of each label in a pixel's scores.

    Args:
        maps: ``(K, H, W)``, 0 to 1.
        background: the weight of the background's score.

    Returns:
        ``(1 + K, H, W)`` float32 of sum 1, the background first.

    >>> label_probabilities(np.array([[[0.75]], [[0.0]]]), 1.0).round(2).ravel().tolist()
    [0.25, 0.75, 0.0]
    """
    scores = np.concatenate([background * (1 - maps.max(axis=0, keepdims=True)), maps])
    return (scores / scores.sum(axis=0)).astype(np.float32)
