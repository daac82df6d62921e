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

The inner contours run around holes, and these are the same thing upside down: each pixel points to
the smallest of the four neighbours beside, above and below it, and so to a pit, or to the zeros
that surround the map. A hole's contour is one pixel larger than the hole on each side.

Which of several contours is the largest is known from the area that each peak has at each level.
Only where this leaves a doubt, as holes are not in that area, OpenCV draws them. The result equals
that of drawing them 1,000 times, to the last bit, at a small part of the time.
"""

from __future__ import annotations

import functools

import numpy as np

from sensmap import protocols
from sensmap._opencv import cv2

LEVELS = 255
# The level that each of the 1,000 thresholds falls on.
THRESHOLDS = np.arange(0, 1, 0.001)
LEVEL_OF_THRESHOLD = (THRESHOLDS * LEVELS).astype(int)

CONTOURS = ("single", "multi")

# A corner of no box: below all others, as both far and (negated) near ones are.
_NONE = -(2**15)

_SQUARE = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def best_ious(scores: np.ndarray, truths: np.ndarray, contours: str) -> np.ndarray:
    """The highest IoU, at each level, of a box of the map with a true box.

    At level l the pixels with ``uint8(255 s) > l`` are kept; with ``"single"`` the box is that of
    the contour that encloses the largest area (the first of several), with ``"multi"`` each
    contour, inner ones included, gives a box. A contour's box is
    ``(x, y, min(x + w, W - 1), min(y + h, H - 1))``, and none gives ``(0, 0, 0, 0)``.

    Args:
        scores: ``(H, W)`` float64 from 0 to 1, as `_score_maps.normalize` gives; sides 2 to 300.
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
    values, order = _framed(scores)
    highest = int(values.max())
    found = np.zeros(LEVELS)
    found[highest:] = protocols.inclusive_iou(np.zeros((1, 4), int), truths).max()
    if not highest:
        return found
    owner = _peaks(order)
    corners = _tables(owner, values)
    saddles = _saddles(owner, values, diagonal=True)
    if contours == "multi":
        _join(saddles, corners)
        level, _, outer = _boxed(corners, highest)
        hole_level, _, inner = _boxed(_hole_corners(order, values), highest)
        around = np.concatenate([outer, inner + 1])
        overlaps = _overlaps(around, scores.shape, truths)
        np.maximum.at(found, np.concatenate([level, hole_level]), overlaps)
        return found
    areas = _areas(owner, values, len(corners))
    _join(saddles, corners, areas)
    level, component, outer = _boxed(corners, highest)
    starts = np.searchsorted(level, np.arange(highest))
    holed = np.diff(starts, append=len(level)) != _euler_numbers(values)[:highest]
    largest, doubtful = _largest(areas[component, level], outer, starts, holed)
    found[:highest] = _overlaps(outer[largest], scores.shape, truths)
    for each in np.flatnonzero(doubtful).tolist():
        found[each] = protocols.inclusive_iou(_drawn(values, each, scores.shape), truths).max()
    return found


