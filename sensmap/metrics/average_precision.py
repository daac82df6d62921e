"""Mean average precision of a classifier for images with several classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score


class MeanAveragePrecision:
    """mAP: over the classes, the mean of the average precision of the images in their order.

    With the images sorted by the score of class c, precision P_n and recall R_n after n of them,

        AP_c = sum over n of (R_n - R_{n-1}) P_n

    without interpolation. Classes that no image has do not count.

    >>> metric = MeanAveragePrecision()
    >>> metric.update([[2.0, 0.0], [1.0, 3.0], [0.0, 2.0]], [[1, 0], [0, 1], [1, 0]])
    >>> result = metric.result()
    >>> round(result["mean_average_precision"], 2), [round(each, 2) for each in result["by_class"]]
    (91.67, [83.33, 100.0])
    """

    def __init__(self):
        self._scores: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def update(self, scores: ArrayLike, labels: ArrayLike) -> None:
        """Counts a batch of images.

        Args:
            scores: ``(N, C)`` class scores, finite.
            labels: ``(N, C)``, 1 where the image has the class, else 0.

        Raises:
            ValueError: if the shapes differ, among themselves or from those before, or a score
                is not finite. Nothing has been counted then.
        """
        found, truth = np.asarray(scores, np.float64), np.asarray(labels)
        if found.ndim != 2 or truth.shape != found.shape or not np.isin(truth, (0, 1)).all():
            raise ValueError(
                "Scores and labels have the shape (N, C), labels are 0 and 1; received "
                f"{found.shape} and {truth.shape}."
            )
        if self._scores and found.shape[1] != self._scores[0].shape[0]:
            raise ValueError(
                f"There are scores of {found.shape[1]} classes after some of "
                f"{self._scores[0].shape[0]}."
            )
        if not np.isfinite(found).all():
            raise ValueError("A class score is NaN or infinite.")
        self._scores += list(found)
        self._labels += list(truth.astype(bool))

    def merge(self, other: MeanAveragePrecision) -> None:
        """Adds what another instance has counted."""
        self._scores += other._scores
        self._labels += other._labels

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            ``mean_average_precision`` in percent, None without images; ``by_class``, in percent,
            None for a class that no image has; ``images``.
        """
        if not self._scores:
            return {"mean_average_precision": None, "by_class": [], "images": 0}
        scores, labels = np.stack(self._scores), np.stack(self._labels)
        by_class = [
            100 * float(average_precision_score(truth, found)) if truth.any() else None
            for truth, found in zip(labels.T, scores.T, strict=True)
        ]
        known = [each for each in by_class if each is not None]
        return {
            "mean_average_precision": float(np.mean(known)) if known else None,
            "by_class": by_class,
            "images": len(scores),
        }


# The name under which every metric's class is found.
Metric = MeanAveragePrecision
