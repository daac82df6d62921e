"""The whole way from a data set to features: read, decode, resize, differentiate, reduce.

Images are decoded in threads while the network computes. What is kept of an image are a few
numbers: features, which are all that leaves the device, and what localizers that work on the host
read off its maps, in threads too. So memory does not grow with the images.
"""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from sensmap import compute, features, images
from sensmap.batches import read_batches
from sensmap.classifiers.class_names import ClassIndex, match_classes
from sensmap.classifiers.sanity import SanityCheck
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.feature_table import FeatureTable, Readings, image_class, table_row
from sensmap.maps import PREDICTED, MapMethod, given_and_top
from sensmap.metrics.average_precision import MeanAveragePrecision

# The class that a map is of: that of the image, or the one with the highest score.
TRUTH, PREDICTION = "truth", "predicted"

# Scores an image's maps, one ``(h, w)`` a layer, against what is known of it: a few numbers. It
# gets the example, its original size, and the maps.
Judge = Callable[[Example, tuple[int, int], Sequence[np.ndarray]], np.ndarray]


class Extracted(NamedTuple):
    """What one pass gives for one image.

    Attributes:
        example: the image.
        size: ``(height, width)`` of the original in pixels.
        class_ids, scores, features: ``(1 + K,)``, ``(1 + K,)`` and ``(1 + K, F)``, as of
            `Readings`: of the class asked for, then of the best ones.
        degenerate: whether the map of the class asked for said nothing.
        readings: by a reader's name what it has read, ``(1 + K, F)``.
        judged: by a judge's name what it says.
    """

    example: Example
    size: tuple[int, int]
    class_ids: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    degenerate: bool
    readings: Mapping[str, np.ndarray] = {}
    judged: Mapping[str, np.ndarray] = {}


