"""The best IoU of a score map's boxes at every threshold, as 1,000 thresholds would find it.

Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020), section
3.3, score a map s, 0 to 1, by thresholding it at τ = 0, 0.001, ..., 0.999, boxing the contours of
what is left, and comparing the boxes with the true ones. Their code keeps the pixels of which
``uint8(255 s) > int(255 τ)``: the thresholds fall on 255 levels, and what is kept only shrinks from
one level to the next. So a map needs no contours, but two passes over its pixels:

1. Each pixel points to the largest of its neighbours, and so to a peak. Above a level all pixels
   below a peak are connected through it, which makes of ``peaks x levels`` bounding boxes.
2. Two peaks are connected up to the highest pixel at which their pixels touch. From the highest of
   these saddles down, the boxes of one are added to those of the other.

Inner contours, those of holes, are rare: the Euler number of each level says whether there are
any. There, and where several contours might be the largest, OpenCV draws them. The result equals
that of drawing them 1,000 times, to the last bit, at a small part of the time.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from sensmap import protocols
from sensmap._opencv import cv2

SIZE = protocols.WSOL_SIZE

LEVELS = 255
# The level that each of the 1,000 thresholds falls on.
THRESHOLDS = np.arange(0, 1, 0.001)
LEVEL_OF_THRESHOLD = (THRESHOLDS * LEVELS).astype(int)

CONTOURS = ("single", "multi")

# A corner of no box: below all others, as both far and (negated) near ones are.
_NONE = -(2**30)


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
    scores = cv2.resize(array, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    scores -= scores.min()
    highest = scores.max()
    return scores / highest if highest > 0 else scores


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


def best_ious(scores: np.ndarray, truths: np.ndarray, contours: str) -> np.ndarray:
    """The highest IoU, at each level, of a box of the map with a true box.

    At level l the pixels with ``uint8(255 s) > l`` are kept; with ``"single"`` the box is that of
    the contour that encloses the largest area (the first of several), with ``"multi"`` each
    contour, inner ones included, gives a box. A contour's box is
    ``(x, y, min(x + w, W - 1), min(y + h, H - 1))``, and none gives ``(0, 0, 0, 0)``.

    Args:
        scores: ``(H, W)`` float64, 0 to 1, as `normalize` gives them; sides of at least 2.
        truths: ``(n, 4)`` whole numbers, x0, y0, x1, y1 in pixels of the map; at least one.
        contours: ``"single"`` or ``"multi"``.

    Returns:
        ``(255,)`` float64, the IoU (`sensmap.protocols.inclusive_iou`) at the levels 0 to 254.

    >>> scores = np.zeros((4, 5))
    >>> scores[1:3, 1:3] = 0.5
    >>> ious = best_ious(scores, np.array([[1, 1, 3, 3]]), "multi")
    >>> ious[[0, 126, 127]].round(3).tolist()
    [1.0, 1.0, 0.0]
    """
    values = (scores * LEVELS).astype(np.uint8)
    highest = int(values.max())
    found = np.empty(LEVELS)
    found[highest:] = protocols.inclusive_iou(np.zeros((1, 4), int), truths).max()
    if not highest:
        return found
    peaks, owner = _peaks(scores, values)
    corners, areas = _tables(values, owner, peaks, with_areas=contours == "single")
    _join(corners, areas, _saddles(values, owner))

    level, component = np.nonzero(corners[:, 0, :highest].T != _NONE)
    starts = np.searchsorted(level, np.arange(highest))
    corners = corners[component, :, level]
    overlaps = protocols.inclusive_iou(_as_boxes(corners, values.shape), truths).max(axis=1)
    holed = np.diff(starts, append=len(level)) != _euler_numbers(values)[:highest]
    if contours == "multi":
        found[:highest] = np.maximum.reduceat(overlaps, starts)
        drawn = holed
    else:
        largest, drawn = _largest(areas[component, level], corners, starts, holed)
        found[:highest] = overlaps[largest]
    if drawn.any():
        at = np.flatnonzero(drawn)
        around = np.maximum.reduceat(corners, starts)[at]
        boxes = [
            _drawn(values, level, corner, contours)
            for level, corner in zip(at.tolist(), around.tolist(), strict=True)
        ]
        overlaps = protocols.inclusive_iou(np.concatenate(boxes), truths).max(axis=1)
        starts = np.cumsum([0] + [len(each) for each in boxes[:-1]])
        found[at] = np.maximum.reduceat(overlaps, starts)
    return found


def _peaks(scores: np.ndarray, values: np.ndarray) -> tuple[int, np.ndarray]:
    """The pixels that are above their eight neighbours, and to which of them each pixel leads.

    Returns:
        The number k of peaks with a value above 0; ``(H, W)`` the index of each pixel's peak, 0
        for what leads to none.
    """
    pixels = scores.size
    # Larger by the score, among equals by the position, so that every path ends. The score is
    # kept to 20 bits below a value, exactly, so that a larger one never has a smaller value.
    bits = (pixels - 1).bit_length()
    order = np.floor(scores * LEVELS * 2.0**20) * 2.0**bits
    order += _positions(pixels).reshape(scores.shape)
    leads = cv2.dilate(order, np.ones((3, 3), np.uint8)).astype(np.int64).ravel()
    leads &= 2**bits - 1
    while not np.array_equal(further := leads[leads], leads):
        leads = further[further]
    peaks = np.flatnonzero(leads == _positions(pixels))
    peaks = peaks[values.ravel()[peaks] > 0]
    index = np.zeros(pixels, np.int64)
    index[peaks] = np.arange(len(peaks))
    return len(peaks), index[leads].reshape(scores.shape)


def _tables(
    values: np.ndarray, owner: np.ndarray, peaks: int, with_areas: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What of each peak's pixels is kept at each level.

    Returns:
        ``(k, 4, 255)`` the largest -x, -y, x and y of the pixels; ``(k, 255)`` twice the area of
        the polygon through them, or zeros.
    """
    cells = owner * (LEVELS + 1)
    flat = (cells + values).ravel()
    corners = np.full((4, peaks * (LEVELS + 1)), _NONE, np.int32)
    for corner, place in zip(corners, _places(values.shape), strict=True):
        np.maximum.at(corner, flat, place)
    by_value = corners.reshape(4, peaks, LEVELS + 1).transpose(1, 0, 2)
    by_level = np.maximum.accumulate(by_value[:, :, :0:-1], axis=2)[:, :, ::-1]
    areas = np.zeros((peaks, LEVELS), np.int64)
    if with_areas:
        # Of two by two pixels four kept are an area of 1, three of 1/2. Where three are kept so
        # is the larger of the upper two, and where four are all are.
        lower_first = values[:-1, :-1] < values[:-1, 1:]
        upper = np.where(lower_first, cells[:-1, 1:], cells[:-1, :-1])
        third, fourth = _third_and_fourth(values)
        halves = np.bincount((upper + third).ravel(), minlength=peaks * (LEVELS + 1))
        halves += np.bincount((upper + fourth).ravel(), minlength=peaks * (LEVELS + 1))
        areas = halves.reshape(peaks, LEVELS + 1)[:, :0:-1].cumsum(axis=1)[:, ::-1]
    return by_level, areas


