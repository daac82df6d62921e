"""The whole image as the box: what is right wherever the object fills the image."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sensmap import boxes as box_geometry
from sensmap.localizers._base import count_of, targets


class FullImage(BaseEstimator):
    """Predicts the whole image, whatever the boxes of the fit are.

    Attributes:
        box_: ``(4,)`` float32 xyxy.

    >>> FullImage().fit(np.zeros((1, 1)), [[0, 0, 0.5, 0.5]]).predict(np.zeros((1, 1))).tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """

    title = "Full image"
    in_graph = True

    def fit(self, maps, boxes, images=None) -> FullImage:
        """Checks what is given as the other constant boxes do, and learns nothing from it."""
        targets(boxes, count_of(maps))
        self.box_ = box_geometry.FULL_IMAGE.copy()
        return self

    def predict(self, maps, images=None) -> np.ndarray:
        """``(N, 4)`` float32 xyxy, one box for each image of ``maps``."""
        check_is_fitted(self, "box_")
        return np.tile(self.box_, (count_of(maps), 1))


def create(**options) -> FullImage:
    """`FullImage` by the name of its module."""
    return FullImage(**options)
