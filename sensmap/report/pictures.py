"""Boxes on images, maps and seeds over images, and segmentations.

Every image is ``(H, W, 3)`` uint8 RGB, going in and coming out; what goes in is left unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap import boxes as box_geometry
from sensmap._opencv import cv2
from sensmap.masks import voc_palette
from sensmap.report import _text

# The colours of the paper's Figure 1, in shades that also differ in lightness.
TRUTH = (30, 220, 90)
PREDICTION = (235, 30, 45)

# Of guesses, the first one first: they differ in lightness from each other and from true boxes,
# and stay apart for every kind of colour blindness.
GUESSES = ((205, 60, 65), (255, 240, 70), (130, 145, 255), (125, 35, 125), (10, 20, 150))

# What the pixels under each value of seeds are for: the colours of Simonyan et al., Figure 4.
UNUSED_SEED, BACKGROUND_SEED, FOREGROUND_SEED = (255, 0, 0), (0, 255, 255), (0, 0, 255)

_PAPER = 255  # what is not the object fades to
_LEAST_SIDE = 320  # pixels of an image's longer side that leave room for labels


def draw_boxes(
    image: np.ndarray,
    boxes: ArrayLike,
    colour: tuple[int, int, int] = PREDICTION,
    *,
    dashed: bool = False,
    thickness: int | None = None,
) -> np.ndarray:
    """Outlines boxes, with a thin casing that sets the line off from any background.

    The line lies inside of the box, so that a box at the image's border is seen whole.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        boxes: ``(N, 4)`` xyxy, relative; what lies outside the image is not seen.
        colour: RGB, 0 to 255.
        dashed: interrupt the line. Lines below show through the gaps, and two kinds of boxes
            can be told apart without telling red from green.
        thickness: of the line in pixels; by default 1 for each 80 of the longer side.

    Returns:
        ``(H, W, 3)`` uint8 RGB, a new array.

    >>> white = np.full((8, 8, 3), 255, np.uint8)
    >>> draw_boxes(white, [0.25, 0.25, 0.75, 0.75], (0, 0, 255), thickness=1)[2, 2].tolist()
    [0, 0, 255]
    """
    drawn = _check_image(image).copy()
    size = drawn.shape[:2]
    if thickness is None:
        thickness = max(1, round(max(size) / 80))
    casing = max(1, thickness // 3)
    casing_colour = _contrasting(colour)
    for box in box_geometry.xyxy_to_pixels(boxes, size):
        x0, y0, x1, y1 = np.round(box).astype(int).tolist()
        line = _band(size, (x0, y0, x1, y1), thickness)
        outer = _band(
            size, (x0 - casing, y0 - casing, x1 + casing, y1 + casing), thickness + 2 * casing
        )
        if dashed:
            gaps = _gaps(size, (x0, y0, x1, y1), thickness)
            line, outer = line & ~gaps, outer & ~gaps
        drawn[outer] = casing_colour
        drawn[line] = colour
    return drawn


def draw_comparison(
    image: np.ndarray, truth: ArrayLike = (), predicted: ArrayLike = ()
) -> np.ndarray:
    """Outlines what is true and what was predicted, as in the paper's Figure 1.

    True boxes are green and solid, predicted ones red and dashed on top: where both agree, both
    are seen.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        truth: ``(N, 4)`` xyxy, relative.
        predicted: ``(M, 4)`` or ``(4,)`` xyxy, relative.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    return draw_boxes(draw_boxes(image, truth, TRUTH), predicted, PREDICTION, dashed=True)


def overlay(image: np.ndarray, sensitivity: np.ndarray, opacity: float = 0.65) -> np.ndarray:
    """Lays a map over an image, in a perceptually even colour map (magma) over gray.

    Black is the map's least value, cream its 99.5% quantile and above: single bright pixels,
    which gradient maps have, would otherwise darken all others. The image turns gray, so that
    every colour means a value. A map that is flat or not finite shows nothing and gives the
    image as it is.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        sensitivity: ``(h, w)`` float, any range; resized smoothly to the image.
        opacity: 0 shows the gray image only, 1 the map only.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    >>> image = np.full((4, 4, 3), (200, 0, 0), np.uint8)
    >>> np.array_equal(overlay(image, np.zeros((2, 2))), image)
    True
    """
    image = _check_image(image)
    values = np.asarray(sensitivity, np.float64)
    if values.ndim != 2:
        raise ValueError(f"A map to lay over an image must be (h, w); received {values.shape}.")
    low, high = _display_range(values)
    if not low < high:
        return image.copy()
    shades = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    # Cubic overshoots where the map jumps.
    shades = np.clip(fit(shades, image.shape[:2]), 0.0, 1.0)
    coloured = cv2.applyColorMap(np.round(shades * 255).astype(np.uint8), cv2.COLORMAP_MAGMA)
    coloured = cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB)
    return cv2.addWeighted(coloured, opacity, _gray(image), 1 - opacity, 0)


