"""Makes a store, or goes on with one, in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from tqdm import tqdm

from sensmap.datasets import Dataset
from sensmap.feature_store import manifest, shards
from sensmap.feature_store.plan import Plan
from sensmap.feature_store.store import FeatureStore
from sensmap.pipeline import TRUTH, Extractor


class Built(NamedTuple):
    """What was done.

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
        folder, extractor, dataset, class_of, shard_size, batch_size: as of
            `sensmap.feature_store.Plan`.
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
    plan = Plan(folder, extractor, dataset, class_of, shard_size, batch_size)
    return complete(plan, overwrite)


def complete(plan: Plan, overwrite: bool = False) -> Built:
    """As `build`, for a store that is described already."""
    with plan.writing(overwrite):
        return built(plan, make_missing(plan))


def make_missing(plan: Plan) -> list[int]:
    """Makes the shards that are not there, or damaged, one after the other; gives their numbers."""
    missing = [number for number in range(plan.count) if not plan.is_whole(number)]
    total = len(plan.dataset)
    done = total - sum(len(plan.images(number)) for number in missing)
    with tqdm(total=total, initial=done, desc="Features", unit="image", disable=None) as progress:
        for number in missing:
            plan.make(number, progress.update)
    return missing


def built(plan: Plan, made: Sequence[int]) -> Built:
    """What was done, once all shards are there.

    Args:
        plan: of the store.
        made: the shards that were made.

    Raises:
        ValueError: if no image could be used.
    """
    store = FeatureStore(plan.folder)
    refuse_empty(store)
    now = manifest.versions()
    return Built(
        store,
        plan.count - len(made),
        [shards.file_name(number, plan.count) for number in made],
        [
            f"{name} was {version}, is {now.get(name)}"
            for name, version in store.manifest["versions"].items()
            if version != now.get(name) and made
        ],
    )


def refuse_empty(store: FeatureStore) -> None:
    """Sees that some image of a store that is whole could be used.

    Raises:
        ValueError: if none could, with the first one and why.
    """
    if not len(store):
        first = ": ".join(next(store.shards()).skipped[0])
        raise ValueError(f"No image of {store.manifest['data']['name']} could be used ({first}).")
