r"""What does a served model with boxes cost, in multiples of its classifier alone?

  python -m benchmarks.serving

For each classifier a SavedModel of nothing else, and exports (`sensmap.export`) of a box
regressor, fitted on a few dozen images, by maps of the pixels, of one inner layer (the one that
benchmarks.ilsvrc_folds chooses) and of one layer a resolution. All are loaded in one process, as
a server does, and asked by turns, call by call, for the boxes of the top class:

* pixels: arrays of the network's own size. The bare model casts and preprocesses them; the
  export looks at their size besides, for it takes any.
* JPEG: files as they are. The bare model decodes and resizes them by the same operations.

One image a call for the latency, --batch_size for the throughput. "Over bare" is the median, over
the rounds, of a setting's time over that of the bare model in the same round.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import _common, _exports
from sensmap import classifiers, images, maps
from sensmap.export import export_saved_model
from sensmap.maps import PIXELS
from sensmap.report.tables import Column, number

_CLASSIFIERS = flags.DEFINE_multi_enum(
    "classifier", list(_common.CLASSIFIERS), list(_common.CLASSIFIERS), "Whose maps."
)
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images a call for throughput.", lower_bound=2)
_ROUNDS = flags.DEFINE_integer("rounds", 200, "Calls of one image each.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 15, "Calls of a whole batch each.", lower_bound=1)

_PHOTOS = 48  # that the regressors are fitted on
BARE = "bare classifier"
# What the export's latency over the bare model's is to be at most.
LIMITS = {"pixels": 2.6, "inner": 1.6}

# By the input's name, what is called with a batch of it.
Calls = Mapping[str, Callable[[tf.Tensor], object]]


def main() -> None:
    rows = []
    for name in _CLASSIFIERS.value:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(name, Path(folder))
    _common.report(rows, COLUMNS, batch_size=_BATCH.value, rounds=_ROUNDS.value)


def measure(name: str, folder: Path) -> list[dict]:
    """A row for each input and setting of a classifier."""
    network = _common.classifier(name)
    layer = _common.CLASSIFIERS[name].layer
    photos = _common.ilsvrc().select(range(_PHOTOS))
    save_bare(network, folder / BARE)
    limits, models = {BARE: None}, {BARE: folder / BARE}
    for title, layers, reduction, limit in (
        ("pixels, max", PIXELS, "max", LIMITS["pixels"]),
        (f"{layer}, l2", layer, "l2", LIMITS["inner"]),
        ("auto layers, l2", "auto", "l2", LIMITS["inner"]),
    ):
        method = maps.create("gradient", network, layers=layers, reduction=reduction)
        models[title] = export_saved_model(_exports.fitted(method, photos), folder / title)
        limits[title] = limit
    loaded = {title: tf.saved_model.load(str(path)) for title, path in models.items()}
    settings = {title: calls(model) for title, model in loaded.items()}
    rows = []
    for given, batches in inputs(network).items():
        one, many = (
            times({title: each[given] for title, each in settings.items()}, of_size, rounds)
            for of_size, rounds in zip(batches, (_ROUNDS.value, _BATCHES.value), strict=True)
        )
        for title, limit in limits.items():
            rows.append(
                {
                    "classifier": name,
                    "input": given,
                    "setting": title,
                    "milliseconds": 1e3 * float(np.median(one[title])),
                    "milliseconds_95": 1e3 * float(np.percentile(one[title], 95)),
                    "over_bare": _common.ratio(one[title], one[BARE]),
                    "limit": limit,
                    "images_a_second": _BATCH.value / float(np.median(many[title])),
                    "batch_over_bare": _common.ratio(many[title], many[BARE]),
                }
            )
    return rows


def save_bare(network: classifiers.Classifier, folder: Path) -> None:
    """A SavedModel of the class scores alone, of pixels of the network's size and of files."""
    size = network.input_size

    @tf.function(input_signature=[tf.TensorSpec([None, *size, 3], tf.uint8, "images")])
    def of_pixels(pixels):
        inputs = network.preprocess(tf.cast(pixels, tf.float32))
        return {"scores": network.scores_from_input(inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def of_files(image_bytes):
        def read(data):
            with tf.device("CPU:0"):
                return images.resize(images.decode(data), size)

        resized = tf.map_fn(
            read, image_bytes, fn_output_signature=tf.TensorSpec([*size, 3], tf.float32)
        )
        return {"scores": network.scores_from_input(network.preprocess(resized))}

    module = tf.Module()
    module.all_variables = list(of_pixels.get_concrete_function().variables)
    signatures = {"images": of_pixels, "serving_default": of_files}
    tf.saved_model.save(module, str(folder), signatures)


def calls(model) -> Calls:
    """The two signatures of a loaded SavedModel, bare or not."""
    of_pixels, of_files = (model.signatures[name] for name in ("images", "serving_default"))
    return {
        "pixels": lambda batch: of_pixels(images=batch),
        "JPEG": lambda batch: of_files(image_bytes=batch),
    }


def inputs(network: classifiers.Classifier) -> dict[str, tuple[list[tf.Tensor], list[tf.Tensor]]]:
    """Of each input, batches of one image, and one of `--batch_size`."""
    sample = _common.ilsvrc().select(range(_BATCH.value))
    paths = [sample[place].image for place in range(len(sample))]
    files = tf.constant([path.read_bytes() for path in paths])
    resized = [images.load_resized(path, network.input_size)[0] for path in paths]
    pixels = tf.constant(np.round(resized).astype(np.uint8))
    return {
        given: ([batch[place : place + 1] for place in range(len(paths))], [batch])
        for given, batch in (("pixels", pixels), ("JPEG", files))
    }


def times(
    settings: Mapping[str, Callable], batches: list[tf.Tensor], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each round; in a round all settings get the same batch."""

    def each_in_turn(call: Callable) -> Callable[[], object]:
        turns = itertools.cycle(batches)
        return lambda: call(next(turns))

    tasks = {title: each_in_turn(call) for title, call in settings.items()}
    return _common.alternate(tasks, rounds)


COLUMNS = (
    Column("Classifier", lambda row: row["classifier"], is_number=False),
    Column("Input", lambda row: row["input"], is_number=False),
    Column("Maps of", lambda row: row["setting"], is_number=False),
    Column("ms", lambda row: number(row["milliseconds"], 2)),
    Column("95%", lambda row: number(row["milliseconds_95"], 2)),
    Column("over bare", lambda row: number(row["over_bare"], 2)),
    Column("limit", lambda row: number(row["limit"], 1)),
    Column("images/s in batches", lambda row: number(row["images_a_second"])),
    Column("over bare", lambda row: number(row["batch_over_bare"], 2)),
)


if __name__ == "__main__":
    _common.run(main)
