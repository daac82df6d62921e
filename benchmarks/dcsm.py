r"""What each part of DCSM is worth: mean IoU on MSRC v2, and on mosaics of two of its images.

First a classifier by the labels of the training images, a part of which is kept back:

    python -m train.classifier --task=multilabel --seed=0 \
        --architecture=../shared/models/mobilenet_v2_imagenet.keras --preprocessing=tf \
        --dataset=voc --root=../shared/data/msrc_v2 --split=train --part=train \
        --fractions=0.8,0.1,0.1 --sizes=192,352 --trained_from=block_10_expand --hidden=256 \
        --epochs=20 --batch_size=16 --learning_rate=5e-4 --output=runs/msrc/classifier
    python -m benchmarks.dcsm --classifier=runs/msrc/classifier

Each variant's background weight, with and without the CRF, is the best one with the predicted
classes on the images that were kept back; what is scored, the val split, chooses nothing. Mosaics
are pairs of images of different classes, side by side, with their true labels. Intervals are of
95%, by bootstrap over images. Times are of one image's maps, for one class.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import _common
from sensmap import classifiers, datasets, images, maps, masks, segmentation, splits
from sensmap._opencv import cv2
from sensmap.dense_crf import DenseCRF
from sensmap.metrics.mean_iou import MeanIoU
from sensmap.report import tables

_CLASSIFIER = flags.DEFINE_string("classifier", None, "A folder of train/classifier.py.")
_LAYERS = flags.DEFINE_list("layers", ["block_5_add", "block_12_add"], "Several, finest first.")
_FRACTIONS = flags.DEFINE_list("fractions", ["0.8", "0.1", "0.1"], "As in the training.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the training's parts, and of the mosaics' pairs.")
_ONLY = flags.DEFINE_list("only", [], "Variants whose name has one of these in it.")
_PARTS = flags.DEFINE_multi_enum(
    "part", ["images", "mosaics"], ["images", "mosaics"], "What is measured."
)

_BACKGROUNDS = (0.03, 0.05, 0.07, 0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
_GAUSSIAN = "centred Gaussian"


class Item(NamedTuple):
    """An image, its true mask, and its true and predicted classes."""

    image: np.ndarray
    truth: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray


# The maps of an image's classes, and these classes.
Found = list[tuple[np.ndarray, np.ndarray]]


def variants(layers: Sequence[str]) -> dict[str, tuple[str, dict]]:
    """Of each row the map method and its options."""
    coarse = [layers[-1]]
    full = {"layers": list(layers)}
    return {
        "DCSM, N = 4": ("dcsm", full),
        "N = 3": ("dcsm", {**full, "candidates": 3}),
        "N = 2": ("dcsm", {**full, "candidates": 2}),
        "N = 0": ("dcsm", {**full, "candidates": 0}),
        "N = 4, halved": ("dcsm", {**full, "subtraction": 0.5}),
        "no subtraction": ("dcsm", {**full, "subtraction": 0.0}),
        "no subtraction, one scale": ("dcsm", {**full, "subtraction": 0.0, "scales": (1.0,)}),
        "no subtraction, one layer": ("dcsm", {"layers": coarse, "subtraction": 0.0}),
        "no subtraction, plain": ("dcsm", {**full, "subtraction": 0.0, "rule": "gradient"}),
        "plain, N = 4": ("dcsm", {**full, "rule": "gradient"}),
        "Simonyan, three scales": (
            "dcsm",
            {"layers": ["pixels"], "rule": "gradient", "subtraction": 0.0},
        ),
        "Simonyan, one scale": (
            "dcsm",
            {"layers": ["pixels"], "rule": "gradient", "subtraction": 0.0, "scales": (1.0,)},
        ),
        "CAM": ("cam", {}),
        "Grad-CAM": ("grad_cam", {"layers": ["out_relu"]}),
        _GAUSSIAN: ("", {}),
    }


# Of an image's classes; of mosaics only the true ones.
_KINDS = ("predicted", "labels")

# Of which mosaics are measured.
_ON_MOSAICS = (
    "DCSM, N = 4",
    "no subtraction",
    "no subtraction, plain",
    "plain, N = 4",
    "Simonyan, three scales",
    "Simonyan, one scale",
)


def read(data: datasets.Dataset, network: classifiers.Classifier) -> list[Item]:
    segmenter = segmentation.Segmenter(maps.create("gradient", network))
    found = []
    for example in data:
        image = images.load(example.image)
        labels = np.array(example.labels, np.int32)
        found.append(Item(image, masks.load(example.mask), labels, segmenter.classes_of(image)))
    return found


def mosaics(items: Sequence[Item], seed: int) -> list[Item]:
    """Pairs without a class in common, side by side at the first one's height."""
    waiting = list(np.random.default_rng(seed).permutation(len(items)))
    pairs = []
    while waiting:
        left = items[waiting.pop(0)]
        right = next((i for i in waiting if not set(items[i].labels) & set(left.labels)), None)
        if right is not None:
            waiting.remove(right)
            pairs.append((left, items[right]))
    return [_side_by_side(left, right) for left, right in pairs]


def _side_by_side(left: Item, right: Item) -> Item:
    height = left.truth.shape[0]
    width = round(right.truth.shape[1] * height / right.truth.shape[0])
    image = cv2.resize(right.image, (width, height), interpolation=cv2.INTER_AREA)
    truth = cv2.resize(right.truth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    labels = np.concatenate([left.labels, right.labels])
    return Item(np.hstack([left.image, image]), np.hstack([left.truth, truth]), labels, labels)


def maps_of(
    method: maps.MapMethod | None, items: Sequence[Item], description: str
) -> tuple[Found, list[float]]:
    """The maps of the classes that are there or predicted, and seconds an image of one class."""
    found, seconds = [], []
    for item in tqdm(items, desc=description, disable=None):
        classes = np.union1d(item.labels, item.predicted).astype(np.int32)
        size = item.truth.shape
        if method is None:
            found.append((np.stack([_gaussian(size)] * len(classes)), classes))
            continue
        began = time.perf_counter()
        layers = [each[0] for each in method(item.image[None], classes[None]).maps]
        if len(classes) == 1:
            seconds.append(time.perf_counter() - began)
        found.append((segmentation.class_maps(layers, size).astype(np.float16), classes))
    return found, seconds[1:]  # the first one compiles


def _gaussian(size: tuple[int, int]) -> np.ndarray:
    rows, columns = (((np.arange(side) + 0.5) / side - 0.5) / 0.25 for side in size)
    return np.exp(-0.5 * (rows[:, None] ** 2 + columns**2)).astype(np.float32)


def measured(
    found: Found,
    items: Sequence[Item],
    which: str,
    background: float,
    crf: DenseCRF | None,
    classes: Sequence[str],
) -> dict:
    """The result of `MeanIoU` with the true ("labels") or the predicted classes."""
    metric = MeanIoU(classes)
    for (values, known), item in zip(found, items, strict=True):
        wanted = getattr(item, which)
        of_wanted = values[np.searchsorted(known, wanted)].astype(np.float32)
        mask = segmentation.divide(of_wanted, wanted, item.image, background, crf).mask
        metric.update([mask], [item.truth])
    return metric.result()


def row_of(
    found: Found,
    kept: Found,
    items: Sequence[Item],
    kept_items: Sequence[Item],
    classes: Sequence[str],
    kinds: Sequence[str],
) -> dict:
    """Mean IoU by each kind of classes; the background's weight is the best one by the first kind
    on the kept images."""
    row: dict = {}
    near: Sequence[float] = _BACKGROUNDS
    for name, crf in (("plain", None), ("crf", DenseCRF())):
        by_weight = {
            weight: measured(kept, kept_items, kinds[0], weight, crf, classes)["mean_iou"]
            for weight in near
        }
        best = max(by_weight, key=lambda weight: by_weight[weight])
        near = (best / 1.5, best, best * 1.5)
        row[f"{name} background"] = best
        for which in kinds:
            result = measured(found, items, which, best, crf, classes)
            row[f"{which} {name}"] = (result["mean_iou"], result["interval"])
    return row


def _milliseconds(row: dict) -> str:
    return "" if np.isnan(row["milliseconds"]) else tables.number(row["milliseconds"], 0)


def columns(kinds: Sequence[str]) -> list[tables.Column]:
    titles = {"predicted": "predicted classes", "labels": "true classes"}
    return [
        tables.Column("Maps", lambda row: row["variant"], is_number=False),
        *(
            tables.Column(
                f"{titles[which]}, {title}",
                lambda row, key=f"{which} {name}": tables.with_interval(*row[key]),
            )
            for which in kinds
            for name, title in (("plain", "no CRF"), ("crf", "CRF"))
        ),
        tables.Column("ms an image", _milliseconds),
    ]


def run() -> None:
    if _CLASSIFIER.value is None:
        raise ValueError("--classifier is needed: a folder of train/classifier.py.")
    network = classifiers.load(_CLASSIFIER.value)
    root = str(_common.shared("data", "msrc_v2"))
    train, val = (datasets.load("voc", root, split) for split in ("train", "val"))
    parts = splits.split(len(train), tuple(map(float, _FRACTIONS.value)), _SEED.value)
    kept = train.select(np.sort(np.concatenate(parts[1:])))
    kept_items, items = read(kept, network), read(val, network)
    chosen = {
        name: each
        for name, each in variants(_LAYERS.value).items()
        if not _ONLY.value or any(part in name for part in _ONLY.value)
    }
    rows = []
    if "images" in _PARTS.value:
        for name, (method_name, options) in chosen.items():
            method = maps.create(method_name, network, **options) if method_name else None
            row = measured_row(name, method, items, kept_items, val.classes, _KINDS)
            rows.append(row)
        _common.report(rows, columns(_KINDS), kept=len(kept), images=len(val))
    if "mosaics" in _PARTS.value:
        kept_pairs, pairs = (mosaics(each, _SEED.value) for each in (kept_items, items))
        rows = []
        for name in filter(chosen.__contains__, _ON_MOSAICS):
            method_name, options = chosen[name]
            method = maps.create(method_name, network, **options)
            rows.append(measured_row(name, method, pairs, kept_pairs, val.classes, ("labels",)))
        print(f"\nMosaics: {len(pairs)}, and {len(kept_pairs)} kept back")
        print(tables.as_text(tables.table(rows, columns(("labels",))[:-1])))


def measured_row(
    name: str,
    method: maps.MapMethod | None,
    items: Sequence[Item],
    kept_items: Sequence[Item],
    classes: Sequence[str],
    kinds: Sequence[str],
) -> dict:
    """A variant's row; it is printed at once, for the next one may take minutes."""
    on_kept, _ = maps_of(method, kept_items, f"{name}, kept back")
    found, seconds = maps_of(method, items, name)
    row = row_of(found, on_kept, items, kept_items, classes, kinds)
    row |= {"variant": name, "milliseconds": 1000 * statistics.median(seconds or [np.nan])}
    print(tables.as_text(tables.table([row], columns(kinds))), flush=True)
    return row


if __name__ == "__main__":
    _common.run(run)
