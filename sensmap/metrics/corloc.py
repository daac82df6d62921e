"""CorLoc: the percentage of images whose object was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sensmap import boxes as box_geometry
from sensmap.metrics import _intervals


def best_ious(predicted: ArrayLike, truths: Sequence[ArrayLike]) -> np.ndarray:
    """The highest IoU of each image's predicted box with any of its true boxes.

    Args:
        predicted: ``(N, 4)`` xyxy, relative, finite; one box an image.
        truths: for each image its ``(n_i, 4)`` true boxes, xyxy, relative, finite.

    Returns:
        ``(N,)`` float64 in 0 to 1; NaN for an image without a true box.

    Raises:
        ValueError: if the counts differ, or a box is not four finite numbers.

    >>> best_ious([[0, 0, 1, 1], [0, 0, 1, 1]], [[[0, 0, 0.5, 1], [0, 0, 1, 0.75]], []]).tolist()
    [0.75, nan]
    """
    predicted = _finite_boxes(predicted, "predicted")
    if len(predicted) != len(truths):
        raise ValueError(
            "Each image has one predicted box and one set of true boxes; "
            f"received {len(predicted)} predicted boxes and {len(truths)} sets."
        )
    found = np.full(len(predicted), np.nan)
    for position, truth in enumerate(truths):
        truth = _finite_boxes(truth, "true")
        if len(truth):
            found[position] = box_geometry.best_iou(predicted[position], truth)
    return found


def summarize(ious: Sequence[float]) -> dict:
    """CorLoc and its companions from the IoU of each scored image.

    ``CorLoc = 100 |{i : IoU_i >= 0.5}| / N`` (Ebrahimpour & Noelle, section 3, after Deselaers et
    al.): the criterion of PASCAL VOC, met by exactly 0.5 as well.

    Args:
        ious: IoU of each image, in any order.

    Returns:
        ``corloc`` in percent, its 95% ``interval`` and the ``interval_method``; ``corloc_30`` and
        ``corloc_70``, the same at IoU 0.3 and 0.7; ``mean_iou``, 0 to 1; ``images``, their number.
        Without images every measure is None.

    >>> summary = summarize([0.75, 0.25, 0.5, 0.0])
    >>> summary["corloc"], summary["corloc_70"], summary["mean_iou"], summary["images"]
    (50.0, 25.0, 0.375, 4)
    """
    images = len(ious)
    right = {level: sum(iou >= level for iou in ious) for level in (0.3, 0.5, 0.7)}
    corloc = {level: 100 * count / images if images else None for level, count in right.items()}
    interval = None
    if images:
        interval = [100 * end for end in _intervals.interval(right[0.5], images)]
    return {
        "corloc": corloc[0.5],
        "interval": interval,
        "interval_method": _intervals.METHOD,
        "corloc_30": corloc[0.3],
        "corloc_70": corloc[0.7],
        # fsum adds without rounding in between: the order does not matter.
        "mean_iou": math.fsum(ious) / images if images else None,
        "images": images,
    }


class CorLoc:
    """Percent of images whose predicted box has IoU >= 0.5 with a true box of the image's class.

    Images without a true box cannot be scored; they are counted apart.

    Args:
        classes: class names, so that the table by class can use them; labels are indices.

    >>> metric = CorLoc(classes=["cat", "dog"])
    >>> metric.update([[0, 0, 1, 1], [0, 0, 0.5, 1]], [[[0, 0, 1, 1]], [[0.5, 0, 1, 1]]], [1, 1])
    >>> result = metric.result()
    >>> result["corloc"], [round(end, 1) for end in result["interval"]]
    (50.0, [0.0, 100.0])
    >>> result["by_class"]
    [{'class': 'dog', 'images': 2, 'corloc': 50.0, 'mean_iou': 0.5}]
    """

    def __init__(self, classes: Sequence[str] | None = None):
        self.classes = None if classes is None else tuple(classes)
        self._ious: list[float] = []
        self._labels: list[int | None] = []
        self._unscored = 0

    def update(
        self,
        predicted: ArrayLike,
        truths: Sequence[ArrayLike],
        labels: ArrayLike | None = None,
    ) -> None:
        """Counts a batch of images.

        Args:
            predicted: ``(N, 4)`` xyxy, relative; one box an image.
            truths: for each image the ``(n_i, 4)`` true boxes of its class, xyxy, relative.
            labels: ``(N,)`` class ids for the table by class, or None to leave them out of it.

        Raises:
            ValueError: if the counts differ, a box is not four finite numbers, or a label is not
                one of the classes. Nothing has been counted then.
        """
        ious = best_ious(predicted, truths)
        ids = self._class_ids(labels, len(ious))
        scored = ~np.isnan(ious)
        self._ious += ious[scored].tolist()
        self._labels += [label for label, keep in zip(ids, scored, strict=True) if keep]
        self._unscored += int(np.count_nonzero(~scored))

    def merge(self, other: CorLoc) -> None:
        """Adds what another instance has counted.

        Raises:
            ValueError: if the other was made for other classes.
        """
        if self.classes != other.classes:
            raise ValueError("Only counts over the same classes can be merged; these differ.")
        self._ious += other._ious
        self._labels += other._labels
        self._unscored += other._unscored

    def state(self) -> dict[str, Any]:
        """All that was counted, fit for JSON; `from_state` goes on from it."""
        return {
            "classes": None if self.classes is None else list(self.classes),
            "ious": list(self._ious),
            "labels": list(self._labels),
            "unscored": self._unscored,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CorLoc:
        """What has counted as `state` said, or as JSON gives it back.

        Raises:
            ValueError: if it is no such state.

        >>> metric = CorLoc(["cat"])
        >>> metric.update([[0, 0, 1, 1]], [[[0, 0, 1, 0.75]]], [0])
        >>> CorLoc.from_state(metric.state()).result() == metric.result()
        True
        """
        try:
            found = cls(state["classes"])
            ious, labels, unscored = (state[key] for key in ("ious", "labels", "unscored"))
            known = [label for label in labels if label is not None]
            found._class_ids(known or None, len(known))
            if len(ious) != len(labels) or not all(0 <= iou <= 1 for iou in ious) or unscored < 0:
                raise ValueError("expected a label or None, and an IoU of 0 to 1, for each image")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"This is no state of CorLoc ({error!r}).") from error
        found._ious, found._labels, found._unscored = list(ious), list(labels), int(unscored)
        return found

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            What `summarize` gives; ``unscored``, the number of images without a true box; and
            ``by_class``, for each class that was seen, in the order of the class ids, ``class``
            (its name, or its id as a string), ``images``, ``corloc`` and ``mean_iou``.
        """
        by_class: dict[int, list[float]] = {}
        for label, iou in zip(self._labels, self._ious, strict=True):
            if label is not None:
                by_class.setdefault(label, []).append(iou)
        rows = []
        for label in sorted(by_class):
            summary = summarize(by_class[label])
            name = str(label) if self.classes is None else self.classes[label]
            columns = ("images", "corloc", "mean_iou")
            rows.append({"class": name} | {column: summary[column] for column in columns})
        return summarize(self._ious) | {"unscored": self._unscored, "by_class": rows}

    def _class_ids(self, labels: ArrayLike | None, count: int) -> Sequence[int | None]:
        if labels is None:
            return [None] * count
        ids = np.asarray(labels)
        if ids.shape != (count,) or (count and ids.dtype.kind not in "iu"):
            raise ValueError(
                f"Labels must be {count} whole numbers, one an image; "
                f"received the shape {ids.shape} and type {ids.dtype}."
            )
        known = math.inf if self.classes is None else len(self.classes)
        if unknown := [label for label in ids.tolist() if not 0 <= label < known]:
            limit = "0 or more" if self.classes is None else f"0 to {known - 1}"
            raise ValueError(f"A label is a class id, {limit}; received {unknown[0]}.")
        return ids.tolist()


# The name under which every metric's class is found.
Metric = CorLoc


def _finite_boxes(boxes: ArrayLike, kind: str) -> np.ndarray:
    array = box_geometry.as_boxes(boxes)
    if not np.isfinite(array).all():
        raise ValueError(
            f"A {kind} box must be four finite numbers; received "
            f"{array[~np.isfinite(array).all(axis=1)][0].tolist()}."
        )
    return array
