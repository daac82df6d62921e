"""The permutohedral lattice: filtering by a Gaussian of many features, in linear time.

Adams, Baek & Davis 2010. Of points with d features f and a value v each, the filter is about

    out(i) = sum over points j of exp(-|f(i) - f(j)|^2 / 2) v(j)

times a constant, in three steps: each value is shared out among the d + 1 corners of the lattice's
simplex that the point lies in, by barycentric weights (splat); along each of d + 1 directions every
vertex adds half of its two neighbours' values to its own (blur); each point takes its corners'
values by the same weights (slice). Only vertices that are a corner of some point exist.

The lattice is that of the integers Z^(d+1), projected along (1, ..., 1). Taken relative to the last
coordinate it is Z^d, whose unit cubes are cut into simplices by the order of the coordinates'
fractions, and its directions are the d axes and the diagonal. So a vertex is numbered by one
integer of mixed radix, and the way to a neighbour is to add a constant.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse

# What fractions are sorted in, the sign left out.
_SORTED_BITS = 31


class Permutohedral:
    """A filter for given points, which are located once for any number of values.

    Args:
        features: ``(d, N)``, finite, in standard deviations of the Gaussian.

    Raises:
        ValueError: if the points lie too far apart for an int64 to number the vertices.

    >>> lattice = Permutohedral(np.array([[0.0, 0.5, 9.0], [0.0, 0.0, 0.0]]))
    >>> near, nearer, far = lattice.filter(np.array([1, 0, 0], np.float32)).tolist()
    >>> near > nearer > far == 0
    True
    """

    def __init__(self, features: np.ndarray):
        dimensions, count = features.shape
        coordinates = _basis(dimensions) @ features
        floors = np.floor(coordinates)
        fractions, order = _sorted_down(coordinates - floors)
        floors -= floors.min(axis=1, keepdims=True)
        steps = _steps(floors)
        # From the least corner of a cube to the next by the axis of the largest fraction, to the
        # one after that by the axis of the second largest, and so on to the highest corner.
        corners = np.empty((count, dimensions + 1), np.int64)
        corners[:, 0] = steps[:-1] @ floors.astype(np.int64)
        weights = np.empty((count, dimensions + 1), np.float32)
        weights[:, 0] = 1 - fractions[0]
        for i in range(dimensions):
            corners[:, i + 1] = corners[:, i] + steps[order[i]]
            below = fractions[i + 1] if i + 1 < dimensions else np.float32(0)
            weights[:, i + 1] = fractions[i] - below
        vertices, places = np.unique(corners.ravel(), return_inverse=True)
        self._slice = _rows(weights, places.reshape(corners.shape), len(vertices))
        self._splat = self._slice.T
        self._blurs = [_blur(vertices, step) for step in steps]
        # The factor of the authors' implementation.
        self._scale = np.float32(1 / (1 + 0.5**dimensions))

    def filter(self, values: np.ndarray) -> np.ndarray:
        """The filtered values.

        Args:
            values: ``(N,)`` or ``(N, C)`` float32, all C filtered together.

        Returns:
            As `values`.
        """
        held = self._splat @ values
        for blur in self._blurs:
            held = blur @ held
        held *= self._scale
        return self._slice @ held


def _basis(dimensions: int) -> np.ndarray:
    """``(d, d)``: from features to coordinates in which the lattice is Z^d.

    The axes of Adams et al. (section 3.1): orthogonal ones of the hyperplane of sum 0, at the
    scale at which splat, blur and slice together have a standard deviation of 1.
    """
    elevation = np.zeros((dimensions + 1, dimensions))
    for i in range(dimensions):
        elevation[: i + 1, i] = 1
        elevation[i + 1, i] = -(i + 1)
        elevation[:, i] /= math.sqrt((i + 1) * (i + 2))
    return math.sqrt(2 / 3) * (elevation[:-1] - elevation[-1])


def _sorted_down(fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts ``(d, N)`` numbers of 0 to 1 along the first axis, the largest first.

    Returns:
        The sorted ones, float32, and which they were, int32; each ``(d, N)``. Of equal ones the
        first comes first, as with the authors: it decides which vertices exist.
    """
    # An odd-even sort of integers whose last bits say which: far faster than an argsort of rows.
    count = len(fractions)
    bits = count.bit_length()
    scale = 2.0 ** (_SORTED_BITS - 1 - bits)
    keys = (fractions * scale).astype(np.int32) << bits
    keys |= np.arange(count, dtype=np.int32)[::-1, None]
    for turn in range(count):
        for i in range(turn % 2, count - 1, 2):
            less = np.minimum(keys[i], keys[i + 1])
            np.maximum(keys[i], keys[i + 1], out=keys[i])
            keys[i + 1] = less
    return (keys >> bits) * np.float32(1 / scale), count - 1 - (keys & ((1 << bits) - 1))


def _steps(floors: np.ndarray) -> np.ndarray:
    """What a step in each of the ``d + 1`` directions adds to a vertex's number, int64.

    Args:
        floors: ``(d, N)`` whole numbers from 0 on, the least corners of all cubes.
    """
    # Corners are up to 1 above, and neighbours 1 further to either side.
    spans = [int(highest) + 4 for highest in floors.max(axis=1)]
    if math.prod(spans) >= 2**62:
        raise ValueError(
            "The points lie too far apart to number the vertices of their lattice: "
            f"{' x '.join(map(str, spans))} of them. Take larger standard deviations."
        )
    steps = [math.prod(spans[:axis]) for axis in range(len(spans))]
    return np.array([*steps, -sum(steps)], np.int64)


def _blur(vertices: np.ndarray, step: int) -> sparse.csr_matrix:
    """``(M, M)``: one half, one, one half, along one direction.

    Args:
        vertices: ``(M,)`` int64, their numbers, ascending.
        step: what leads to the next one.
    """
    here = np.arange(len(vertices))
    above = np.searchsorted(vertices, vertices + step)
    above[above == len(vertices)] = 0
    found = vertices[above] == vertices + step
    places = np.stack([here, here, here], axis=1)
    weights = np.zeros(places.shape, np.float32)
    weights[:, 0] = 1
    places[found, 1], weights[found, 1] = above[found], 0.5
    places[above[found], 2], weights[above[found], 2] = here[found], 0.5
    return _rows(weights, places, len(vertices))


def _rows(weights: np.ndarray, places: np.ndarray, width: int) -> sparse.csr_matrix:
    """A sparse matrix from each row's ``(N, k)`` weights and the columns that they stand in."""
    count, each = weights.shape
    starts = np.arange(0, count * each + 1, each, dtype=np.int32)
    held = (weights.ravel(), places.ravel().astype(np.int32), starts)
    return sparse.csr_matrix(held, shape=(count, width))
