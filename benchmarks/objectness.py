r"""Fits what the objectness measure is made with, and measures its top window.

  python -m benchmarks.objectness [--write] [--limit=200]

With --write the cues' own parameters and their likelihoods are fitted on MSRC v2's and the pets'
training images and on the photographs of kangaroos and of fruit, and written into the package.
Then CorLoc of the top window on `ilsvrc2012_val_1300`, which nothing was fitted on, beside the
whole image and the mean box of the other folds; and how often one of the best 10 or 100 windows
is right.
"""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

import numpy as np
from absl import flags
from sklearn.linear_model import LogisticRegression

from benchmarks import _common
from sensmap import boxes as box_geometry
from sensmap import datasets, files, images, localizers, objectness, splits
from sensmap.metrics.corloc import CorLoc
from sensmap.objectness import _sums, cues, parameters, proposals, superpixels
from sensmap.objectness.cues import CUES
from sensmap.objectness.parameters import Likelihood
from sensmap.parallel import in_threads
from sensmap.report.tables import Column, number

_WRITE = flags.DEFINE_bool("write", False, "Fit, and write the numbers into the package.")
_LIMIT = flags.DEFINE_integer("limit", None, "Measure on so many images.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the windows that are fitted on, and of the folds.")

TRAINING = (("msrc_v2", "train"), ("pets3", "train"), ("kangaroo", None), ("fruit", None))
# What the cues' own parameters are chosen among.
SALIENCY = (0.25, 0.5, 1.0, 2.0)
CONTRAST = (0.125, 0.25, 0.5)
EDGES = (0.1, 0.25, 0.5)
STRADDLING = (6.0, 12.0, 18.0)
# Every so many of the training images are sampled, and windows of each kind in an image.
EVERY = 3
COUNT = 40
BINS = 12
SIZES = 6


class Sample(NamedTuple):
    """What was seen in a training image.

    Attributes:
        covers: ``(M,)`` bool, whether a window covers an object.
        areas: ``(M,)``, of each window.
        values: of each cue ``(M, P)`` for each of its parameters; of the saliency
            ``(M, P, scales)``.
    """

    covers: np.ndarray
    areas: np.ndarray
    values: dict[str, np.ndarray]


def sample(example: datasets.Example, located: np.ndarray, seed: int) -> Sample:
    """The cues of windows that cover an object and of windows that do not.

    Args:
        example: the image and its boxes.
        located: LS of each window of the lattice; the likelier, the more are sampled.
        seed: of the choice.
    """
    image = proposals.reduced(images.load(example.image))
    rng = np.random.default_rng(seed)
    usable = proposals.aspect_allows(image.shape[:2])
    windows, weights = proposals.lattice()[usable], located[usable]
    covers = box_geometry.iou(windows, example.boxes).max(axis=1) >= cues.COVERS
    chosen = np.concatenate(
        [
            rng.choice(np.flatnonzero(kind), COUNT, p=weights[kind] / weights[kind].sum())
            for kind in (covers, ~covers)
            if kind.any()  # an object may be smaller than all windows
        ]
    )
    windows, covers = windows[chosen], covers[chosen]
    at = _sums.corners(windows, image.shape[:2])
    edges = cues.edgels(image)
    values = {
        "saliency": [
            [cues.saliency_at(image, at, side, each) for each in SALIENCY] for side in cues.SCALES
        ],
        "contrast": [cues.contrast(image, at, each) for each in CONTRAST],
        "edges": [cues.edge_density(edges, at, each) for each in EDGES],
        "straddling": [
            cues.straddling(superpixels.superpixels(image, each), at) for each in STRADDLING
        ],
    }
    return Sample(
        covers,
        box_geometry.area(windows),
        {cue: np.array(each).T for cue, each in values.items()},
    )


def likelihood(values: np.ndarray, areas: np.ndarray, is_object: np.ndarray) -> Likelihood:
    """Histograms for windows of several sizes, each of which has equally many objects."""
    borders = np.quantile(areas[is_object], np.arange(1, SIZES) / SIZES)
    size = np.searchsorted(borders, areas, side="right")
    each = [histogram(values[size == one], is_object[size == one]) for one in range(SIZES)]
    middles = [float(np.median(areas[is_object & (size == one)])) for one in range(SIZES)]
    return Likelihood(middles, *(list(part) for part in zip(*each, strict=True)))


def histogram(values: np.ndarray, is_object: np.ndarray) -> list[list[float]]:
    """Of bins that hold equally many values the middles, and the shares of objects and others."""
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, values, side="right")
    used = np.unique(bins)
    # One window more in each bin, so that no likelihood is 0.
    shares = [
        (np.array([(bins[of] == each).sum() for each in used]) + 1) / (of.sum() + len(used))
        for of in (is_object, ~is_object)
    ]
    middles = [np.median(values[bins == each]) for each in used]
    return [np.round(each, 6).tolist() for each in (middles, *shares)]


