"""What the benchmarks share: where the data lies, how settings are timed, how results are shown."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from sensmap import binaries, classifiers, datasets, files
from sensmap.report import tables

REPOSITORY = Path(__file__).resolve().parents[1]

_SHARED = flags.DEFINE_string(
    "shared", "../shared", "Folder of the real data and models; relative to the repository's root."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the results to.")


class Known(NamedTuple):
    """A classifier of the shared folder.

    Attributes:
        file: in ``models``.
        preprocessing: what it was trained with.
        blocks: the layers that its blocks end with, finest first: all that is computed passes
            through each of them. Candidates for the one layer to take a map at.
        layer: the one that `benchmarks.ilsvrc_folds` chooses, inside training images, in most
            folds (with the reduction "l2").
    """

    file: str
    preprocessing: str
    blocks: tuple[str, ...]
    layer: str


CLASSIFIERS = {
    "squeezenet1_1": Known(
        "squeezenet1_1_imagenet.keras",
        "torch",
        ("concatenate", *(f"concatenate_{block}" for block in range(1, 8))),
        "concatenate_5",
    ),
    "mobilenet_v2": Known(
        "mobilenet_v2_imagenet.keras",
        "tf",
        (
            *("expanded_conv_project_BN", "block_1_project_BN", "block_2_add"),
            *("block_3_project_BN", "block_4_add", "block_5_add"),
            *("block_6_project_BN", "block_7_add", "block_8_add", "block_9_add"),
            *("block_10_project_BN", "block_11_add", "block_12_add"),
            *("block_13_project_BN", "block_14_add", "block_15_add", "block_16_project_BN"),
        ),
        "block_12_add",
    ),
}


def shared(*parts: str) -> Path:
    """A file or folder below ``--shared``."""
    path = REPOSITORY.joinpath(_SHARED.value, *parts).resolve()
    if not path.exists():
        raise FileNotFoundError(f"There is no {path}; say where the data lies with --shared.")
    return path


def classifier(name: str) -> classifiers.Classifier:
    """One of `CLASSIFIERS`, with ImageNet's class names."""
    known = CLASSIFIERS[name]
    return classifiers.load(
        shared("models", known.file),
        known.preprocessing,
        class_names=shared("data", "ilsvrc2012_val_1300", "LOC_synset_mapping.txt"),
    )


def ilsvrc() -> datasets.Dataset:
    """1,300 validation images of ILSVRC 2012."""
    return datasets.load("ilsvrc", str(shared("data", "ilsvrc2012_val_1300")))


def tiny_imagenet(split: str) -> datasets.Dataset:
    """Tiny ImageNet: 10,000 training images or 3,000 of validation."""
    return datasets.load("tiny_imagenet", str(shared("data", "tiny-imagenet-200")), split)


def batches_in_memory(network: classifiers.Classifier, data: datasets.Dataset, size: int):
    """Resized pixels and true classes of a data set.

    Returns:
        ``(n, h, w, 3)`` float32 and ``(n,)`` int32 tensors, ``n = size`` but for the last pair.
    """
    import tensorflow as tf

    from sensmap import images
    from sensmap.classifiers.class_names import match_classes

    class_ids = match_classes(data.classes, network)
    batches = []
    for start in range(0, len(data), size):
        examples = [data[position] for position in range(start, min(start + size, len(data)))]
        pixels = [images.load_resized(each.image, network.input_size)[0] for each in examples]
        wanted = class_ids[[each.labels[0] for each in examples]]
        batches.append((tf.constant(np.stack(pixels)), tf.constant(wanted)))
    return batches


def alternate(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Times tasks by turns, so that whatever else the machine does hits all of them alike.

    Args:
        tasks: what to time, by name.
        rounds: how often each is run, after one round that does not count.

    Returns:
        The seconds of each round, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds + 1):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(seconds: Sequence[float], base: Sequence[float]) -> float:
    """The median, over the rounds, of one task's time over another's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds, base, strict=True))


def report(rows: Sequence[Mapping], columns: Sequence[tables.Column], **more) -> None:
    """Prints the table, and writes rows and circumstances as JSON if ``--output`` asks for it."""
    print(tables.as_text(tables.table(rows, columns)))
    if _OUTPUT.value is None:
        return
    files.write_json(
        _OUTPUT.value,
        {
            "command": ["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]],
            **more,
            "rows": rows,
            "versions": binaries.versions(),
            "processors": os.cpu_count(),
            "load": os.getloadavg()[0],
        },
    )


def run(main: Callable[[], None]) -> None:
    """Runs a benchmark; what the user can get wrong ends it with one line."""

    def checked(arguments: Sequence[str]) -> None:
        if len(arguments) > 1:
            raise ValueError(f"Unknown argument {arguments[1]!r}; all settings are --flags.")
        main()

    binaries.run(checked)
