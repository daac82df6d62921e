r"""Speed beside what people use today: maps, cuts, fields and the sweep of MaxBoxAcc.

  python -m benchmarks.peers

Optional, each named when it is not there:

  pip install torch captum
  pip install --no-deps tf-keras-vis==0.8.7 deprecated imageio
  pip install pydensecrf2

Maps are the largest absolute derivative over the channels, with respect to the network's input,
from float32 pixels in memory to an array. PyTorch's SqueezeNet has the weights of Keras's. Before
anything is timed, all maps must agree with ours. TensorFlow and PyTorch have a process each, with
all processors for its threads, and one works while the other waits, for in one process with
TensorFlow PyTorch is slower. Of five classes sensmap makes the maps in one call, the others in
five, but for one that says otherwise.

"Over sensmap" is the median, over the rounds, of a system's time over that of the first of its
job in the same round: above 1, sensmap is faster. "Over scores" is the same with the class
scores alone, by TensorFlow. "Agreement" is the least correlation of a map with that of the first;
of labels and sweeps the share that equals the first's; of GraphCut's masks the mean IoU with the
true ones, of too few photographs for more than a check (see benchmarks.graph_cut).

GraphCut and grabCut (five iterations) have the same seeds, which grabCut holds fixed and is given
ready. By default GraphCut works at half the size of these photographs: both are timed at both
sizes. The dense CRF's energies are random.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from absl import flags

from benchmarks import _common, _peers_torch, dense_crf, max_box_acc
from benchmarks._peers_torch import SCORES, SHARED, System
from sensmap import classifiers, datasets, images, localizers, maps, masks
from sensmap._opencv import cv2
from sensmap.localizers import _masks, graphcut
from sensmap.metrics import mean_iou
from sensmap.report.tables import Column, number

_JOBS = ("maps", "five_classes", "graph_cut", "dense_crf", "max_box_acc")
_ONLY = flags.DEFINE_multi_enum("job", list(_JOBS), list(_JOBS), "Which jobs.")
_IMAGES = flags.DEFINE_list("images", ["1", "8", "32"], "Numbers of images at once.")
# The sweep's benchmark has a flag of this name too.
_ROUNDS = flags.DEFINE_integer(
    "rounds", 5, "How often each is timed.", lower_bound=1, allow_override=True
)
_WORKER = flags.DEFINE_enum(
    "worker", None, list(_common.CLASSIFIERS), "Be the process of TensorFlow for this classifier."
)
_FOLDER = flags.DEFINE_string("folder", None, "What a process reads its inputs from.")

# The peers: the module that is imported, by the package, and what pip needs besides its name.
_PEERS = {
    "tf-keras-vis": ("tf_keras_vis", "--no-deps tf-keras-vis==0.8.7 deprecated imageio"),
    "torch": ("torch", "torch"),
    "captum": ("captum", "captum"),
    "pydensecrf2": ("pydensecrf", "pydensecrf2"),
}
_OURS, _COMPILED = "sensmap", "sensmap, compiled"
_COMPILED_TAPE = "GradientTape, tf.function"
_SCORES = f"{SCORES}, TensorFlow"
_LEAST_CORRELATION = 0.999
_CLASSES = 5
# Passes of an image that a turn has at least, so that the first, after a wait, counts little.
_PASSES = 16
_CUT, _FIELDS, _LABELS, _SWEPT = 12, 4, (2, 21), 20

COLUMNS = (
    Column("Job", lambda row: row["job"], is_number=False),
    Column("Images", lambda row: number(row["images"], 0)),
    Column("System", lambda row: row["system"], is_number=False),
    Column("ms an image", lambda row: number(row["milliseconds"], 2)),
    Column("Over sensmap", lambda row: number(row["over_sensmap"], 2)),
    Column("Over scores", lambda row: number(row["over_scores"], 2)),
    Column("Agreement", lambda row: number(row["agreement"], 5)),
)


# --- Maps: a process for each framework ---


def tensorflow_systems(network: classifiers.Classifier) -> dict[str, System]:
    """What makes maps by TensorFlow: sensmap, a tape as one writes it, and tf-keras-vis."""
    import tensorflow as tf

    model, preprocess = network.model, network.preprocess
    method = maps.create("gradient", network)
    of_pixels = tf.TensorSpec([None, *network.input_size, 3], tf.float32)

    @tf.function(input_signature=[of_pixels])
    def compiled_scores(resized):
        return model(preprocess(resized), training=False)

    def tape(resized, class_ids):
        x = preprocess(tf.convert_to_tensor(resized))
        with tf.GradientTape() as tape:
            tape.watch(x)
            chosen = tf.gather(model(x, training=False), class_ids, batch_dims=1)
        return tf.reduce_max(tf.abs(tape.gradient(chosen, x)), axis=-1)

    compiled_tape = tf.function(tape, input_signature=[of_pixels, tf.TensorSpec([None], tf.int32)])
    each_class = _peers_torch.class_by_class
    systems = {
        _OURS: lambda pixels, class_ids: method(pixels, class_ids).maps[0],
        _COMPILED: each_class(lambda *inputs: method.compiled(*inputs).maps[0].numpy()),
        _COMPILED_TAPE: each_class(lambda *inputs: compiled_tape(*inputs).numpy()),
        "GradientTape, eager": each_class(lambda *inputs: tape(*inputs).numpy()),
        _SCORES: lambda pixels, class_ids: compiled_scores(pixels).numpy(),
    }
    if importlib.util.find_spec("tf_keras_vis"):
        saliency = importlib.import_module("tf_keras_vis.saliency").Saliency(model)
        of_classes = importlib.import_module("tf_keras_vis.utils.scores").CategoricalScore

        def keras_vis(pixels, class_ids):
            return saliency(of_classes(class_ids.tolist()), preprocess(pixels), normalize_map=False)

        systems["tf-keras-vis Saliency"] = each_class(keras_vis)
    return systems


class Worker:
    """A process with systems in it, to be asked as `_peers_torch.serve` says.

    Args:
        module: what it runs, ``benchmarks.peers``.
        arguments: of the command line.
        environment: variables to set for it.

    Attributes:
        environment: as given.
        systems: the names of its systems.
    """

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None):
        self.environment = dict(environment or {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_common.REPOSITORY,
            env=os.environ | self.environment,
        )
        self.systems = self._answer()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_) -> None:
        # It ends when there are no more questions.
        self._process.communicate()

    def seconds(self, system: str, count: int, classes: int, calls: int, save: str | None = None):
        """The median of so many calls of a system with so many images and classes."""
        asked = {"system": system, "images": count, "classes": classes}
        print(json.dumps(asked | {"calls": calls, "save": save}), file=self._process.stdin)
        self._process.stdin.flush()
        return statistics.median(self._answer())

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise ValueError("A process of this benchmark has ended; what it said is above.")
        return json.loads(line)


def write_inputs(folder: Path, count: int) -> None:
    """Writes what the processes read: images, the best classes of each, SqueezeNet's weights."""
    network = _common.classifier("squeezenet1_1")
    sample = _common.ilsvrc().select(range(count))
    [(pixels, _)] = _common.batches_in_memory(network, sample, count)
    best = np.argsort(-network.class_scores(pixels.numpy()), axis=1)[:, :_CLASSES]
    inputs = {"pixels": pixels.numpy(), "class_ids": best.astype(np.int32)}
    np.savez(folder / _peers_torch.INPUTS, **inputs)
    weights = {}
    convolutions = [layer for layer in network.model.layers if layer.get_weights()]
    for place, layer in enumerate(convolutions):
        weights[f"kernel_{place}"], weights[f"bias_{place}"] = layer.get_weights()
    np.savez(folder / _peers_torch.WEIGHTS, **weights)


