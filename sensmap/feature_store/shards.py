"""A shard's file and its index: written so that what has an index is whole, and checked by it."""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from sensmap import files
from sensmap.feature_store.records import Row, Skipped, decode, encode, is_skipped

INDEX = "index"


class Damage(NamedTuple):
    """A shard that cannot be used: its file's name, and why, for a person."""

    shard: str
    reason: str


class ShardError(ValueError):
    """Why a shard cannot be used, without its name."""


def file_name(number: int, count: int) -> str:
    """What a shard is called.

    >>> file_name(7, 120)
    'features-00007-of-00120.tfrecord'
    """
    return f"features-{number:05d}-of-{count:05d}.tfrecord"


def index_name(number: int) -> str:
    """What its index is called, in the folder `INDEX`."""
    return f"{number:05d}.json"


def write(
    folder: Path, number: int, count: int, made_from: str, images: Sequence[Row | Skipped]
) -> None:
    """Writes a shard, and when it is safely on the disk its index.

    Args:
        folder: of the store.
        number, count: which shard, of how many.
        made_from: of `sensmap.feature_store.manifest.identity`.
        images: what it holds.

    Raises:
        OSError: if it cannot be written, in one line; the shards that are there stay.
    """
    target = folder / file_name(number, count)
    # A name of its own: a runner may have two workers make the same shard.
    work = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        try:
            records = [encode(image) for image in images]
            with tf.io.TFRecordWriter(os.fspath(work)) as writer:
                for record in records:
                    writer.write(record)
            data = work.read_bytes()
            files.sync(work)
            os.replace(work, target)
            files.sync(folder)
        finally:
            work.unlink(missing_ok=True)
    except (OSError, tf.errors.OpError) as error:
        # TensorFlow's messages are "path; reason".
        reason = getattr(error, "strerror", None) or str(error).rpartition("; ")[2]
        raise OSError(
            f"{target}: cannot be written ({reason}); the shards before it are kept, and the same "
            "command goes on from there."
        ) from error
    files.write_json(folder / INDEX / index_name(number), _index(data, records, made_from))


def read(folder: Path, number: int, count: int, made_from: str) -> list[Row | Skipped]:
    """The images of a shard, if it is as it was written.

    Raises:
        ShardError: if it is missing, damaged, or that of a store of something else.
    """
    records = _checked(folder, number, count, made_from)
    try:
        return [decode(record) for record in records]
    except ValueError as error:
        raise ShardError(f"it holds {error}") from None


def damage(folder: Path, number: int, count: int, made_from: str) -> Damage | None:
    """What is wrong with a shard; None if nothing is."""
    try:
        _checked(folder, number, count, made_from)
    except ShardError as error:
        return Damage(file_name(number, count), str(error))
    return None


def clear(folder: Path) -> None:
    """Removes all shards; indices first, so that none is left without its shard."""
    for pattern in (f"{INDEX}/*.json", "features-*-of-*.tfrecord"):
        for path in folder.glob(pattern):
            path.unlink()


def _checked(folder: Path, number: int, count: int, made_from: str) -> list[bytes]:
    """The records of a shard that is as its index says; their fields are not looked at."""
    path = folder / file_name(number, count)
    if not path.is_file():
        raise ShardError("it is missing")
    try:
        recorded = files.read_json(folder / INDEX / index_name(number))
    except FileNotFoundError:
        raise ShardError(f"its index, {INDEX}/{index_name(number)}, is missing") from None
    except ValueError:
        recorded = None
    if not isinstance(recorded, dict):
        raise ShardError(f"its index, {INDEX}/{index_name(number)}, is damaged")
    if recorded.get("made_from") != made_from:
        raise ShardError("it was made for a feature store of something else")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ShardError(f"it cannot be read ({error.strerror})") from None
    if len(data) != recorded.get("bytes"):
        raise ShardError(f"it has {len(data)} bytes, and its index says {recorded.get('bytes')}")
    if hashlib.sha256(data).hexdigest() != recorded.get("sha256"):
        raise ShardError("its SHA-256 is not that of its index")
    try:
        records = _frames(data)
        agrees = recorded == _index(data, records, made_from)
    except (struct.error, ValueError):
        raise ShardError("it holds no records of a feature store") from None
    if not agrees:
        raise ShardError("it holds other records than its index says")
    return records


def _index(data: bytes, records: Sequence[bytes], made_from: str) -> dict[str, Any]:
    skipped = sum(map(is_skipped, records))
    return {
        "records": len(records),
        "images": len(records) - skipped,
        "skipped": skipped,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "made_from": made_from,
    }


def _frames(data: bytes) -> list[bytes]:
    """The records in a TFRecord file: each stands between its length with a checksum of that, 8
    and 4 bytes, and a checksum of its own, 4 bytes."""
    found, place = [], 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        found.append(data[place + 12 : place + 12 + length])
        place += length + 16
    return found
