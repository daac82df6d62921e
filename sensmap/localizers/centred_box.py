"""The constant box of Ebrahimpour & Noelle, Table 1: in the middle, of the average size."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sensmap import boxes as box_geometry
from sensmap.localizers._base import count_of, targets


class CentredBox(BaseEstimator):
    """Predicts the centred box of the mean width and height of the training boxes.

    Attributes:
        box_: ``(4,)`` float32 xyxy.

    >>> CentredBox().fit(np.zeros((2, 1)), [[0, 0, 1, 1], [0.5, 0, 1, 1]]).box_.tolist()
    [0.125, 0.0, 0.875, 1.0]
    """

    title = "Constant centre box"
    in_graph = True

    def fit(self, maps, boxes, images=None) -> CentredBox:
        """Learns from the images with exactly one valid box; ``maps`` only tell how many."""
        chosen = targets(boxes, count_of(maps))[1]
        width, height = (chosen[:, 2:] - chosen[:, :2]).mean(axis=0)
        self.box_ = box_geometry.centred_box(width, height)
        return self

    def predict(self, maps, images=None) -> np.ndarray:
        """``(N, 4)`` float32 xyxy, one box for each image of ``maps``."""
        check_is_fitted(self, "box_")
        return np.tile(box_geometry.make_valid(self.box_[None]), (count_of(maps), 1))


def create(**options) -> CentredBox:
    """`CentredBox` by the name of its module."""
    return CentredBox(**options)
