"""CorLoc as on PASCAL VOC: by class, each over the images that show it, and the classes' mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap import protocols
from sensmap.metrics import _by_class, _intervals


class VocCorLoc:
    """Percent of a class's images whose box has IoU >= 0.5 with an object of it; its mean.

    ``CorLoc_c = 100 |{i in I_c : max_{B in B_ic} IoU(b_ic, B) >= 0.5}| / |I_c|``, where I_c are the
    images with an object of class c, and ``mCorLoc = Σ_c CorLoc_c / C`` (Deselaers, Alexe &
    Ferrari, "Weakly Supervised Localization and Learning with Generic Knowledge", IJCV 2012), by
    the overlap of VOC's devkit, ``sensmap.protocols.find("voc_corloc")``: whole pixels of the
    original image, corners that belong to the box. An image of several classes is counted once
    for each, with the box of that class.

    Which objects there are is the data set's: objects flagged difficult count where it has them
    (``difficult=`` of `sensmap.datasets.voc`). An image without a true box of the class cannot be
    scored; these are counted apart.

    Args:
        classes: class names; labels are indices.

    >>> metric = VocCorLoc(["cat", "dog"])
    >>> half, whole = [0, 0, 0.5, 1], [0, 0, 1, 1]
    >>> metric.update([whole, half, half], [[whole]] * 3, [0, 0, 1], [(10, 11)] * 3)
    >>> result = metric.result()  # a half of 11 columns, rounded, is 6
    >>> result["corloc"], [row["corloc"] for row in result["by_class"]]
    (100.0, [100.0, 100.0])
    """

    def __init__(self, classes: Sequence[str] | None = None):
        self.classes = None if classes is None else tuple(classes)
        self._right: Counter[int] = Counter()
        self._of: Counter[int] = Counter()
        self._unscored = 0

    def update(
        self,
        predicted: ArrayLike,
        truths: Sequence[ArrayLike],
        labels: ArrayLike,
        sizes: Sequence[tuple[int, int]],
    ) -> None:
        """Counts a batch of images, each with one of its classes.

        Args:
            predicted: ``(N, 4)`` xyxy, relative, half-open; the box for the class.
            truths: for each image the ``(n_i, 4)`` true boxes of the class, likewise.
            labels: ``(N,)`` the class ids.
            sizes: for each image ``(height, width)`` of the original in pixels.

        Raises:
            ValueError: if the counts differ, a box is not four finite numbers in order, a label
                is not one of the classes, or a size is not positive. Nothing has been counted
                then.
        """
        ious = protocols.best_ious("voc_corloc", predicted, truths, sizes)
        ids = _by_class.checked_labels(labels, len(ious), self.classes)
        scored = ~np.isnan(ious)
        self._of.update(ids[scored].tolist())
        self._right.update(ids[scored & (ious >= 0.5)].tolist())
        self._unscored += int((~scored).sum())

    def merge(self, other: VocCorLoc) -> None:
        """Adds what another instance has counted.

        Raises:
            ValueError: if the other was made for other classes.
        """
        if self.classes != other.classes:
            raise ValueError("Only counts over the same classes can be merged; these differ.")
        self._right.update(other._right)
        self._of.update(other._of)
        self._unscored += other._unscored

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            In percent ``corloc``, the mean over the classes seen, and ``corloc_images``, the share
            of all images, with its 95% ``interval`` and the ``interval_method``; ``by_class``,
            for each class seen in the order of the ids ``class`` (its name, or its id as a
            string), ``corloc`` and ``images``; ``images``, the number of those scored, and
            ``unscored``, of those without a true box. Without images every measure is None.
        """
        summary = _by_class.summarize(self._right, self._of, self.classes)
        return {
            "corloc": summary["classes"],
            "corloc_images": summary["images"],
            "interval": summary["interval"],
            "interval_method": _intervals.METHOD,
            "by_class": [
                {"class": row["class"], "corloc": row["percent"], "images": row["count"]}
                for row in summary["by_class"]
            ],
            "images": summary["count"],
            "unscored": self._unscored,
        }


# The name under which every metric's class is found.
Metric = VocCorLoc
