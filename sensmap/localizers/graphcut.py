"""GraphCut from saliency: colour models of what a class rests on and of what it does not.

Simonyan et al. 2013, section 3.2, after Boykov & Jolly 2001. A mixture of Gaussians is fitted to
the colours of the pixels above the 95% quantile of the map (foreground f), another to those below
the 30% quantile (background b); the other pixels are not used for them. With z the colours and p
the mixtures, the cut minimises over the labels l of all pixels

    E(l) = - sum over pixels i of log p(z_i | l_i)
           + g * sum over neighbours i, j with l_i != l_j of exp(-beta |z_i - z_j|^2) / d(i, j)

where beta = 1 / (2 mean |z_i - z_j|^2) and d is 1, or the square root of 2 for diagonal
neighbours. The mask is the largest connected part of the foreground, the box its bounding box.

The seeds are colour models and no constraints: a pixel with a high derivative may end up in the
background. (With the foreground's held as constraints, maps of pixels gave 2 to 20 points less
mean IoU on the training images of Oxford pets, for the highest derivatives lie at edges, on both
sides; maps of inner layers about a point more.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sensmap._opencv import cv2
from sensmap.localizers._masks import largest_box, largest_component, merged, within
from sensmap.localizers._mixtures import Mixture, fit
from sensmap.localizers._segmenting import Segmenting

# What `Cut.seeds` holds.
UNUSED, BACKGROUND, FOREGROUND = 0, 1, 2

# Why a cut may be replaced by a stand-in; a reading holds the position.
STAND_INS = ("", "flat map", "one-colour image", "empty cut")

# OpenCV's grabCut has this contrast weight, and no other.
_GAMMA = 50.0
# grabCut's likelihoods are no logarithms, and below exp(-745) there are none.
_LEAST_LOG = -500.0


class Cut(NamedTuple):
    """How an image was segmented, at the cut's resolution.

    Attributes:
        seeds: ``(h, w)`` uint8, 2 where the foreground's and 1 where the background's colour
            model was fitted, else 0.
        mask: ``(h, w)`` bool.
        box: ``(4,)`` float32 xyxy, relative.
        stand_in: why mask and box are no cut, one of `STAND_INS`; "" if they are.
    """

    seeds: np.ndarray
    mask: np.ndarray
    box: np.ndarray
    stand_in: str


class GraphCut(Segmenting):
    """Segments the object by its colours, and boxes it. Learns nothing from boxes.

    Departures from the paper: the image is cut at a smaller size than its own, which is faster
    and better (fine texture counts less), and a ``contrast`` other than grabCut's 50 is had by
    raising each weighted Gaussian to the power 50 / contrast, which scales E's first sum but for
    the overlap of the Gaussians (at most log(components) a pixel).

    Where a cut is not possible there is a stand-in: for a map that is flat or not finite the
    whole image, for an image of one colour and for an empty cut the largest component of the
    foreground's seeds. `stand_ins` tells of them.

    Args:
        foreground: the quantile of the map above which pixels make the foreground's model.
        background: the quantile below which they make the background's.
        components: Gaussians in each model, 1 to 5.
        contrast: g, the weight of a border between pixels of the same colour.
        side: pixels of the longer side at which images are cut, at most.
        seed: of the mixtures' fit. The same seed gives the same bytes, in any thread.

    Raises:
        ValueError: in `read` and what uses it, for an option out of its range.

    >>> image = np.full((40, 40, 3), (20, 120, 30), np.uint8)
    >>> image[10:30, 5:25] = (220, 200, 40)
    >>> sensitivity = np.zeros((40, 40), np.float32)
    >>> sensitivity[12:28, 8:22] = 1 + np.arange(14)
    >>> GraphCut().predict(sensitivity[None], images=[image]).tolist()
    [[0.125, 0.25, 0.625, 0.75]]
    """

    title = "GraphCut"
    reasons = STAND_INS

    def __init__(
        self,
        foreground: float = 0.95,
        background: float = 0.30,
        components: int = 5,
        contrast: float = 20.0,
        side: int = 250,
        seed: int = 0,
    ):
        self.foreground = foreground
        self.background = background
        self.components = components
        self.contrast = contrast
        self.side = side
        self.seed = seed

    def segment(self, maps: Sequence[np.ndarray], image: np.ndarray | None) -> Cut:
        """Cuts one image.

        Args:
            maps: its map of each layer, ``(h, w)`` float32, non-negative.
            image: ``(H, W, 3)`` uint8 RGB.

        Returns:
            The segmentation, at the cut's resolution.
        """
        self._check_options()
        image = self.checked(image)
        size = within(image.shape[:2], self.side)
        small = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        sensitivity = merged(maps, size)
        if sensitivity.min() == sensitivity.max():
            whole = np.ones(size, bool)
            return self._cut(np.zeros(size, np.uint8), whole, "flat map")
        seeds = self._seeds(sensitivity)
        if (small == small[0, 0]).all():
            return self._cut(seeds, seeds == FOREGROUND, "one-colour image")
        mask = self._minimum(small, seeds)
        if not mask.any():
            return self._cut(seeds, seeds == FOREGROUND, "empty cut")
        return self._cut(seeds, mask, "")

    def _seeds(self, sensitivity: np.ndarray) -> np.ndarray:
        low, high = np.quantile(sensitivity, [self.background, self.foreground])
        seeds = np.full(sensitivity.shape, UNUSED, np.uint8)
        # A map with many equal values may have none strictly beyond a quantile.
        seeds[sensitivity < low if low > sensitivity.min() else sensitivity <= low] = BACKGROUND
        seeds[sensitivity > high if high < sensitivity.max() else sensitivity >= high] = FOREGROUND
        return seeds

    def _minimum(self, image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """The foreground ``(h, w)`` of the least E: grabCut with colour models that stay."""
        mixtures = [
            fit(image[seeds == kind], self.components, self.seed)
            for kind in (BACKGROUND, FOREGROUND)
        ]
        power = _GAMMA / self.contrast
        # Likely, which binds nothing.
        labels = np.where(seeds == FOREGROUND, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        far, nearer_foreground = _unlike_both(mixtures, power, image)
        labels[far] = np.where(nearer_foreground, cv2.GC_FGD, cv2.GC_BGD)[far]
        background, foreground = _packed(mixtures, power)
        no_box = (0, 0, 1, 1)  # the labels say more
        cv2.grabCut(image, labels, no_box, background, foreground, 1, cv2.GC_EVAL_FREEZE_MODEL)
        return (labels == cv2.GC_PR_FGD) | (labels == cv2.GC_FGD)

    @staticmethod
    def _cut(seeds: np.ndarray, mask: np.ndarray, stand_in: str) -> Cut:
        return Cut(seeds, largest_component(mask), largest_box(mask), stand_in)

    def _check_options(self) -> None:
        if not 0 < self.background < self.foreground < 1:
            raise ValueError(
                "The quantiles must be 0 < background < foreground < 1; received "
                f"{self.background} and {self.foreground}."
            )
        if self.components not in range(1, 6):
            raise ValueError(f"components must be 1 to 5; received {self.components}.")
        if not self.contrast > 0 or self.side < 1:
            raise ValueError(
                f"contrast and side must be above 0; received {self.contrast} and {self.side}."
            )


# By the name of its module.
create = GraphCut


def _unlike_both(
    mixtures: Sequence[Mixture], power: float, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels so unlike both models that grabCut would have infinity for both: the nearer one's.

    In photographs there are none; in drawings there may be. Colours are taken to 8 levels, which
    is fine enough for that and leaves a few thousand of them.

    Returns:
        ``(h, w)`` bool, which pixels these are, and which pixels are nearer to the second model.
    """
    coarse = (image // 8).reshape(-1, 3) @ np.array([32 * 32, 32, 1])
    codes, where = np.unique(coarse, return_inverse=True)
    colours = 8.0 * np.stack([codes // 1024, codes // 32 % 32, codes % 32], axis=1) + 3.5
    logs = np.stack([power * each.log_density(colours) for each in mixtures])
    far, nearer_second = logs.max(axis=0) < _LEAST_LOG, logs[1] > logs[0]
    return far[where].reshape(image.shape[:2]), nearer_second[where].reshape(image.shape[:2])


def _packed(mixtures: Sequence[Mixture], power: float) -> list[np.ndarray]:
    """Mixtures as grabCut's ``(1, 65)`` arrays: 5 weights, 5 means, 5 covariances.

    Each weighted Gaussian w N(m, C) is raised to a power s, which is a Gaussian N(m, C / s) times
    w^s |C|^((1 - s) / 2) s^(-3/2), up to a factor that is the same for all.
    """
    logs = [
        power * np.log(each.weights)
        + (1 - power) / 2 * np.linalg.slogdet(each.covariances)[1]
        - 1.5 * np.log(power)
        for each in mixtures
    ]
    highest = max(each.max() for each in logs)
    packed = []
    for mixture, log in zip(mixtures, logs, strict=True):
        count = len(log)
        model = np.zeros((1, 65))
        model[0, :count] = np.exp(log - highest)
        model[0, 5 : 5 + 3 * count] = mixture.means.ravel()
        model[0, 20 : 20 + 9 * count] = (mixture.covariances / power).ravel()
        packed.append(model)
    return packed
