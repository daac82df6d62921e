"""What the objectness measure has learned from images with boxes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensmap import files

FILE = Path(__file__).parent / "parameters.json"


class Likelihood(NamedTuple):
    """What a cue's value says: histograms over bins of the value, for windows of several sizes.

    Attributes:
        areas: ``(A,)`` ascending, the sizes' middles, as shares of the image.
        middles: ``(A, B)`` ascending, the middles of each size's bins.
        of_object: ``(A, B)``, the shares of the windows that cover an object.
        of_background: ``(A, B)``, the shares of the others.
    """

    areas: Sequence[float]
    middles: Sequence[Sequence[float]]
    of_object: Sequence[Sequence[float]]
    of_background: Sequence[Sequence[float]]

    def log_ratio(self, values: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """Log of the likelihood of an object over that of background.

        Args:
            values: ``(M,)``, of the cue.
            areas: ``(M,)``, of the windows.

        >>> one = Likelihood([0.5], [[0.0, 1.0]], [[0.5, 0.5]], [[0.5, 0.25]])
        >>> one.log_ratio(np.array([0.0, 1.0]), np.array([0.5, 0.5])).round(2)
        array([0.  , 0.69])
        """
        of_size = np.array(
            [
                np.interp(values, middles, np.log(np.divide(of_object, of_background)))
                for middles, of_object, of_background in zip(*self[1:], strict=True)
            ]
        )
        place = np.interp(np.log(areas), np.log(self.areas), np.arange(len(self.areas)))
        low = place.astype(np.int64)
        high = np.minimum(low + 1, len(of_size) - 1)
        each = np.arange(len(values))
        return of_size[low, each] + (place - low) * (of_size[high, each] - of_size[low, each])


@dataclasses.dataclass(frozen=True)
class Parameters:
    """What is learned from images with boxes.

    Attributes:
        saliency: for each scale the threshold on its saliency map, in multiples of the mean.
        contrast: the share of its width and height that a window's surroundings add.
        edges: the share of its width and height that a window's inner ring takes.
        straddling: k of `superpixels`.
        weight: v, how much the cues' log ratios count.
        boxes: of each training image its boxes, ``[x0, y0, x1, y1]``, relative.
        likelihoods: of each cue, by name.
    """

    saliency: Sequence[float]
    contrast: float
    edges: float
    straddling: float
    weight: float
    boxes: Sequence[Sequence[Sequence[float]]]
    likelihoods: dict[str, Likelihood]


@functools.cache
def parameters() -> Parameters:
    """Those that come with the package."""
    found = files.read_json(FILE)
    found["likelihoods"] = {cue: Likelihood(**each) for cue, each in found["likelihoods"].items()}
    return Parameters(**found)
