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


def count_of(maps: ArrayLike | Sequence[np.ndarray]) -> int:
    """For how many images these maps or features are."""
    first = maps[0] if isinstance(maps, (list, tuple)) else maps
    return len(np.asarray(first))


def targets(boxes: ArrayLike | Sequence[np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
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
