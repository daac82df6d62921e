"""A dense CRF on a map: where the class is, to the borders that the colours draw.

Shimoda & Yanai 2016, section 3.4. With M the map, brought to 0 to 1 by its least and highest value,
and m its mean, a pixel's scores for the foreground and the background are

    s(foreground) = M,    s(background) = b m / (1 - m) (1 - M)

Their shares of the sum are probabilities, and minus the logarithms of these the unary energies of a
fully connected CRF (`sensmap.dense_crf`). The mask is the largest connected part of the pixels
whose marginal is higher for the foreground, the box its bounding box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sensmap import dense_crf
from sensmap._opencv import cv2
from sensmap.localizers._masks import largest_box, largest_component, merged, within
from sensmap.localizers._segmenting import Segmenting

# Why a mask may be replaced by a stand-in; a reading holds the position.
STAND_INS = ("", "flat map", "empty foreground")

# The least share of a label: a map's zeros are no certainty.
_LEAST = 0.01


class Labelling(NamedTuple):
    """How an image was segmented, at the size that it was worked at.

    Attributes:
        marginal: ``(h, w)`` float32, of the foreground.
        mask: ``(h, w)`` bool.
        box: ``(4,)`` float32 xyxy, relative.
        stand_in: why mask and box are not the CRF's, one of `STAND_INS`; "" if they are.
    """

    marginal: np.ndarray
    mask: np.ndarray
    box: np.ndarray
    stand_in: str


class DenseCRF(Segmenting):
    """Segments the object by its map and the image's colours, and boxes it. Learns nothing from
    boxes.

    Departures from the paper: one class at a time, so that the background's score comes from M and
    not from the highest of several classes' maps; it is weighted by m / (1 - m), so that with b = 1
    a pixel of the map's mean is undecided, for how far most of an object lies below the maximum
    differs from one map method to the next; and the map is smoothed, for pixel maps are grainy.

    Where there is no mask there is a stand-in: for a map that is flat or not finite the whole
    image, and where no pixel is left to the foreground the largest component of those with the
    highest unary probability of it. `stand_ins` tells of them.

    Args:
        background: b, the weight of the background's score; the lower, the larger the masks.
        smoothing: the standard deviation of a Gaussian that the map is smoothed by first, as a
            share of the longer side; 0 for none.
        gaussian_xy, gaussian_weight, bilateral_xy, bilateral_rgb, bilateral_weight, steps: of
            `sensmap.dense_crf.DenseCRF`, at the size that is worked at.
        side: pixels of the longer side at which images are worked at, at most.

    Raises:
        ValueError: in `read` and what uses it, for an option out of its range.

    >>> image = np.full((40, 40, 3), (20, 120, 30), np.uint8)
    >>> image[10:30, 10:30] = (220, 200, 40)
    >>> sensitivity = np.outer(np.hanning(40), np.hanning(40))
    >>> DenseCRF().predict(sensitivity[None], images=[image]).tolist()
    [[0.25, 0.25, 0.75, 0.75]]
    """

    title = "Dense CRF"
    reasons = STAND_INS

    def __init__(
        self,
        background: float = 1.0,
        smoothing: float = 0.02,
        gaussian_xy: float = 3.0,
        gaussian_weight: float = 3.0,
        bilateral_xy: float = 80.0,
        bilateral_rgb: float = 10.0,
        bilateral_weight: float = 3.0,
        steps: int = 10,
        side: int = 250,
    ):
        self.background = background
        self.smoothing = smoothing
        self.gaussian_xy = gaussian_xy
        self.gaussian_weight = gaussian_weight
        self.bilateral_xy = bilateral_xy
        self.bilateral_rgb = bilateral_rgb
        self.bilateral_weight = bilateral_weight
        self.steps = steps
        self.side = side

    def segment(self, maps: Sequence[np.ndarray], image: np.ndarray | None) -> Labelling:
        """Labels the pixels of one image.

        Args:
            maps: its map of each layer, ``(h, w)`` float32, non-negative.
            image: ``(H, W, 3)`` uint8 RGB.

        Returns:
            The labelling, at the size that it was worked at.
        """
        field = self._field()
        image = self.checked(image)
        size = within(image.shape[:2], self.side)
        small = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        scores = merged(maps, size)
        if self.smoothing:
            scores = cv2.GaussianBlur(scores, (0, 0), self.smoothing * max(size))
        low, high = scores.min(), scores.max()
        if low == high:
            whole = np.ones(size, bool)
            return Labelling(whole.astype(np.float32), whole, largest_box(whole), "flat map")
        likely = self._likely((scores - low) / (high - low))
        marginals = field.infer(-np.log(np.stack([likely, 1 - likely])), small)
        mask, stand_in = marginals[0] > marginals[1], ""
        if not mask.any():
            mask, stand_in = likely == likely.max(), "empty foreground"
        return Labelling(marginals[0], largest_component(mask), largest_box(mask), stand_in)

    def _likely(self, scores: np.ndarray) -> np.ndarray:
        """The foreground's share, from scores of 0 to 1."""
        mean = scores.mean(dtype=np.float64)
        background = self.background * mean / (1 - mean) * (1 - scores)
        return np.clip(scores / (scores + background), _LEAST, 1 - _LEAST)

    def _field(self) -> dense_crf.DenseCRF:
        if not 0 < self.background < np.inf or self.side < 1:
            raise ValueError(
                f"background and side must be above 0; received {self.background} and {self.side}."
            )
        if not 0 <= self.smoothing < np.inf:
            raise ValueError(f"smoothing must be 0 or above; received {self.smoothing}.")
        return dense_crf.DenseCRF(
            self.gaussian_xy,
            self.gaussian_weight,
            self.bilateral_xy,
            self.bilateral_rgb,
            self.bilateral_weight,
            self.steps,
        )


# By the name of its module.
create = DenseCRF
