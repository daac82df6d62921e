"""What is said of a map itself, not of a box that was read off it.

A judge takes an example, its original size and its maps, one ``(h, w)`` a layer, and gives a few
numbers, so that a data set's maps are judged as they pass (`sensmap.pipeline.Extractor`). Maps of
several layers are one: their mean, each over its maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sensmap import masks
from sensmap.datasets import Example
from sensmap.feature_table import image_class, table_row
from sensmap.localizers._masks import merged
from sensmap.metrics import max_box_acc, pxap
from sensmap.metrics.pointing_game import PointingGame
from sensmap.pipeline import Judge

# The names under which `sensmap.feature_table.FeatureTable.judged` has what they say.
SWEEP, POINT, PIXELS = "sweep", "point", "pixels"

# Those of Choe et al.
PIXEL_THRESHOLDS = 1000


def sweep(example: Example, size: tuple[int, int], maps: Sequence[np.ndarray]) -> np.ndarray:
    """The best IoU of all contours' boxes with a true box, at each of 255 thresholds.

    Args:
        example: the image and its boxes.
        size: ``(height, width)`` of the original image in pixels.
        maps: ``(h, w)`` of each layer.

    Returns:
        ``(255,)`` float64, as `sensmap.metrics.max_box_acc` counts it; NaN without a true box.
    """
    return max_box_acc.sweep(_one(maps), table_row(example, size)[2], size)


def point(example: Example, size: tuple[int, int], maps: Sequence[np.ndarray]) -> np.ndarray:
    """How the image's map does in the pointing game (`sensmap.metrics.pointing_game`).

    Args:
        example, size, maps: as of `sweep`.

    Returns:
        ``(2,)``: 1 for a hit and 0 for a miss, NaN without a true box; and 1 where the image is of
        the difficult ones.
    """
    played = PointingGame()
    others = len({*example.labels, *example.box_labels.tolist()}) > 1
    played.update([_one(maps)], [table_row(example, size)[2]], [0], [size], np.array([others]))
    result = played.result()
    if not result["all"]["pairs"]:
        return np.array([np.nan, 0.0])
    return np.array([result["all"]["accuracy"] / 100, result["difficult"]["pairs"]])


def pixels(example: Example, size: tuple[int, int], maps: Sequence[np.ndarray]) -> np.ndarray:
    """The map's scores on and off the object, where the image has a mask.

    Args:
        example, size, maps: as of `sweep`.

    Returns:
        ``(2, 1001)`` counts of `sensmap.metrics.pxap`; zeros without a mask or a class.
    """
    label = image_class(example)
    if example.mask is None or label < 0:
        return np.zeros((2, PIXEL_THRESHOLDS + 1), np.int64)
    mask = masks.load(example.mask)
    own = np.where(mask == masks.IGNORE, masks.IGNORE, mask == label + 1).astype(np.uint8)
    return pxap.histograms(_one(maps), own, PIXEL_THRESHOLDS)


JUDGES: Mapping[str, Judge] = {SWEEP: sweep, POINT: point, PIXELS: pixels}


def _one(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Of several layers one map; nothing but zeros where one of them is not finite."""
    if len(maps) == 1 and np.isfinite(maps[0]).all():
        return maps[0]
    return merged(maps, max((each.shape for each in maps), key=np.prod))
