"""GT-known localization: the percentage of boxes that are right when the class is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap import protocols
from sensmap.metrics import _intervals


class GtKnown:
    """Percent of images whose box, for the true class, has IoU >= 0.5 with one of its true boxes.

    ``100 |{i : max_{B in B_i} IoU(b_i, B) >= 0.5}| / N`` by the convention of ILSVRC's devkit,
    ``sensmap.protocols.find("ilsvrc")``: whole pixels of the original image, corners that belong
    to the box (Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", section
    4.2, without the class; "GT-known Loc" since Singh & Lee, "Hide-and-Seek", ICCV 2017, section
    4.1). It differs from CorLoc, which compares boxes that are not rounded, by the few images of
    which a pixel decides.

    Images without a true box cannot be scored; they are counted apart.

    >>> metric = GtKnown()
    >>> metric.update([[0, 0, 1, 0.496]] * 2, [[[0, 0, 1, 1]], []], [(100, 100)] * 2)
    >>> result = metric.result()
    >>> result["gt_known"], result["images"], result["unscored"]  # 50 of 100 rows
    (100.0, 1, 1)
    """

    def __init__(self) -> None:
        # Images scored and unscored, and of those scored how many are right.
        self._counts: Counter[str] = Counter()

    def update(
        self,
        predicted: ArrayLike,
        truths: Sequence[ArrayLike],
        sizes: Sequence[tuple[int, int]],
    ) -> None:
        """Counts a batch of images.

        Args:
            predicted: ``(N, 4)`` xyxy, relative, half-open; one box an image, for its true class.
            truths: for each image the ``(n_i, 4)`` true boxes of that class, likewise.
            sizes: for each image ``(height, width)`` of the original in pixels.

        Raises:
            ValueError: if the counts differ, a box is not four finite numbers in order, or a size
                is not positive. Nothing has been counted then.
        """
        ious = protocols.best_ious("ilsvrc", predicted, truths, sizes)
        scored = ~np.isnan(ious)
        self._counts.update(
            images=int(scored.sum()),
            unscored=int((~scored).sum()),
            right=int((ious[scored] >= 0.5).sum()),
        )

    def merge(self, other: GtKnown) -> None:
        """Adds what another instance has counted."""
        self._counts.update(other._counts)

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            ``gt_known`` in percent, its 95% ``interval`` and the ``interval_method``; ``images``,
            the number of those scored; ``unscored``, of those without a true box. Without images
            every measure is None.
        """
        images, right = self._counts["images"], self._counts["right"]
        interval = None
        if images:
            interval = [100 * end for end in _intervals.interval(right, images)]
        return {
            "gt_known": 100 * right / images if images else None,
            "interval": interval,
            "interval_method": _intervals.METHOD,
            "images": images,
            "unscored": self._counts["unscored"],
        }


# The name under which every metric's class is found.
Metric = GtKnown
