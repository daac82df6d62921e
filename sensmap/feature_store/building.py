"""Makes a store, or goes on with one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from sensmap import files
from sensmap.datasets import Dataset
from sensmap.feature_store import extraction, lock, manifest, shards
from sensmap.feature_store.store import FeatureStore
from sensmap.maps import check_top_k
from sensmap.pipeline import TRUTH, Extractor, class_chooser


class Built(NamedTuple):
    """What `build` did.

    Attributes:
        store: whole now.
        taken_over: how many shards were there, finished and undamaged.
        made: names of the shards that were made.
        other_versions: where shards that were taken over come from other versions, which.
    """

    store: FeatureStore
    taken_over: int
    made: list[str]
    other_versions: list[str]


def build(
    folder: str | os.PathLike,
    extractor: Extractor,
    dataset: Dataset,
    class_of: str | int = TRUTH,
    shard_size: int = 1024,
    batch_size: int = 32,
    overwrite: bool = False,
) -> Built:
    """Makes a store, or makes what is missing of one: shards never finished, lost or damaged.

    Args:
        folder: of the store; new, empty, or a store of the same data, classifier and settings.
        extractor: what reads the features off the maps.
        dataset: the images.
        class_of: the class of the maps, as of `sensmap.pipeline.Extractor.extract`.
        shard_size: images in a shard; the features of so many are in memory at once.
        batch_size: images at once; fewer where they would take more than
            `sensmap.maps.MEMORY_BUDGET`.
        overwrite: start anew where there is a store, whatever it was made from.

    Raises:
        ValueError: if there is a store of something else, with each difference; if no image could
            be used; or for what `Extractor.extract` refuses.
        FileExistsError: if the folder holds other things.
        BlockingIOError: if another process is writing the store.
        OSError: if it cannot be written. Shards that are finished are kept.

    >>> import keras, tempfile
    >>> from sensmap import classifiers, datasets, maps
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(10)])
    >>> method = maps.create("gradient", classifiers.load(model, preprocessing="tf"))
    >>> digits = datasets.load("digits", count=5)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     built = build(place, Extractor(method), digits, "predicted", shard_size=2)
    ...     [table.features.shape for table in built.store.shards()]
    [(2, 152), (2, 152), (1, 152)]
    """
    for name, number in {"shard_size": shard_size, "batch_size": batch_size}.items():
        if number < 1:
            raise ValueError(f"{name} is how many images, 1 or more; received {number}.")
    if extractor.judges:
        raise ValueError("A feature store holds nothing of judges; make an extractor without any.")
    if not len(dataset):
        raise ValueError(f"No image of {dataset.name} could be used (it is empty).")
    if extractor.top_k:
        check_top_k(extractor.top_k, extractor.method.classifier.num_classes)
    class_id_of = class_chooser(extractor.method.classifier, dataset, class_of)
    given = manifest.describe(extractor, dataset, class_of, shard_size, batch_size)
    count = given["shards"]
    place = Path(os.path.abspath(folder))
    _make(place)
    with lock.only_writer(place):
        _prepare(place, extractor, given, overwrite)
        missing = [number for number in range(count) if shards.damage(place, number, count)]
        blocks = {
            number: range(len(dataset))[number * shard_size : (number + 1) * shard_size]
            for number in missing
        }
        done = len(dataset) - sum(map(len, blocks.values()))
        with tqdm(
            total=len(dataset), initial=done, desc="Features", unit="image", disable=None
        ) as progress:
            for number, block in blocks.items():
                images = extraction.rows(
                    extractor, dataset.select(block), class_id_of, batch_size, progress.update
                )
                shards.write(place, number, count, images)
    store = FeatureStore(folder)
    if not len(store):
        first = ": ".join(next(store.shards()).skipped[0])
        raise ValueError(f"No image of {dataset.name} could be used ({first}).")
    now = manifest.versions()
    return Built(
        store,
        count - len(missing),
        [shards.file_name(number, count) for number in missing],
        [
            f"{name} was {version}, is {now.get(name)}"
            for name, version in store.manifest["versions"].items()
            if version != now.get(name) and missing
        ],
    )


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


def _prepare(place: Path, extractor: Extractor, given: dict[str, Any], overwrite: bool) -> None:
    """Brings a folder to where shards can be added: the manifest stands, no rubbish is in it."""
    for leftover in _leftovers(place).values():
        leftover.unlink()
    if (place / manifest.FILE).exists() and not overwrite:
        differing = manifest.differences(manifest.read(place), given)
        if differing:
            raise ValueError(
                f"{place} is a feature store of something else ({'; '.join(differing)}); choose "
                "another folder, or allow it to be overwritten."
            )
        return
    described = {**given, **manifest.information(extractor)}
    # The old manifest goes last: until then the folder can be told to be a store.
    shards.clear(place)
    files.write_json(place / manifest.FILE, described)