def _framed(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The map within a frame of zeros, one pixel wide, or two where a side would be odd.

    Returns:
        ``(H', W')`` uint8 the values 0 to 255; ``(H', W')`` float64 the same as numbers of which
        no two are equal, but for those of the frame, 0: by their last bits (`_position_bits`) they
        say which pixel it is, and by those above, of which 20 stand for the score's fraction, they
        are ordered as the values are.
    """
    height, width = scores.shape
    order: np.ndarray = cv2.copyMakeBorder(
        scores, 1, 1 + height % 2, 1, 1 + width % 2, cv2.BORDER_CONSTANT, value=0
    )
    # In place: large arrays are cheaper to fill than to get.
    order *= LEVELS
    values = order.astype(np.uint8)
    # Exact, so that a larger number never has a smaller value.
    order *= 2.0**20
    np.floor(order, out=order)
    order *= 2.0 ** _position_bits(order.shape)
    order += _numbers(scores.shape, order.shape)
    return values, order


@functools.lru_cache(maxsize=8)
def _numbers(shape: tuple[int, int], framed: tuple[int, int]) -> np.ndarray:
    """What is added to the pixels to tell them apart: their positions, above those of the frame."""
    numbers = np.zeros(framed)
    inside = slice(1, shape[0] + 1), slice(1, shape[1] + 1)
    numbers[inside] = _positions(framed)[inside] + 2 ** _position_bits(framed)
    return numbers


def _position_bits(shape: tuple[int, int]) -> int:
    return (shape[0] * shape[1] - 1).bit_length()


@functools.lru_cache(maxsize=8)
def _positions(shape: tuple[int, int]) -> np.ndarray:
    return np.arange(shape[0] * shape[1]).reshape(shape)


def _peaks(order: np.ndarray) -> np.ndarray:
    """To which peak, a pixel above its eight neighbours, each pixel leads.

    Returns:
        ``(H', W')`` uint16, the peaks' numbers from 1; 0 in the frame.
    """
    # Two by two pixels are neighbours of each other: the largest of them steps for all.
    pairs = np.maximum(order[::2], order[1::2])
    largest = _pixel(np.maximum(pairs[:, ::2], pairs[:, 1::2]).ravel(), order.shape)
    step = _pixel(cv2.dilate(order, _SQUARE).ravel()[largest], order.shape)
    number = _ends(_block(order.shape)[step]) + np.uint16(1)
    number = number.reshape(order.shape[0] // 2, -1)
    owner = cv2.resize(number, order.shape[::-1], interpolation=cv2.INTER_NEAREST)
    owner[0] = owner[-1] = owner[:, 0] = owner[:, -1] = 0
    return owner


def _pits(order: np.ndarray, values: np.ndarray) -> np.ndarray:
    """To which pit, a pixel below its four neighbours, each pixel leads.

    Returns:
        ``(H', W')`` uint16, the pits' numbers from 1; 0 for what leads out of the map.
    """
    # Few: from all others a straight way leads out on which nothing is higher.
    pixels = np.flatnonzero(_enclosed(values))
    place = np.zeros(order.size, np.int64)
    place[pixels] = np.arange(1, len(pixels) + 1)
    step = _pixel(cv2.erode(order, _CROSS).ravel()[pixels], order.shape)
    owner = np.zeros(order.shape, np.uint16)
    owner.ravel()[pixels] = _ends(np.append(0, place[step]))[1:]
    return owner


def _enclosed(values: np.ndarray) -> np.ndarray:
    """``(H', W')`` bool, the pixels that have a higher one on each of their four sides."""
    between_rows, between_columns = (
        np.minimum(_from_here_on(each), _from_here_on(each[::-1])[::-1]) > each
        for each in (values, cv2.transpose(values))
    )
    return between_rows & between_columns.T


def _from_here_on(rows: np.ndarray) -> np.ndarray:
    """The largest, by columns, of each row and all that follow."""
    # After each turn of twice as many rows. NumPy's own `accumulate` takes them one by one.
    highest, step = rows.copy(), 1
    while step < len(rows):
        highest[:-step] = np.maximum(highest[:-step], highest[step:])
        step *= 2
    return highest


def _pixel(order: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The positions of the pixels that have these numbers."""
    return order.astype(np.int64) & (2 ** _position_bits(shape) - 1)


@functools.lru_cache(maxsize=8)
def _block(shape: tuple[int, int]) -> np.ndarray:
    """``(H' * W',)`` the two by two pixels, counted from 0, that each position is in."""
    blocks = np.arange(shape[0] * shape[1] // 4).reshape(shape[0] // 2, -1)
    return blocks.repeat(2, axis=0).repeat(2, axis=1).ravel()


def _ends(leads: np.ndarray) -> np.ndarray:
    """``(n,)`` uint16, the end that each of n places leads to, numbered from 0 in order.

    Args:
        leads: ``(n,)`` int64, the next place after each, which at an end is itself.
    """
    places = np.arange(len(leads))
    ends = np.flatnonzero(leads == places)
    while not np.array_equal(further := leads[leads], leads):
        leads = further[further]
    number = np.zeros(len(leads), np.uint16)
    number[ends] = places[: len(ends)]
    return number[leads]


def _tables(owner: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What of each peak's pixels is kept at each level.

    Returns:
        ``(k, 4, 255)`` int16 the largest -x, -y, x and y of the pixels, of which (0, 0) is the
        first within the frame; a row for each number there is and for 0.
    """
    columns = 4 * (int(owner.max()) + 1)
    corners = np.full((LEVELS + 1, columns), _NONE, np.int16)
    # A run is what a column, or a row, has of one peak without a gap.
    turned = cv2.transpose(owner), cv2.transpose(values)
    for axis, (owners, kept) in enumerate([turned, (owner, values)]):
        starts = _apart(owners, 1) + 1
        line = (starts // owners.shape[1] - 1).astype(np.int16)
        cells = np.multiply(np.maximum.reduceat(kept.ravel(), starts), columns, dtype=np.int64)
        cells += owners.ravel()[starts] * np.int64(4) + axis
        np.maximum.at(corners.ravel(), cells, -line)
        np.maximum.at(corners.ravel(), cells + 2, line)
    corners[:, :4] = _NONE
    return cv2.transpose(_from_here_on(corners)[1:]).reshape(-1, 4, LEVELS)


def _apart(owner: np.ndarray, step: int) -> np.ndarray:
    """The positions of pixels that are not of the peak that those are of, a step further on."""
    owners = owner.ravel()
    return np.flatnonzero(owners[:-step] != owners[step:])


def _areas(owner: np.ndarray, values: np.ndarray, peaks: int) -> np.ndarray:
    """``(k, 255)`` twice the area of the polygon through each peak's pixels at each level."""
    # Of two by two pixels four kept are an area of 1, three of 1/2. Where three are kept so is
    # the larger of the upper two, and where four all are.
    marked = np.multiply(values, 2**16, dtype=np.int32) + owner
    upper = np.maximum(marked[:-1, :-1], marked[:-1, 1:]) & (2**16 - 1)
    cells = np.multiply(upper, LEVELS + 1, dtype=np.int64)
    halves = np.zeros(peaks * (LEVELS + 1), np.int64)
    for smallest in _third_and_fourth(values):
        halves += np.bincount((cells + smallest).ravel(), minlength=len(halves))
    return halves.reshape(peaks, LEVELS + 1)[:, :0:-1].cumsum(axis=1)[:, ::-1]


def _third_and_fourth(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The third largest and the smallest of each two by two pixels."""
    high = np.maximum(values[:, :-1], values[:, 1:])
    low = np.minimum(values[:, :-1], values[:, 1:])
    third = np.minimum(np.minimum(high[:-1], high[1:]), np.maximum(low[:-1], low[1:]))
    return third, np.minimum(low[:-1], low[1:])


def _saddles(owner: np.ndarray, values: np.ndarray, diagonal: bool) -> list[tuple[int, int, int]]:
    """Which pixels of two peaks touch: the highest value of each pair, and the pair, descending."""
    owners, kept = owner.ravel(), values.ravel()
    width, peaks = owner.shape[1], int(owner.max()) + 1
    # The frame keeps a row's last pixel from the next row's first.
    right, below = _apart(owner, 1), _apart(owner, width)
    sides = [(right, right + 1), (below, below + width)]
    if diagonal:
        # Where one of the other two pixels is not lower, it links these as well.
        a, b, c, d = kept[: -width - 1], kept[1:-width], kept[width:-1], kept[width + 1 :]
        falling = np.flatnonzero(np.minimum(a, d) > np.maximum(b, c))
        rising = np.flatnonzero(np.minimum(b, c) > np.maximum(a, d))
        sides += [(falling, falling + width + 1), (rising + 1, rising + width)]
    first, second = (np.concatenate(each) for each in zip(*sides, strict=True))
    touching = np.minimum(kept[first], kept[second])
    one, other = owners[first], owners[second]
    pair = np.minimum(one, other).astype(np.int64) * peaks + np.maximum(one, other)
    keys = np.sort(pair * (LEVELS + 1) + touching)
    pairs, touching = np.divmod(keys, LEVELS + 1)
    highest = np.append(pairs[1:] != pairs[:-1], True)[: len(keys)] & (touching > 0)
    first, second = np.divmod(pairs[highest], peaks)
    saddles = zip(touching[highest].tolist(), first.tolist(), second.tolist(), strict=True)
    return sorted(saddles, reverse=True)


def _join(
    saddles: list[tuple[int, int, int]], corners: np.ndarray, areas: np.ndarray | None = None
) -> None:
    """Adds, below each saddle, what one peak has to the other of a lower number, in place."""
    joined_to = list(range(len(corners)))

    def root(peak: int) -> int:
        while joined_to[peak] != peak:
            joined_to[peak] = joined_to[joined_to[peak]]
            peak = joined_to[peak]
        return peak

    for value, first, second in saddles:
        into, gone = sorted((root(first), root(second)))
        if into != gone:
            joined_to[gone] = into
            below, both = corners[gone, :, :value], corners[into, :, :value]
            np.maximum(both, below, out=both)
            below[:] = _NONE
            if areas is not None:
                areas[into, :value] += areas[gone, :value]


def _hole_corners(order: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``(k, 4, 255)`` the largest -x, -y, x and y of each hole at each level."""
    owner = _pits(order, values)
    # At level l a hole has values of at most l: 255 - values are above 254 - l.
    turned = LEVELS - values
    corners = _tables(owner, turned)
    _join(_saddles(owner, turned, diagonal=False), corners)
    corners[0] = _NONE
    return corners[:, :, ::-1]


def _boxed(corners: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All components at the first levels: each one's level, ascending, number and corners."""
    level, component = np.nonzero(corners[:, 0, :levels].T != _NONE)
    return level, component, corners[component, :, level].astype(np.int64)


def _overlaps(corners: np.ndarray, shape: tuple[int, int], truths: np.ndarray) -> np.ndarray:
    """``(n,)`` the highest IoU with a true box of each contour, from its pixels' corners."""
    boxes = corners * [-1, -1, 1, 1] + [0, 0, 1, 1]
    boxes = np.minimum(boxes, [shape[1], shape[0], shape[1] - 1, shape[0] - 1])
    return protocols.inclusive_iou(boxes, truths).max(axis=1)


def _euler_numbers(values: np.ndarray) -> np.ndarray:
    """Components (by eight neighbours) less holes (by four) at each level, ``(255,)``.

    Squares less edges plus corners of the kept pixels: an edge belongs to them if one of two
    pixels does, a corner if one of four does.
    """
    high, wide = np.maximum(values[1:], values[:-1]), np.maximum(values[:, 1:], values[:, :-1])
    corner = np.maximum(high[:, 1:], high[:, :-1])
    change = _histogram(values) - _histogram(high) - _histogram(wide) + _histogram(corner)
    return change[:0:-1].cumsum()[::-1]


def _histogram(values: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([values], [0], None, [LEVELS + 1], [0, LEVELS + 1])
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


def _drawn(values: np.ndarray, level: int, shape: tuple[int, int]) -> np.ndarray:
    """``(1, 4)`` the box of the largest contour at one level, as OpenCV draws it."""
    height, width = shape
    _, mask = cv2.threshold(values, level, LEVELS, cv2.THRESH_BINARY)
    found, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE, offset=(-1, -1))
    x, y, wide, high = cv2.boundingRect(max(found, key=cv2.contourArea))
    return np.array([[x, y, min(x + wide, width - 1), min(y + high, height - 1)]])
