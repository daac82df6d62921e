"""One image of a store as a `tf.train.Example`, and back.

Of an image that could be used, with K classes besides the one asked for:

    id                bytes, 1
    label             int64, 1: its own class in the data set, -1 without one
    boxes             float, 4 n: its true boxes, xyxy, relative
    size              int64, 2: height and width of the original image
    class_ids         int64, 1 + K: the class asked for, then those with the highest scores
    scores            float, 1 + K: their scores before softmax
    features          float, (1 + K) F, row by row
    readings/NAME     float, (1 + K) F': what that localizer read off the maps on the host
    degenerate        int64, 1: whether a map of the class asked for said nothing
    dropped           bytes, any number: boxes that were left out, and why

Of one that could not be used: id, and in ``skipped`` why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_READINGS = "readings/"
_SKIPPED = "skipped"


class Skipped(NamedTuple):
    """An image that could not be used."""

    id: str
    reason: str


class Row(NamedTuple):
    """What is known of an image that could be used; the class asked for comes first.

    Attributes:
        id: of the image.
        label: its class in the data set, -1 without one.
        truth: ``(n, 4)`` float32 xyxy, its boxes of that class.
        size: ``(height, width)`` of the original image.
        dropped: boxes that were left out, and why.
        class_ids: ``(1 + K,)`` int32.
        scores: ``(1 + K,)`` float32.
        features: ``(1 + K, F)`` float32.
        degenerate: whether a map of the class asked for said nothing and counts as uniform.
        readings: by a localizer's name ``(1 + K, F')`` float32.
    """

    id: str
    label: int
    truth: np.ndarray
    size: tuple[int, int]
    dropped: tuple[str, ...]
    class_ids: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    degenerate: bool
    readings: Mapping[str, np.ndarray] = {}


def encode(image: Row | Skipped) -> bytes:
    """A serialized `tf.train.Example`; the same image gives the same bytes.

    >>> decode(encode(Skipped("a", "it is empty")))
    Skipped(id='a', reason='it is empty')
    """
    if isinstance(image, Skipped):
        values = {"id": _bytes([image.id]), _SKIPPED: _bytes([image.reason])}
    else:
        values = {
            "id": _bytes([image.id]),
            "label": _integers([image.label]),
            "boxes": _floats(image.truth),
            "size": _integers(image.size),
            "class_ids": _integers(image.class_ids),
            "scores": _floats(image.scores),
            "features": _floats(image.features),
            "degenerate": _integers([image.degenerate]),
            "dropped": _bytes(image.dropped),
        }
        values |= {f"{_READINGS}{name}": _floats(each) for name, each in image.readings.items()}
    example = tf.train.Example(features=tf.train.Features(feature=values))
    # Or else the order of the features would be that of a hash table.
    return example.SerializeToString(deterministic=True)


def decode(record: bytes) -> Row | Skipped:
    """What `encode` was given.

    Raises:
        ValueError: if the bytes are no such message.
    """
    values = _values(record)
    try:
        return _decode(values)
    except (IndexError, ValueError) as error:
        raise ValueError(f"no record of a feature store ({error})") from None


def is_skipped(record: bytes) -> bool:
    """Whether a record is that of an image that could not be used; 20 times as fast as `decode`.

    Raises:
        ValueError: as `decode`, but for fields that are missing.
    """
    return _SKIPPED in _values(record)


def _values(record: bytes) -> Mapping[str, tf.train.Feature]:
    try:
        return tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's own, and sensmap does not depend on protobuf by name
        raise ValueError(f"no record of a feature store ({error})") from None


def _decode(values: Mapping[str, tf.train.Feature]) -> Row | Skipped:
    if _SKIPPED in values:
        return Skipped(_words(values["id"])[0], _words(values[_SKIPPED])[0])
    class_ids = np.array(values["class_ids"].int64_list.value, np.int32)
    height, width = values["size"].int64_list.value
    return Row(
        id=_words(values["id"])[0],
        label=values["label"].int64_list.value[0],
        truth=_numbers(values["boxes"]).reshape(-1, 4),
        size=(height, width),
        dropped=tuple(_words(values["dropped"])),
        class_ids=class_ids,
        scores=_numbers(values["scores"]),
        features=_by_class(values["features"], len(class_ids)),
        degenerate=bool(values["degenerate"].int64_list.value[0]),
        readings={
            name.removeprefix(_READINGS): _by_class(values[name], len(class_ids))
            for name in sorted(values)
            if name.startswith(_READINGS)
        },
    )


def _by_class(feature: tf.train.Feature, classes: int) -> np.ndarray:
    found = _numbers(feature)
    return found.reshape(classes, len(found) // classes)  # -1 does not go with no features


def _bytes(values: Iterable[str]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[each.encode() for each in values]))


def _integers(values: Iterable[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(each) for each in values]))


def _floats(values: np.ndarray) -> tf.train.Feature:
    # As float32: a list of Python's floats beyond its range would be refused or made infinite.
    flat = np.asarray(values, np.float32).ravel().tolist()
    return tf.train.Feature(float_list=tf.train.FloatList(value=flat))


def _words(feature: tf.train.Feature) -> list[str]:
    return [each.decode() for each in feature.bytes_list.value]


def _numbers(feature: tf.train.Feature) -> np.ndarray:
    return np.array(feature.float_list.value, np.float32)
