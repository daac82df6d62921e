"""The windows of an image that most likely hold an object."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sensmap import boxes as box_geometry
from sensmap._opencv import cv2
from sensmap.objectness.cues import cues, location
from sensmap.objectness.parameters import parameters

# Pixels of the longer side that images are worked at, at most; the paper's are about 500.
_SIDE = 192
# Corners lie on a lattice of so many steps a side; small windows on one twice as fine.
_STEPS = 16
# A window's longer side over its shorter one, in pixels, at most.
_LONGEST = 4.0
# So many windows go on to the cues that take longer.
_SHORTLIST = 4000


class Windows(NamedTuple):
    """Windows of an image, best first.

    Attributes:
        boxes: ``(M, 4)`` float32 xyxy, relative.
        scores: ``(M,)`` float64, the probability of an object.
    """

    boxes: np.ndarray
    scores: np.ndarray


def propose(image: np.ndarray, count: int = 100, overlap: float = 0.5) -> Windows:
    """The windows that most likely hold an object.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        count: how many windows at most.
        overlap: no two windows have a higher IoU than this: of two the better one stays.

    Raises:
        ValueError: for what is not an image, or numbers out of their range.

    >>> image = np.full((60, 90, 3), (40, 90, 40), np.uint8)
    >>> image[10:50, 15:75] = (230, 40, 40)
    >>> found = propose(image, count=1)
    >>> bool(box_geometry.iou(found.boxes, [1 / 6, 1 / 6, 5 / 6, 5 / 6])[0, 0] > 0.7)
    True
    """
    if count < 1 or not 0 < overlap <= 1:
        raise ValueError(
            "count must be at least 1 and overlap above 0, at most 1; received "
            f"{count} and {overlap}."
        )
    small = reduced(image)
    usable = aspect_allows(small.shape[:2])
    windows = lattice()[usable]
    located = _lattice_location()[usable]
    total = np.log(located / (1 - located)) + _evidence(small, windows, ("saliency", "edges"))
    # The other cues take longer, and are left to windows with some hope.
    kept = np.argsort(-total, kind="stable")[:_SHORTLIST]
    windows = windows[kept]
    total = total[kept] + _evidence(small, windows, ("contrast", "straddling"))
    order = np.argsort(-total, kind="stable")
    probabilities = 1 / (1 + np.exp(-total[order]))
    return suppress(Windows(windows[order].astype(np.float32), probabilities), count, overlap)


def _evidence(image: np.ndarray, windows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    learned = parameters()
    areas = box_geometry.area(windows)
    found = cues(image, windows, learned, names)
    ratios = [learned.likelihoods[name].log_ratio(found[name], areas) for name in names]
    return learned.weight * np.sum(ratios, axis=0)


@functools.cache
def _lattice_location() -> np.ndarray:
    """LS of each window of the lattice, which is the same in all images."""
    return location(lattice(), parameters().boxes)


def reduced(image: np.ndarray) -> np.ndarray:
    """The image at the size that it is worked at.

    Raises:
        ValueError: for what is not an image.
    """
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.shape[2:] != (3,)
        or 0 in image.shape
    ):
        raise ValueError(
            "Objectness takes images as (H, W, 3) uint8 RGB arrays; received "
            f"{getattr(image, 'dtype', type(image).__name__)}{np.shape(image)}."
        )
    share = min(1.0, _SIDE / max(image.shape[:2]))
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@functools.cache
def lattice() -> np.ndarray:
    """The windows that are looked at: ``(M, 4)`` float64 xyxy, relative.

    >>> lattice()[0].tolist()
    [0.0, 0.0, 0.125, 0.125]
    """
    found = np.concatenate([_windows(_STEPS, 2, _STEPS), _windows(2 * _STEPS, 2, 4)])
    found.flags.writeable = False
    return found


def _windows(steps: int, shortest: int, longest: int) -> np.ndarray:
    intervals = [
        (low / steps, high / steps)
        for low, high in itertools.combinations(range(steps + 1), 2)
        if shortest <= high - low <= longest
    ]
    pairs = itertools.product(intervals, intervals)
    return np.array([(x0, y0, x1, y1) for (y0, y1), (x0, x1) in pairs])


def aspect_allows(size: tuple[int, int]) -> np.ndarray:
    """Which windows of the lattice are not too long in an image of that size: ``(M,)`` bool; the
    whole image always is one of them."""
    sides = lattice()[:, 2:] - lattice()[:, :2]
    ratios = sides[:, 0] * size[1] / (sides[:, 1] * size[0])
    return (np.abs(np.log(ratios)) <= np.log(_LONGEST)) | (sides == 1).all(axis=1)


def suppress(windows: Windows, count: int, overlap: float) -> Windows:
    """The best windows of which no two overlap by more, at most so many.

    >>> boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 0.2, 0.2]], np.float32)
    >>> suppress(Windows(boxes, np.array([0.9, 0.8, 0.7])), 5, 0.5).scores.tolist()
    [0.9, 0.7]
    """
    left = np.arange(len(windows.boxes))
    chosen: list[int] = []
    while len(left) and len(chosen) < count:
        chosen.append(left[0])
        overlaps = box_geometry.iou(windows.boxes[left[0]], windows.boxes[left[1:]])[0]
        left = left[1:][overlaps <= overlap]
    return Windows(windows.boxes[chosen], windows.scores[chosen])