@functools.lru_cache(maxsize=8)
def _positions(pixels: int) -> np.ndarray:
    return np.arange(pixels)


@functools.lru_cache(maxsize=8)
def _places(shape: tuple[int, int]) -> np.ndarray:
    """``(4, H * W)`` -x, -y, x and y of each pixel."""
    y, x = np.indices(shape, np.int32).reshape(2, -1)
    return np.stack([-x, -y, x, y])


def _third_and_fourth(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The third largest and the smallest of each two by two pixels, ``(H - 1, W - 1)`` each."""
    high = np.maximum(values[:, :-1], values[:, 1:])
    low = np.minimum(values[:, :-1], values[:, 1:])
    third = np.minimum(np.minimum(high[:-1], high[1:]), np.maximum(low[:-1], low[1:]))
    return third, np.minimum(low[:-1], low[1:])


def _saddles(values: np.ndarray, owner: np.ndarray) -> list[tuple[int, int, int]]:
    """Which pixels of two peaks touch: the highest value of each pair, and the pair, descending."""
    owners, kept = owner.astype(np.int32).ravel(), values.ravel()
    peaks = int(owner.max()) + 1
    found = []
    # Right, below, below right and below left; where a row ends there is no neighbour.
    width = values.shape[1]
    for step, end in ((1, width - 1), (width, -1), (width + 1, width - 1), (width - 1, 0)):
        apart = np.flatnonzero(owners[:-step] != owners[step:])
        apart = apart[apart % width != end]
        one, other = owners[apart], owners[apart + step]
        pair = np.minimum(one, other).astype(np.int64) * peaks + np.maximum(one, other)
        found.append(pair * (LEVELS + 1) + np.minimum(kept[apart], kept[apart + step]))
    keys = np.sort(np.concatenate(found))
    pairs, touching = np.divmod(keys, LEVELS + 1)
    highest = np.append(pairs[1:] != pairs[:-1], True)[: len(keys)] & (touching > 0)
    first, second = np.divmod(pairs[highest], peaks)
    saddles = zip(touching[highest].tolist(), first.tolist(), second.tolist(), strict=True)
    return sorted(saddles, reverse=True)


def _join(corners: np.ndarray, areas: np.ndarray, saddles: list[tuple[int, int, int]]) -> None:
    """Adds, below each saddle, what one peak has to the other, in place."""
    joined_to = list(range(len(corners)))

    def root(peak: int) -> int:
        while joined_to[peak] != peak:
            joined_to[peak] = joined_to[joined_to[peak]]
            peak = joined_to[peak]
        return peak

    for value, first, second in saddles:
        into, gone = root(first), root(second)
        if into != gone:
            joined_to[gone] = into
            below = corners[gone, :, :value]
            np.maximum(corners[into, :, :value], below, out=corners[into, :, :value])
            below[:] = _NONE
            areas[into, :value] += areas[gone, :value]


def _as_boxes(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``(n, 4)`` boxes of the contours from the largest -x, -y, x and y of their pixels."""
    boxes = corners * [-1, -1, 1, 1] + [0, 0, 1, 1]
    return np.minimum(boxes, [shape[1], shape[0], shape[1] - 1, shape[0] - 1])


def _euler_numbers(values: np.ndarray) -> np.ndarray:
    """Components (by eight neighbours) less holes (by four) at each level, ``(255,)``.

    Squares less edges plus corners of the kept pixels: an edge belongs to them if one of two
    pixels does, a corner if one of four does.
    """
    framed = cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    high, wide = np.maximum(framed[1:], framed[:-1]), np.maximum(framed[:, 1:], framed[:, :-1])
    edges = _histogram(high[:, 1:-1]) + _histogram(wide[1:-1])
    change = _histogram(values) - edges + _histogram(np.maximum(high[:, 1:], high[:, :-1]))
    return change[:0:-1].cumsum()[::-1]


def _histogram(values: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([np.ascontiguousarray(values)], [0], None, [LEVELS + 1], [0, LEVELS + 1])
    return counts.ravel().astype(np.int64)


def _largest(
    areas: np.ndarray,
    corners: np.ndarray,
    starts: np.ndarray,
    holed: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """At each level the component whose outer contour encloses the most.

    Args:
        areas: ``(n,)`` twice the area of each level's components, holes left out.
        corners: ``(n, 4)`` the largest -x, -y, x and y of each.
        starts: ``(levels,)`` where each level's components begin.
        holed: ``(levels,)`` bool, which levels have holes.

    Returns:
        ``(levels,)`` indices of components; ``(levels,)`` bool, where these might be wrong.
    """
    sizes = np.diff(starts, append=len(areas))
    most = np.maximum.reduceat(areas, starts)
    candidates = np.flatnonzero(areas == np.repeat(most, sizes))
    largest = candidates[np.searchsorted(candidates, starts)]
    # With its holes a component encloses at most its bounding box.
    bounds = 2 * (corners[:, 0] + corners[:, 2]) * (corners[:, 1] + corners[:, 3])
    others = np.where(np.repeat(holed, sizes), bounds, areas)
    others[largest] = -1
    # A hole's contour encloses as much as the outer one only where nothing lies between them.
    open_ = (most <= np.maximum.reduceat(others, starts)) | (holed & (most == 0))
    return largest, open_


def _drawn(values: np.ndarray, level: int, around: list[int], contours: str) -> np.ndarray:
    """``(n, 4)`` the boxes at one level, at least one, from OpenCV's contours.

    Args:
        around: the largest -x, -y, x and y of all pixels kept.
    """
    height, width = values.shape
    x, y = -around[0], -around[1]
    part = values[y : around[3] + 1, x : around[2] + 1]
    _, mask = cv2.threshold(part, level, LEVELS, cv2.THRESH_BINARY)
    found, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))
    if contours == "single":
        found = [max(found, key=cv2.contourArea)]
    boxes = np.array([cv2.boundingRect(contour) for contour in found])
    boxes[:, 2:] += boxes[:, :2]
    return np.minimum(boxes, [width, height, width - 1, height - 1])
