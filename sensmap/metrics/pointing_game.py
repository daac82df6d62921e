"""The pointing game: whether a map is highest on an object of the class."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap import protocols
from sensmap._opencv import cv2
from sensmap.metrics import _by_class, _intervals, _score_maps

TOLERANCE = 15

# The sets that are scored.
_SETS = ("all", "difficult")


def point(score_map: ArrayLike, size: tuple[int, int]) -> tuple[int, int]:
    """Where a map is highest, in pixels of the image.

    The map is resized to the image by bilinear interpolation; of several highest pixels the first
    counts, from the top and then from the left.

    Args:
        score_map: ``(h, w)`` finite numbers.
        size: ``(height, width)`` of the image.

    Returns:
        x and y.

    Raises:
        ValueError: if the map is not one of finite numbers, or the size is not positive.

    >>> point([[0, 0], [0, 1]], (8, 4))
    (3, 6)
    """
    array = _score_maps.checked_map(score_map)
    height, width = protocols.checked_size(size)
    resized = cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = np.unravel_index(int(resized.argmax()), resized.shape)
    return int(x), int(y)


def distance(at: tuple[int, int], truth: ArrayLike, size: tuple[int, int]) -> float:
    """From a pixel to the nearest of an object's pixels, between their centres.

    Args:
        at: x and y of the pixel.
        truth: ``(n, 4)`` boxes, xyxy, relative, half-open; or ``(height, width)`` bool, a mask.
        size: ``(height, width)`` of the image.

    Returns:
        The distance in pixels, 0 on the object; infinite where there is none.

    Raises:
        ValueError: if a box is not four finite numbers in order, or a mask is of another size.

    >>> distance((10, 20), [[0.0, 0.0, 0.08, 0.17]], (100, 100))  # to the pixel (7, 16)
    5.0
    """
    x, y = at
    if _is_mask(truth):
        rows, columns = np.nonzero(_checked_mask(truth, size))
        across, down = columns - x, rows - y
    else:
        x0, y0, x1, y1 = protocols.original_pixels(truth, size).T
        across = np.maximum(np.maximum(x0 - x, x - x1), 0)
        down = np.maximum(np.maximum(y0 - y, y - y1), 0)
    squares = across.astype(np.int64) ** 2 + down.astype(np.int64) ** 2
    return math.sqrt(squares.min()) if len(squares) else math.inf


class PointingGame:
    """Percent of (image, class) pairs whose map is highest on, or near, an object of the class.

    A hit is a highest pixel less than 15 pixels from a pixel of an object of the class, in the
    original image: ``Acc_c = 100 hits_c / (hits_c + misses_c)``, and the mean over the classes
    (Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016, section 4.1). The
    set ``difficult`` holds the pairs of which the class's boxes (or mask) add up to less than a
    quarter of the image and another class is in it. Where the paper is silent (strictly less than
    15 pixels, between centres; bilinear interpolation) as in TorchRay, whose ``difficult`` set is
    a list of the paper's authors instead.

    A pair without an object cannot be scored; these are counted apart.

    Args:
        classes: class names; labels are indices.
        tolerance: in pixels; 0 counts nothing but the object.

    >>> metric = PointingGame(["cat", "dog"])
    >>> left, right = [[1, 0]], [[0, 1]]
    >>> metric.update([left, right], [[[0, 0, 0.25, 0.5]]] * 2, [0, 1], [(90, 90)] * 2, [True] * 2)
    >>> result = metric.result()
    >>> result["all"]["accuracy"], result["difficult"]["accuracy"], result["all"]["pairs"]
    (50.0, 50.0, 2)
    """

    def __init__(self, classes: Sequence[str] | None = None, tolerance: float = TOLERANCE):
        if not 0 <= tolerance < math.inf:
            raise ValueError(f"The tolerance is 0 pixels or more; received {tolerance}.")
        self.classes = None if classes is None else tuple(classes)
        self.tolerance = tolerance
        self._hits: dict[str, Counter[int]] = {name: Counter() for name in _SETS}
        self._of: dict[str, Counter[int]] = {name: Counter() for name in _SETS}
        self._unscored = 0

    def update(
        self,
        maps: Sequence[ArrayLike],
        truths: Sequence[ArrayLike],
        labels: ArrayLike,
        sizes: Sequence[tuple[int, int]],
        others: ArrayLike,
    ) -> None:
        """Counts a batch of pairs of an image and one of its classes.

        Args:
            maps: for each pair its ``(h_i, w_i)`` score map, finite.
            truths: for each pair the objects of the class: ``(n_i, 4)`` boxes, xyxy, relative; or
                ``(height_i, width_i)`` bool, their mask.
            labels: ``(N,)`` the class ids.
            sizes: for each pair ``(height, width)`` of the original image in pixels.
            others: ``(N,)`` bool, whether the image shows another class as well.

        Raises:
            ValueError: if the counts differ, or a map, a truth, a label or a size is none.
                Nothing has been counted then.
        """
        count = len(maps)
        distracted = np.asarray(others)
        if not count == len(truths) == len(sizes) == len(distracted):
            raise ValueError(
                "Each pair has one map, one set of true boxes or mask, one size and one 'others'; "
                f"received {count}, {len(truths)}, {len(sizes)} and {len(distracted)}."
            )
        if distracted.ndim != 1 or (count and distracted.dtype != bool):
            raise ValueError(f"'others' is True or False for each pair; received {others!r}.")
        ids = _by_class.checked_labels(labels, count, self.classes).tolist()
        played = [
            self._play(score_map, truth, size)
            for score_map, truth, size in zip(maps, truths, sizes, strict=True)
        ]
        for label, outcome, other in zip(ids, played, distracted.tolist(), strict=True):
            if outcome is None:
                self._unscored += 1
                continue
            hit, small = outcome
            for name in _SETS if small and other else _SETS[:1]:
                self._of[name][label] += 1
                self._hits[name][label] += hit

    def merge(self, other: PointingGame) -> None:
        """Adds what another instance has counted.

        Raises:
            ValueError: if the other was made for other classes or another tolerance.
        """
        if (self.classes, self.tolerance) != (other.classes, other.tolerance):
            raise ValueError(
                "Only counts over the same classes with the same tolerance can be merged; "
                "these differ."
            )
        for name in _SETS:
            self._hits[name].update(other._hits[name])
            self._of[name].update(other._of[name])
        self._unscored += other._unscored

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            ``all`` and ``difficult``, each with ``accuracy``, the mean over the classes seen, and
            ``accuracy_pairs``, the share of all pairs, with its 95% ``interval``, in percent,
            ``pairs``, their number, and ``by_class``, for each class seen in the order of the ids
            ``class`` (its name, or its id as a string), ``accuracy`` and ``pairs``;
            ``interval_method``; ``tolerance`` in pixels; ``unscored``, the number of pairs
            without an object. Without pairs every measure is None.
        """
        result: dict = {}
        for name in _SETS:
            summary = _by_class.summarize(self._hits[name], self._of[name], self.classes)
            result[name] = {
                "accuracy": summary["classes"],
                "accuracy_pairs": summary["images"],
                "interval": summary["interval"],
                "pairs": summary["count"],
                "by_class": [
                    {"class": row["class"], "accuracy": row["percent"], "pairs": row["count"]}
                    for row in summary["by_class"]
                ],
            }
        return result | {
            "interval_method": _intervals.METHOD.replace("images", "pairs"),
            "tolerance": self.tolerance,
            "unscored": self._unscored,
        }

    def _play(
        self, score_map: ArrayLike, truth: ArrayLike, size: tuple[int, int]
    ) -> tuple[bool, bool] | None:
        """Whether the map hits, and whether the objects are small; None without an object."""
        at = point(score_map, size)
        height, width = size
        if _is_mask(truth):
            covered = int(np.count_nonzero(_checked_mask(truth, size))) / (height * width)
        else:
            truth = protocols.checked_boxes(truth, "true")
            sides = truth[:, 2:].astype(np.float64) - truth[:, :2]
            covered = math.fsum(sides.prod(axis=1))
        away = distance(at, truth, size)
        if away == math.inf:
            return None
        return away == 0 or away < self.tolerance, covered < 0.25


# The name under which every metric's class is found.
Metric = PointingGame


def _is_mask(truth: ArrayLike) -> bool:
    return np.asarray(truth).dtype == bool


def _checked_mask(truth: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    mask = np.asarray(truth)
    if mask.shape != protocols.checked_size(size):
        raise ValueError(f"A mask has the size of its image, {tuple(size)}; received {mask.shape}.")
    return mask
