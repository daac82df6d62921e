"""Score maps as the metrics take them: checked, and in Choe et al.'s size and scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sensmap import protocols
from sensmap._opencv import cv2

SIZE = protocols.WSOL_SIZE


def normalize(score_map: ArrayLike) -> np.ndarray:
    """A map at 224x224 with values from 0 to 1, as Choe et al.'s code makes it.

    Resized by OpenCV's bicubic interpolation, in float64, then ``(s - min s) / max(s - min s)``.
    A constant map becomes 0 everywhere.

    Args:
        score_map: ``(h, w)`` finite numbers, of any scale.

    Returns:
        ``(224, 224)`` float64, 0 to 1.

    Raises:
        ValueError: if it is not one map of finite numbers.

    >>> scores = normalize([[1.0, 2.0], [3.0, 5.0]])
    >>> scores.shape, float(scores.min()), float(scores.max())
    ((224, 224), 0.0, 1.0)
    """
    array = checked_map(score_map)
    scores: np.ndarray = cv2.resize(array, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    scores -= scores.min()
    highest = scores.max()
    if highest > 0:
        scores /= highest
    return scores


def checked_map(score_map: ArrayLike) -> np.ndarray:
    """One map of finite numbers, as ``(h, w)`` float64.

    Args:
        score_map: ``(h, w)`` real numbers.

    Raises:
        ValueError: if it is not that.

    >>> checked_map([[0, float("nan")]])
    Traceback (most recent call last):
    ...
    ValueError: A score map must be finite; received nan. Leave such images out, and say how many.
    """
    array = np.asarray(score_map)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iuf":
        raise ValueError(
            "A score map must be real numbers of the shape (h, w); "
            f"received the shape {array.shape} and type {array.dtype}."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"A score map must be finite; received {array[~np.isfinite(array)][0]}. "
            "Leave such images out, and say how many."
        )
    return array.astype(np.float64)