def draw_seeds(image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Shows which pixels the colour models of a cut were fitted to, over the gray image.

    Blue is the foreground's model, cyan the background's, red was not used for either (Simonyan
    et al., Figure 4).

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        seeds: ``(h, w)`` uint8: 0 unused, 1 background, 2 foreground; resized to the image, each
            pixel to the nearest.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ValueError: for seeds of another kind.

    >>> black = np.zeros((1, 3, 3), np.uint8)
    >>> draw_seeds(black, np.array([[0, 1, 2]], np.uint8))[0].tolist()
    [[178, 0, 0], [0, 178, 178], [0, 0, 178]]
    """
    image = _check_image(image)
    values = np.asarray(seeds)
    if values.ndim != 2 or not values.size or values.dtype != np.uint8 or values.max() > 2:
        raise ValueError(
            "Seeds must be (h, w) uint8: 0 unused, 1 background, 2 foreground; "
            f"received the shape {values.shape} and type {values.dtype}."
        )
    height, width = image.shape[:2]
    values = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    colours = np.array([UNUSED_SEED, BACKGROUND_SEED, FOREGROUND_SEED], np.uint8)[values]
    return cv2.addWeighted(colours, 0.7, _gray(image), 0.3, 0)


def draw_mask(image: np.ndarray, mask: np.ndarray, box: ArrayLike = ()) -> np.ndarray:
    """Shows a segmentation: the object outlined, what is not part of it faded out.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        mask: ``(h, w)`` bool, True on the object; resized smoothly to the image.
        box: ``(4,)`` xyxy, relative; outlined as a predicted box.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ValueError: for a mask of another kind.
    """
    image = _check_image(image)
    values = np.asarray(mask)
    if values.ndim != 2 or not values.size or values.dtype != bool:
        raise ValueError(
            "A mask must be (h, w) bool; "
            f"received the shape {values.shape} and type {values.dtype}."
        )
    depth = _depth(fit(values.astype(np.float32), image.shape[:2]) >= 0.5)
    faded = cv2.addWeighted(_gray(image), 0.25, np.full_like(image, _PAPER), 0.75, 0)
    drawn = np.where(depth[..., None] > 0, image, faded)
    thickness = max(1, round(max(image.shape[:2]) / 160))
    casing = max(1, thickness // 2)
    drawn[(depth >= -casing) & (depth <= thickness + casing)] = _contrasting(PREDICTION)
    drawn[(depth > 0) & (depth <= thickness)] = PREDICTION
    return draw_boxes(drawn, box, PREDICTION, dashed=True)


def draw_labels(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Shows a segmentation into classes: each in VOC's colour for it, over the gray image.

    The background, index 0, is not coloured.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        mask: ``(h, w)`` uint8 class indices, see `sensmap.masks`; resized to the image, each
            pixel to the nearest.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ValueError: for a mask of another kind.

    >>> gray = np.full((1, 3, 3), 100, np.uint8)
    >>> draw_labels(gray, np.array([[0, 1, 2]], np.uint8))[0].tolist()
    [[100, 100, 100], [120, 30, 30], [30, 120, 30]]
    """
    image = _check_image(image)
    values = np.asarray(mask)
    if values.ndim != 2 or not values.size or values.dtype != np.uint8:
        raise ValueError(
            "A mask of classes must be (h, w) uint8 class indices; "
            f"received the shape {values.shape} and type {values.dtype}."
        )
    height, width = image.shape[:2]
    values = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    gray = _gray(image)
    coloured = cv2.addWeighted(voc_palette()[values], 0.7, gray, 0.3, 0)
    return np.where(values[..., None] > 0, coloured, gray)


def draw_labelled_boxes(image: np.ndarray, boxes: ArrayLike, labels: Sequence[str]) -> np.ndarray:
    """Outlines boxes, each in a colour of its own and with its label.

    A label stands at its box, where possible outside of it and clear of the other labels, and
    always inside of the image. What is too long is cut off.

    Args:
        image: ``(H, W, 3)`` uint8 RGB. One with fewer than 320 pixels on its longer side is
            enlarged to so many: text needs room.
        boxes: ``(N, 4)`` xyxy, relative; the first is drawn on top.
        labels: a line for each box.

    Returns:
        ``(H', W', 3)`` uint8 RGB.

    Raises:
        ValueError: if the labels are not one for each box.

    >>> draw_labelled_boxes(np.zeros((64, 48, 3), np.uint8), [0, 0, 1, 0.5], ["1 goose"]).shape
    (320, 240, 3)
    """
    image = _check_image(image)
    corners = box_geometry.as_boxes(boxes)
    if len(corners) != len(labels):
        raise ValueError(
            f"Each box has one label; received {len(corners)} boxes and {len(labels)} labels."
        )
    if max(image.shape[:2]) < _LEAST_SIDE:
        image = fit_within(image, _LEAST_SIDE)
    colours = [GUESSES[position % len(GUESSES)] for position in range(len(corners))]
    drawn = image.copy()
    thickness = max(2, round(max(image.shape[:2]) / 140))
    for box, colour in reversed(list(zip(corners, colours, strict=True))):
        drawn = draw_boxes(drawn, box, colour, thickness=thickness)
    inks = [_contrasting(colour) for colour in colours]
    _text.write_labels(drawn, corners, labels, colours, inks)
    return drawn


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes for the eye: areas averaged when it gets smaller, cubic when larger.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)``, uint8 or float32.
        size: ``(height, width)`` in pixels.

    Returns:
        The resized image, of the same type.
    """
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(
        image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )


def fit_within(image: np.ndarray, side: int) -> np.ndarray:
    """Resizes an image so that its longer side has so many pixels; the aspect stays.

    >>> fit_within(np.zeros((10, 40, 3), np.uint8), 20).shape
    (5, 20, 3)
    """
    height, width = _check_image(image).shape[:2]
    scale = side / max(height, width)
    return fit(image, (max(1, round(height * scale)), max(1, round(width * scale))))


def encode_png(image: np.ndarray) -> bytes:
    """The image as a PNG file.

    >>> encode_png(np.zeros((2, 2, 3), np.uint8))[1:4]
    b'PNG'
    """
    return _encode(".png", image, [])


def encode_jpeg(image: np.ndarray, quality: int = 82) -> bytes:
    """The image as a JPEG file, colours at full resolution: thin lines keep theirs.

    >>> encode_jpeg(np.zeros((2, 2, 3), np.uint8))[:2].hex()
    'ffd8'
    """
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])


def _check_image(image: np.ndarray) -> np.ndarray:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(
            "A picture must be RGB pixels of the shape (H, W, 3) and type uint8; "
            f"received the shape {array.shape} and type {array.dtype}."
        )
    return array


def _band(size: tuple[int, int], box: tuple[int, int, int, int], thickness: int) -> np.ndarray:
    """The pixels of a box that are less than ``thickness`` from its edge; (H, W) bool."""
    x0, y0, x1, y1 = box
    y, x = np.ogrid[: size[0], : size[1]]
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    core = (x >= x0 + thickness) & (x < x1 - thickness)
    return inside & ~(core & (y >= y0 + thickness) & (y < y1 - thickness))


def _gaps(size: tuple[int, int], box: tuple[int, int, int, int], thickness: int) -> np.ndarray:
    """The pixels beside the gaps of a dashed outline; (H, W) bool. Corners are never gaps."""
    x0, y0, x1, y1 = box
    gap_x = _is_gap(np.arange(size[1]), x0, x1, thickness)
    gap_y = _is_gap(np.arange(size[0]), y0, y1, thickness)
    # A gap of a horizontal side is one of columns, except where those cross a vertical side.
    return (gap_x[None, :] & ~gap_y[:, None]) | (gap_y[:, None] & ~gap_x[None, :])


def _is_gap(positions: np.ndarray, start: int, stop: int, thickness: int) -> np.ndarray:
    length = stop - start
    # Dashes of two pieces, gaps of one, and a dash at both ends.
    pieces = 3 * max(round(length / (12 * thickness)), 1) + 2
    piece = (positions - start) * pieces // max(length, 1)
    return (piece > 0) & (piece < pieces) & (piece % 3 == 2)


def _display_range(values: np.ndarray) -> tuple[float, float]:
    if not values.size or not np.isfinite(values).all():
        return 0.0, 0.0
    low, high = float(values.min()), float(np.quantile(values, 0.995))
    # So few values stand out that the quantile does not see them.
    return low, high if high > low else float(values.max())


def _gray(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _contrasting(colour: tuple[int, int, int]) -> int:
    """Black on what is light, white on what is dark."""
    return 0 if np.dot(colour, (0.299, 0.587, 0.114)) > 127 else 255


def _depth(mask: np.ndarray) -> np.ndarray:
    """How many pixels inside of a mask's edge each pixel lies, outside of it negative; never 0."""
    # Beyond the image there is no object: one at the border is outlined there, too.
    bordered = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inside, outside = (
        cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for part in (bordered, 1 - bordered)
    )
    return (inside - outside)[1:-1, 1:-1]


def _encode(extension: str, image: np.ndarray, options: list[int]) -> bytes:
    pixels = cv2.cvtColor(_check_image(image), cv2.COLOR_RGB2BGR)
    return cv2.imencode(extension, pixels, options)[1].tobytes()
