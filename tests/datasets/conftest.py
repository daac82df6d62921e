"""Pictures and annotations for tests of the sources, made on the spot."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sensmap._opencv import cv2


def exif_segment(orientation: int, order: str = "<") -> bytes:
    """An APP1 segment whose TIFF directory has one entry, the orientation."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = magic + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(tiff)) + b"Exif\0\0" + tiff


def encode(suffix: str, height: int, width: int, orientation: int = 1, order: str = "<") -> bytes:
    """An encoded image of the given raster; the orientation is for JPEG."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    data = cv2.imencode(suffix, pixels)[1].tobytes()
    return data if orientation == 1 else data[:2] + exif_segment(orientation, order) + data[2:]


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    return encode


@pytest.fixture(scope="session")
def picture() -> Callable[..., Path]:
    """Writes a picture, making its folder: ``picture(path, height, width, orientation=1)``."""

    def write(path: Path, height: int = 10, width: int = 20, **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(path.suffix.lower(), height, width, **options))
        return path

    return write


@pytest.fixture(scope="session")
def voc_xml() -> Callable[..., Path]:
    """Writes a VOC XML file: ``voc_xml(path, [(name, x0, y0, x1, y1)], size=(height, width))``."""

    def write(path: Path, objects=(), size=(10, 20), filename="", difficult=()) -> Path:
        parts = [f"<filename>{filename}</filename>"]
        if size is not None:
            parts.append(f"<size><width>{size[1]}</width><height>{size[0]}</height></size>")
        for index, (name, *corners) in enumerate(objects):
            sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
            box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
            flag = int(index in difficult)
            parts.append(
                f"<object><name>{name}</name><difficult>{flag}</difficult>"
                f"<bndbox>{box}</bndbox></object>"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<annotation>{''.join(parts)}</annotation>")
        return path

    return write