class Extractor:
    """Reads what boxes are made from off sensitivity maps, of batches and of data sets.

    Args:
        method: where the maps come from.
        feature_name: a module of `sensmap.features`; None to compute no features.
        readers: localizers that read maps on the host (``in_graph`` is False), by name.
        top_k: of how many best classes to read the maps, besides the class asked for.
        judges: what scores the maps of the class asked for against the truth, by name.
        strategy: what shares each batch out to its replicas (`sensmap.compute.strategy`); the
            classifier is one that was loaded under its ``scope()``. None for one device.
        jit_compile: whether XLA compiles it, for batches of one size: smaller ones are filled up.

    Attributes:
        method, feature_name, readers, top_k, judges, strategy, jit_compile: as given.
        compiled: from ``(N, height, width, 3)`` float32 pixels and ``(N,)`` int32 class ids to
            class ids and scores ``(N, 1 + K)``, features ``(N, 1 + K, F)``, which maps of the
            class asked for said nothing, and, for readers and judges only, the maps; one
            `tf.function` for all batches.

    Raises:
        ValueError: for a classifier that was loaded outside of the strategy's scope; for a map
            method with random numbers, which XLA draws differently.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers, datasets, maps
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(10)])
    >>> method = maps.create("gradient", classifiers.load(model, preprocessing="tf"))
    >>> Extractor(method).extract(datasets.load("digits", count=4), "predicted").features.shape
    (4, 152)
    """

    def __init__(
        self,
        method: MapMethod,
        feature_name: str | None = "quantiles",
        readers: Mapping[str, Any] | None = None,
        top_k: int = 0,
        judges: Mapping[str, Judge] | None = None,
        strategy: tf.distribute.Strategy | None = None,
        jit_compile: bool = False,
    ):
        self.method = method
        self.feature_name = feature_name
        self.readers = dict(readers or {})
        self.top_k = top_k
        self.judges = dict(judges or {})
        self.strategy = strategy
        self.jit_compile = jit_compile
        if strategy is not None:
            compute.check_scope(method.classifier.model, strategy)
        if jit_compile:
            compute.check_exact(method.compiled.get_concrete_function().graph, self._name)
        height, width = method.image_size
        signature = [
            tf.TensorSpec([None, height, width, 3], tf.float32),
            tf.TensorSpec([None], tf.int32),
        ]
        self.compiled = compute.compiled(self._batch, signature, strategy, jit_compile)

    def computed_by(self, strategy: tf.distribute.Strategy | None, jit_compile: bool) -> Extractor:
        """The same extractor with another strategy or compiler."""
        wanted = self.method, self.feature_name, self.readers, self.top_k, self.judges
        return Extractor(*wanted, strategy, jit_compile)

    @property
    def _looks_at_maps(self) -> bool:
        return bool(self.readers or self.judges)

    @property
    def _name(self) -> str:
        return f"The map method {self.method.config['name']!r}"

    def _compute(self, pixels: tf.Tensor, class_ids: np.ndarray, size: int):
        """What `compiled` gives for a batch of that size or less, and maybe for more behind it."""
        if not self.jit_compile:
            return self.compiled(pixels, class_ids)
        features_too = f" with the features {self.feature_name!r}" if self.feature_name else ""
        with compute.compiling(self._name + features_too):
            return self.compiled(*compute.repeated(size, pixels, class_ids))

    def _batch(self, resized: tf.Tensor, class_ids: tf.Tensor):
        choose = given_and_top(class_ids[:, None], self.top_k)
        maps, chosen, scores = self.method.explain(resized, choose)
        degenerate = tf.stack([features.is_degenerate(each[:, 0]) for each in maps])
        table = features.compute_by_class(self.feature_name, maps)
        said_nothing = tf.reduce_any(degenerate, axis=0)
        scores = tf.gather(scores, chosen, batch_dims=1)
        return chosen, scores, table, said_nothing, maps if self._looks_at_maps else ()

    def extract(
        self,
        dataset: Dataset,
        class_of: str | int = TRUTH,
        batch_size: int = 32,
        description: str = "Maps",
    ) -> FeatureTable:
        """One pass over a data set.

        Args:
            dataset: the images.
            class_of: the class of the maps: ``"truth"``, ``"predicted"``, or a class id of the
                classifier for all images.
            batch_size: images at once; fewer where they would take more than
                `sensmap.maps.MEMORY_BUDGET`.
            description: what the progress bar says.

        Returns:
            A row for each image that could be used; the others are named in ``skipped``.

        Raises:
            ValueError: if no image could be used, or the classifier does not know the class.
        """
        began = time.perf_counter()
        class_id_of = class_chooser(self.method.classifier, dataset, class_of)
        skipped: list[tuple[str, str]] = []
        found: list[Extracted] = []
        with tqdm(total=len(dataset), desc=description, unit="image", disable=None) as progress:
            for each in self.stream(dataset, class_id_of, batch_size, skipped):
                found.append(each)
                progress.update(len(found) + len(skipped) - progress.n)
        if not found:
            first = ": ".join(skipped[0]) if skipped else "it is empty"
            raise ValueError(f"No image of {dataset.name} could be used ({first}).")
        whole = Readings(
            np.stack([each.class_ids for each in found]),
            np.stack([each.scores for each in found]),
            np.stack([each.features for each in found]),
            {name: np.stack([each.readings[name] for each in found]) for name in self.readers},
        )
        table = FeatureTable.of(
            [table_row(each.example, each.size) for each in found],
            _classes(whole, 0),
            _classes(whole, slice(1, None)),
            np.array([each.degenerate for each in found]),
            skipped,
            began,
        )
        table.judged = {
            name: np.stack([each.judged[name] for each in found]) for name in self.judges
        }
        return table

    def stream(
        self,
        dataset: Dataset,
        class_id_of: Callable[[Example], int],
        batch_size: int,
        skipped: list[tuple[str, str]],
    ) -> Iterator[Extracted]:
        """One pass over a data set, image by image.

        Args:
            dataset, batch_size: as of `extract`.
            class_id_of: which class is asked for; see `class_chooser`.
            skipped: gets (id, reason) for each example that cannot be used.

        Yields:
            What is read of each image that can be used, in the data set's order; not more than two
            batches wait to be read.
        """
        waiting: collections.deque[tuple[Extracted, Future | None]] = collections.deque()

        def finished() -> Extracted:
            extracted, future = waiting.popleft()
            if future is None:
                return extracted
            readings, judged = future.result()
            return extracted._replace(readings=readings, judged=judged)

        replicas = self.strategy.num_replicas_in_sync if self.strategy else 1
        size = min(batch_size, replicas * self.method.images_at_once(1 + self.top_k))
        batches = read_batches(dataset, self.method.image_size, size, class_id_of, skipped)
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            for pixels, batch in batches:
                wanted = np.array([class_id for _, class_id, _ in batch], np.int32)
                *numbers, maps = self._compute(pixels, wanted, size)
                class_ids, scores, table, degenerate = (part.numpy() for part in numbers)
                maps = [each.numpy() for each in maps]
                before = len(waiting)
                for place, (example, _, original) in enumerate(batch):
                    extracted = Extracted(
                        *(example, original, class_ids[place], scores[place], table[place]),
                        bool(degenerate[place]),
                    )
                    future = None
                    if self._looks_at_maps:
                        of_image = [each[place] for each in maps]
                        future = workers.submit(self._read, extracted, of_image)
                    waiting.append((extracted, future))
                for _ in range(before):
                    yield finished()
            while waiting:
                yield finished()

    def _read(
        self, of: Extracted, maps: Sequence[np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What each reader reads off an image's ``(K, h, w)`` maps, ``(K, F)``, and what each
        judge says of the first."""
        asked = [each[0] for each in maps]
        judged = {name: judge(of.example, of.size, asked) for name, judge in self.judges.items()}
        found: dict[str, np.ndarray] = {}
        if not self.readers:
            return found, judged
        image = images.load(of.example.image)
        classes = of.class_ids.tolist()
        first = [classes.index(class_id) for class_id in classes]  # a class is read once
        for name, reader in self.readers.items():
            once = {place: reader.read([each[place] for each in maps], image) for place in {*first}}
            found[name] = np.stack([once[place] for place in first])
        return found, judged


def _classes(readings: Readings, which: int | slice) -> Readings:
    """Those of some of the classes."""
    return Readings(
        readings.class_ids[:, which],
        readings.scores[:, which],
        readings.features[:, which],
        {name: each[:, which] for name, each in readings.of.items()},
    )


def sanity_check(
    method_or_classifier, dataset: Dataset, limit: int = 256, batch_size: int = 32
) -> SanityCheck | None:
    """Top-1 and top-5 accuracy on up to ``limit`` images spread over a data set.

    Returns:
        None where the data set has no classes that the classifier knows.
    """
    classifier = getattr(method_or_classifier, "classifier", method_or_classifier)
    try:
        known = match_classes(dataset.classes, classifier)
    except ValueError:
        return None
    check = SanityCheck()
    count = min(limit, len(dataset))
    sample = dataset.select([place * len(dataset) // count for place in range(count)])

    def label_of(example: Example) -> int:
        return known[example.labels[0]] if example.labels else -1

    for pixels, batch in read_batches(sample, classifier.input_size, batch_size, label_of, []):
        check.update(classifier.class_scores(pixels.numpy()), [label for _, label, _ in batch])
    return check


def average_precision(classifier, dataset: Dataset, batch_size: int = 32) -> dict[str, Any]:
    """The mean average precision of a classifier on a data set of the same classes.

    Returns:
        The result of `sensmap.metrics.average_precision`.
    """
    metric = MeanAveragePrecision()
    batches = read_batches(dataset, classifier.input_size, batch_size, lambda example: 0, [])
    for pixels, batch in batches:
        labels = [np.isin(range(classifier.num_classes), example.labels) for example, _, _ in batch]
        metric.update(classifier.class_scores(pixels.numpy()), labels)
    return metric.result()


def class_chooser(classifier, dataset: Dataset, class_of: str | int) -> Callable[[Example], int]:
    """Which of the classifier's classes is asked for, example by example.

    Args:
        classifier: what has ``class_names`` (or None) and ``num_classes``.
        dataset: the images.
        class_of: as of `Extractor.extract`.

    Returns:
        ``example -> class id``, or `PREDICTED`; it raises `ExampleError` for an example whose
        class is asked for and unknown to the classifier.

    Raises:
        ValueError: if the classifier knows none of the classes.
    """
    if class_of == PREDICTION:
        return lambda example: PREDICTED
    if class_of != TRUTH:
        class_id = ClassIndex(classifier.num_classes, classifier.class_names).find(class_of)
        return lambda example: class_id
    known = match_classes(dataset.classes, classifier)

    def class_id_of(example: Example) -> int:
        label = image_class(example)
        if label < 0:
            raise ExampleError("it has no label, and the map of its true class was asked for")
        if known[label] < 0:
            raise ExampleError(f"the classifier does not know its class {dataset.classes[label]!r}")
        return int(known[label])

    return class_id_of
