"""Mixtures of Gaussians of colours, as GrabCut fits them (Rother et al. 2004, section 3.3).

Each pixel belongs to one component, here to the cluster that k-means puts it in, and a component
is the Gaussian of its pixels' mean and covariance, weighted by their share:

    p(z) = sum over components k of w_k N(z; m_k, C_k)

Expectation maximisation from there gains nothing in a cut (BUILD_NOTES.md), and takes longer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sensmap._opencv import cv2

# Pixels that a mixture is fitted to: more changes nothing but the time.
_SAMPLE = 2000
# Added to the variances, in squared grey levels: that of quantisation and compression.
_NOISE = 5.0
_STEPS = 10


class Mixture(NamedTuple):
    """Of K Gaussians of RGB colours, 0 to 255.

    Attributes:
        weights: ``(K,)`` float64, of sum 1.
        means: ``(K, 3)`` float64.
        covariances: ``(K, 3, 3)`` float64.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def log_density(self, colours: np.ndarray) -> np.ndarray:
        """log p of ``(n, 3)`` colours: ``(n,)`` float64."""
        roots = np.linalg.cholesky(np.linalg.inv(self.covariances))
        distances = np.square((colours - self.means[:, None]) @ roots).sum(axis=2)
        constants = np.log(self.weights) - 0.5 * np.linalg.slogdet(2 * np.pi * self.covariances)[1]
        return np.logaddexp.reduce(constants[:, None] - 0.5 * distances, axis=0)


def fit(colours: np.ndarray, components: int, seed: int) -> Mixture:
    """The mixture of ``(n, 3)`` uint8 colours; of fewer colours than components one a colour.

    The same seed gives the same bytes, in any thread; OpenCV's random numbers of this thread start
    anew from it.

    >>> mixture = fit(np.array([[0, 0, 0], [2, 2, 2], [200, 0, 0]], np.uint8), 2, seed=0)
    >>> sorted(mixture.means.round(2).tolist())
    [[1.0, 1.0, 1.0], [200.0, 0.0, 0.0]]
    """
    rng = np.random.default_rng(seed)
    if len(colours) > _SAMPLE:
        colours = colours[np.sort(rng.choice(len(colours), _SAMPLE, replace=False))]
    if len(colours) == 1:
        colours = np.repeat(colours, 2, axis=0)  # OpenCV takes one row for a column
    count = min(components, len(np.unique(colours, axis=0)))
    cv2.setRNGSeed(int(rng.integers(2**31)))
    labels = np.zeros((len(colours), 1), np.int32)
    enough = (cv2.TERM_CRITERIA_MAX_ITER, _STEPS, 0.0)
    cv2.kmeans(colours.astype(np.float32), count, labels, enough, 1, cv2.KMEANS_PP_CENTERS)
    clusters = [colours[labels[:, 0] == place].astype(np.float64) for place in np.unique(labels)]
    return Mixture(
        np.array([len(cluster) / len(colours) for cluster in clusters]),
        np.array([cluster.mean(axis=0) for cluster in clusters]),
        np.array([np.cov(cluster.T, bias=True) + _NOISE * np.eye(3) for cluster in clusters]),
    )
