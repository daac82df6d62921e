"""From maps to masks, and from masks to boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sensmap._opencv import cv2


def merged(maps: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """One map of the layers' maps of an image, each over its maximum.

    Args:
        maps: one ``(h, w)`` map a layer, non-negative.
        size: ``(height, width)`` in pixels that they are resized to, linearly.

    Returns:
        ``(height, width)`` float32; zero everywhere if any of the maps is not finite or zero
        everywhere.

    >>> merged([np.array([[0.0, 2.0]]), np.array([[3.0]])], (1, 2)).tolist()
    [[0.5, 1.0]]
    """
    total = np.zeros(size, np.float32)
    for each in maps:
        peak = each.max(initial=0.0)
        if not np.isfinite(each).all() or peak <= 0:
            return np.zeros(size, np.float32)
        scaled = (np.asarray(each, np.float64) / peak).astype(np.float32)
        total += cv2.resize(scaled, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return total / len(maps)


def within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """A size with the same aspect whose longer side is at most so many pixels.

    >>> within((375, 500), 250), within((80, 100), 250), within((1, 5000), 250)
    ((188, 250), (80, 100), (1, 250))
    """
    share = min(1.0, side / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a ``(h, w)`` bool mask, diagonal neighbours included; of
    several equally large ones the uppermost, then leftmost.

    >>> largest_component(np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1]], bool)).sum()
    np.int64(2)
    """
    _, labels, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if len(found) < 2:
        return np.zeros(mask.shape, bool)
    return labels == 1 + int(np.argmax(found[1:, cv2.CC_STAT_AREA]))


def largest_box(mask: np.ndarray) -> np.ndarray:
    """The bounding box of `largest_component`: ``(4,)`` float32 xyxy, relative; of an empty mask
    the whole image.

    >>> largest_box(np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]], bool)).round(2).tolist()
    [0.75, 0.33000001311302185, 1.0, 1.0]
    """
    found = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
    if len(found) < 2:
        return np.array([0, 0, 1, 1], np.float32)
    x, y, width, height = found[1 + int(np.argmax(found[1:, cv2.CC_STAT_AREA])), :4]
    shape = np.array([mask.shape[1], mask.shape[0]] * 2)
    return (np.array([x, y, x + width, y + height]) / shape).astype(np.float32)


def resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A ``(h, w)`` bool mask at another size, by the nearest pixel."""
    taken = cv2.resize(
        mask.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return taken.astype(bool)
