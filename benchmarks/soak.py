r"""Does an export stay right, and of the same size, however long it serves?

  python -m benchmarks.soak --seconds=600

One process loads the export of a box regressor by maps of the pixels (or --layer) and calls its
signatures at random: 1 to 32 images, as files (JPEG and PNG of the photographs' own sizes) or as
arrays of several sizes, the class given or not. Now and then a file is broken: cut off, empty,
text, a header that promises 65,500 x 65,500 pixels. Such a call must fail with the server's
"invalid argument", and name the places of what is no image; the same files without the broken ones,
right behind it, must be answered as ever.

Every answer is compared with the one that the library gave for that image alone; how near it must
be stands in `benchmarks._exports`. After the warm-up (every signature, size and number of pictures,
then --warm_up seconds at random) memory must not grow by 5%. Where a limit is broken, the exit
code is 1.
"""

from __future__ import annotations

import collections
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import _common, _exports
from sensmap import datasets, images, maps
from sensmap.export import export_saved_model
from sensmap.localizer import Localizer
from sensmap.maps import PIXELS
from sensmap.report import tables
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)
_LAYER = flags.DEFINE_string("layer", PIXELS, "Where the maps are taken.")
_SECONDS = flags.DEFINE_float("seconds", 600.0, "How long.", lower_bound=1)
_WARM_UP = flags.DEFINE_float("warm_up", 60.0, "Seconds of them after which memory must stay.")
_SEED = flags.DEFINE_integer("seed", 0, "Of what is asked.")

GROWTH = 0.05
_PHOTOS, _MOST = 64, 32
# Height and width of arrays: the network's own, smaller, larger, and of other proportions.
_SIZES = ((224, 224), (61, 97), (160, 240), (375, 500), (512, 384))
_BROKEN_CALLS = 0.2


class Picture(NamedTuple):
    """A picture, and what the library says of it: its answers by name, without a class given
    and with ``class_id`` given."""

    source: bytes | np.ndarray
    class_id: int
    predicted: Mapping[str, np.ndarray]
    given: Mapping[str, np.ndarray]


class Soak:
    """Calls of a loaded export, and what came of them.

    Args:
        signatures: of the loaded export.
        pools: pictures that may be asked for together: files, and arrays of each size.
        broken: files that are none, by what is wrong with them.
        seed: of what is asked.
    """

    def __init__(
        self,
        signatures: Mapping[str, Callable],
        pools: Sequence[Sequence[Picture]],
        broken: Mapping[str, bytes],
        seed: int,
    ):
        self.signatures, self.pools, self.broken = signatures, pools, broken
        self.random = np.random.default_rng(seed)
        self.counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)
        self.largest: dict[str, float] = collections.defaultdict(float)
        self.samples: list[tuple[float, int]] = []
        self.faults: list[str] = []

    def warm_up(self) -> None:
        """Calls with every number of images, for TensorFlow keeps something of each; and of every
        signature with pictures of every size."""
        for pool in self.pools:
            for with_class in (False, True):
                self.ask(pool[:_MOST], with_class)
        for count in range(1, _MOST):
            self.ask(self.pools[1][:count], with_class=False)

    def run(self, seconds: float) -> None:
        """Calls at random until the time is over."""
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            self.step()
            self.samples.append((now, resident()))

    def step(self) -> None:
        """One call; with something broken in it two."""
        # As often files, of all sizes together, as arrays.
        files = self.random.random() < 0.5
        pool = self.pools[0 if files else self.random.integers(1, len(self.pools))]
        count = self.random.integers(1, _MOST + 1)
        chosen = [pool[place] for place in self.random.integers(0, len(pool), count)]
        with_class = bool(self.random.random() < 0.5)
        if files and self.random.random() < _BROKEN_CALLS:
            self.ask_broken(chosen, with_class)
        self.ask(chosen, with_class)

    def ask(self, chosen: Sequence[Picture], with_class: bool) -> None:
        """A call that must be answered rightly."""
        class_ids = [picture.class_id for picture in chosen]
        name, inputs = request([each.source for each in chosen], class_ids if with_class else None)
        wanted = [each.given if with_class else each.predicted for each in chosen]
        expected = {key: np.stack([each[key] for each in wanted]) for key in wanted[0]}
        self.counts[name].update(calls=1, images=len(chosen))
        began = time.perf_counter()
        try:
            answer = {key: each.numpy() for key, each in self.signatures[name](**inputs).items()}
        except tf.errors.OpError as error:
            self.counts[name]["failed"] += 1
            self.faults.append(f"{name} failed: {_first_line(error)}")
            return
        self.seconds[name].append(time.perf_counter() - began)
        wrong, largest = _exports.differences(answer, expected)
        self.counts[name]["wrong"] += int(wrong.sum())
        if wrong.any():
            self.faults.append(f"{name}: {wrong.sum()} of {len(chosen)} wrong, off by {largest}")
        for key, value in largest.items():
            self.largest[key] = max(self.largest[key], value)

    def ask_broken(self, chosen: Sequence[Picture], with_class: bool) -> None:
        """A call with one or two broken files among the others, which must fail as it should."""
        sources = [picture.source for picture in chosen]
        kinds = self.random.choice(list(self.broken), self.random.integers(1, 3))
        for kind in kinds:
            sources.insert(self.random.integers(0, len(sources) + 1), self.broken[kind])
        no_images = [
            place
            for place, source in enumerate(sources)
            if source in (self.broken["empty"], self.broken["text"])
        ]
        class_ids = [0] * len(sources) if with_class else None
        name, inputs = request(sources, class_ids)
        self.counts[name].update(calls=1, images=len(sources), broken=1)
        places = "[" + " ".join(map(str, no_images)) + "]"
        try:
            self.signatures[name](**inputs)
        except tf.errors.InvalidArgumentError as error:
            if not no_images or f"at the positions {places}" in str(error):
                return
            fault = f"did not name the positions {places}: {_first_line(error)}"
        except tf.errors.OpError as error:
            fault = f"failed with another error: {_first_line(error)}"
        else:
            fault = "was answered"
        self.counts[name]["broken_otherwise"] += 1
        self.faults.append(f"{name} with {', '.join(kinds)}: {fault}")


def main() -> None:
    network = _common.classifier(_CLASSIFIER.value)
    reduction = "max" if _LAYER.value == PIXELS else "l2"
    method = maps.create("gradient", network, layers=_LAYER.value, reduction=reduction)
    photos = _common.ilsvrc().select(range(_PHOTOS))
    localizer = _exports.fitted(method, photos)
    pools = pictures(localizer, photos)
    with tempfile.TemporaryDirectory() as folder:
        loaded = tf.saved_model.load(str(export_saved_model(localizer, Path(folder))))
    soak = Soak(loaded.signatures, pools, _exports.broken(pools[0][0].source), _SEED.value)
    soak.warm_up()
    soak.run(_SECONDS.value)
    memory = _exports.memory(soak.samples, _WARM_UP.value)
    rows = [
        {
            "signature": name,
            **{kind: counts[kind] for kind in _COUNTS},
            "milliseconds": 1e3 * float(np.median(soak.seconds[name])),
            "milliseconds_95": 1e3 * float(np.percentile(soak.seconds[name], 95)),
        }
        for name, counts in sorted(soak.counts.items())
    ]
    of_memory = {**memory._asdict(), "growth": memory.growth}
    print(tables.as_text(tables.table([of_memory], MEMORY)) + "\n")
    _common.report(
        rows,
        COLUMNS,
        classifier=_CLASSIFIER.value,
        layer=_LAYER.value,
        seconds=_SECONDS.value,
        warm_up=_WARM_UP.value,
        seed=_SEED.value,
        memory=of_memory,
        largest_differences=soak.largest,
        tolerances=_exports.TOLERANCES,
        faults=soak.faults,
    )
    differences = ", ".join(f"{key} {value:.1e}" for key, value in soak.largest.items())
    print(f"\nLargest differences from the library: {differences}.")
    if memory.growth >= GROWTH:
        soak.faults.append(f"memory grew by {memory.growth:.1%}; the limit is {GROWTH:.0%}")
    if soak.faults:
        sys.exit(f"error: {len(soak.faults)} faults; the first: {soak.faults[0]}")


def pictures(localizer: Localizer, photos: datasets.Dataset) -> list[list[Picture]]:
    """The pools: the photographs' files, every fourth as PNG, and arrays of each of `_SIZES`."""
    files: list[Picture] = []
    arrays: list[list[Picture]] = [[] for _ in _SIZES]
    for place in range(len(photos)):
        jpeg = photos[place].image.read_bytes()
        pixels = images.load(jpeg)
        png = tf.io.encode_png(pixels).numpy() if place % 4 == 3 else None
        files.append(answered(localizer, png or jpeg, pixels, place))
        for pool, size in zip(arrays, _SIZES, strict=True):
            resized = np.round(images.resize(pixels, size)).astype(np.uint8)
            pool.append(answered(localizer, resized, resized, place))
    return [files, *arrays]


def answered(localizer: Localizer, source, pixels: np.ndarray, place: int) -> Picture:
    """A picture with what the library says of it, alone."""
    class_id = 7 * place % localizer.classifier.num_classes
    answers = []
    for wanted in (None, [class_id]):
        found = localizer(pixels[None], wanted)
        corners = np.tile(pixels.shape[1::-1], 2)
        answers.append(
            {
                "class_ids": found.class_ids,
                "class_scores": found.scores[0, found.class_ids],
                "boxes": found.boxes,
                "boxes_pixels": found.boxes * corners,
                "degenerate": found.degenerate,
            }
        )
    return Picture(source, class_id, *answers)


def request(sources: Sequence, class_ids: Sequence[int] | None) -> tuple[str, dict]:
    """The signature for these sources, and its inputs."""
    if isinstance(sources[0], bytes):
        names, inputs = ("serving_default", "bytes_with_class"), {"image_bytes": list(sources)}
    else:
        names, inputs = ("images", "images_with_class"), {"images": np.stack(sources)}
    inputs = {key: tf.constant(value) for key, value in inputs.items()}
    if class_ids is None:
        return names[0], inputs
    return names[1], {**inputs, "class_id": tf.constant(class_ids, tf.int32)}


def resident() -> int:
    """The bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0]}"


_COUNTS = ("calls", "images", "wrong", "failed", "broken", "broken_otherwise")
MEMORY = (
    Column("MB after warm-up", lambda row: number(row["after_warm_up"] / 2**20)),
    Column("at the end", lambda row: number(row["at_end"] / 2**20)),
    Column("growth (%)", lambda row: number(100 * row["growth"], 2)),
    Column("greatest", lambda row: number(row["greatest"] / 2**20)),
)
COLUMNS = (
    Column("Signature", lambda row: row["signature"], is_number=False),
    Column("Calls", lambda row: number(row["calls"], 0)),
    Column("Images", lambda row: number(row["images"], 0)),
    Column("Wrong answers", lambda row: number(row["wrong"], 0)),
    Column("Failed", lambda row: number(row["failed"], 0)),
    Column("Broken calls", lambda row: number(row["broken"], 0)),
    Column("of them not refused as said", lambda row: number(row["broken_otherwise"], 0)),
    Column("ms a call", lambda row: number(row["milliseconds"])),
    Column("95%", lambda row: number(row["milliseconds_95"])),
)


if __name__ == "__main__":
    _common.run(main)
