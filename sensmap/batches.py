"""Batches of a data set, decoded in threads ahead of their use."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import tensorflow as tf

from sensmap import images
from sensmap.datasets import Dataset, Example, ExampleError

# An image to use: the example, the class id that is asked for, and its original size.
Row = tuple[Example, int, tuple[int, int]]

# Threads that decode; more than a few only take the network's cores away.
_DECODERS = 4


def read_batches(
    dataset: Dataset,
    input_size: tuple[int, int],
    batch_size: int,
    class_id_of: Callable[[Example], int],
    skipped: list[tuple[str, str]],
) -> Iterator[tuple[tf.Tensor, list[Row]]]:
    """Reads a data set ahead of its use, in its order.

    Args:
        dataset: the images.
        input_size: ``(height, width)`` to resize to.
        batch_size: images in a batch; the last may have fewer.
        class_id_of: ``example -> class id``; raises `ExampleError` for one to leave out.
        skipped: gets (id, reason) for each example that cannot be used.

    Yields:
        Pixels ``(n, height, width, 3)`` float32, 0 to 255, and of each image the example, its
        class id, and its original size.
    """
    parts: list[tf.Tensor] = []
    rows: list[Row] = []
    for pixels, found in _read_parts(dataset, input_size, batch_size, class_id_of, skipped):
        parts.append(pixels)
        rows += found
        if len(rows) >= batch_size:
            joined = _join(parts)
            yield joined[:batch_size], rows[:batch_size]
            parts, rows = [joined[batch_size:]], rows[batch_size:]
    if rows:
        yield _join(parts), rows


def _read_parts(
    dataset: Dataset,
    input_size: tuple[int, int],
    batch_size: int,
    class_id_of: Callable[[Example], int],
    skipped: list[tuple[str, str]],
) -> Iterator[tuple[tf.Tensor, list[Row]]]:
    """`read_batches` in parts of half a batch or less, as they come from the decoders."""
    waiting: collections.deque[tuple[list[tuple[Example, int]], Future]] = collections.deque()
    chosen: list[tuple[Example, int]] = []

    def submit() -> None:
        sources = [example.image for example, _ in chosen]
        waiting.append((chosen.copy(), decoders.submit(images.load_batch, sources, input_size)))
        chosen.clear()

    def finished() -> tuple[tf.Tensor, list[Row]]:
        asked, future = waiting.popleft()
        pixels, sizes, errors = future.result()
        skipped.extend((asked[place][0].id, str(error)) for place, error in errors.items())
        good = [each for place, each in enumerate(asked) if place not in errors]
        return pixels, [
            (example, class_id, example.size or size)
            for (example, class_id), size in zip(good, sizes, strict=True)
        ]

    with ThreadPoolExecutor(_DECODERS) as decoders:
        for position, example_id in enumerate(dataset.ids):
            try:
                example = dataset[position]
                chosen.append((example, class_id_of(example)))
            except ExampleError as error:
                skipped.append((example_id, str(error)))
            if 2 * len(chosen) >= batch_size:
                submit()
            # Two batches ahead: one to compute while the other is decoded.
            if sum(len(asked) for asked, _ in waiting) > 2 * batch_size:
                yield finished()
        if chosen:
            submit()
        while waiting:
            yield finished()


def _join(parts: list[tf.Tensor]) -> tf.Tensor:
    # Where there is a GPU, the whole batch is moved to it at once.
    with tf.device("CPU:0"):
        return tf.concat(parts, axis=0)
