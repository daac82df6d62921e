"""What the localizers share that segment the object first and box its segmentation then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from sensmap.localizers._base import Reader
from sensmap.localizers._masks import resized


class Segmented(Protocol):
    """How an image was segmented, at the resolution that it was worked at.

    Attributes:
        mask: ``(h, w)`` bool, the object.
        box: ``(4,)`` float32 xyxy, relative, around it.
        stand_in: why mask and box are a stand-in, one of the localizer's `reasons`; "" if they
            are none.
    """

    @property
    def mask(self) -> np.ndarray: ...
    @property
    def box(self) -> np.ndarray: ...
    @property
    def stand_in(self) -> str: ...


class Segmenting(Reader):
    """Base of these localizers, which learn nothing from boxes; a subclass gives `segment`.

    What is read off an image is the box and the position of `Segmented.stand_in` in `reasons`.
    """

    size = 5
    # Why a segmentation may be replaced by a stand-in, beginning with "".
    reasons: tuple[str, ...]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def segment(self, maps: Sequence[np.ndarray], image: np.ndarray | None) -> Segmented:
        """Segments one image.

        Args:
            maps: its map of each layer, ``(h, w)`` float32, non-negative.
            image: ``(H, W, 3)`` uint8 RGB.
        """
        raise TypeError(f"{type(self).__name__} is a localizer without `segment`.")

    def read(self, maps: Sequence[np.ndarray], image: np.ndarray | None) -> np.ndarray:
        """The box of one image and whether it is a stand-in: ``(5,)`` float32."""
        found = self.segment(maps, image)
        return np.append(found.box, np.float32(self.reasons.index(found.stand_in)))

    def mask(self, maps: Sequence[np.ndarray], image: np.ndarray) -> np.ndarray:
        """The mask of one image, ``(H, W)`` bool, at its size."""
        return resized(self.segment(maps, image).mask, image.shape[:2])

    def stand_ins(self, readings: np.ndarray) -> list[str]:
        """For each reading why its box is a stand-in, one of `reasons`; "" where it is none."""
        return [self.reasons[int(code)] for code in readings[:, 4]]

    def checked(self, image: Any) -> np.ndarray:
        """The image, if it is one."""
        name = type(self).__name__
        if image is None:
            raise ValueError(
                f"{name} needs the images besides their maps: predict(maps, images=...)."
            )
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
            raise ValueError(
                f"{name} takes images as (H, W, 3) uint8 RGB arrays; received "
                f"{getattr(image, 'dtype', type(image).__name__)}{np.shape(image)}."
            )
        return image

    def _fit(self, readings: np.ndarray, truths: Sequence[np.ndarray]) -> None:
        """There is nothing to learn."""

    def _predict(self, readings: np.ndarray) -> np.ndarray:
        return readings[:, :4]
