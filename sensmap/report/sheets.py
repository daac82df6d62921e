"""Several pictures on one sheet: a grid of tiles, and the panels of a segmentation in a row.

Every image is ``(H, W, 3)`` uint8 RGB, going in and coming out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap.report import _text, pictures

_PAPER = 255  # a sheet's background
_MAT = 236  # what fills a tile beside its picture
_MARGIN = 8  # pixels between tiles


def grid(
    tiles: Sequence[np.ndarray],
    columns: int,
    captions: Sequence[str] | None = None,
    side: int = 224,
) -> np.ndarray:
    """Puts images side by side on white, like the paper's Figure 1.

    Args:
        tiles: images of any sizes; each is resized to fit a square, aspect kept.
        columns: tiles in a row.
        captions: a line below each tile; cut off where it is too long.
        side: of a tile, in pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ValueError: without tiles, or if the captions are not one for each.

    >>> grid([np.zeros((4, 8, 3), np.uint8)] * 3, columns=2, side=10).shape
    (44, 44, 3)
    """
    if not tiles or columns < 1:
        raise ValueError(
            "A grid needs at least one tile and one column; "
            f"received {len(tiles)} tiles and {columns} columns."
        )
    if captions is not None and len(captions) != len(tiles):
        raise ValueError(
            f"A grid has a caption for each tile; "
            f"received {len(captions)} captions and {len(tiles)} tiles."
        )
    strip = 0 if captions is None else 26
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    height = _MARGIN + rows * (side + strip + _MARGIN)
    sheet = np.full((height, _MARGIN + columns * (side + _MARGIN), 3), _PAPER, np.uint8)
    for position, tile in enumerate(tiles):
        row, column = divmod(position, columns)
        top, left = _MARGIN + row * (side + strip + _MARGIN), _MARGIN + column * (side + _MARGIN)
        sheet[top : top + side, left : left + side] = _letterbox(tile, side)
        if captions is not None:
            _text.write_line(sheet, captions[position], (left, top + side), (side, strip))
    return sheet


def four_panels(
    image: np.ndarray,
    sensitivity: np.ndarray,
    seeds: np.ndarray | None,
    mask: np.ndarray,
    box: ArrayLike,
    side: int = 320,
) -> np.ndarray:
    """The way from an image to its segmentation in a row, like Simonyan et al., Figure 4.

    From left to right: the image; the map; the seeds of the colour models; the segmentation with
    its box.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        sensitivity: ``(h, w)`` float, see `pictures.overlay`.
        seeds: ``(h, w)`` uint8, see `pictures.draw_seeds`; None leaves the panel out.
        mask: ``(h, w)`` bool, see `pictures.draw_mask`.
        box: ``(4,)`` xyxy, relative.
        side: the longer one of a panel, in pixels.

    Returns:
        ``(H', W', 3)`` uint8 RGB: the panels, of the image's aspect, on white.

    >>> image, nothing = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8))
    >>> seeds, mask = nothing.astype(np.uint8), nothing.astype(bool)
    >>> four_panels(image, nothing, seeds, mask, [0, 0, 1, 1], side=40).shape
    (46, 200, 3)
    """
    image = pictures.fit_within(image, side)
    height, width = image.shape[:2]
    panels = (
        image,
        pictures.overlay(image, sensitivity),
        *([] if seeds is None else [pictures.draw_seeds(image, seeds)]),
        pictures.draw_mask(image, mask, box),
    )
    across = _MARGIN + len(panels) * (width + _MARGIN)
    sheet = np.full((height + 2 * _MARGIN, across, 3), _PAPER, np.uint8)
    for position, panel in enumerate(panels):
        left = _MARGIN + position * (width + _MARGIN)
        sheet[_MARGIN : _MARGIN + height, left : left + width] = panel
    return sheet


def _letterbox(tile: np.ndarray, side: int) -> np.ndarray:
    picture = pictures.fit_within(tile, side)
    height, width = picture.shape[:2]
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, 3), _MAT, np.uint8)
    square[top : top + height, left : left + width] = picture
    return square