def of_systems(
    job: str, workers: Mapping[str, Worker], count: int, classes: int, folder: Path
) -> list[dict]:
    """Checks that systems agree, times them by turns, and gives a row for each.

    Args:
        job: what it is called in the table.
        workers: by the name of a system its process; the first is what the others are compared
            with.
        count: images at once.
        classes: maps of each image.
        folder: where the systems' maps may be written.
    """
    found = {}
    for place, (system, worker) in enumerate(workers.items()):
        file = folder / f"{place}.npy"
        worker.seconds(system, count, classes, calls=1, save=str(file))
        found[system] = np.load(file, allow_pickle=False)
    agreement = {}
    for system, result in found.items():
        like = _SCORES if system.startswith(SCORES) else next(iter(found))
        agreement[system] = least_correlation(result, found[like])
        if not agreement[system] >= _LEAST_CORRELATION:
            raise ValueError(
                f"{job}: the maps of {system} correlate with those of {like} by only "
                f"{agreement[system]:.4f}; their times cannot be compared."
            )
    calls = max(1, _PASSES // (count * classes))
    seconds: dict[str, list[float]] = {system: [] for system in workers}
    for _ in range(_ROUNDS.value):
        for system, worker in workers.items():
            seconds[system].append(worker.seconds(system, count, classes, calls))
    return rows(job, count, seconds, agreement)


def least_correlation(found: np.ndarray, like: np.ndarray) -> float:
    """Of the maps or class scores of any image."""
    pairs = zip(found.reshape(len(found), -1), like.reshape(len(like), -1), strict=True)
    return min(float(np.corrcoef(*pair)[0, 1]) for pair in pairs)


def rows(
    job: str, count: int, seconds: Mapping[str, Sequence[float]], agreement: Mapping[str, float]
) -> list[dict]:
    """Of each system a row of the table; the first is what the others are compared with."""
    base, scores = next(iter(seconds.values())), seconds.get(_SCORES)
    return [
        {
            "job": job,
            "images": count,
            "system": system,
            "milliseconds": 1e3 * statistics.median(times) / count,
            "over_sensmap": None if system.startswith(SCORES) else _common.ratio(times, base),
            "over_scores": scores and _common.ratio(times, scores),
            "agreement": agreement[system],
        }
        for system, times in seconds.items()
    ]


def map_jobs(folder: Path) -> tuple[list[dict], dict[str, str]]:
    """The rows of all jobs that make maps, and the variables that PyTorch was fastest with."""
    counts = [int(count) for count in _IMAGES.value]
    write_inputs(folder, max(counts))
    found: list[dict] = []
    with ExitStack() as stack:
        tensorflow = {
            name: stack.enter_context(
                Worker(
                    "benchmarks.peers",
                    f"--worker={name}",
                    f"--folder={folder}",
                    f"--shared={_common.shared()}",
                )
            )
            for name in _common.CLASSIFIERS
        }
        squeezenet, mobilenet = tensorflow["squeezenet1_1"], tensorflow["mobilenet_v2"]
        systems = dict.fromkeys(squeezenet.systems, squeezenet)
        torch_environment: dict[str, str] = {}
        if importlib.util.find_spec("torch"):
            torch = torch_worker(folder, stack)
            systems |= dict.fromkeys(torch.systems, torch)
            torch_environment = torch.environment
        if "maps" in _ONLY.value:
            one_class = {name: each for name, each in systems.items() if SHARED not in name}
            ours = dict.fromkeys((_OURS, _COMPILED, _COMPILED_TAPE, _SCORES), mobilenet)
            for count in counts:
                found += of_systems("SqueezeNet 1.1, a class", one_class, count, 1, folder)
            for count in counts:
                found += of_systems("MobileNetV2, a class", ours, count, 1, folder)
        if "five_classes" in _ONLY.value:
            several = {name: each for name, each in systems.items() if SCORES not in name}
            del several[_COMPILED]
            job = f"SqueezeNet 1.1, {_CLASSES} classes"
            found += of_systems(job, several, 1, _CLASSES, folder)
    return found, torch_environment


def torch_worker(folder: Path, stack: ExitStack) -> Worker:
    """A process of PyTorch; of two ways in which its threads may wait, with the faster one here.

    By default they wait for each other at full speed: where anything else runs, two of them are
    several times slower than one. Put to sleep instead, they are slower on an idle machine.
    """
    workers = [
        stack.enter_context(Worker("benchmarks._peers_torch", str(folder), environment=each))
        for each in ({}, {"OMP_WAIT_POLICY": "PASSIVE"})
    ]
    system = next(name for name in workers[0].systems if name.startswith(SCORES))
    rounds = [[each.seconds(system, 1, 1, calls=4) for each in workers] for _ in range(5)]
    return workers[int(np.argmin(np.median(rounds, axis=0)))]


# --- What comes after the maps, in this process ---


def host_rows(
    job: str,
    tasks: Mapping[str, Callable[[], list[np.ndarray]]],
    agree: Callable[[np.ndarray, np.ndarray], float],
    like: Sequence[np.ndarray] | None = None,
) -> list[dict]:
    """Rows of tasks that give an array an image.

    Args:
        job: what it is called in the table.
        tasks: by the names of the systems.
        agree: how well an array agrees with what it should be like.
        like: of each image what its array should be like; by default that of the first task.
    """
    found = {system: task() for system, task in tasks.items()}
    like = like or next(iter(found.values()))
    agreement = {system: statistics.fmean(map(agree, each, like)) for system, each in found.items()}
    return rows(job, len(like), _common.alternate(tasks, _ROUNDS.value), agreement)


def share_of_equal(found: np.ndarray, like: np.ndarray) -> float:
    return float((found == like).mean())


def same_labels(found: np.ndarray, like: np.ndarray) -> float:
    """Of how many pixels two fields, ``(labels, H, W)``, have the same label."""
    return share_of_equal(found.argmax(axis=0), like.argmax(axis=0))


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Of a bool mask and one of class indices; its pixels of 255 do not count."""
    animal = np.where(truth == masks.IGNORE, truth, truth > 0)
    return float(mean_iou.ious(mean_iou.confusion(mask.astype(np.uint8), animal, 2))[1])


def each_of(function: Callable[..., np.ndarray], inputs: Sequence[tuple]) -> list[np.ndarray]:
    return [function(*each) for each in inputs]


def photographs() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Some of 500x375, and their masks."""
    examples = datasets.load("voc", str(_common.shared("data", "pets3")), "train")
    both = ((images.load(example.image), masks.load(example.mask)) for example in examples)
    right = (each for each in both if sorted(each[0].shape[:2]) == [375, 500])
    photos, truths = zip(*itertools.islice(right, _CUT), strict=True)
    return list(photos), list(truths)


def graph_cut_job(photos: list[np.ndarray], truths: list[np.ndarray]) -> list[dict]:
    """GraphCut with the fit of its colour models, and grabCut with five iterations."""
    method = maps.create("gradient", _common.classifier("squeezenet1_1"))
    pairs = [(method(photo[None]).maps[0], photo) for photo in photos]
    tasks: dict[str, Callable[[], list[np.ndarray]]] = {}
    peers: dict[str, Callable[[], list[np.ndarray]]] = {}
    for side in (localizers.create("graphcut").side, max(photos[0].shape)):
        cut = localizers.create("graphcut", side=side)
        seeded = [(photo, cut.segment(found, photo).seeds) for found, photo in pairs]
        tasks[f"{_OURS}, {side} pixels"] = partial(each_of, cut.mask, pairs)
        peers[f"cv2.grabCut, {side} pixels"] = partial(each_of, grab_cut, seeded)
    return host_rows("GraphCut", tasks | peers, iou, truths)


def grab_cut(photo: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The mask ``(H, W)`` bool by cv2.grabCut, five iterations from seeds as of `graphcut.Cut`."""
    height, width = seeds.shape
    image = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    labels = np.full(seeds.shape, cv2.GC_PR_BGD, np.uint8)
    labels[seeds == graphcut.BACKGROUND] = cv2.GC_BGD
    labels[seeds == graphcut.FOREGROUND] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((2, 1, 65))
    cv2.grabCut(image, labels, (0, 0, 1, 1), *models, 5, cv2.GC_INIT_WITH_MASK)
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return _masks.resized(mask, photo.shape[:2])


def dense_crf_job(photos: list[np.ndarray], labels: int) -> list[dict]:
    """The dense CRF with ten steps, and its authors' implementation."""
    rng = np.random.default_rng(0)
    fields = [(rng.gamma(1.0, size=(labels, *photo.shape[:2])), photo) for photo in photos]
    tasks = {_OURS: partial(each_of, dense_crf.infer, fields)}
    if importlib.util.find_spec("pydensecrf"):
        tasks["pydensecrf2"] = partial(each_of, dense_crf.authors, fields)
    return host_rows(f"Dense CRF, {labels} labels", tasks, same_labels)


def max_box_acc_job(kind: str) -> list[dict]:
    """The IoUs of MaxBoxAccV2 at all thresholds, and the plain sweep of Choe et al."""
    with np.load(_common.shared("goldens", "max_box_acc_maps.npz"), allow_pickle=False) as arrays:
        ids, swept = arrays["ids"][:_SWEPT], arrays[kind][:_SWEPT]
    text = _common.shared("goldens", "max_box_acc_expected.json").read_text(encoding="utf-8")
    boxes = json.loads(text)["gt_boxes_224"]
    inputs = [(each, np.array(boxes[name]), "multi") for name, each in zip(ids, swept, strict=True)]
    tasks = {
        _OURS: partial(each_of, max_box_acc.ours, inputs),
        "plain sweep": partial(each_of, max_box_acc.plain, inputs),
    }
    return host_rows(f"MaxBoxAccV2, {kind} maps", tasks, share_of_equal)


def main() -> None:
    if _WORKER.value:
        network = _common.classifier(_WORKER.value)
        _peers_torch.serve(Path(_FOLDER.value), tensorflow_systems(network))
        return
    versions: dict[str, str | None] = {}
    for package, (module, wanted) in _PEERS.items():
        versions[package] = None
        if importlib.util.find_spec(module):
            versions[package] = importlib.metadata.version(package)
        else:
            print(f"{package} is not installed: pip install {wanted}")
    found: list[dict] = []
    torch_environment: dict[str, str] = {}
    if {"maps", "five_classes"} & set(_ONLY.value):
        with tempfile.TemporaryDirectory() as folder:
            found, torch_environment = map_jobs(Path(folder))
    photos, truths = photographs()
    if "graph_cut" in _ONLY.value:
        found += graph_cut_job(photos, truths)
    if "dense_crf" in _ONLY.value:
        for labels in _LABELS:
            found += dense_crf_job(photos[:_FIELDS], labels)
    if "max_box_acc" in _ONLY.value:
        for kind in ("cam", "gradient"):
            found += max_box_acc_job(kind)
    _common.report(
        found,
        COLUMNS,
        rounds=_ROUNDS.value,
        peers=versions | {"opencv": cv2.__version__},
        torch_environment=torch_environment,
    )


if __name__ == "__main__":
    _common.run(main)
