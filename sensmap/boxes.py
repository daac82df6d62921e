"""Box geometry: one convention inside, conversions by name at the edges.

Inside sensmap a box is ``xyxy``: ``(x0, y0, x1, y1)`` in float32, relative to the original
image (0 to 1), half-open, so that a box's area is ``(x1 - x0) * (y1 - y0)`` and the whole image
is ``(0, 0, 1, 1)``. Every file format has a convention of its own; the functions named after
them are the only places where those are known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

FULL_IMAGE = np.array([0.0, 0.0, 1.0, 1.0], np.float32)

# A predicted box is never thinner than this: one pixel of an image 1,000 pixels wide.
MIN_SIDE = 1e-3


def as_boxes(boxes: ArrayLike) -> np.ndarray:
    """Returns boxes as an ``(N, 4)`` float32 array; one box, or none, is accepted too.

    Args:
        boxes: ``(N, 4)`` or ``(4,)`` xyxy, or an empty sequence.

    Raises:
        ValueError: if the last axis is not 4.

    >>> as_boxes([]).shape
    (0, 4)
    """
    array = np.asarray(boxes, np.float32)
    if array.size == 0:
        return np.zeros((0, 4), np.float32)
    array = np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(
            f"Boxes must have the shape (N, 4) as x0, y0, x1, y1; received {array.shape}."
        )
    return array


def area(boxes: ArrayLike) -> np.ndarray:
    """Area of each box as a share of the image, ``(N,)`` float32; 0 for inverted boxes.

    >>> area([[0.0, 0.0, 0.5, 0.5]]).tolist()
    [0.25]
    """
    sides = np.maximum(as_boxes(boxes)[:, 2:] - as_boxes(boxes)[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]


def iou(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Intersection over union of every box of ``a`` with every box of ``b``.

    ``IoU = |A ∩ B| / |A ∪ B|`` with half-open boxes, computed in float64 so that a threshold of
    exactly 0.5 falls on the right side. Two boxes without area have IoU 0.

    Args:
        a: ``(N, 4)`` xyxy, relative.
        b: ``(M, 4)`` xyxy, relative.

    Returns:
        ``(N, M)`` float64 in 0 to 1.

    >>> iou([0, 0, 1, 1], [[0, 0, 1, 0.5], [0, 0, 1, 1]]).tolist()
    [[0.5, 1.0]]
    """
    left, right = (as_boxes(boxes).astype(np.float64) for boxes in (a, b))
    top_left = np.maximum(left[:, None, :2], right[None, :, :2])
    bottom_right = np.minimum(left[:, None, 2:], right[None, :, 2:])
    intersection = np.prod(np.maximum(bottom_right - top_left, 0.0), axis=2)
    left_area, right_area = (
        np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1) for boxes in (left, right)
    )
    union = left_area[:, None] + right_area[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def best_iou(predicted: ArrayLike, truth: ArrayLike) -> float:
    """The highest IoU of one predicted box with any of the true boxes; 0 without any.

    >>> best_iou([0, 0, 1, 1], [])
    0.0
    """
    return float(iou(predicted, truth).max(initial=0.0))


def clip(boxes: ArrayLike) -> np.ndarray:
    """Cuts boxes off at the image's border; ``(N, 4)`` float32.

    >>> clip([-0.5, 0.25, 1.5, 0.75]).tolist()
    [[0.0, 0.25, 1.0, 0.75]]
    """
    return np.clip(as_boxes(boxes), 0.0, 1.0)


def is_valid(boxes: ArrayLike) -> np.ndarray:
    """Which boxes are finite and have an area inside the image; ``(N,)`` bool.

    >>> is_valid([[0, 0, 1, 1], [0.6, 0, 0.4, 1], [1.5, 0, 2, 1]]).tolist()
    [True, False, False]
    """
    array = as_boxes(boxes)
    inside = clip(array)
    return np.isfinite(array).all(axis=1) & (inside[:, 2:] > inside[:, :2]).all(axis=1)


def make_valid(boxes: Any, xp: Any = np) -> Any:
    """Turns any four finite numbers a box into valid boxes: inside the image and with an area.

    The corners are put in order and the sides clipped to the image; a side shorter than
    ``MIN_SIDE`` is widened about its middle. Valid boxes come back unchanged.

    Args:
        boxes: ``(N, 4)`` finite numbers, any float dtype.
        xp: ``numpy``, or ``tensorflow.experimental.numpy`` for tensors in a served graph: the
            same lines serve both, so library and servable cannot drift apart.

    Returns:
        ``(N, 4)`` boxes of the input's dtype.

    >>> make_valid(np.array([[0.75, -1.0, 0.25, 0.5]])).tolist()
    [[0.25, 0.0, 0.75, 0.5]]
    """
    low = xp.clip(xp.minimum(boxes[:, :2], boxes[:, 2:]), 0.0, 1.0)
    high = xp.clip(xp.maximum(boxes[:, :2], boxes[:, 2:]), 0.0, 1.0)
    middle = xp.clip((low + high) / 2, MIN_SIDE / 2, 1 - MIN_SIDE / 2)
    thin = high - low < MIN_SIDE
    low = xp.where(thin, middle - MIN_SIDE / 2, low)
    high = xp.where(thin, middle + MIN_SIDE / 2, high)
    return xp.concatenate([low, high], axis=1)


def union_box(boxes: ArrayLike) -> np.ndarray:
    """The smallest box around all boxes; ``(4,)`` float32.

    >>> union_box([[0, 0, 0.5, 0.5], [0.25, 0.25, 1, 0.75]]).tolist()
    [0.0, 0.0, 1.0, 0.75]
    """
    array = as_boxes(boxes)
    if len(array) == 0:
        raise ValueError("There is no box around no boxes; pass at least one.")
    return np.concatenate([array[:, :2].min(axis=0), array[:, 2:].max(axis=0)])


def centred_box(width: float, height: float) -> np.ndarray:
    """The box of the given relative size in the middle of the image; ``(4,)`` float32.

    >>> centred_box(0.5, 1.0).tolist()
    [0.25, 0.0, 0.75, 1.0]
    """
    return np.array(
        [0.5 - width / 2, 0.5 - height / 2, 0.5 + width / 2, 0.5 + height / 2], np.float32
    )


# --- Conventions of files. Sizes are (height, width) in pixels, as everywhere in sensmap. ---


def pixels_to_xyxy(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """From half-open pixel corners ``x0, y0, x1, y1`` to relative xyxy.

    >>> pixels_to_xyxy([0, 0, 50, 100], size=(100, 100)).tolist()
    [[0.0, 0.0, 0.5, 1.0]]
    """
    height, width = _check_size(size)
    array = np.asarray(boxes, np.float64)
    if array.size == 0:
        return as_boxes([])
    return as_boxes(array / [width, height, width, height])


def xyxy_to_pixels(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """From relative xyxy to half-open pixel corners, ``(N, 4)`` float32, not rounded.

    >>> xyxy_to_pixels([0.0, 0.0, 0.5, 1.0], size=(100, 200)).tolist()
    [[0.0, 0.0, 100.0, 100.0]]
    """
    height, width = _check_size(size)
    return as_boxes(boxes) * np.array([width, height, width, height], np.float32)


def inclusive_to_xyxy(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """From zero-based pixel corners that belong to the box (Tiny ImageNet, ILSVRC CLS-LOC).

    >>> inclusive_to_xyxy([0, 0, 63, 63], size=(64, 64)).tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """
    return pixels_to_xyxy(_plus(boxes, [0, 0, 1, 1]), size)


def voc_to_xyxy(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """From PASCAL VOC pixel corners: one-based and belonging to the box.

    >>> voc_to_xyxy([1, 1, 100, 50], size=(50, 100)).tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """
    return pixels_to_xyxy(_plus(boxes, [-1, -1, 0, 0]), size)


def xywh_to_xyxy(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """From a pixel corner with width and height, ``x, y, w, h`` (CUB-200-2011).

    >>> xywh_to_xyxy([10, 20, 30, 40], size=(80, 80)).tolist()
    [[0.125, 0.25, 0.5, 0.75]]
    """
    array = np.asarray(boxes, np.float64).reshape(-1, 4)
    return pixels_to_xyxy(np.concatenate([array[:, :2], array[:, :2] + array[:, 2:]], 1), size)


def yxyx_to_xyxy(boxes: ArrayLike) -> np.ndarray:
    """From relative ``ymin, xmin, ymax, xmax`` (TensorFlow Datasets); its own inverse.

    >>> yxyx_to_xyxy([0.0, 0.25, 1.0, 0.75]).tolist()
    [[0.25, 0.0, 0.75, 1.0]]
    """
    return as_boxes(boxes)[:, [1, 0, 3, 2]]


def _plus(boxes: ArrayLike, offset: list[int]) -> np.ndarray:
    return np.asarray(boxes, np.float64).reshape(-1, 4) + offset


def _check_size(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if height <= 0 or width <= 0:
        raise ValueError(
            f"An image size must be (height, width) in positive pixels; received {size}."
        )
    return height, width
