"""A threshold on the map, and the box of the largest component above it.

The usual way to read a box off a map (Zhou et al. 2016, section 3; Choe et al. 2020): with M
brought to 0 to 1 by its least and highest value,

    mask = {(i, j) : M(i, j) >= t}

and the box is that of the mask's largest connected component. The threshold t is the one with the
highest CorLoc on the images of the fit; it must never be chosen on those that are scored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sensmap import boxes as box_geometry
from sensmap._opencv import cv2
from sensmap.localizers._base import Reader
from sensmap.localizers._masks import largest_box, largest_component, merged, resized, within

LEVELS = 100
# Pixels of a map's longer side, at most: no map that is thresholded is worth more.
_SIDE = 128


class Threshold(Reader):
    """The box of the largest component above one threshold for all images.

    Args:
        smoothing: the standard deviation of a Gaussian that maps are smoothed by first, as a
            share of the longer side; 0 for none. Pixel maps are grainy.

    Attributes:
        threshold_: 0 to 1, the level with the highest CorLoc; of several the one with the highest
            mean IoU, then the lowest.
        images_: how many images it was fitted on, those with a valid box.

    >>> maps = np.zeros((2, 8, 8), np.float32)
    >>> maps[:, 2:6, 0:4] = [[[3.0]], [[5.0]]]
    >>> Threshold().fit(maps, [[0, 0.25, 0.5, 0.75]] * 2).predict(maps[:1]).tolist()
    [[0.0, 0.25, 0.5, 0.75]]
    """

    title = "Threshold"
    size = 4 * LEVELS

    def __init__(self, smoothing: float = 0.0):
        self.smoothing = smoothing

    def read(self, maps: Sequence[np.ndarray], image: np.ndarray | None = None) -> np.ndarray:
        """The boxes of one image at all thresholds, ``(LEVELS * 4,)`` float32."""
        shares = self._normalised(maps, image)
        levels = np.arange(LEVELS) / LEVELS
        return np.concatenate([largest_box(shares >= level) for level in levels])

    def mask(self, maps: Sequence[np.ndarray], image: np.ndarray) -> np.ndarray:
        """The mask of one image, ``(H, W)`` bool, at its size."""
        check_is_fitted(self, "threshold_")
        above = self._normalised(maps, image) >= self.threshold_
        return resized(largest_component(above), image.shape[:2])

    def stand_ins(self, readings: np.ndarray) -> list[str]:
        """For each reading "flat map" where the map said nothing, so that the box is the whole
        image at every threshold."""
        flat = (readings.reshape(len(readings), -1, 4) == [0, 0, 1, 1]).all(axis=(1, 2))
        return ["flat map" if each else "" for each in flat]

    def _fit(self, readings: np.ndarray, truths: Sequence[np.ndarray]) -> None:
        by_level = readings.reshape(len(readings), LEVELS, 4)
        ious = np.array(
            [
                box_geometry.iou(of_image, truth).max(axis=1)
                for of_image, truth in zip(by_level, truths, strict=True)
                if len(truth)
            ]
        )
        order = np.lexsort((-ious.mean(axis=0), -(ious >= 0.5).mean(axis=0)))
        self.threshold_ = float(order[0] / LEVELS)
        self.images_ = len(ious)

    def _predict(self, readings: np.ndarray) -> np.ndarray:
        check_is_fitted(self, "threshold_")
        return readings.reshape(len(readings), LEVELS, 4)[:, round(self.threshold_ * LEVELS)]

    def _normalised(self, maps: Sequence[np.ndarray], image: np.ndarray | None) -> np.ndarray:
        """One map of 0 to 1; of a flat one 1 everywhere."""
        own = max((each.shape for each in maps), key=lambda shape: shape[0] * shape[1])
        values = merged(maps, within(own if image is None else image.shape[:2], _SIDE))
        if self.smoothing:
            deviation = self.smoothing * max(values.shape)
            values = cv2.GaussianBlur(values, (0, 0), deviation)
        low, high = values.min(), values.max()
        return (values - low) / (high - low) if high > low else np.ones_like(values)


# By the name of its module.
create = Threshold
