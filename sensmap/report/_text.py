"""Text in pictures, in the font that OpenCV has inside: captions of tiles and labels of boxes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from sensmap import boxes as box_geometry
from sensmap._opencv import cv2
from sensmap.report import _labels

_INK = (40, 40, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.45


def write_line(
    sheet: np.ndarray, text: str, corner: tuple[int, int], room: tuple[int, int]
) -> None:
    """Writes a line into the room (width, height) below and right of the corner (x, y).

    Args:
        sheet: ``(H, W, 3)`` uint8; changed.
        text: cut off where it is too long.
        corner, room: in pixels.
    """
    line = _cut(_one_line(text), room[0], _FONT_SCALE)
    origin = (
        corner[0] + (room[0] - _text_width(line, _FONT_SCALE)) // 2,
        corner[1] + room[1] - 9,
    )
    cv2.putText(sheet, line, origin, _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)


def write_labels(
    drawn: np.ndarray,
    boxes: np.ndarray,
    labels: Sequence[str],
    colours: Sequence[tuple[int, int, int]],
    inks: Sequence[int],
) -> None:
    """Writes each label in a field of its colour at its box.

    Args:
        drawn: ``(H, W, 3)`` uint8; changed.
        boxes: ``(N, 4)`` xyxy, relative.
        labels: a line for each box; cut off where it is too long.
        colours: RGB of each field.
        inks: the gray of each text.
    """
    height, width = drawn.shape[:2]
    scale = max(_FONT_SCALE, max(height, width) / 1000)
    stroke = max(1, round(1.5 * scale))
    padding = round(9 * scale)
    tall = round(22 * scale) + 2 * padding  # capitals are 22 pixels high
    lines = [_cut(_one_line(label), width - 2 * padding, scale, stroke) for label in labels]
    sizes = [(_text_width(line, scale, stroke) + 2 * padding, tall) for line in lines]
    corners = box_geometry.xyxy_to_pixels(box_geometry.clip(boxes), (height, width))
    places = _labels.place(corners.round().astype(int).tolist(), sizes, (width, height))
    for line, place, colour, ink in zip(lines, places, colours, inks, strict=True):
        left, top, right, bottom = place
        drawn[top:bottom, left:right] = colour
        origin = (left + padding, bottom - padding)
        cv2.putText(drawn, line, origin, _FONT, scale, (ink,) * 3, stroke, cv2.LINE_AA)


def _one_line(text: str) -> str:
    """OpenCV's built-in fonts know ASCII only, and one line."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(ascii_only.split())


def _cut(text: str, width: int, scale: float, stroke: int = 1) -> str:
    line = text
    while line and _text_width(line, scale, stroke) > width:
        text = text[:-1]
        line = f"{text.rstrip()}..." if text else ""
    return line


def _text_width(text: str, scale: float, stroke: int = 1) -> int:
    return cv2.getTextSize(text, _FONT, scale, stroke)[0][0]
