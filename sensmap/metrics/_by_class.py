"""Class ids, and shares that are counted class by class."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap.metrics import _intervals


def checked_labels(labels: ArrayLike, count: int, classes: Sequence[str] | None) -> np.ndarray:
    """Class ids, if they are that.

    Args:
        labels: ``(count,)`` whole numbers.
        classes: the names that they are indices of; None for any number.

    Raises:
        ValueError: if they are not.

    >>> checked_labels([2], 1, ["cat", "dog"])
    Traceback (most recent call last):
    ...
    ValueError: A label is a class id, 0 to 1; received 2.
    """
    ids = np.asarray(labels)
    if ids.shape != (count,) or (count and ids.dtype.kind not in "iu"):
        raise ValueError(
            f"Labels must be {count} whole numbers, one an image; "
            f"received the shape {ids.shape} and type {ids.dtype}."
        )
    known = math.inf if classes is None else len(classes)
    unknown = ids[(ids < 0) | (ids >= known)]
    if len(unknown):
        limit = "0 or more" if classes is None else f"0 to {len(classes) - 1}"
        raise ValueError(f"A label is a class id, {limit}; received {unknown[0]}.")
    return ids.astype(np.int64)


def summarize(right: Counter[int], of: Counter[int], classes: Sequence[str] | None) -> dict:
    """Shares by class, their mean, and the share of all.

    Args:
        right: how many are right, by class id.
        of: of how many.
        classes: the names that the ids are indices of, or None.

    Returns:
        In percent ``classes``, the mean over the classes seen, ``images``, the share of all, and
        its 95% ``interval``, each None where nothing was counted; ``count``, of
        how many; ``by_class``, for each class seen in the order of the ids ``class`` (its name,
        or its id as a string), ``percent`` and ``count``.

    >>> summary = summarize(Counter({0: 1}), Counter({0: 1, 1: 3}), ["cat", "dog"])
    >>> summary["classes"], summary["images"]
    (50.0, 25.0)
    """
    rows: list[dict] = [
        {
            "class": str(label) if classes is None else classes[label],
            "percent": 100 * right[label] / of[label],
            "count": of[label],
        }
        for label in sorted(of)
        if of[label]
    ]
    total = of.total()
    interval = None
    if total:
        interval = [100 * end for end in _intervals.interval(right.total(), total)]
    return {
        "classes": sum(row["percent"] for row in rows) / len(rows) if rows else None,
        "images": 100 * right.total() / total if total else None,
        "interval": interval,
        "count": total,
        "by_class": rows,
    }
