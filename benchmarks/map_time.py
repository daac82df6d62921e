r"""What does a map cost, in multiples of classifying?

  python -m benchmarks.map_time --classifier=squeezenet1_1

One batch in memory, one process. By turns: the class scores alone; the map of the pixels; the
map of one inner layer (--layer, by default the one that benchmarks.ilsvrc_folds chooses inside
its training images); the maps of one layer a resolution. Of each the median time, and the median
over the rounds of its time over that of the scores in the same round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import tensorflow as tf
from absl import flags

from benchmarks import _common
from sensmap import maps
from sensmap.maps import PIXELS
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)
_LAYER = flags.DEFINE_string("layer", None, "The inner layer; by default the chosen one.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images at once.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 20, "How often each is timed.", lower_bound=1)


def main() -> None:
    network = _common.classifier(_CLASSIFIER.value)
    sample = _common.ilsvrc().select(range(_BATCH.value))
    [(pixels, class_ids)] = _common.batches_in_memory(network, sample, _BATCH.value)
    layer = _LAYER.value or _common.CLASSIFIERS[_CLASSIFIER.value].layer

    @tf.function(input_signature=[tf.TensorSpec([None, *pixels.shape[1:]], tf.float32)])
    def scores(resized):
        return network.scores_from_input(network.preprocess(resized))

    settings = {
        "pixels, max": maps.create("gradient", network, layers=PIXELS),
        f"{layer}, l2": maps.create("gradient", network, layers=layer, reduction="l2"),
        "auto layers, l2": maps.create("gradient", network, layers="auto", reduction="l2"),
    }
    tasks: dict[str, Callable[[], object]] = {"class scores alone": partial(scores, pixels)}
    for name, method in settings.items():
        tasks[name] = partial(method.compiled, pixels, class_ids)
    seconds = _common.alternate(tasks, _ROUNDS.value)
    base = seconds["class scores alone"]
    rows = [
        {
            "setting": name,
            "milliseconds": 1e3 * statistics.median(times),
            "ratio": _common.ratio(times, base),
        }
        for name, times in seconds.items()
    ]
    _common.report(rows, COLUMNS, classifier=_CLASSIFIER.value, batch_size=_BATCH.value)


COLUMNS = (
    Column("Maps of", lambda row: row["setting"], is_number=False),
    Column("ms a batch", lambda row: number(row["milliseconds"])),
    Column("over scores", lambda row: number(row["ratio"], 2)),
)


if __name__ == "__main__":
    _common.run(main)
