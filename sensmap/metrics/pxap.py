"""PxAP: how well score maps tell an object's pixels from others, over all thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap._opencv import cv2
from sensmap.masks import IGNORE
from sensmap.metrics import _score_maps


def histograms(score_map: ArrayLike, mask: ArrayLike, thresholds: int) -> np.ndarray:
    """Counts a map's pixels, off and on the object, between thresholds.

    Map and mask are resized to 224x224, the map by bicubic interpolation and scaled to 0..1, the
    mask by its nearest pixels, as in the code of Choe et al.

    Args:
        score_map: ``(h, w)`` finite numbers, of any size and scale.
        mask: ``(H, W)`` bool, or whole numbers: 0 is background, 255 does not count, all else is
            the object.
        thresholds: how many, from 0 up in steps of ``1 / thresholds``.

    Returns:
        ``(2, thresholds + 1)`` int64: pixels off and on the object with scores from each
        threshold to below the next; the last count is of scores of 1.

    Raises:
        ValueError: if the map is not one of finite numbers, or the mask is none.

    >>> histograms([[0, 1], [0, 1]], [[0, 1], [255, 1]], thresholds=2).sum(axis=1).tolist()
    [12544, 25088]
    """
    scores = _score_maps.normalize(score_map)
    truth = _resized(mask)
    edges = _edges(thresholds)
    # Which bin a score is in is guessed, then checked against the edges: quicker than a search.
    guess = np.minimum((scores * thresholds).astype(np.int64), thresholds)
    guess -= scores < edges[guess]
    guess += scores >= edges[guess + 1]
    counted = truth != IGNORE
    bins = len(edges) - 1
    flat = guess[counted] + bins * (truth[counted] > 0)
    return np.bincount(flat, minlength=2 * bins).reshape(2, bins)


def average_precision(counts: ArrayLike) -> float:
    """The area under the precision-recall curve of pixels: ``Σ_l P(τ_l) (R(τ_l) - R(τ_l+1))``.

    Args:
        counts: ``(2, bins)`` pixels off and on the object, by score ascending, as `histograms`
            gives them, or a sum of these.

    Returns:
        0 to 1; NaN without a pixel on the object.

    >>> average_precision([[2, 0, 0], [0, 1, 1]]), average_precision([[1, 1], [1, 1]])
    (1.0, 0.5)
    """
    off, on = np.cumsum(np.asarray(counts)[:, ::-1], axis=1)
    if not on[-1]:
        return float("nan")
    precision = np.divide(on, on + off, out=np.zeros(len(on)), where=on + off > 0)
    return float((precision * np.diff(on / on[-1], prepend=0.0)).sum())


class PxAP:
    """Pixel average precision: the area under the precision-recall curve of all images' pixels.

    ``PxAP = Σ_l PxPrec(τ_l) (PxRec(τ_l) - PxRec(τ_l-1))``, where precision and recall are of the
    pixels with ``s >= τ`` of the whole set together (Choe et al., "Evaluating Weakly Supervised
    Object Localization Methods Right", CVPR 2020, section 3.3); equal to the authors' code. There
    is no threshold to choose: what a set's map scores is worth at one threshold counts for all.

    Images without a pixel that counts cannot be scored; they are counted apart.

    Args:
        thresholds: how many; the authors take 1,000.

    >>> metric = PxAP()
    >>> metric.update([[[0.0, 1.0]], [[1.0, 0.0]]], [[[0, 1]], [[255, 0]]])
    >>> result = metric.result()
    >>> round(result["pxap"], 6), result["images"], result["object_pixels"]
    (100.0, 2, 25088)
    """

    def __init__(self, thresholds: int = 1000):
        if not isinstance(thresholds, int) or thresholds < 1:
            raise ValueError(
                f"The number of thresholds is a whole one above 0; received {thresholds!r}."
            )
        self.thresholds = thresholds
        self._counts = np.zeros((2, thresholds + 1), np.int64)
        self._images = 0
        self._unscored = 0

    def update(self, maps: Sequence[ArrayLike], masks: Sequence[ArrayLike]) -> None:
        """Counts a batch of images.

        Args:
            maps: for each image its ``(h_i, w_i)`` score map, finite.
            masks: for each image its ``(H_i, W_i)`` true mask, bool or whole numbers: 0 is
                background, 255 does not count, all else is the object.

        Raises:
            ValueError: if the counts differ, a map is not finite or a mask is none. Nothing has
                been counted then.
        """
        if len(maps) != len(masks):
            raise ValueError(
                f"Each image has one map and one mask; received {len(maps)} and {len(masks)}."
            )
        counts = [
            histograms(score_map, mask, self.thresholds)
            for score_map, mask in zip(maps, masks, strict=True)
        ]
        scored = sum(bool(each.any()) for each in counts)
        self._counts = sum(counts, self._counts)
        self._images += scored
        self._unscored += len(counts) - scored

    def merge(self, other: PxAP) -> None:
        """Adds what another instance has counted.

        Raises:
            ValueError: if the other has another number of thresholds.
        """
        if self.thresholds != other.thresholds:
            raise ValueError(
                "Only counts between the same thresholds can be merged; "
                f"received {other.thresholds} thresholds for {self.thresholds}."
            )
        self._counts = self._counts + other._counts
        self._images += other._images
        self._unscored += other._unscored

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            ``pxap`` in percent, None where no pixel is of an object; ``thresholds``; ``pixels``,
            the number of those that count at 224x224, and ``object_pixels``, of those on objects;
            ``images``, the number of those scored; ``unscored``, of those without a pixel that
            counts.
        """
        on = int(self._counts[1].sum())
        return {
            "pxap": 100 * average_precision(self._counts) if on else None,
            "thresholds": self.thresholds,
            "pixels": int(self._counts.sum()),
            "object_pixels": on,
            "images": self._images,
            "unscored": self._unscored,
        }


# The name under which every metric's class is found.
Metric = PxAP


def _edges(thresholds: int) -> np.ndarray:
    """The lower edge of each bin, of scores of 1 last, and the upper edge of that."""
    return np.append(np.arange(thresholds) * (1 / thresholds), [1.0, 2.0])


def _resized(mask: ArrayLike) -> np.ndarray:
    array = np.asarray(mask)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iu":
        raise ValueError(
            "A mask must be bool or whole numbers of the shape (H, W); "
            f"received the shape {array.shape} and type {array.dtype}."
        )
    if array.min() < 0 or array.max() > IGNORE:
        wrong = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"A mask holds class indices, 0 to {IGNORE}; received {wrong}.")
    side = _score_maps.SIZE
    return cv2.resize(array.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
