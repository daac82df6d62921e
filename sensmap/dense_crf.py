"""The fully connected conditional random field with Gaussian edges.

Kraehenbuehl & Koltun 2011, sections 2 and 3. Every pixel is a neighbour of every other one. With p
a pixel's place, c its colour and u its unary energies, a labelling x has the energy

    E(x) = sum over pixels i of u_i(x_i)
           + sum over pairs i, j with x_i != x_j of
             w_g exp(-|p_i - p_j|^2 / 2 s_xy^2)
             + w_b exp(-|p_i - p_j|^2 / 2 b_xy^2 - |c_i - c_j|^2 / 2 b_rgb^2)

and mean field inference repeats, from Q = softmax(-u), with K the sum of the two filters,

    Q_i(l) = softmax over labels l of (-u_i(l) + sum over j of K_ij Q_j(l))

The filters are those of `sensmap._permutohedral`. As in the authors' implementation each is
normalised symmetrically, K_ij / sqrt(K_i K_j) with K_i the sum of K_ij over j, and a pixel is one
of its own neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensmap._permutohedral import Permutohedral


@dataclass(frozen=True)
class DenseCRF:
    """Mean field inference in the field of an image.

    SciPy's sparse products hold the interpreter's lock, so that threads gain nothing: for many
    images use a process a core, each with its own images.

    Args:
        gaussian_xy: s_xy, in pixels.
        gaussian_weight: w_g; 0 leaves the term out.
        bilateral_xy: b_xy, in pixels.
        bilateral_rgb: b_rgb, in grey levels.
        bilateral_weight: w_b; 0 leaves the term out.
        steps: of mean field inference.

    Raises:
        ValueError: for an option out of its range.

    >>> image = np.zeros((20, 20, 3), np.uint8)
    >>> image[:, 10:] = 200
    >>> unary = np.full((2, 20, 20), 0.7)
    >>> unary[0, :, :3] = unary[1, :, -3:] = 0.1  # a hint on either side
    >>> labels = DenseCRF().infer(unary, image).argmax(axis=0)
    >>> labels[0].tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    """

    gaussian_xy: float = 3.0
    gaussian_weight: float = 3.0
    bilateral_xy: float = 80.0
    bilateral_rgb: float = 10.0
    bilateral_weight: float = 3.0
    steps: int = 10

    def __post_init__(self):
        deviations = (self.gaussian_xy, self.bilateral_xy, self.bilateral_rgb)
        if not all(0 < each < np.inf for each in deviations):
            raise ValueError(
                "gaussian_xy, bilateral_xy and bilateral_rgb must be above 0; received "
                f"{', '.join(map(str, deviations))}."
            )
        weights = (self.gaussian_weight, self.bilateral_weight)
        if not all(0 <= each < np.inf for each in weights):
            raise ValueError(
                "gaussian_weight and bilateral_weight must be 0 or above; received "
                f"{', '.join(map(str, weights))}."
            )
        if self.steps < 0:
            raise ValueError(f"steps must be 0 or above; received {self.steps}.")

    def infer(self, unary: np.ndarray, image: np.ndarray) -> np.ndarray:
        """The marginals of the labels of all pixels.

        Args:
            unary: ``(L, H, W)`` finite numbers, energies: minus the logarithms of probabilities.
            image: ``(H, W, 3)`` uint8 RGB.

        Returns:
            ``(L, H, W)`` float32, of sum 1 over the labels.

        Raises:
            ValueError: for other shapes or dtypes, or energies that are not finite.
        """
        image, unary = np.asarray(image), np.asarray(unary)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                "A dense CRF takes an image as (H, W, 3) uint8 RGB; received "
                f"{image.dtype}{image.shape}."
            )
        if unary.ndim != 3 or unary.shape[1:] != image.shape[:2] or not len(unary):
            raise ValueError(
                "A dense CRF takes unary energies (L, H, W) of its image's size, here (L, "
                f"{image.shape[0]}, {image.shape[1]}); received {unary.shape}."
            )
        if not np.isfinite(unary).all():
            raise ValueError(
                "Unary energies must be finite; give probabilities a floor before the logarithm."
            )
        scores = (unary.min(axis=0) - unary).reshape(len(unary), -1).astype(np.float32)
        marginals = _softmax(scores)
        kernels = self._kernels(image) if self.steps and len(unary) > 1 else []
        for _ in range(self.steps if kernels else 0):
            # Softmax does not see what is added to all labels. So the last label's filtered
            # marginals are taken off all, and there is one label less to filter.
            relative = marginals[:-1] - marginals[-1]
            total = scores.copy()
            for kernel in kernels:
                total[:-1] += kernel(relative)
            marginals = _softmax(total)
        return marginals.reshape(unary.shape)

    def _kernels(self, image: np.ndarray) -> list[_Kernel]:
        height, width = image.shape[:2]
        places = np.stack(np.broadcast_arrays(np.arange(width), np.arange(height)[:, None]))
        places = places.reshape(2, -1).astype(np.float64)
        colours = image.reshape(-1, 3).T
        kernels = []
        if self.gaussian_weight:
            kernels.append(_Kernel(places / self.gaussian_xy, self.gaussian_weight))
        if self.bilateral_weight:
            features = [places / self.bilateral_xy, colours / self.bilateral_rgb]
            kernels.append(_Kernel(np.concatenate(features), self.bilateral_weight))
        return kernels


class _Kernel:
    """A weighted Gaussian filter, symmetrically normalised."""

    def __init__(self, features: np.ndarray, weight: float):
        self._lattice = Permutohedral(features)
        sums = self._lattice.filter(np.ones(features.shape[1], np.float32))
        self._root = np.sqrt(np.float32(weight) / sums)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self._root * self._lattice.filter((self._root * values).T).T


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over the first axis."""
    powers = np.exp(scores - scores.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers
