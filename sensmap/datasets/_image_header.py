"""The size of an image from the first bytes of its file, without decoding the pixels.

Sizes are those of the upright image, as `sensmap.images.load` decodes it: where EXIF says that
the stored raster is to be turned by 90 degrees, height and width change places.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sensmap.datasets._base import ExampleError

_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RST0-7, SOI: no length follows
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0-15 without DHT, JPG, DAC
_SCAN = 0xDA
_APP1 = 0xE1


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says about its image.

    Attributes:
        size: ``(height, width)`` in pixels of the upright image.
        orientation: EXIF orientation, 1 to 8; 5 to 8 swap height and width.
        jpeg_channels: colour components of a JPEG (1 gray, 3 colour, 4 CMYK), 0 for other formats.
    """

    size: tuple[int, int]
    orientation: int = 1
    jpeg_channels: int = 0

    @property
    def stored_size(self) -> tuple[int, int]:
        """``(height, width)`` of the raster as it lies in the file."""
        return self.size[::-1] if self.orientation >= 5 else self.size


def read_header(image: Path | bytes) -> Header:
    """Reads the header of a JPEG or PNG; any other format is decoded.

    Raises:
        ExampleError: if the file is missing or no image that can be read.
    """
    name = str(image) if isinstance(image, Path) else "the encoded image"
    try:
        with open(image, "rb") if isinstance(image, Path) else io.BytesIO(image) as file:
            start = file.read(24)
            found = None
            if start[:2] == b"\xff\xd8":
                file.seek(2)
                found = _jpeg(file)
            elif start[:8] == b"\x89PNG\r\n\x1a\n" and start[12:16] == b"IHDR":
                width, height = struct.unpack(">II", start[16:])
                found = Header((height, width))
        if found is not None and min(found.size) > 0:
            return found
        from sensmap import images  # imports TensorFlow, which most sources never need

        return Header(images.load(image).shape[:2])
    except FileNotFoundError:
        raise ExampleError(f"{name}: there is no such image.") from None
    except (OSError, struct.error) as error:
        raise ExampleError(f"{name}: cannot be read ({error}).") from None


def turned(boxes: np.ndarray, orientation: int) -> np.ndarray:
    """Boxes of the stored raster as boxes of the upright image, for EXIF orientations 5 to 8.

    Args:
        boxes: ``(N, 4)`` xyxy, relative to the stored raster.
        orientation: 6 (the raster is to be turned clockwise), 8 (counter-clockwise), 5 or 7
            (mirrored besides); anything else leaves the boxes as they are.

    Returns:
        ``(N, 4)`` xyxy, relative to the upright image.

    >>> turned(np.array([[0.0, 0.0, 0.5, 0.25]]), 6).tolist()
    [[0.75, 0.0, 1.0, 0.5]]
    """
    if orientation not in (5, 6, 7, 8):
        return boxes
    x0, y0, x1, y1 = boxes[:, [1, 0, 3, 2]].T  # transposed
    if orientation in (6, 7):
        x0, x1 = 1 - x1, 1 - x0
    if orientation in (7, 8):
        y0, y1 = 1 - y1, 1 - y0
    return np.stack([x0, y0, x1, y1], axis=1)


def _jpeg(file: BinaryIO) -> Header | None:
    """Walks the segments from behind SOI up to the first scan."""
    orientation, frame = 1, None
    while (marker := _next_marker(file)) not in (None, _SCAN):
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(file.read(2), "big") - 2
        if length < 0:
            return None
        if marker in _FRAMES:
            frame = file.read(length)
        elif marker == _APP1:
            segment = file.read(length)
            if segment[:6] == b"Exif\0\0":
                orientation = _orientation(segment[6:])
        else:
            file.seek(length, io.SEEK_CUR)
    if frame is None or len(frame) < 6:
        return None
    height, width, channels = struct.unpack(">xHHB", frame[:6])
    size = (width, height) if orientation >= 5 else (height, width)
    return Header(size, orientation, channels)


def _next_marker(file: BinaryIO) -> int | None:
    byte = file.read(1)
    if byte != b"\xff":
        return None
    while byte == b"\xff":  # fill bytes may stand before a marker
        byte = file.read(1)
    return byte[0] if byte else None


def _orientation(tiff: bytes) -> int:
    """EXIF orientation from a TIFF structure; 1 where there is none or it makes no sense."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
