r"""What does each map method cost: time beside classifying, several classes at once, memory?

  python -m benchmarks.map_methods --classifier=squeezenet1_1

Time, by turns in one process: the class scores alone, and the maps of one class by every method
as it comes, but that `layer_sensitivity` takes the one layer that benchmarks.ilsvrc_folds
chooses. Then the five best classes in one call against five calls, for which methods of many
passes make two.

Memory, of each method in a process of its own: by how much the most that it held (resident set)
grows from one image to a call with --memory_images, beside the library's own estimate for as
many as it puts through at once (`MapMethod.images_at_once`).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import maps, registry
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)
_METHODS = flags.DEFINE_list("methods", list(registry.names("sensmap.maps")), "Which methods.")
_BATCH = flags.DEFINE_integer("batch_size", 8, "Images at once, to take the time.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each is timed.", lower_bound=1)
_IMAGES = flags.DEFINE_integer("memory_images", 32, "Images of a call, to measure memory.", 2)
_ONLY = flags.DEFINE_list(
    "only", None, "Measure the memory of this METHOD,CLASSES in this process, and print JSON."
)

_CLASSES = 5
# Enough passes where only their memory, or a ratio, is of interest.
_TWO_PASSES = {"smooth_grad": {"samples": 2}, "integrated_gradients": {"steps": 2}}


def main() -> None:
    if _ONLY.value:
        print(json.dumps(memory(_ONLY.value[0], int(_ONLY.value[1]))))
        return
    network = _common.classifier(_CLASSIFIER.value)
    [(pixels, _)] = images_in_memory(network, _BATCH.value)
    costs = times(network, pixels)
    ratios = {name: five_at_once(network, name, pixels) for name in _METHODS.value}
    rows = []
    for name in _METHODS.value:
        one, five = (memory_in_a_process(name, classes) for classes in (1, _CLASSES))
        rows.append({"method": name, **costs[name], "five": ratios[name]})
        rows[-1] |= {"memory_one": one, "memory_five": five}
    _common.report(rows, COLUMNS, classifier=_CLASSIFIER.value, batch_size=_BATCH.value)


def times(network, pixels: np.ndarray) -> dict[str, dict[str, float]]:
    """Milliseconds an image of each method, and the ratio to the class scores alone."""
    tasks: dict[str, Callable] = {"scores": partial(network.class_scores, pixels)}
    tasks |= {name: partial(create(network, name), pixels) for name in _METHODS.value}
    seconds = _common.alternate(tasks, _ROUNDS.value)
    return {
        name: {
            "milliseconds": 1e3 * statistics.median(taken) / len(pixels),
            "over_scores": _common.ratio(taken, seconds["scores"]),
        }
        for name, taken in seconds.items()
    }


def five_at_once(network, name: str, pixels: np.ndarray) -> float:
    """The time of five classes in one call over that of five calls."""
    method = create(network, name, **_TWO_PASSES.get(name, {}))
    best = method(pixels, top_k=_CLASSES).class_ids
    tasks = {
        "one call": lambda: method(pixels, best),
        "five calls": lambda: [method(pixels, class_ids) for class_ids in best.T],
    }
    seconds = _common.alternate(tasks, _ROUNDS.value)
    return _common.ratio(seconds["one call"], seconds["five calls"])


def memory_in_a_process(name: str, classes: int) -> dict[str, float]:
    """`memory`, measured where nothing else was held before."""
    own = [f"--classifier={_CLASSIFIER.value}", f"--shared={_common.shared()}"]
    own += [f"--only={name},{classes}", f"--memory_images={_IMAGES.value}"]
    command = [sys.executable, "-m", "benchmarks.map_methods", *own]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=_common.REPOSITORY)
    if done.returncode:
        sys.exit(done.returncode)  # it has said why
    return json.loads(done.stdout.splitlines()[-1])


def memory(name: str, classes: int) -> dict[str, float]:
    """Images put through at once, and megabytes, estimated and measured, of this process."""
    network = _common.classifier(_CLASSIFIER.value)
    method = create(network, name, **_TWO_PASSES.get(name, {}))
    [(pixels, _)] = images_in_memory(network, _IMAGES.value)
    at_once = min(len(pixels), method.images_at_once(classes))
    method(pixels[:1], top_k=classes)
    before = peak_megabytes()
    method(pixels, top_k=classes)
    return {
        "images": at_once,
        "estimated": at_once * method.bytes_per_image(classes) / 2**20,
        "measured": peak_megabytes() - before,
    }


def peak_megabytes() -> float:
    """The most that this process held; of `getrusage` a child's starts at its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def images_in_memory(network, count: int) -> list:
    return _common.batches_in_memory(network, _common.ilsvrc().select(range(count)), count)


def create(network, name: str, **options) -> maps.MapMethod:
    if name == "layer_sensitivity":
        options["layers"] = _common.CLASSIFIERS[_CLASSIFIER.value].layer
    return maps.create(name, network, **options)


COLUMNS = (
    Column("Method", lambda row: row["method"], is_number=False),
    Column("ms an image", lambda row: number(row["milliseconds"])),
    Column("over scores", lambda row: number(row["over_scores"], 2)),
    Column("5 classes over 5 calls", lambda row: number(row["five"], 2)),
    Column("1 class: images at once", lambda row: number(row["memory_one"]["images"], 0)),
    Column("MB estimated", lambda row: number(row["memory_one"]["estimated"], 0)),
    Column("MB measured", lambda row: number(row["memory_one"]["measured"], 0)),
    Column("5 classes: images", lambda row: number(row["memory_five"]["images"], 0)),
    Column("MB estimated", lambda row: number(row["memory_five"]["estimated"], 0)),
    Column("MB measured", lambda row: number(row["memory_five"]["measured"], 0)),
)


if __name__ == "__main__":
    _common.run(main)
