"""Segmentation masks as files: an image whose pixels are class indices.

PASCAL VOC (Everingham et al., "The PASCAL Visual Object Classes Challenge") keeps a mask as a PNG
with a palette: the index of a pixel is its class, 0 the background, 255 "ignore", and the palette
only paints it for people. A decoder of photographs gives the paint; here the index counts. The
Semantic Boundaries Dataset (SBD) keeps the same indices in Matlab files.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy.io import loadmat

from sensmap import files
from sensmap.datasets import ExampleError

# The index of pixels that the truth leaves open: borders and objects too hard to tell.
IGNORE = 255


def load(path: str | os.PathLike) -> np.ndarray:
    """Reads the class indices of a mask.

    Args:
        path: a PNG with a palette (its indices count, not its colours) or in 8-bit greyscale (its
            values count); or a ``.mat`` file of SBD's ``cls`` folder, with
            ``GTcls.Segmentation``.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        ExampleError: if it is missing, damaged or of another kind; one line that names it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save(Path(place, "mask.png"), [[0, 7], [255, 20]])
    ...     load(Path(place, "mask.png")).tolist()
    [[0, 7], [255, 20]]
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ExampleError(f"{path}: there is no such mask.") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ExampleError(f"{path}: the mask cannot be read ({reason}).") from None
    if not data:
        raise ExampleError(f"{path}: the file of the mask is empty.")
    is_matlab = os.path.splitext(path)[1].lower() == ".mat"
    return _read_matlab(path, data) if is_matlab else _read_png(path, data)


def save(path: str | os.PathLike, mask: ArrayLike) -> None:
    """Writes a mask as a PNG with VOC's palette, whole or not at all.

    Args:
        path: the file; one that is there is replaced.
        mask: ``(H, W)`` whole numbers, 0 to 255.

    Raises:
        ValueError: if the mask is not that.
        OSError: if it cannot be written, in one line.
    """
    indices = np.asarray(mask)
    if not _is_mask(indices):
        raise ValueError(
            "A mask is (H, W) whole numbers from 0 to 255, class indices; received the shape "
            f"{indices.shape} and type {indices.dtype}{_range(indices)}."
        )
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(voc_palette().tobytes())
    encoded = io.BytesIO()
    image.save(encoded, format="PNG")
    files.write_bytes(path, encoded.getvalue())


def voc_palette() -> np.ndarray:
    """The colours in which VOC paints class indices.

    Bit ``3 j`` of the index is bit ``7 - j`` of red, bit ``3 j + 1`` of green and ``3 j + 2`` of
    blue, so that indices that are close get colours that are far apart.

    Returns:
        ``(256, 3)`` uint8 RGB.

    >>> voc_palette()[[0, 1, 15, 255]].tolist()
    [[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]
    """
    bits = np.arange(256)[:, None] >> np.arange(9) & 1
    return (bits.reshape(256, 3, 3) * [[128], [64], [32]]).sum(axis=1).astype(np.uint8)


def _read_png(path: str | os.PathLike, data: bytes) -> np.ndarray:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ExampleError(f"{path}: not a PNG, nor a .mat file; a mask is one of these.")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode, indices = image.mode, np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ExampleError(f"{path}: the mask has more pixels than Pillow deems safe.") from None
    except Exception:  # Pillow passes on whatever its decoder, zlib or struct raise
        raise ExampleError(f"{path}: truncated or damaged PNG.") from None
    # Pillow stretches the values of fewer bits to 0..255. A PNG's first chunk is always IHDR; its
    # bit depth is byte 24 of the file.
    bits = data[24]
    if mode != "P" and (mode, bits) != ("L", 8):
        raise ExampleError(
            f"{path}: a mask is a PNG with a palette or in 8-bit greyscale; "
            f"this is of the mode {mode}, {bits} bits."
        )
    return indices


def _read_matlab(path: str | os.PathLike, data: bytes) -> np.ndarray:
    try:
        found = loadmat(io.BytesIO(data), variable_names=["GTcls"])
    except Exception:  # SciPy passes on whatever its decoder, zlib or struct raise
        raise ExampleError(f"{path}: not a Matlab file before version 7.3, or damaged.") from None
    try:
        indices = np.asarray(found["GTcls"]["Segmentation"].item())
    except (KeyError, ValueError, IndexError):
        raise ExampleError(f"{path}: lacks GTcls.Segmentation, SBD's class mask.") from None
    if not _is_mask(indices):
        raise ExampleError(
            f"{path}: GTcls.Segmentation must be (H, W) whole numbers from 0 to 255; found the "
            f"shape {indices.shape} and type {indices.dtype}{_range(indices)}."
        )
    return indices.astype(np.uint8)


def _is_mask(indices: np.ndarray) -> bool:
    return (
        indices.ndim == 2
        and indices.size > 0
        and indices.dtype.kind in "iu"
        and bool(indices.min() >= 0)
        and bool(indices.max() <= 255)
    )


def _range(indices: np.ndarray) -> str:
    """What a message adds where only the values are wrong."""
    if not indices.size or indices.dtype.kind not in "iu":
        return ""
    return f" with values from {indices.min()} to {indices.max()}"
