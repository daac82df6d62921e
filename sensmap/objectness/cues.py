"""The cues of the objectness measure, each a number for every window.

Windows are ``(M, 4)`` integer corners in pixels, half-open, unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap import boxes as box_geometry
from sensmap._opencv import cv2
from sensmap.objectness._sums import areas, corners, inside, integral, sums
from sensmap.objectness.parameters import Parameters
from sensmap.objectness.superpixels import superpixels

CUES = ("saliency", "contrast", "edges", "straddling")
# A window covers an object from this IoU on.
COVERS = 0.5
# The sides of the saliency maps, in pixels.
SCALES = (16, 24, 32, 48, 64)
# Levels of L, a and b in colour histograms.
_LEVELS = (4, 8, 8)


def cues(
    image: np.ndarray, windows: np.ndarray, learned: Parameters, names: Sequence[str] = CUES
) -> dict[str, np.ndarray]:
    """The cues of these names, ``(M,)`` each.

    Args:
        image: ``(h, w, 3)`` uint8 RGB, of the size to work at.
        windows: ``(M, 4)`` xyxy, relative.
        learned: the cues' own parameters; likelihoods are not used.
        names: of `CUES`.
    """
    at = corners(windows, image.shape[:2])
    compute = {
        "saliency": lambda: saliency(image, at, learned.saliency),
        "contrast": lambda: contrast(image, at, learned.contrast),
        "edges": lambda: edge_density(edgels(image), at, learned.edges),
        "straddling": lambda: straddling(superpixels(image, learned.straddling), at),
    }
    return {name: compute[name]() for name in names}


def saliency(image: np.ndarray, windows: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """MS, section 2.1: the salient share of the map inside, times the salient share of pixels.

        MS(w) = max over scales of  sum over p in w with I(p) >= t of I(p)
                                    * |{p in w : I(p) >= t}| / |w|

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        windows: ``(M, 4)`` corners.
        thresholds: for each scale t, in multiples of the mean of I; I is a spectral residual
            (Hou & Zhang 2007) with the sum 1, added up over the colour channels.
    """
    best = np.zeros(len(windows))
    for side, threshold in zip(SCALES, thresholds, strict=True):
        best = np.maximum(best, saliency_at(image, windows, side, threshold))
    return best


def saliency_at(image: np.ndarray, windows: np.ndarray, side: int, threshold: float) -> np.ndarray:
    """`saliency` at one scale."""
    channels = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64)
    spectrum = np.fft.fft2(channels, axes=(0, 1))
    log = np.log(np.abs(spectrum) + 1e-3)
    residual = np.exp(log - cv2.blur(log, (3, 3)) + 1j * np.angle(spectrum))
    values = (np.abs(np.fft.ifft2(residual, axes=(0, 1))) ** 2).sum(axis=2)
    values = cv2.GaussianBlur(values, (0, 0), 1.5)
    values = cv2.resize(values, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    total = values.sum()
    if not total > 0:
        return np.zeros(len(windows))
    salient = values >= threshold * values.mean()
    within = sums(np.where(salient, values / total, 0.0), windows)
    return within * sums(salient, windows) / areas(windows)


def contrast(image: np.ndarray, windows: np.ndarray, margin: float) -> np.ndarray:
    """CC, section 2.2: how the colours inside differ from those in a ring around.

    The chi-square distance ``sum (a - b)^2 / (a + b) / 2`` of LAB histograms of 4x8x8 bins, each
    with the sum 1; 0 where there is no ring.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        windows: ``(M, 4)`` corners.
        margin: the share of its width and height that the ring adds to a window, half on each
            side.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.int64)
    codes = lab[..., 0] * _LEVELS[0] // 256
    for channel in (1, 2):
        # Photographs use the middle half of a and b.
        centred = np.clip((lab[..., channel] - 64) * 2, 0, 255)
        codes = codes * _LEVELS[channel] + centred * _LEVELS[channel] // 256
    _, bins = np.unique(codes, return_inverse=True)
    counts = bins.reshape(image.shape[:2])
    by_bin = integral(counts[..., None] == np.arange(counts.max() + 1))
    within = inside(by_bin, windows)
    ring = inside(by_bin, _grown(windows, margin, image.shape[:2])) - within
    around = ring.sum(axis=1)
    a, b = within / areas(windows)[:, None], ring / np.maximum(around, 1)[:, None]
    # Of shares, (a - b)^2 / (a + b) is a + b - 4 a b / (a + b).
    both = a * b / np.maximum(a + b, 1e-12)
    return np.where(around > 0, 1 - 2 * both.sum(axis=1), 0.0)


