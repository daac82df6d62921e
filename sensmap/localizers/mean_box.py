"""The constant box: the mean of the training boxes, wherever the object is.

What a regression on maps that tell nothing would predict, hence the baseline to beat.
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sensmap import boxes as box_geometry
from sensmap.localizers._base import count_of, targets


class MeanBox(BaseEstimator):
    """Predicts the mean training box for every image.

    Attributes:
        box_: ``(4,)`` float32 xyxy.

    >>> MeanBox().fit(np.zeros((2, 1)), [[0, 0, 1, 1], [0.5, 0.5, 1, 1]]).box_.tolist()
    [0.25, 0.25, 1.0, 1.0]
    """

    title = "Mean training box"
    in_graph = True

    def fit(self, maps, boxes, images=None) -> MeanBox:
        """Learns from the images with exactly one valid box; ``maps`` only tell how many."""
        self.box_ = targets(boxes, count_of(maps))[1].mean(axis=0).astype(np.float32)
        return self

    def predict(self, maps, images=None) -> np.ndarray:
        """``(N, 4)`` float32 xyxy, one box for each image of ``maps``."""
        check_is_fitted(self, "box_")
        return np.tile(box_geometry.make_valid(self.box_[None]), (count_of(maps), 1))


def create(**options) -> MeanBox:
    """`MeanBox` by the name of its module."""
    return MeanBox(**options)
