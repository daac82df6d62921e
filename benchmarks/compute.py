r"""Is extraction faster by XLA, in half precision, or on several devices?

  python -m benchmarks.compute --classifier=squeezenet1_1

Class scores, and maps with their features (`sensmap.pipeline.Extractor`), of one batch in memory:
by turns as they are; compiled by XLA; in float16; in bfloat16; and shared out to all GPUs, or
without any to two logical CPUs, which have the same cores and only show what sharing costs. Of
each the images a second by the median time, and the median over the rounds of its speed over that
of the first in the same round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import _common
from sensmap import classifiers, compute, maps
from sensmap.pipeline import Extractor
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images at once.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 9, "How often each is timed.", lower_bound=1)

# By their names: the precision, the strategy, and whether XLA compiles.
_SETTINGS = {
    "default": ("none", "none", False),
    "jit_compile": ("none", "none", True),
    "float16": ("float16", "none", False),
    "bfloat16": ("bfloat16", "none", False),
    "mirrored": ("none", "mirrored", False),
}


def main() -> None:
    plain = _common.classifier(_CLASSIFIER.value)
    sample = _common.ilsvrc().select(range(_BATCH.value))
    [(pixels, class_ids)] = _common.batches_in_memory(plain, sample, _BATCH.value)
    tasks: dict[str, Callable[[], object]] = {}
    for name, setting in _SETTINGS.items():
        scores, extractor = functions(plain, *setting)
        tasks[f"scores, {name}"] = lambda scores=scores: _done(scores(pixels))
        tasks[f"maps, {name}"] = lambda of=extractor: _done(of.compiled(pixels, class_ids))
    seconds = _common.alternate(tasks, _ROUNDS.value)
    rows = [
        {
            "what": what,
            "setting": name,
            "images_a_second": len(pixels) / statistics.median(seconds[f"{what}, {name}"]),
            "speed": _common.ratio(seconds[f"{what}, default"], seconds[f"{what}, {name}"]),
        }
        for what in ("scores", "maps")
        for name in _SETTINGS
    ]
    _common.report(
        rows,
        COLUMNS,
        classifier=_CLASSIFIER.value,
        batch_size=_BATCH.value,
        rounds=_ROUNDS.value,
        devices=[each.name for each in tf.config.list_logical_devices()],
    )


def functions(plain: classifiers.Classifier, precision: str, strategy: str, jit_compile: bool):
    """What gives class scores, and an extractor, in a setting."""
    by = compute.strategy(strategy)
    network = plain
    if by is not None:
        with by.scope():
            network = _common.classifier(_CLASSIFIER.value)
    elif precision != "none":
        network = classifiers.load(plain.model, plain.preprocessing, mixed_precision=precision)
    scores = compute.compiled(
        lambda pixels: network.scores_from_input(network.preprocess(pixels)),
        [tf.TensorSpec([None, *network.input_size, 3], tf.float32)],
        by,
        jit_compile,
    )
    method = maps.create("gradient", network, layers=maps.PIXELS)
    return scores, Extractor(method, strategy=by, jit_compile=jit_compile)


def two_devices() -> None:
    """Makes two logical CPUs where there is no GPU; before anything else of TensorFlow."""
    if not tf.config.list_physical_devices("GPU"):
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            processor, [tf.config.LogicalDeviceConfiguration()] * 2
        )


def _done(found: object) -> list[np.ndarray]:
    # A device may still be at work when a function returns.
    return [each.numpy() for each in tf.nest.flatten(found)]


COLUMNS = (
    Column("What", lambda row: row["what"], is_number=False),
    Column("Setting", lambda row: row["setting"], is_number=False),
    Column("images/s", lambda row: number(row["images_a_second"], 1)),
    Column("over default", lambda row: number(row["speed"], 2)),
)


if __name__ == "__main__":
    two_devices()
    _common.run(main)
