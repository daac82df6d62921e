"""Decode, turn upright, resize: the same operations in the library and in a served model.

Everything between the bytes of a file and the pixels is made of TensorFlow operations, so that
`decode` and `resize` can be traced into a SavedModel and cannot differ from what the library
computes. `load` and `load_resized` are the doors for Python: they know files and arrays too, and
turn every failure into one line that names the image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from sensmap import exif
from sensmap.datasets import ExampleError, ImageSource

FORMATS = "JPEG, PNG, GIF, BMP or WebP"

# From this reduction in size on, antialiasing is worth its time, which is several times that of
# plain interpolation. Below, the two differ by half of what a JPEG of quality 95 changes (root
# mean square of photographs); 256 pixels to 224, which is common, is a reduction of 1.14.
_ANTIALIAS_FROM = 1.15

_BYTES = tf.TensorSpec([], tf.string)
_SIZE = tf.TensorSpec([2], tf.int32)


@tf.function(input_signature=[_BYTES])
def decode(data: tf.Tensor) -> tf.Tensor:
    """Decodes an image file of any common kind to upright RGB.

    JPEGs are decoded with the accurate integer transform, bit-identical to libjpeg and OpenCV,
    CMYK and grayscale become RGB, and the Exif orientation is applied. PNGs of 16 bits are
    rounded to 8 (``v / 257``, where TensorFlow would cut the lower byte off). Alpha is dropped;
    of an animation the first frame is taken.

    Args:
        data: scalar string, the bytes of the file.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        tf.errors.InvalidArgumentError: for what is truncated or not an image.

    >>> png = tf.io.encode_png(tf.zeros([2, 3, 1], tf.uint8))
    >>> decode(png).shape
    TensorShape([2, 3, 3])
    """
    start = tf.strings.substr(data, 0, 25)
    # A PNG's first chunk is always IHDR; its bit depth is byte 24 of the file.
    is_deep_png = tf.strings.regex_full_match(start, r"\CPNG\C{8}IHDR\C{8}\x10")

    def decode_jpeg():
        pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return exif.upright(pixels, exif.orientation(data))

    def decode_deep_png():
        deep = tf.io.decode_png(data, channels=3, dtype=tf.uint16)
        return tf.cast((tf.cast(deep, tf.int32) + 128) // 257, tf.uint8)

    def decode_other():
        return tf.io.decode_image(data, channels=3, expand_animations=False)

    pixels = tf.cond(
        tf.strings.substr(data, 0, 3) == b"\xff\xd8\xff",
        decode_jpeg,
        lambda: tf.cond(is_deep_png, decode_deep_png, decode_other),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def resize(image: tf.Tensor, size: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """Squashes whole images to a size: bilinear, antialiased where a side shrinks by 1.15 or more.

    Args:
        image: ``(H, W, 3)`` or ``(N, H, W, 3)``, 0 to 255, any number type.
        size: ``(height, width)`` in pixels.

    Returns:
        float32 of the same rank, 0 to 255.

    >>> resize(tf.fill([4, 4, 3], 7), (2, 1)).shape
    TensorShape([2, 1, 3])
    """
    image = tf.convert_to_tensor(image)
    shrinks = tf.shape(image)[-3:-1] / size
    return tf.cond(
        tf.reduce_any(shrinks >= _ANTIALIAS_FROM),
        lambda: tf.image.resize(image, size, method="bilinear", antialias=True),
        lambda: tf.image.resize(image, size, method="bilinear"),
    )


def load(source: ImageSource | str) -> np.ndarray:
    """Reads an image.

    Args:
        source: a file, the bytes of one, or ``(H, W, 3)`` uint8 RGB pixels.

    Returns:
        ``(H, W, 3)`` uint8, RGB, upright.

    Raises:
        ExampleError: if it is missing, empty, truncated or no image; one line that names it.

    >>> load(np.zeros((2, 3, 3), np.uint8)).shape
    (2, 3, 3)
    """
    if isinstance(source, np.ndarray):
        return _check_pixels(source)
    data = _read(source)
    try:
        return _decode(tf.constant(data)).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise _unreadable(source, data, error) from None


def load_resized(
    source: ImageSource | str, size: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads an image at the size that a classifier takes.

    Args:
        source: a file, the bytes of one, or ``(H, W, 3)`` uint8 RGB pixels.
        size: ``(height, width)`` to squash the whole image to, in pixels.

    Returns:
        ``(height, width, 3)`` float32 RGB, 0 to 255; and the upright image's own
        ``(height, width)``.

    Raises:
        ExampleError: if it is missing, empty, truncated or no image; one line that names it.

    >>> pixels, original = load_resized(np.zeros((4, 6, 3), np.uint8), (2, 2))
    >>> pixels.shape, original
    ((2, 2, 3), (4, 6))
    """
    resized, original = _load_tensor(source, size)
    return resized.numpy(), original


