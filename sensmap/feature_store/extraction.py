"""The rows of a block of images, by one pass.

`sensmap.pipeline.Extractor.extract` gives a table of the images that could be used; here every
image of the block has its row, in the data set's order, and a block without any is no error.
"""

from __future__ import annotations

from collections.abc import Callable

from sensmap.datasets import Dataset, Example
from sensmap.feature_store.records import Row, Skipped
from sensmap.feature_table import table_row
from sensmap.pipeline import Extractor


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
    found: dict[str, Row | Skipped] = {}
    told = 0
    for each in extractor.stream(block, class_id_of, batch_size, skipped):
        name, label, truth, size, dropped = table_row(each.example, each.size)
        found[name] = Row(
            *(name, label, truth, size, tuple(dropped)),
            *(each.class_ids, each.scores, each.features, each.degenerate, each.readings),
        )
        done = len(found) + len(skipped)
        advance(done - told)
        told = done
    found |= {name: Skipped(name, reason) for name, reason in skipped}
    advance(len(found) - told)
    return [found[name] for name in block.ids]
