"""GraphCut against thresholds: masks of Oxford pets by classifiers that were not trained on them.

    python -m benchmarks.graph_cut

The maps are of the predicted class of an ImageNet classifier, so no label and no mask of these
images is used, but for one thing, in favour of what GraphCut is compared with: the thresholds are
the best ones for the very images that are scored, of the masks with and without the parts beside
the largest component. GraphCut's options were chosen on the training images. Mean IoU is the mean
over images of |A and B| / |A or B|; pixels at the animal's border, which the data leave open, do
not count.
Times are of images of 500x375, the two colour models included, in one thread and in one a core,
by turns. To see what one core takes, set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import os
import statistics
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import datasets, images, localizers, maps, masks
from sensmap._opencv import cv2
from sensmap.localizers import _masks
from sensmap.localizers.threshold import LEVELS
from sensmap.report import tables

_CLASSIFIERS = flags.DEFINE_list("classifier", list(_common.CLASSIFIERS), "Which classifiers.")
_MAPS = flags.DEFINE_list("maps", ["gradient"], "Map methods.")
_SPLIT = flags.DEFINE_enum("split", "val", ["train", "val"], "Which images.")
# The smoothing of maps that thresholds are also tried on, as a share of the longer side.
_SMOOTHING = 0.05
# How many images are timed, and how often.
_TIMED, _ROUNDS = 16, 5

COLUMNS = (
    tables.Column("Classifier", lambda row: row["classifier"], is_number=False),
    tables.Column("Map", lambda row: f"{row['maps']}, {row['layers']}", is_number=False),
    *(
        tables.Column(title, lambda row, key=key: tables.with_interval(*row[key]))
        for key, title in (
            ("threshold", "Best threshold"),
            ("smoothed", "Best threshold, smoothed map"),
            ("graphcut", "GraphCut"),
        )
    ),
    tables.Column("Gain", lambda row: tables.number(row["gain"])),
    tables.Column("Stand-ins", lambda row: tables.number(row["stand_ins"], 0)),
    tables.Column("s an image", lambda row: tables.number(row["seconds"], 3)),
    tables.Column("Threads' gain", lambda row: f"{row['speed_up']:.2f} ({os.cpu_count()} cores)"),
)


def measure(name: str, map_name: str, options: dict, photos: list, truths: list) -> dict:
    """A row of the table: one method's maps, of the pixels or of inner layers."""
    method = maps.create(map_name, _common.classifier(name), **options)
    found = [[each[0] for each in method(photo[None]).maps] for photo in photos]
    cut = localizers.create("graphcut")
    layers = "one layer a resolution, l2" if options else "as it comes"
    row: dict = {"classifier": name, "maps": map_name, "layers": layers}
    for key, smoothing in (("threshold", 0.0), ("smoothed", _SMOOTHING)):
        row[key] = interval(best_threshold(found, truths, smoothing))
    found_masks = cut.masks([np.stack(each) for each in zip(*found, strict=True)], photos)
    ious = np.array([iou(mask, truth) for mask, truth in zip(found_masks, truths, strict=True)])
    row["graphcut"] = interval(ious)
    row["gain"] = row["graphcut"][0] - row["threshold"][0]
    readings = np.stack([cut.read(each, photo) for each, photo in zip(found, photos, strict=True)])
    row["stand_ins"] = sum(bool(reason) for reason in cut.stand_ins(readings))
    return row | times(cut, found, photos)


def times(cut, found: list, photos: list) -> dict:
    """Seconds an image of 500x375 in one thread, and how much faster threads are."""
    places = [i for i, photo in enumerate(photos) if sorted(photo.shape[:2]) == [375, 500]]
    timed = [(found[i], photos[i]) for i in places[:_TIMED]]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        seconds = _common.alternate(
            {
                "one": lambda: [cut.read(*each) for each in timed],
                "several": lambda: list(threads.map(lambda each: cut.read(*each), timed)),
            },
            _ROUNDS,
        )
    return {
        "seconds": statistics.median(seconds["one"]) / len(timed),
        "speed_up": _common.ratio(seconds["one"], seconds["several"]),
    }


def best_threshold(found: list, truths: list, smoothing: float) -> np.ndarray:
    """The IoU of each image by the one threshold with the highest mean."""
    ious = []
    for of_layers, truth in zip(found, truths, strict=True):
        values = _masks.merged(of_layers, truth.shape)
        if smoothing:
            values = cv2.GaussianBlur(values, (0, 0), smoothing * max(values.shape))
        values = (values - values.min()) / (values.max() - values.min())
        above = [values >= level / LEVELS for level in range(LEVELS)]
        # All of a mask, and its largest component: whichever is better on the whole.
        every = above + [_masks.largest_component(mask) for mask in above]
        ious.append([iou(mask, truth) for mask in every])
    by_level = np.array(ious)
    return by_level[:, by_level.mean(axis=0).argmax()]


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Of a bool mask and one of class indices, 0 for the background; 255 does not count."""
    counts = truth != masks.IGNORE
    both = (mask & (truth != 0) & counts).sum()
    either = ((mask | (truth != 0)) & counts).sum()
    return float(both / either)


def interval(ious: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The mean in percent, and its 95% interval by the normal distribution."""
    mean, half = ious.mean(), 1.96 * ious.std(ddof=1) / np.sqrt(len(ious))
    return 100 * mean, (100 * (mean - half), 100 * (mean + half))


def run() -> None:
    cv2.setNumThreads(1)
    examples = list(datasets.load("voc", str(_common.shared("data", "pets3")), _SPLIT.value))
    photos = [images.load(example.image) for example in examples]
    truths = [masks.load(example.mask) for example in examples]
    rows = []
    for name in _CLASSIFIERS.value:
        for map_name in _MAPS.value:
            inner = [{"layers": "auto", "reduction": "l2"}] if map_name == "gradient" else []
            for options in ({}, *inner):
                rows.append(measure(name, map_name, options, photos, truths))
    _common.report(rows, COLUMNS, split=_SPLIT.value)


if __name__ == "__main__":
    _common.run(run)
