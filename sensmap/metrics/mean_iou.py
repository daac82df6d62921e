"""Mean IoU: how well masks of classes agree with the truth, VOC's measure of segmentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap.masks import IGNORE

BACKGROUND = "background"

RESAMPLES = 1000
_SEED = 0


def confusion(predicted: ArrayLike, truth: ArrayLike, classes: int) -> np.ndarray:
    """Counts an image's pixels by their true and their predicted class.

    Args:
        predicted: ``(H, W)`` whole numbers, class indices from 0 to ``classes - 1``.
        truth: ``(H, W)`` whole numbers, the same and 255, whose pixels do not count.
        classes: how many there are, the background, index 0, included.

    Returns:
        ``(classes, classes)`` int64: the pixels of class i that were predicted as class j.

    Raises:
        ValueError: if the masks differ in size, or hold what is no class. As in VOC's own program
            a prediction may not hold 255, not even where the truth does.

    >>> confusion([[0, 1, 1], [2, 2, 0]], [[0, 1, 2], [2, 255, 0]], classes=3).tolist()
    [[2, 0, 0], [0, 1, 0], [0, 1, 1]]
    """
    predicted = _indices(predicted, "predicted")
    truth = _indices(truth, "true")
    if predicted.shape != truth.shape:
        raise ValueError(
            "A predicted and a true mask have the same size; "
            f"received {predicted.shape} and {truth.shape}."
        )
    counted = truth != IGNORE
    for mask, kind, also in ((predicted, "predicted", ""), (truth[counted], "true", f", {IGNORE}")):
        if mask.min(initial=0) < 0 or mask.max(initial=0) >= classes:
            wrong = mask[(mask < 0) | (mask >= classes)][0]
            raise ValueError(
                f"A {kind} mask holds class indices, 0 to {classes - 1}{also}; received {wrong}."
            )
    pairs = classes * truth[counted].astype(np.int64) + predicted[counted].astype(np.int64)
    return np.bincount(pairs, minlength=classes**2).astype(np.int64).reshape(classes, classes)


def ious(confusion: ArrayLike) -> np.ndarray:
    """The IoU of each class: ``n_ii / (Σ_j n_ij + Σ_j n_ji - n_ii)``.

    Args:
        confusion: ``(C, C)`` whole numbers n, as `confusion` gives them or a sum of these.

    Returns:
        ``(C,)`` float64, 0 to 1; NaN for a class that occurs neither in truth nor in prediction.

    >>> ious([[2, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]).tolist()
    [1.0, 0.5, 0.5, nan]
    """
    return _ratios(*_overlaps(np.asarray(confusion)))


def bootstrap(confusions: Sequence[np.ndarray]) -> tuple[float, float]:
    """The 95% interval of the mean IoU over other images of the same kind.

    As many images as there are, at least one, are drawn from them with replacement, 1,000 times;
    the interval leaves out 2.5% of the mean IoUs of the draws at either end (Efron & Tibshirani,
    "An Introduction to the Bootstrap", chapter 13). The draws are always the same, and the
    images are sorted first, so that their order does not matter.

    Args:
        confusions: ``(C, C)`` int64 of each image, none of them all zero.

    Returns:
        The lower and the upper end, 0 to 1.

    >>> bootstrap([np.diag([3, 4]), np.diag([5, 1])])
    (1.0, 1.0)
    """
    images = len(confusions)
    in_order: list[np.ndarray] = sorted(confusions, key=lambda each: each.tobytes())
    overlaps = _overlaps(np.stack(in_order))
    generator = np.random.default_rng(_SEED)
    means = []
    for _ in range(RESAMPLES):
        times = np.bincount(generator.integers(images, size=images), minlength=images)
        both, either = (times @ counts for counts in overlaps)
        means.append(np.nanmean(_ratios(both, either)))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


class MeanIoU:
    """The IoU of each class over the pixels of all images, and its mean over the classes.

    One confusion matrix is summed over the whole set; pixels whose truth is 255 do not count. The
    mean is over the classes, background included, that occur in the truth or in a prediction at a
    pixel that counts: a class that is only predicted has an IoU of 0 and lowers the mean, a class
    that never occurs has none and is left out. (Where all classes occur in the truth, as in VOC's
    own sets, this is VOC's measure.)

    Images whose truth is 255 everywhere cannot be scored; they are counted apart.

    Args:
        classes: the class names without the background, which gets index 0: the first name is of
            index 1.

    >>> metric = MeanIoU(classes=["cat", "dog"])
    >>> metric.update([[[0, 1], [1, 1]]], [[[0, 1], [255, 0]]])
    >>> result = metric.result()
    >>> result["mean_iou"], round(result["pixel_accuracy"], 1)
    (50.0, 66.7)
    >>> result["by_class"][1:]
    [{'class': 'cat', 'iou': 50.0, 'pixels': 1}, {'class': 'dog', 'iou': None, 'pixels': 0}]
    """

    def __init__(self, classes: Sequence[str]):
        self.classes = (BACKGROUND, *classes)
        if len(self.classes) > IGNORE:
            raise ValueError(
                f"A mask can tell up to {IGNORE - 1} classes and the background apart, for "
                f"{IGNORE} means that a pixel does not count; received {len(classes)}."
            )
        self._confusions: list[np.ndarray] = []
        self._unscored = 0

    def update(self, predicted: Sequence[ArrayLike], truths: Sequence[ArrayLike]) -> None:
        """Counts a batch of images.

        Args:
            predicted: for each image its ``(H_i, W_i)`` mask, whole numbers, class indices.
            truths: for each image the true mask of the same size, with 255 for pixels that do
                not count.

        Raises:
            ValueError: if the counts or sizes differ, or a mask holds what is no class. Nothing
                has been counted then.
        """
        if len(predicted) != len(truths):
            raise ValueError(
                "Each image has one predicted and one true mask; "
                f"received {len(predicted)} predicted and {len(truths)} true masks."
            )
        counts = [
            confusion(mask, truth, len(self.classes))
            for mask, truth in zip(predicted, truths, strict=True)
        ]
        scored = [each for each in counts if each.any()]
        self._confusions += scored
        self._unscored += len(counts) - len(scored)

    def merge(self, other: MeanIoU) -> None:
        """Adds what another instance has counted.

        Raises:
            ValueError: if the other was made for other classes.
        """
        if self.classes != other.classes:
            raise ValueError("Only counts over the same classes can be merged; these differ.")
        self._confusions += other._confusions
        self._unscored += other._unscored

    @property
    def confusions(self) -> list[np.ndarray]:
        """``(C, C)`` int64 of each scored image, see `confusion`, in the order of the updates."""
        return list(self._confusions)

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            In percent ``mean_iou``, its 95% ``interval`` by `bootstrap` over images, and
            ``pixel_accuracy``, the share of pixels whose class is right; ``interval_method``;
            ``images``, the number of those scored; ``unscored``, of those without a pixel that
            counts; and ``by_class``, for each class in the order of the indices, ``class`` (its
            name), ``iou`` in percent, None where the class never occurs, and ``pixels``, the
            number of true ones. Without images every measure is None.
        """
        images = len(self._confusions)
        size = len(self.classes)
        total = sum(self._confusions, np.zeros((size, size), np.int64))
        by_class = ious(total)
        rows = [
            {"class": name, "iou": None if np.isnan(iou) else float(100 * iou), "pixels": int(true)}
            for name, iou, true in zip(self.classes, by_class, total.sum(axis=1), strict=True)
        ]
        return {
            "mean_iou": float(100 * np.nanmean(by_class)) if images else None,
            "interval": [100 * end for end in bootstrap(self._confusions)] if images else None,
            "interval_method": f"bootstrap over images, {RESAMPLES:,} resamples, percentile, 95%",
            "pixel_accuracy": float(100 * np.trace(total) / total.sum()) if images else None,
            "images": images,
            "unscored": self._unscored,
            "by_class": rows,
        }


# The name under which every metric's class is found.
Metric = MeanIoU


def _indices(mask: ArrayLike, kind: str) -> np.ndarray:
    array = np.asarray(mask)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise ValueError(
            f"A {kind} mask must be whole numbers of the shape (H, W); "
            f"received the shape {array.shape} and type {array.dtype}."
        )
    return array


def _overlaps(confusions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in both and in either, ``(..., C)`` each, of matrices ``(..., C, C)``."""
    both = np.diagonal(confusions, axis1=-2, axis2=-1)
    return both, confusions.sum(axis=-1) + confusions.sum(axis=-2) - both


def _ratios(both: np.ndarray, either: np.ndarray) -> np.ndarray:
    return np.divide(both, either, out=np.full(either.shape, np.nan), where=either > 0)
