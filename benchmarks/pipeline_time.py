r"""How much time goes where the maps are not: reading, decoding, resizing?

  python -m benchmarks.pipeline_time --classifier=squeezenet1_1

The whole way from JPEG files to features (`sensmap.pipeline.Extractor.extract`), and the maps
and features alone, of the same batches already in memory, with the same compiled function: by
turns, in one process. The ratio is the median over the rounds; beside it that of the processor
time that both took, which other programs on the machine disturb less.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from absl import flags

from benchmarks import _common
from sensmap import maps
from sensmap.maps import PIXELS
from sensmap.pipeline import Extractor
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)
_IMAGES = flags.DEFINE_integer("images", 512, "How many images.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images at once.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each is timed.", lower_bound=1)


def main() -> None:
    network = _common.classifier(_CLASSIFIER.value)
    sample = _common.ilsvrc().select(range(_IMAGES.value))
    batches = _common.batches_in_memory(network, sample, _BATCH.value)
    rows = []
    for name, layers, reduction in (
        ("pixels, max", PIXELS, "max"),
        ("auto layers, l2", "auto", "l2"),
    ):
        method = maps.create("gradient", network, layers=layers, reduction=reduction)
        rows.append({"setting": name, **measure(Extractor(method), sample, batches)})
    _common.report(
        rows,
        COLUMNS,
        classifier=_CLASSIFIER.value,
        images=_IMAGES.value,
        batch_size=_BATCH.value,
    )


def measure(extractor: Extractor, sample, batches) -> dict[str, float]:
    """Both ways, by turns."""
    processor: dict[str, list[float]] = {"whole": [], "maps": []}

    def timed(name: str, task: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            began = time.process_time()
            task()
            processor[name].append(time.process_time() - began)

        return run

    def maps_alone() -> None:
        for pixels, class_ids in batches:
            extractor.compiled(pixels, class_ids)

    tasks = {
        "whole": timed("whole", lambda: extractor.extract(sample, batch_size=_BATCH.value)),
        "maps": timed("maps", maps_alone),
    }
    seconds = _common.alternate(tasks, _ROUNDS.value)
    return {
        "milliseconds_whole": 1e3 * statistics.median(seconds["whole"]) / len(sample),
        "milliseconds_maps": 1e3 * statistics.median(seconds["maps"]) / len(sample),
        "ratio": _common.ratio(seconds["whole"], seconds["maps"]),
        # The first round, which does not count, is in these lists.
        "processor_ratio": _common.ratio(processor["whole"][1:], processor["maps"][1:]),
    }


COLUMNS = (
    Column("Maps of", lambda row: row["setting"], is_number=False),
    Column("ms an image", lambda row: number(row["milliseconds_whole"], 2)),
    Column("maps alone", lambda row: number(row["milliseconds_maps"], 2)),
    Column("ratio", lambda row: number(row["ratio"], 3)),
    Column("of processor time", lambda row: number(row["processor_ratio"], 3)),
)


if __name__ == "__main__":
    _common.run(main)
