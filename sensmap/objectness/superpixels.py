"""Superpixels: regions of one colour."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sensmap._opencv import cv2


def superpixels(image: np.ndarray, scale: float, smallest: int = 40) -> np.ndarray:
    """Felzenszwalb & Huttenlocher's segmentation (IJCV 2004), merged in rounds.

    Two regions A and B merge over the lightest edge between them, w the distance of its colours,
    where ``w <= min(Int(A) + k / |A|, Int(B) + k / |B|)``, with Int a region's heaviest edge so
    far. In each round every region looks at its own lightest edge, as in Boruvka's algorithm, so
    that a round is a few array operations and there are about ten. The original looks at all
    edges by their weights, one by one; here a region may have to decide about an edge while its
    neighbour has lighter ones left.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        scale: k; the higher, the larger the regions.
        smallest: regions of fewer pixels are merged with the most similar neighbour.

    Returns:
        ``(h, w)`` int32, from 0.
    """
    # Heaviest first, so that of several writes to a region's place the lightest edge's stays.
    first, second, weights = _pixel_edges(cv2.GaussianBlur(image, (0, 0), 0.5).astype(np.float32))
    count = image.shape[0] * image.shape[1]
    labels, sizes, heaviest = np.arange(count), np.ones(count, np.int64), np.zeros(count)
    a, b, left = first, second, weights
    while len(left):
        lightest = _lightest(a, b, len(sizes))
        limit = heaviest + scale / sizes
        # Nothing changes any more for a region whose lightest edge is too heavy for itself.
        closed = np.where(lightest >= 0, left[lightest], 0) > limit
        keep = ~(closed[a] | closed[b])
        chosen = np.unique(lightest[lightest >= 0])
        chosen = chosen[left[chosen] <= np.minimum(limit[a[chosen]], limit[b[chosen]])]
        if len(chosen):
            new = _joined(a[chosen], b[chosen], len(sizes))
            before = heaviest
            labels, sizes = new[labels], np.bincount(new, sizes).astype(np.int64)
            heaviest = np.zeros(len(sizes))
            np.maximum.at(heaviest, new, before)
            np.maximum.at(heaviest, new[a[chosen]], left[chosen])
            a, b = new[a], new[b]
            keep &= a != b
        a, b, left = a[keep], b[keep], left[keep]
    a, b = labels[first], labels[second]
    while (small := sizes < smallest).any() and len(sizes) > 1:
        between = a != b
        a, b = a[between], b[between]
        chosen = np.unique(_lightest(a, b, len(sizes))[small])
        new = _joined(a[chosen], b[chosen], len(sizes))
        labels, sizes = new[labels], np.bincount(new, sizes).astype(np.int64)
        a, b = new[a], new[b]
    return labels.reshape(image.shape[:2]).astype(np.int32)


def _pixel_edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The edges between the eight neighbours: two pixels each and their colours' distance,
    heaviest first."""
    height, width = image.shape[:2]
    at = np.arange(height * width, dtype=np.int32).reshape(height, width)
    whole, later, earlier = slice(None), slice(1, None), slice(None, -1)
    shifts = [
        ((whole, earlier), (whole, later)),
        ((earlier, whole), (later, whole)),
        ((earlier, earlier), (later, later)),
        ((earlier, later), (later, earlier)),
    ]
    first = np.concatenate([at[one].ravel() for one, _ in shifts])
    second = np.concatenate([at[other].ravel() for _, other in shifts])
    weights = np.concatenate(
        [np.square(image[one] - image[other]).sum(axis=2).ravel() for one, other in shifts]
    )
    order = np.argsort(-weights, kind="stable")
    return first[order], second[order], np.sqrt(weights[order])


def _lightest(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The place of each region's lightest edge, the last of its own; -1 without any."""
    found = np.full((2, count), -1)
    places = np.arange(len(a))
    found[0, a] = places
    found[1, b] = places
    return found.max(axis=0)


def _joined(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The new number of each region when these edges join them."""
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1]
