r"""How often is the object found? Cross-validation on 1,300 images of ILSVRC 2012.

  python -m benchmarks.ilsvrc_folds --classifier=squeezenet1_1 --seeds=0,1,2

Five folds; the class is given. For each fold a localizer is fitted on the images of the other
four that have exactly one box, and evaluated on all images of the fold. Settings:

* the constant boxes, which know nothing of the image;
* the pooled pixel map (Ebrahimpour & Noelle's way) and the quantiles of the pixel map;
* the quantiles of one layer's map a resolution ("auto"), together, alone, and with the pixels;
* the quantiles of ONE layer's map, the layer and the reduction over channels chosen among all
  blocks of the network by another cross-validation inside the training folds. The images that
  it is then evaluated on had no part in the choice.
"""

from __future__ import annotations

import collections
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import localizers, maps, splits
from sensmap.feature_table import FeatureTable
from sensmap.features import quantiles
from sensmap.maps import PIXELS
from sensmap.metrics.corloc import CorLoc
from sensmap.pipeline import Extractor
from sensmap.report.tables import Column, number, with_interval

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of the folds; intervals are of the first.")

FOLDS = 5
INNER_FOLDS = 4
REDUCTIONS = ("max", "l2")

# Training and test positions -> boxes for the test positions.
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Evaluation:
    """CorLoc of settings, over the folds of every seed."""

    def __init__(self, truths: Sequence[np.ndarray], seeds: Sequence[int]):
        self.truths = truths
        self.seeds = seeds

    def of(self, positions: np.ndarray) -> list[np.ndarray]:
        """The true boxes of these images."""
        return [self.truths[position] for position in positions]

    def fitted(self, design: np.ndarray, localizer: str = "linear") -> Predict:
        """Fits on the training images, predicts for the others."""

        def predict(train: np.ndarray, test: np.ndarray) -> np.ndarray:
            model = localizers.create(localizer).fit(design[train], self.of(train))
            return model.predict(design[test])

        return predict

    def corloc(self, predict: Predict, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict:
        """Over all test parts together."""
        metric = CorLoc()
        for train, test in parts:
            metric.update(predict(train, test), self.of(test))
        return metric.result()

    def row(self, setting: str, predict: Predict, seconds: float | None = None) -> dict:
        """A row of the table: the first seed's numbers, and CorLoc for each seed."""
        results = [
            self.corloc(predict, splits.folds(len(self.truths), FOLDS, seed)) for seed in self.seeds
        ]
        first = {key: value for key, value in results[0].items() if key != "by_class"}
        by_seed = [result["corloc"] for result in results]
        return {"setting": setting, **first, "corloc_by_seed": by_seed, "seconds": seconds}

    def chosen(self, designs: dict[str, np.ndarray], choices: collections.Counter) -> Predict:
        """Predicts from the design with the best CorLoc inside the training images."""

        def predict(train: np.ndarray, test: np.ndarray) -> np.ndarray:
            inner = [
                (train[inner_train], train[inner_test])
                for inner_train, inner_test in splits.folds(len(train), INNER_FOLDS)
            ]
            scores = {
                name: self.corloc(self.fitted(design), inner)["corloc"]
                for name, design in designs.items()
            }
            best = max(scores, key=lambda name: scores[name])
            choices[best] += 1
            return self.fitted(designs[best])(train, test)

        return predict


def main() -> None:
    network, data = _common.classifier(_CLASSIFIER.value), _common.ilsvrc()

    def extract(layers, reduction: str = "max", features: str = "quantiles"):
        method = maps.create("gradient", network, layers=layers, reduction=reduction)
        return method.layers, Extractor(method, features).extract(data)

    (_, pooled) = extract(PIXELS, features="pooled")
    (_, pixels) = extract(PIXELS)
    evaluation = Evaluation(pixels.truths, [int(seed) for seed in _SEEDS.value])
    rows = [
        evaluation.row("mean box", evaluation.fitted(pixels.features, "mean_box")),
        evaluation.row(
            "centred box of the mean size", evaluation.fitted(pixels.features, "centred_box")
        ),
        evaluation.row("pooled pixel map", evaluation.fitted(pooled.features), pooled.seconds),
        evaluation.row("quantiles, pixels", evaluation.fitted(pixels.features), pixels.seconds),
    ]
    candidates: dict[str, np.ndarray] = {}
    for reduction in REDUCTIONS:
        layers, inner = extract("auto", reduction)
        _, both = extract((PIXELS, *layers), reduction)
        for name, table in (("auto layers", inner), ("pixels and auto layers", both)):
            predict = evaluation.fitted(table.features)
            rows.append(evaluation.row(f"quantiles, {name}, {reduction}", predict, table.seconds))
        for layer, design in zip(layers, _by_layer(inner), strict=True):
            rows.append(
                evaluation.row(f"quantiles, {layer} alone, {reduction}", evaluation.fitted(design))
            )
        layers, blocks = extract(_common.CLASSIFIERS[_CLASSIFIER.value].blocks, reduction)
        for layer, design in zip(layers, _by_layer(blocks), strict=True):
            candidates[f"{layer}, {reduction}"] = design
    choices: collections.Counter = collections.Counter()
    row = evaluation.row("quantiles, one layer, chosen", evaluation.chosen(candidates, choices))
    rows.append(row)

    _common.report(rows, COLUMNS, classifier=_CLASSIFIER.value, choices=choices)
    print("Chosen, in how many folds: " + "; ".join(f"{k} ({n})" for k, n in choices.most_common()))


def _by_layer(table: FeatureTable) -> list[np.ndarray]:
    """Each layer's own columns: the features of several layers stand side by side."""
    return np.split(table.features, table.features.shape[1] // quantiles.SIZE, axis=1)


def _spread(row: Mapping) -> str:
    values = row["corloc_by_seed"]
    return f"{number(statistics.mean(values))} ({number(min(values))} to {number(max(values))})"


COLUMNS = (
    Column("Boxes from", lambda row: row["setting"], is_number=False),
    Column("CorLoc (%) [95%]", lambda row: with_interval(row["corloc"], row["interval"])),
    Column("mean of seeds (range)", _spread),
    Column("at IoU 0.3", lambda row: number(row["corloc_30"])),
    Column("0.7", lambda row: number(row["corloc_70"])),
    Column("mean IoU", lambda row: number(row["mean_iou"], 3)),
    Column("maps (s)", lambda row: number(row["seconds"])),
)


if __name__ == "__main__":
    _common.run(main)
