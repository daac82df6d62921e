"""The dense CRF: how near it is to its authors' implementation, and how long it takes.

    OMP_NUM_THREADS=1 python -m benchmarks.dense_crf

Agreement is with marginals of the C++ implementation of Kraehenbuehl & Koltun, after 1, 5 and 10
steps. Times are of photographs of 500x375 with random energies and 10 steps, the lattices' building
included, in one thread; then how much faster one thread or one process a core, each with its own
images, gets through them. If pydensecrf is installed it is timed by turns with ours.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import statistics
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import datasets, images
from sensmap.dense_crf import DenseCRF
from sensmap.report import tables

_LABELS = flags.DEFINE_list("labels", ["2", "5", "21"], "Numbers of labels to time.")
# How many images are timed, and how often.
_TIMED, _ROUNDS = 4, 3

AGREEMENT = (
    tables.Column("Steps", lambda row: tables.number(row["steps"], 0)),
    tables.Column("Largest difference of marginals", lambda row: f"{row['difference']:.1e}"),
    tables.Column("Same label, % of pixels", lambda row: tables.number(row["same"], 3)),
)

COLUMNS = (
    tables.Column("Labels", lambda row: tables.number(row["labels"], 0)),
    tables.Column("s an image", lambda row: tables.number(row["seconds"], 3)),
    tables.Column("Best round", lambda row: tables.number(row["best"], 3)),
    tables.Column("Building of it", lambda row: tables.number(row["building"], 3)),
    tables.Column("pydensecrf", lambda row: tables.number(row["pydensecrf"], 3)),
    tables.Column("Threads' gain", lambda row: f"{row['threads']:.2f} ({os.cpu_count()} cores)"),
    tables.Column("Processes' gain", lambda row: tables.number(row["processes"], 2)),
)


def agreement() -> list[dict]:
    """A row for each number of steps that there are marginals of."""
    with np.load(_common.shared("goldens", "dense_crf.npz"), allow_pickle=False) as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    rows = []
    for steps in (1, 5, 10):
        field = DenseCRF(3.0, 3.0, 60.0, 10.0, 5.0, steps)
        found, expected = field.infer(golden["unary"], golden["image"]), golden[f"q{steps}"]
        same = found.argmax(axis=0) == expected.argmax(axis=0)
        difference = float(np.abs(found - expected).max())
        rows.append({"steps": steps, "difference": difference, "same": 100 * float(same.mean())})
    return rows


def times(labels: int, photos: list, threads: Executor, processes: Executor) -> dict:
    """A row of the table: seconds an image, and what several workers gain."""
    rng = np.random.default_rng(0)
    fields = [(rng.gamma(1.0, size=(labels, *photo.shape[:2])), photo) for photo in photos]
    tasks = {
        "one": lambda: [infer(*each) for each in fields],
        "building": lambda: [DenseCRF()._kernels(photo) for photo in photos],
        "threads": lambda: list(threads.map(infer, *zip(*fields, strict=True))),
        "processes": lambda: list(processes.map(infer, *zip(*fields, strict=True))),
    }
    if importlib.util.find_spec("pydensecrf"):
        tasks["pydensecrf"] = lambda: [authors(*each) for each in fields]
    seconds = _common.alternate(tasks, _ROUNDS)
    per_image = {name: statistics.median(rounds) / len(photos) for name, rounds in seconds.items()}
    return {
        "labels": labels,
        "seconds": per_image["one"],
        "best": min(seconds["one"]) / len(photos),
        "building": per_image["building"],
        "pydensecrf": per_image.get("pydensecrf"),
        "threads": _common.ratio(seconds["one"], seconds["threads"]),
        "processes": _common.ratio(seconds["one"], seconds["processes"]),
    }


def infer(unary: np.ndarray, image: np.ndarray) -> np.ndarray:
    return DenseCRF().infer(unary, image)


def authors(unary: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The same by pydensecrf."""
    ours, (height, width) = DenseCRF(), image.shape[:2]
    field = importlib.import_module("pydensecrf.densecrf").DenseCRF2D(width, height, len(unary))
    field.setUnaryEnergy(unary.reshape(len(unary), -1).astype(np.float32))
    field.addPairwiseGaussian(sxy=ours.gaussian_xy, compat=ours.gaussian_weight)
    field.addPairwiseBilateral(
        sxy=ours.bilateral_xy,
        srgb=ours.bilateral_rgb,
        rgbim=np.ascontiguousarray(image),
        compat=ours.bilateral_weight,
    )
    return np.asarray(field.inference(ours.steps)).reshape(unary.shape)


def run() -> None:
    rows = agreement()
    print(tables.as_text(tables.table(rows, AGREEMENT)))
    examples = datasets.load("voc", str(_common.shared("data", "pets3")), "train")
    photos = [images.load(examples[place].image) for place in range(len(examples))]
    photos = [photo for photo in photos if sorted(photo.shape[:2]) == [375, 500]][:_TIMED]
    fork = multiprocessing.get_context("fork")
    with (
        ProcessPoolExecutor(os.cpu_count(), mp_context=fork) as processes,
        ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        processes.submit(os.getpid).result()  # forks all of them, before there are threads
        timed = [times(int(labels), photos, threads, processes) for labels in _LABELS.value]
    _common.report(timed, COLUMNS, agreement=rows, images=len(photos))


if __name__ == "__main__":
    _common.run(run)
