"""The window that most likely holds an object, of whatever class: a baseline that sees no map.

The top window of `sensmap.objectness`, after Alexe, Deselaers & Ferrari 2012. What a sensitivity
map's box is worth beyond it is what the classifier knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sensmap import objectness
from sensmap.localizers._base import Reader


class TopWindow(Reader):
    """Boxes the best window of the objectness measure. Learns nothing from boxes of a fit, and
    reads nothing off maps; the measure's own numbers come with the package.

    >>> from sensmap import boxes
    >>> image = np.full((64, 96, 3), (40, 90, 40), np.uint8)
    >>> image[8:56, 12:84] = (230, 40, 40)
    >>> found = TopWindow().predict(np.zeros((1, 8, 8)), images=[image])
    >>> bool(boxes.iou(found, [1 / 8, 1 / 8, 7 / 8, 7 / 8])[0, 0] > 0.6)
    True
    """

    title = "Top objectness box"
    size = 4

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def read(self, maps: Sequence[np.ndarray], image: np.ndarray | None) -> np.ndarray:
        """The top window of one image, ``(4,)`` float32 xyxy.

        Args:
            maps: not looked at.
            image: ``(H, W, 3)`` uint8 RGB.

        Raises:
            ValueError: without an image.
        """
        if image is None:
            raise ValueError("TopWindow needs the images: predict(maps, images=...).")
        return objectness.propose(image, count=1).boxes[0]

    def mask(self, maps: Sequence[np.ndarray], image: np.ndarray) -> np.ndarray:
        """The pixels of the box, ``(H, W)`` bool."""
        height, width = image.shape[:2]
        x0, y0, x1, y1 = np.rint(self.read(maps, image) * [width, height, width, height])
        mask = np.zeros((height, width), bool)
        mask[int(y0) : max(int(y1), int(y0) + 1), int(x0) : max(int(x1), int(x0) + 1)] = True
        return mask

    def stand_ins(self, readings: np.ndarray) -> list[str]:
        """No box is a stand-in: every image has a top window."""
        return [""] * len(readings)

    def _fit(self, readings: np.ndarray, truths: Sequence[np.ndarray]) -> None:
        """There is nothing to learn."""

    def _predict(self, readings: np.ndarray) -> np.ndarray:
        return readings


# By the name of its module.
create = TopWindow