def evidence(values: np.ndarray, areas: np.ndarray, is_object: np.ndarray) -> float:
    """The mean log of p(object | cue) over the windows that cover one (equation 9), both kinds
    being as frequent."""
    found = likelihood(values, areas, is_object)
    ratios = found.log_ratio(values[is_object], areas[is_object])
    return float(-np.log1p(np.exp(-ratios)).mean())


def fit() -> parameters.Parameters:
    """The parameters of the training images."""
    examples = [
        example
        for name, split in TRAINING
        for example in datasets.load("voc", str(_common.shared("data", name)), split)
        if len(example.boxes)
    ]
    boxes = [example.boxes for example in examples]
    located = cues.location(proposals.lattice(), boxes)

    def sampled(place: int) -> Sample | None:
        try:
            return sample(examples[place], located, _SEED.value + place)
        except datasets.ExampleError as error:
            print(f"left out: {error}")
            return None

    places = range(0, len(examples), EVERY)
    samples = [each for each in in_threads(sampled, places, "Windows") if each is not None]
    is_object = np.concatenate([each.covers for each in samples])
    areas = np.concatenate([each.areas for each in samples])
    values = {cue: np.concatenate([each.values[cue] for each in samples]) for cue in CUES}

    def best(of: np.ndarray, among: tuple[float, ...]) -> float:
        found = [evidence(each, areas, is_object) for each in of.T]
        print("  ", *(f"{value:g}: {each:.4f}" for value, each in zip(among, found, strict=True)))
        return among[int(np.argmax(found))]

    thresholds = [
        best(values["saliency"][:, :, scale], SALIENCY) for scale in range(len(cues.SCALES))
    ]
    by_scale = [
        values["saliency"][:, SALIENCY.index(threshold), scale]
        for scale, threshold in enumerate(thresholds)
    ]
    chosen = {"saliency": np.max(by_scale, axis=0)}
    learned = {}
    for cue, among in (("contrast", CONTRAST), ("edges", EDGES), ("straddling", STRADDLING)):
        learned[cue] = best(values[cue], among)
        chosen[cue] = values[cue][:, among.index(learned[cue])]
    for cue in CUES:
        print(f"{cue}: {evidence(chosen[cue], areas, is_object):.4f}")
    likelihoods = {cue: likelihood(chosen[cue], areas, is_object) for cue in CUES}
    ratios = np.sum([likelihoods[cue].log_ratio(chosen[cue], areas) for cue in CUES], axis=0)
    weight = float(LogisticRegression().fit(ratios[:, None], is_object).coef_[0, 0])
    print(f"weight: {weight:.4f}")
    return parameters.Parameters(
        saliency=thresholds,
        boxes=[each.round(3).tolist() for each in boxes],
        likelihoods=likelihoods,
        weight=round(weight, 4),
        **learned,
    )


def write(found: parameters.Parameters) -> None:
    """Writes what `parameters.parameters` reads."""
    record = dataclasses.asdict(found)
    record["likelihoods"] = {cue: each._asdict() for cue, each in found.likelihoods.items()}
    files.write_json(parameters.FILE, record)
    parameters.parameters.cache_clear()


def measure() -> list[dict]:
    """CorLoc of the top window and of constant boxes, and the best windows' recall."""
    data = _common.ilsvrc()
    examples = [data[place] for place in range(min(_LIMIT.value or len(data), len(data)))]
    truths = [example.boxes for example in examples]
    pixels = [images.load(example.image) for example in examples]
    objectness.propose(pixels[0])  # what is kept for the next image counts for none
    began = time.perf_counter()
    found = [objectness.propose(each).boxes for each in pixels]
    spent = (time.perf_counter() - began) / len(pixels)
    ious = [
        box_geometry.iou(boxes, truth).max(axis=1)
        for boxes, truth in zip(found, truths, strict=True)
    ]
    rows: list[dict] = [
        {
            "boxes": "Top window" if count == 1 else f"Best of {count} windows",
            "corloc": 100 * float(np.mean([each[:count].max() >= 0.5 for each in ious])),
            "milliseconds": 1000 * spent,
        }
        for count in (1, 10, 100)
    ]
    for name in ("full_image", "mean_box"):
        score = CorLoc()
        for train, test in splits.folds(len(truths), 5, _SEED.value):
            estimator = localizers.create(name)
            estimator.fit(np.zeros((len(train), 0)), [truths[place] for place in train])
            predicted = estimator.predict(np.zeros((len(test), 0)))
            score.update(predicted, [truths[place] for place in test])
        rows.append({"boxes": estimator.title, "corloc": score.result()["corloc"]})
    return rows


COLUMNS = (
    Column("Boxes", lambda row: row["boxes"], is_number=False),
    Column("CorLoc", lambda row: number(row["corloc"])),
    Column("ms an image", lambda row: number(row.get("milliseconds"))),
)


def main() -> None:
    if _WRITE.value:
        write(fit())
    _common.report(measure(), COLUMNS, seed=_SEED.value)


if __name__ == "__main__":
    _common.run(main)
