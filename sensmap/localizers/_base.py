"""What localizers share: how they are found, and which boxes can be learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sensmap import boxes as box_geometry
from sensmap import registry


def create(name: str, **options) -> BaseEstimator:
    """The localizer of that name.

    Raises:
        ValueError: for an unknown name.

    >>> create("mean_box").fit(np.zeros((1, 2)), [[0, 0, 1, 1]]).predict(np.zeros((3, 2))).shape
    (3, 4)
    """
    return registry.find("sensmap.localizers", name).create(**options)


def layers_of(maps: ArrayLike | Sequence[ArrayLike]) -> list[np.ndarray]:
    """Maps as a list of arrays ``(N, h, w)``, one a layer; or features as a list of one array
    ``(N, F)``.

    Args:
        maps: ``(N, h, w)`` maps, a list of such arrays, or ``(N, F)`` features.

    Raises:
        ValueError: for other shapes, or layers of different numbers of images.

    >>> [layer.shape for layer in layers_of([np.ones((5, 8, 8)), np.ones((5, 4, 4))])]
    [(5, 8, 8), (5, 4, 4)]
    """
    several = isinstance(maps, (list, tuple)) and len(maps) > 0 and np.ndim(maps[0]) == 3
    layers = [np.asarray(layer) for layer in (maps if several else [maps])]  # type: ignore[union-attr]
    shapes = [layer.shape for layer in layers]
    if any(len(shape) != 3 for shape in shapes) and len(shapes[0]) != 2:
        raise ValueError(
            "Expected maps (N, h, w), a list of them (one a layer), or features (N, F); received "
            f"{', '.join(map(str, shapes))}."
        )
    if len({shape[0] for shape in shapes}) != 1:
        raise ValueError(
            f"Each layer must have maps of the same images; received {', '.join(map(str, shapes))}."
        )
    return layers


def count_of(maps: ArrayLike | Sequence[ArrayLike]) -> int:
    """For how many images these maps or features are."""
    return len(layers_of(maps)[0])


def targets(boxes: np.ndarray | Sequence[ArrayLike], count: int) -> tuple[np.ndarray, np.ndarray]:
    """What a localizer learns from: the images with exactly one valid box.

    With several boxes nothing says which of them the map shows, so such images are left out of
    a fit, like those with none; in an evaluation any of an image's boxes counts.

    Args:
        boxes: ``(N, 4)`` xyxy, or for each image its ``(n, 4)`` boxes.
        count: the number of images.

    Returns:
        The positions ``(k,)`` of these images, and their boxes ``(k, 4)`` float64, clipped to
        the image.

    Raises:
        ValueError: if the counts differ, or no image has exactly one valid box.

    >>> targets([[[0, 0, 1, 1]], [], [[0, 0, 1, 1], [0, 0, 0.5, 1]]], 3)
    (array([0]), array([[0., 0., 1., 1.]]))
    """
    if len(boxes) != count:
        raise ValueError(f"There are boxes of {len(boxes)} images for maps of {count}.")
    valid = [each[box_geometry.is_valid(each)] for each in map(box_geometry.as_boxes, boxes)]
    positions = np.array([i for i, each in enumerate(valid) if len(each) == 1], np.int64)
    if len(positions) == 0:
        raise ValueError(
            f"Of {count} images none has exactly one valid box, and that is what is learned from."
        )
    chosen = np.concatenate([box_geometry.clip(valid[i]) for i in positions])
    return positions, chosen.astype(np.float64)
