"""The batches that a classifier is trained with, from data sets of any size.

A first pass reads every image once: it tells which cannot be used, so that the number of steps is
known, and holds the decoded pixels where those of all images fit into `HELD_BYTES`. Those of
larger data sets are decoded anew in each epoch, beside the training; the batches are the same.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from sensmap import images
from sensmap.classifiers.preprocessing import Preprocessing
from sensmap.datasets import Dataset, Example, ExampleError

# Decoded images that are held in memory, at most.
HELD_BYTES = 2**30
# Images that a thread is given in the first pass, and that it holds as float32 before rounding.
_READ_AT_ONCE = 16
_DECODED_AT_ONCE = 8

Found = tuple[int, Example]  # the position in the data set, and what is there


class Batches:
    """Shuffled batches, in another order each epoch, the same for the same seed; resized and
    mirrored at random where sizes are given.

    To be used in a ``with`` statement: TensorFlow keeps the Python functions of its pipelines for
    good, so the pixels and the thread of the reader have to be let go at its end.

    Args:
        dataset: the images; those without a label, or that cannot be read, are skipped.
        image_size: ``(height, width)`` that images are decoded at, rounded to uint8.
        preprocessing: what makes the network's input of them.
        batch_size: images a step.
        seed: of the order, sizes and mirroring.
        multilabel: whether an image has all of its labels, or the first.
        sizes: the least and the greatest side that the images of a step are resized to, which is
            drawn for each; half of the steps mirror them.
        replicas: each gets an equal part of every step; at an epoch's end up to ``replicas - 1``
            images are left out.

    Attributes:
        count: the images that can be used.
        steps: batches of an epoch.
        failure: why an epoch broke off, if so many images of a batch became unreadable after the
            first pass that there is not one for each replica. Single ones are only left out.

    Raises:
        ValueError: if no image can be used, or the replicas cannot get equal parts.

    >>> from sensmap import datasets
    >>> digits = datasets.load("digits", split="train", count=6)
    >>> with Batches(digits, (16, 16), Preprocessing.of("tf"), 4) as batches:
    ...     [(pixels.shape[0], labels.shape[0]) for pixels, labels in batches.epoch()]
    [(4, 4), (2, 2)]
    """

    def __init__(
        self,
        dataset: Dataset,
        image_size: tuple[int, int],
        preprocessing: Preprocessing,
        batch_size: int,
        seed: int = 0,
        multilabel: bool = False,
        sizes: tuple[int, int] | None = None,
        replicas: int = 1,
    ):
        if batch_size % replicas:
            raise ValueError(
                f"The batch size must be a multiple of the {replicas} replicas that share each "
                f"batch; received {batch_size}."
            )
        self._dataset, self._preprocessing, self._sizes = dataset, preprocessing, sizes
        self._image_size, self._batch_size, self._replicas = image_size, batch_size, replicas
        self._multilabel = multilabel
        self._random = np.random.default_rng(seed)
        # Examples come from one thread, as a data set may expect; only decoding has several.
        self._reader = ThreadPoolExecutor(1)
        self._skipped: dict[int, str] = {}  # by position
        self.failure: ValueError | None = None
        # Of each image that can be used:
        self._positions: list[int] = []
        self._labels: list[tuple[int, ...]] = []
        fits = len(dataset) * image_size[0] * image_size[1] * 3 <= HELD_BYTES
        self._held = np.empty((len(dataset), *image_size, 3), np.uint8) if fits else None
        self._read_all()
        self.count = len(self._positions)
        used = self.count - self.count % replicas
        if not used:
            first = ": ".join(self.skipped[0]) if self._skipped else "it is empty"
            raise ValueError(f"No image of {dataset.name} could be used ({first}).")
        self.steps = -(-used // batch_size)

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.shutdown()
        self._held = None

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """The id of each image that could not be used, and the reason; in the data set's order."""
        return [(self._dataset.ids[place], why) for place, why in sorted(self._skipped.items())]

    def epoch(self) -> tf.data.Dataset:
        """The batches of the next epoch.

        Returns:
            A data set of the network's input ``(n, h, w, 3)`` float32 and the labels: class ids
            ``(n,)`` int64, or for several labels ``(n, C)`` float32 of 0 and 1.
        """
        rows = self._random.permutation(self.count)[: self.count - self.count % self._replicas]
        batches = tf.data.Dataset.from_tensor_slices(rows).batch(self._batch_size)
        batches = batches.map(self._load, tf.data.AUTOTUNE, deterministic=True)
        if self._sizes:
            low, high = self._sizes
            sides = self._random.integers(low, high + 1, self.steps)
            mirrored = self._random.integers(0, 2, self.steps) == 1
            drawn = tf.data.Dataset.from_tensor_slices((sides.astype(np.int32), mirrored))
            batches = tf.data.Dataset.zip(batches, drawn).map(_resized, tf.data.AUTOTUNE)
        batches = batches.map(
            lambda pixels, labels: (self._preprocessing(tf.cast(pixels, tf.float32)), labels),
            tf.data.AUTOTUNE,
        )
        options = tf.data.Options()
        # Threads that wait for Python must not be those that TensorFlow's own work, which Python
        # waits for, is done in.
        options.threading.private_threadpool_size = max(2, os.cpu_count() or 1)
        return batches.prefetch(2).with_options(options)

    def _load(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Pixels ``(n, h, w, 3)`` uint8 and the labels of a batch."""
        kind = tf.float32 if self._multilabel else tf.int64
        pixels, labels = tf.numpy_function(self._load_arrays, [rows], [tf.uint8, kind])
        pixels.set_shape([None, *self._image_size, 3])
        labels.set_shape([None, len(self._dataset.classes)] if self._multilabel else [None])
        return pixels, labels

    def _load_arrays(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._held is not None:
            return self._held[rows], self._targets(rows)
        row_of = {self._positions[row]: row for row in rows}
        found = self._reader.submit(self._read, list(row_of)).result()
        pixels, good = self._decode(found)
        count = len(good) - len(good) % self._replicas
        if not count:
            # TensorFlow would raise it as an error of its own.
            lost = next(position for position in row_of if position in self._skipped)
            self.failure = ValueError(
                f"Too few images of a batch can still be read ({self._dataset.ids[lost]}: "
                f"{self._skipped[lost]})."
            )
            raise self.failure
        return pixels[:count], self._targets([row_of[position] for position, _ in good[:count]])

    def _targets(self, rows: Iterable[int]) -> np.ndarray:
        labels = [self._labels[row] for row in rows]
        if not self._multilabel:
            return np.array([each[0] for each in labels], np.int64)
        targets = np.zeros((len(labels), len(self._dataset.classes)), np.float32)
        for target, each in zip(targets, labels, strict=True):
            target[list(each)] = 1
        return targets

    def _read_all(self) -> None:
        total, decoders = len(self._dataset), os.cpu_count() or 1
        waiting: collections.deque[Future] = collections.deque()
        with (
            ThreadPoolExecutor(decoders) as pool,
            tqdm(total=total, desc="Reading", unit="image", disable=None) as progress,
        ):

            def keep() -> None:
                pixels, found = waiting.popleft().result()
                if self._held is not None:
                    self._held[len(self._labels) :][: len(found)] = pixels
                self._positions += [position for position, _ in found]
                self._labels += [example.labels for _, example in found]

            for start in range(0, total, _READ_AT_ONCE):
                positions = range(start, min(start + _READ_AT_ONCE, total))
                found = self._reader.submit(self._read, positions).result()
                waiting.append(pool.submit(self._decode, found))
                if len(waiting) > decoders:
                    keep()
                progress.update(len(positions))
            while waiting:
                keep()

    def _read(self, positions: Sequence[int]) -> list[Found]:
        """The examples at these positions that have a label; the others are named."""
        found = []
        for position in positions:
            try:
                example = self._dataset[position]
                if not example.labels:
                    raise ExampleError("it has no label")
                found.append((position, example))
            except ExampleError as error:
                self._skip(position, error)
        return found

    def _decode(self, found: list[Found]) -> tuple[np.ndarray, list[Found]]:
        """Pixels ``(n, h, w, 3)`` uint8 of those that can be decoded; the others are named."""
        pixels = np.empty((len(found), *self._image_size, 3), np.uint8)
        good: list[Found] = []
        for start in range(0, len(found), _DECODED_AT_ONCE):
            chosen = found[start : start + _DECODED_AT_ONCE]
            sources = [example.image for _, example in chosen]
            loaded, _, errors = images.load_batch(sources, self._image_size)
            for place, error in errors.items():
                self._skip(chosen[place][0], error)
            readable = [each for place, each in enumerate(chosen) if place not in errors]
            pixels[len(good) :][: len(readable)] = np.rint(loaded)
            good += readable
        return pixels[: len(good)], good

    def _skip(self, position: int, error: ExampleError) -> None:
        self._skipped.setdefault(position, str(error))


def _resized(batch: tuple[tf.Tensor, tf.Tensor], drawn: tuple[tf.Tensor, tf.Tensor]):
    (pixels, labels), (side, mirrored) = batch, drawn
    pixels = images.resize(pixels, [side, side])
    return tf.cond(mirrored, lambda: pixels[:, :, ::-1], lambda: pixels), labels
