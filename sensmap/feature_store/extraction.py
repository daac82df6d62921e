"""The rows of a block of images, by one pass.

`sensmap.pipeline.Extractor.extract` gives a table of the images that could be used; here every
image of the block has its row, in the data set's order, and a block without any is no error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from sensmap.datasets import Dataset, Example
from sensmap.feature_store.records import Row, Skipped
from sensmap.pipeline import Extractor, read_batches, table_row


def rows(
    extractor: Extractor,
    block: Dataset,
    class_id_of: Callable[[Example], int],
    batch_size: int,
    advance: Callable[[int], object],
) -> list[Row | Skipped]:
    """One pass over a block.

    Args:
        extractor: what reads features, and what readers read, off the maps.
        block: the images.
        class_id_of: which class is asked for, of `sensmap.pipeline.class_chooser`.
        batch_size: images at once; fewer where they would take too much memory.
        advance: is told how many images are done since it was last told.
    """
    skipped: list[tuple[str, str]] = []
    used: dict[str, Row] = {}
    read: list[tuple[str, Future]] = []
    method = extractor.method
    size = min(batch_size, method.images_at_once(1 + extractor.top_k))
    told = 0

    def take(count: int) -> None:
        for name, future in read[:count]:
            used[name] = used[name]._replace(readings=future.result()[0])
        del read[:count]

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        for pixels, batch in read_batches(block, method.image_size, size, class_id_of, skipped):
            wanted = np.array([class_id for _, class_id, _ in batch], np.int32)
            *numbers, maps = extractor.compiled(pixels, wanted)
            class_ids, scores, table, degenerate = (part.numpy() for part in numbers)
            maps = [each.numpy() for each in maps]
            before = len(read)
            for place, row in enumerate(batch):
                name, label, truth, original, dropped = table_row(row[0], row[2])
                used[name] = Row(
                    *(name, label, truth, original, tuple(dropped)),
                    *(class_ids[place], scores[place], table[place], bool(degenerate[place])),
                )
                if extractor.readers:
                    of_image = [each[place] for each in maps]
                    future = workers.submit(extractor._read, row, class_ids[place], of_image)
                    read.append((name, future))
            take(before)  # so that not more than two batches of maps wait
            done = len(used) + len(skipped)
            advance(done - told)
            told = done
        take(len(read))
    found: dict[str, Row | Skipped] = {name: Skipped(name, reason) for name, reason in skipped}
    found |= used
    advance(len(found) - told)
    return [found[name] for name in block.ids]
