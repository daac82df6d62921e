"""A store that was built: read shard by shard, and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sensmap import files
from sensmap.feature_store import manifest
from sensmap.feature_store.records import Row, Skipped
from sensmap.feature_store.shards import (
    INDEX,
    Damage,
    ShardError,
    damage,
    file_name,
    index_name,
    read,
)
from sensmap.feature_table import FeatureTable, Readings


class FeatureStore:
    """What `sensmap.feature_store.build` wrote; `open` opens one.

    Args:
        folder: of the store.

    Attributes:
        folder: as given.
        manifest: what it was made from, and how.

    Raises:
        FileNotFoundError: if there is no store.
        ValueError: if its manifest is damaged.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.manifest = manifest.read(self.folder)

    def __len__(self) -> int:
        """How many images could be used, by the indices of a store that is whole."""
        numbers = range(self.manifest["shards"])
        indices = (files.read_json(self.folder / INDEX / index_name(each)) for each in numbers)
        return sum(index["images"] for index in indices)

    def ids(self) -> Iterator[str]:
        """The ids of the images that could be used: those of all tables of `shards`.

        Raises:
            ValueError: as `shards`.
        """
        for table in self.shards():
            yield from table.ids

    def shards(self) -> Iterator[FeatureTable]:
        """The images of each shard in the data set's order, one shard in memory at a time.

        Yields:
            What `sensmap.pipeline.Extractor.extract` gives for those images, without ``seconds``;
            of a shard whose images were all skipped a table without rows.

        Raises:
            ValueError: if a shard is missing or damaged, in one line with its name.
        """
        yield from map(self.shard, range(self.manifest["shards"]))

    def shard(self, number: int) -> FeatureTable:
        """The images of one shard, as of `shards`.

        Raises:
            ValueError: as `shards`.
        """
        count = self.manifest["shards"]
        try:
            images = read(self.folder, number, count, manifest.identity(self.manifest))
        except ShardError as error:
            raise ValueError(
                f"{self.folder}: the shard {file_name(number, count)} cannot be used: "
                f"{error}. train/features.py --repair makes it again."
            ) from None
        return self._table(images)

    def verify(self) -> list[Damage]:
        """The shards that are missing or damaged; all are read and compared with their indices."""
        count = self.manifest["shards"]
        made_from = manifest.identity(self.manifest)
        found = (damage(self.folder, number, count, made_from) for number in range(count))
        return [each for each in found if each is not None]

    def _table(self, images: Sequence[Row | Skipped]) -> FeatureTable:
        rows = [each for each in images if isinstance(each, Row)]
        skipped = [tuple(each) for each in images if isinstance(each, Skipped)]
        numbers = self.manifest["numbers"]
        classes = 1 + self.manifest["top_k"]

        def stack(each: list[np.ndarray], *shape: int, dtype: type = np.float32) -> np.ndarray:
            return np.array(each, dtype).reshape(len(rows), *shape)

        class_ids = stack([row.class_ids for row in rows], classes, dtype=np.int32)
        scores = stack([row.scores for row in rows], classes)
        features = stack([row.features for row in rows], classes, numbers["features"])
        of = {
            name: stack([row.readings[name] for row in rows], classes, size)
            for name, size in numbers["readings"].items()
        }

        def of_classes(which: int | slice) -> Readings:
            return Readings(
                class_ids[:, which],
                scores[:, which],
                features[:, which],
                {name: each[:, which] for name, each in of.items()},
            )

        return FeatureTable(
            ids=[row.id for row in rows],
            asked=of_classes(0),
            guessed=of_classes(slice(1, None)),
            labels=np.array([row.label for row in rows], np.int32),
            truths=[row.truth for row in rows],
            sizes=np.array([row.size for row in rows], np.int32).reshape(-1, 2),
            skipped=skipped,  # type: ignore[arg-type]
            dropped=[(row.id, reason) for row in rows for reason in row.dropped],
            degenerate=sum(row.degenerate for row in rows),
            seconds=0.0,
        )


def open(folder: str | os.PathLike) -> FeatureStore:
    """Opens a store.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if its manifest is damaged.
    """
    return FeatureStore(folder)