def edgels(image: np.ndarray) -> np.ndarray:
    """Canny's edge pixels, ``(h, w)`` bool."""
    return cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 60, 150) > 0


def edge_density(edges: np.ndarray, windows: np.ndarray, margin: float) -> np.ndarray:
    """ED, section 2.3: the edge pixels in a window's inner ring, over the ring's length.

    Args:
        edges: ``(h, w)`` bool.
        windows: ``(M, 4)`` corners.
        margin: the share of its width and height that the ring takes of a window, half on each
            side.
    """
    inner = _grown(windows, -margin, edges.shape)
    length = 2 * (windows[:, 2:] - windows[:, :2]).sum(axis=1)
    counted = integral(edges[..., None])
    return (inside(counted, windows) - inside(counted, inner))[:, 0] / length


def straddling(segments: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """SS, section 2.4: 1 less the share of a window that belongs to superpixels it cuts through.

    Args:
        segments: ``(h, w)`` int, the number of each pixel's superpixel, from 0.
        windows: ``(M, 4)`` corners.

    >>> segments = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    >>> straddling(segments, np.array([[0, 0, 2, 2], [0, 0, 3, 2], [0, 0, 1, 2]])).round(2)
    array([1.  , 0.67, 0.  ])
    """
    sizes = np.bincount(segments.ravel())
    cut = inside(integral(segments[..., None] == np.arange(len(sizes))), windows)
    return 1 - np.minimum(cut, sizes - cut).sum(axis=1) / areas(windows)


def location(windows: ArrayLike, boxes: Sequence[ArrayLike]) -> np.ndarray:
    """LS, after section 2.5: the share of training images in which a window covers an object, with
    one image more in which it half does, so that nothing is certain.

    Args:
        windows: ``(M, 4)`` xyxy, relative.
        boxes: of each training image ``(n, 4)``, relative.

    >>> location([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], [[[0, 0, 1, 0.5]]]).tolist()
    [0.75, 0.75]
    """
    x0, y0, x1, y1 = box_geometry.as_boxes(windows).T.copy()
    sizes = (x1 - x0) * (y1 - y0)
    covered = np.full(len(sizes), 0.5)
    for of_image in boxes:
        covers = np.zeros(len(sizes), bool)
        for low_x, low_y, high_x, high_y in box_geometry.as_boxes(of_image):
            width = np.minimum(x1, high_x) - np.maximum(x0, low_x)
            height = np.minimum(y1, high_y) - np.maximum(y0, low_y)
            both = sizes + (high_x - low_x) * (high_y - low_y)
            # IoU >= t without a division: there are 17 million pairs.
            covers |= (1 + COVERS) * np.maximum(width, 0) * height >= COVERS * both
        covered += covers
    return covered / (len(boxes) + 1)


def _grown(windows: np.ndarray, share: float, size: tuple[int, int]) -> np.ndarray:
    """Windows with a share of their width and height more, within the image; or less, if it is
    negative: a pixel on each side at least."""
    sides = windows[:, 2:] - windows[:, :2]
    each = np.rint(np.abs(share) / 2 * sides).astype(np.int64)
    each = np.maximum(each, 1) * (1 if share > 0 else -1)
    each = np.maximum(each, -(sides // 2))
    low = np.maximum(windows[:, :2] - each, 0)
    high = np.minimum(windows[:, 2:] + each, [size[1], size[0]])
    return np.concatenate([low, np.maximum(high, low)], axis=1)
