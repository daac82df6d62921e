"""The orientation that a camera wrote into a JPEG, read and applied with TensorFlow operations.

A JPEG starts with segments ``FF <marker> <length: 2 bytes>``. The one with the marker E1 and the
header ``Exif\\0\\0`` holds a TIFF file, whose first directory (IFD0) is a list of entries of 12
bytes: tag, type, count, value. The tag 0x0112 is the orientation, 1 to 8. Everything here runs
in a graph, so that a served model turns pictures as the library does; and nothing here fails:
what cannot be understood has the orientation 1.
"""

from __future__ import annotations

import tensorflow as tf

# Exif comes at the start of a file: of a longer file only this much is looked at, in bytes.
_HEAD = 1 << 18
_TAG_ORIENTATION = 0x0112
_EXIF = [ord(character) for character in "Exif\0\0"]


def orientation(data: tf.Tensor) -> tf.Tensor:
    """The Exif orientation of an encoded image.

    Args:
        data: scalar string, the bytes of an image file; any bytes are accepted.

    Returns:
        Scalar int32, 1 to 8; 1 (upright) where there is no Exif or it is damaged.

    >>> int(orientation(tf.constant(b"no image at all")))
    1
    """
    start = tf.strings.substr(data, 0, _HEAD)
    # Most files hold none, and to see that at once is five times as quick as to walk them.
    has_exif = tf.strings.regex_full_match(start, r"\C*Exif\x00\x00\C*")
    return tf.cond(has_exif, lambda: _walk(start), lambda: tf.constant(1))


def upright(image: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image as its Exif orientation asks for.

    Orientations 5 to 8 swap rows and columns first; then 2, 3, 6 and 7 mirror left to right and
    3, 4, 7 and 8 mirror top to bottom.

    Args:
        image: ``(H, W, C)``.
        value: scalar int32, 1 to 8.

    Returns:
        ``(H, W, C)``, or ``(W, H, C)`` for the orientations 5 to 8.

    >>> upright(tf.constant([[[1], [2]]]), tf.constant(6)).numpy().ravel().tolist()
    [1, 2]
    """

    def turn():
        turned = tf.transpose(image, tf.where(value >= 5, [1, 0, 2], [0, 1, 2]))
        mirrored = [
            tf.reduce_any(value == [3, 4, 7, 8]),
            tf.reduce_any(value == [2, 3, 6, 7]),
            tf.constant(False),
        ]
        return tf.raw_ops.Reverse(tensor=turned, dims=tf.stack(mirrored))

    return tf.cond(value == 1, lambda: image, turn)


def _walk(start: tf.Tensor) -> tf.Tensor:
    """Goes from segment to segment up to the one with Exif; the first bytes of a file are given."""
    head = tf.cast(tf.io.decode_raw(start, tf.uint8), tf.int32)
    length = tf.size(head)
    head = tf.pad(head, [[0, 16]])  # so that reading over the end gives zeros, not an error

    def is_open(position, tiff):
        return (tiff == 0) & (position > 0) & (position + 4 <= length)

    def next_segment(position, tiff):
        segment = head[position : position + 10]
        marker, size = segment[1], segment[2] * 256 + segment[3]
        is_exif = (marker == 0xE1) & tf.reduce_all(segment[4:] == _EXIF)
        # 0xDA starts the picture itself; a second 0xFF only fills up space.
        is_last = (segment[0] != 0xFF) | (marker == 0xDA) | (size < 2)
        step = tf.where(marker == 0xFF, 1, size + 2)
        return (
            tf.where(is_last & (marker != 0xFF), -1, position + step),
            tf.where(is_exif & (segment[0] == 0xFF), position + 10, tiff),
        )

    first = tf.where(tf.reduce_all(head[:2] == [0xFF, 0xD8]), 2, -1)
    _, tiff = tf.while_loop(is_open, next_segment, [first, tf.constant(0)])
    return tf.cond(tiff > 0, lambda: _ifd0_orientation(head[tiff:]), lambda: tf.constant(1))


def _ifd0_orientation(tiff: tf.Tensor) -> tf.Tensor:
    """Looks up the tag in the first directory of a TIFF file, given as ``(n,)`` int32 bytes."""
    is_little = tf.reduce_all(tiff[:4] == [0x49, 0x49, 42, 0])
    is_big = tf.reduce_all(tiff[:4] == [0x4D, 0x4D, 0, 42])

    def number(digits):
        """The value of bytes along the last axis, which may be far out of range: int64."""
        digits = tf.cast(tf.where(is_little, tf.reverse(digits, axis=[-1]), digits), tf.int64)
        powers = [256**power for power in reversed(range(digits.shape[-1]))]
        return tf.reduce_sum(digits * tf.constant(powers, tf.int64), axis=-1)

    size = tf.size(tiff, out_type=tf.int64)
    directory = tf.minimum(number(tf.ensure_shape(tiff[4:8], [4])), size - 2)
    count = number(tf.ensure_shape(tiff[directory : directory + 2], [2]))
    count = tf.minimum(count, (size - directory - 2) // 12)
    entries = tiff[directory + 2 : directory + 2 + 12 * count]
    entries = tf.ensure_shape(tf.reshape(entries, [-1, 12]), [None, 12])
    is_orientation = number(entries[:, :2]) == _TAG_ORIENTATION
    value = tf.reduce_max(tf.where(is_orientation, number(entries[:, 8:10]), 0))
    is_known = (is_little | is_big) & (value >= 1) & (value <= 8)
    return tf.where(is_known, tf.cast(value, tf.int32), 1)
