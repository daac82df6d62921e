"""A store that is to be made: what all who make shards of it, in any process, agree on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sensmap import files
from sensmap.datasets import Dataset
from sensmap.feature_store import extraction, lock, manifest, shards
from sensmap.maps import check_top_k
from sensmap.pipeline import TRUTH, Extractor, class_chooser


class Plan:
    """A store by what it is made from; its shards can be made in any order, and side by side.

    One process holds `writing` from the first shard to the last. Those that make shards for it, on
    this machine or on others that see the folder, `check` first that they mean the same store.

    Args:
        folder: of the store; new, empty, or a store of the same data, classifier and settings.
        extractor: what reads the features off the maps.
        dataset: the images.
        class_of: the class of the maps, as of `sensmap.pipeline.Extractor.extract`.
        shard_size: images in a shard; the features of so many are in memory at once.
        batch_size: images at once; fewer where they would take more than
            `sensmap.maps.MEMORY_BUDGET`.

    Attributes:
        folder, extractor, dataset: as given.
        described: what must be the same for another run to go on with the store.
        count: how many shards there are.

    Raises:
        ValueError: for an empty data set, and for what `Extractor.extract` refuses.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        extractor: Extractor,
        dataset: Dataset,
        class_of: str | int = TRUTH,
        shard_size: int = 1024,
        batch_size: int = 32,
    ):
        for name, number in {"shard_size": shard_size, "batch_size": batch_size}.items():
            if number < 1:
                raise ValueError(f"{name} is how many images, 1 or more; received {number}.")
        if extractor.judges:
            raise ValueError(
                "A feature store holds nothing of judges; make an extractor without any."
            )
        if not len(dataset):
            raise ValueError(f"No image of {dataset.name} could be used (it is empty).")
        if extractor.top_k:
            check_top_k(extractor.top_k, extractor.method.classifier.num_classes)
        self.folder = Path(os.path.abspath(folder))
        self.extractor = extractor
        self.dataset = dataset
        self.described: dict[str, Any] = manifest.describe(
            extractor, dataset, class_of, shard_size, batch_size
        )
        self.count: int = self.described["shards"]
        self._class_id_of = class_chooser(extractor.method.classifier, dataset, class_of)
        self._shard_size = shard_size
        self._batch_size = batch_size

    @contextlib.contextmanager
    def writing(
        self, overwrite: bool = False, forget: Callable[[], object] = lambda: None
    ) -> Iterator[None]:
        """The folder is made and described, and nobody else's, while the block runs.

        Args:
            overwrite: start anew where there is a store, whatever it was made from.
            forget: is called before shards that are there go, so that what was made of them can go
                first.

        Raises:
            ValueError: if there is a store of something else, with each difference.
            FileExistsError: if the folder holds other things.
            BlockingIOError: if another process is writing the store.
            OSError: if it cannot be written.
        """
        _make(self.folder)
        with lock.only_writer(self.folder):
            self._prepare(overwrite, forget)
            yield
            self._clean()  # of what workers that died have left, whose shards others made

    def check(self) -> str:
        """Sees that the folder is that of this store.

        Returns:
            By what its shards say that they belong to it, of `manifest.identity`.

        Raises:
            FileNotFoundError: if there is none: the folder was not made, or is not seen from here.
            ValueError: if it is one of something else, with each difference.
        """
        stored = manifest.read(self.folder)
        if differing := manifest.differences(stored, self.described):
            raise ValueError(
                f"{self.folder} is a feature store of something else ({'; '.join(differing)}); "
                "choose another folder, or allow it to be overwritten."
            )
        return manifest.identity(stored)

    def is_whole(self, number: int) -> bool:
        """Whether a shard is there, undamaged and of this store; raises as `check`."""
        return shards.damage(self.folder, number, self.count, self.check()) is None

    def stamps(self) -> dict[int, int]:
        """When shards were finished, those that are, in nanoseconds by the file system's clock."""
        folder = self.folder / shards.INDEX
        paths = {number: folder / shards.index_name(number) for number in range(self.count)}
        return {number: each.stat().st_mtime_ns for number, each in paths.items() if each.exists()}

    def images(self, number: int) -> range:
        """The positions of a shard's images in the data set."""
        size = self._shard_size
        return range(len(self.dataset))[number * size : (number + 1) * size]

    def make(self, number: int, advance: Callable[[int], object] = lambda images: None) -> None:
        """Makes a shard; it is there at once, with the same bytes whoever makes it, on equal
        processors with the same versions and number of threads.

        Args:
            number: which.
            advance: is told how many images are done since it was last told.

        Raises:
            FileNotFoundError, ValueError: as `check`, if the folder became that of something else.
            OSError: if it cannot be written.
        """
        block = self.dataset.select(self.images(number))
        images = extraction.rows(
            self.extractor, block, self._class_id_of, self._batch_size, advance
        )
        # Meanwhile another run may have begun the store anew, if who asked for the shard is dead.
        shards.write(self.folder, number, self.count, self.check(), images)

    def _prepare(self, overwrite: bool, forget: Callable[[], object]) -> None:
        """Brings a folder to where shards can be added: described, and without rubbish."""
        self._clean()
        if (self.folder / manifest.FILE).exists() and not overwrite:
            self.check()
            return
        described = {**self.described, **manifest.information(self.extractor)}
        forget()
        # The old manifest goes last: until then the folder can be told to be a store.
        shards.clear(self.folder)
        files.write_json(self.folder / manifest.FILE, described)

    def _clean(self) -> None:
        for leftover in _leftovers(self.folder).values():
            leftover.unlink(missing_ok=True)  # a worker may be just renaming it


def _make(place: Path) -> None:
    """Makes the folder, or sees that what is there is a store or nothing."""
    if place.exists() and not place.is_dir():
        raise FileExistsError(f"The folder {place} cannot be made: a file is in its place.")
    place.mkdir(parents=True, exist_ok=True)
    files.sync(place.parent)
    others = {path.name for path in place.iterdir()} - {lock.FILE, *_leftovers(place)}
    if others and manifest.FILE not in others:
        raise FileExistsError(
            f"The folder {place} exists, is not empty and holds no feature store; choose another "
            "one."
        )


def _leftovers(place: Path) -> dict[str, Path]:
    """What a killed run was writing: names and files."""
    patterns = (f".{manifest.FILE}.*.partial", ".features-*.partial", f"{shards.INDEX}/.*.partial")
    return {path.name: path for pattern in patterns for path in place.glob(pattern)}
