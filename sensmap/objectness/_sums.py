"""Sums over windows of an image, by integral images."""

from __future__ import annotations

import numpy as np


def sums(values: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The sum of ``(h, w)`` values inside each window, ``(M,)``."""
    return inside(integral(values[..., None]), windows)[:, 0]


def integral(values: np.ndarray) -> np.ndarray:
    """``(h + 1, w + 1, B)`` float32 sums over all that is above and to the left; a sum of ones
    over an image of this size is exact."""
    height, width, depth = values.shape
    found = np.zeros((height + 1, width + 1, depth), np.float32)
    np.cumsum(values, axis=0, dtype=np.float32, out=found[1:, 1:])
    np.cumsum(found[1:, 1:], axis=1, out=found[1:, 1:])
    return found


def inside(sums_to: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The sums ``(M, B)`` inside windows."""
    width = sums_to.shape[1]
    rows = sums_to.reshape(-1, sums_to.shape[2])
    x0, y0, x1, y1 = windows.T
    found = rows[y1 * width + x1]
    found -= rows[y0 * width + x1]
    found -= rows[y1 * width + x0]
    found += rows[y0 * width + x0]
    return found


def areas(windows: np.ndarray) -> np.ndarray:
    return np.prod(windows[:, 2:] - windows[:, :2], axis=1)


def corners(windows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Relative windows as pixel corners, a pixel wide at least."""
    height, width = size
    found = np.rint(windows * [width, height, width, height]).astype(np.int64)
    found[:, :2] = np.minimum(found[:, :2], [width - 1, height - 1])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    return found