def load_batch(
    sources: Sequence[ImageSource | str], size: tuple[int, int]
) -> tuple[tf.Tensor, list[tuple[int, int]], dict[int, ExampleError]]:
    """Reads several images at the size that a classifier takes.

    Files are decoded and resized in one compiled call, which may be made from many threads: the
    work is done outside of Python's lock.

    Args:
        sources: files, the bytes of them, or ``(H, W, 3)`` uint8 RGB pixels.
        size: ``(height, width)`` to squash the whole images to, in pixels.

    Returns:
        Of those that can be read ``(n, height, width, 3)`` float32 RGB, 0 to 255, and their own
        ``(height, width)``, in order; what is wrong with the others, by their position.

    >>> pixels, originals, errors = load_batch([np.zeros((4, 6, 3), np.uint8), b"text"], (2, 2))
    >>> pixels.shape, originals, errors
    (TensorShape([1, 2, 2, 3]), [(4, 6)], {1: ExampleError('image of 4 bytes: not an image (JPEG,
    PNG, GIF, BMP or WebP).')})
    """
    if not any(isinstance(source, np.ndarray) for source in sources):
        try:
            data = tf.constant([_read(source) for source in sources], tf.string)
            resized, originals = _decode_all(data, tf.constant(size, tf.int32))
            return resized, [(height, width) for height, width in originals.numpy().tolist()], {}
        except (ExampleError, tf.errors.InvalidArgumentError):
            pass  # one by one, then, to see which it is
    loaded, errors = [], {}
    for position, source in enumerate(sources):
        try:
            loaded.append(_load_tensor(source, size))
        except ExampleError as error:
            errors[position] = error
    with tf.device("CPU:0"):
        resized = tf.reshape([pixels for pixels, _ in loaded], [-1, *size, 3])
    return resized, [original for _, original in loaded], errors


def _load_tensor(
    source: ImageSource | str, size: tuple[int, int]
) -> tuple[tf.Tensor, tuple[int, int]]:
    target = tf.constant(size, tf.int32)
    if isinstance(source, np.ndarray):
        pixels = _check_pixels(source)
        return _resize(tf.constant(pixels), target), pixels.shape[:2]
    data = _read(source)
    try:
        resized, original = _decode_resized(tf.constant(data), target)
    except tf.errors.InvalidArgumentError as error:
        raise _unreadable(source, data, error) from None
    height, width = original.numpy().tolist()
    return resized, (height, width)


# Where there is a GPU, single images are still better off beside the decoder, on the CPU.


@tf.function(input_signature=[_BYTES])
def _decode(data):
    with tf.device("CPU:0"):
        return decode(data)


@tf.function(input_signature=[_BYTES, _SIZE])
def _decode_resized(data, size):
    with tf.device("CPU:0"):
        image = decode(data)
        return resize(image, size), tf.shape(image)[:2]


@tf.function(input_signature=[tf.TensorSpec([None], tf.string), _SIZE])
def _decode_all(data, size):
    return tf.map_fn(
        lambda each: _decode_resized(each, size),
        data,
        fn_output_signature=(tf.TensorSpec([None, None, 3], tf.float32), _SIZE),
    )


@tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), _SIZE])
def _resize(image, size):
    with tf.device("CPU:0"):
        return resize(image, size)


def _read(source: ImageSource | str) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, str | os.PathLike):
        try:
            data = Path(source).read_bytes()
        except FileNotFoundError:
            raise ExampleError(f"{source}: there is no such file.") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ExampleError(f"{source}: cannot be read ({reason}).") from None
    else:
        raise TypeError(
            "An image is a path, the bytes of a file or a uint8 array (H, W, 3); "
            f"received {type(source).__name__}."
        )
    if not data:
        raise ExampleError(f"{_name(source)}: the file is empty.")
    return data


def _check_pixels(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ExampleError(
            "An image given as an array must be RGB pixels of the shape (H, W, 3) and type uint8, "
            f"0 to 255; received the shape {array.shape} and type {array.dtype}."
        )
    return array


def _unreadable(source: ImageSource | str, data: bytes, error: Exception) -> ExampleError:
    kinds = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP"}
    kinds[b"RIFF"] = "WebP"
    kind = next((kind for magic, kind in kinds.items() if data.startswith(magic)), None)
    if "WebP Animation" in str(error):
        reason = "animated WebP files cannot be read; save one frame of it"
    elif kind is None:
        reason = f"not an image ({FORMATS})"
    else:
        reason = f"truncated or damaged {kind}"
    return ExampleError(f"{_name(source)}: {reason}.")


def _name(source: ImageSource | str) -> str:
    return f"image of {len(source)} bytes" if isinstance(source, bytes) else str(source)
