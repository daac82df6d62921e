"""The boxes of every kind of method for the images of a table."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from sensmap import images, splits
from sensmap.classifiers.class_names import match_classes
from sensmap.datasets import Dataset, ExampleError
from sensmap.evaluation import judges
from sensmap.feature_table import FeatureTable, Readings
from sensmap.localizer import Localizer, map_title, name_of
from sensmap.localizers.threshold import Threshold
from sensmap.pipeline import Extractor

# Between the names of data sets that something was fitted on together.
TOGETHER = " + "

# Of these, several splits hold the same images under the same ids: what comes before the split.
_ACROSS_SPLITS = re.compile(r"(cub|voc VOC\d{4})(?= |$)")

# Images that a localizer is timed on.
_TIMED = 8


class Predictions(NamedTuple):
    """The boxes that one method gives for the images of a table.

    Attributes:
        method: what to call it.
        boxes: ``(N, 4)`` float32 xyxy, for the classes asked for.
        guesses: ``(N, K, 4)`` float32 xyxy, for the classes with the highest scores; None
            where none were asked for.
        guessed: ``(N, K)`` int32, those classes. Map methods differ in them: `ten_crop` has the
            scores of ten sub-images.
        maps: what to call the map method; None where there is none.
        localizer: what to call the localizer.
        stand_ins: how many boxes are stand-ins, by the reason.
        seconds_per_image: from pixels to the box, one image at a time; None if not measured.
        oracle: ``(N, 4)`` float32 xyxy, by the threshold that is best on these very images; None
            where there is no threshold.
        judged: of a method that thresholds a map what `sensmap.evaluation.judges` say of the map.
        baseline: whether it is there to be compared with.
    """

    method: str
    boxes: np.ndarray
    guesses: np.ndarray | None = None
    guessed: np.ndarray | None = None
    maps: str | None = None
    localizer: str | None = None
    stand_ins: Mapping[str, int] = {}
    seconds_per_image: float | None = None
    oracle: np.ndarray | None = None
    judged: Mapping[str, np.ndarray] = {}
    baseline: bool = False

    def named(self, class_ids: np.ndarray) -> np.ndarray | None:
        """``(N,)`` bool, whether the first guess is an image's class, ``(N,)``; None without
        guesses."""
        if self.guesses is None or self.guessed is None:
            return None
        return self.guessed[:, 0] == class_ids


def cross_validate(
    table: FeatureTable, estimators: Sequence[Any], fold_count: int, seed: int
) -> list[tuple[Any, Predictions]]:
    """Each image's boxes by localizers that were fitted on the other folds.

    Args:
        table: what was read off the maps of a data set, and its boxes.
        estimators: of `sensmap.localizers`; they are not changed.
        fold_count: how many folds.
        seed: of the partition into folds.

    Returns:
        For each estimator the one of the last fold, fitted, and its predictions.

    Raises:
        ValueError: for fewer images than folds, or a fold without boxes to fit on.
    """
    found = []
    parts = list(splits.folds(len(table), fold_count, seed))
    for estimator in estimators:
        asked = readings(estimator, table.asked)
        guessed = readings(estimator, table.guessed)
        boxes = np.zeros((len(table), 4), np.float32)
        guesses = np.zeros((*table.guessed.class_ids.shape, 4), np.float32)
        for train, test in parts:
            truths = [table.truths[position] for position in train]
            fitted = clone(estimator).fit(asked[train], truths)
            boxes[test] = fitted.predict(asked[test])
            guesses[test] = _predict_classes(fitted, guessed[test])
        predicted = Predictions(
            fitted.title,
            boxes,
            or_none(guesses),
            table.guessed.class_ids,
            stand_ins=_stand_ins(fitted, asked),
        )
        found.append((fitted, _with_threshold(predicted, estimator, asked, table)))
    return found


def predict(table: FeatureTable, localizer: Localizer) -> Predictions:
    """The boxes of a fitted localizer for what was read off its own maps."""
    estimator = localizer.estimator
    asked = readings(estimator, table.asked)
    guesses = _predict_classes(estimator, readings(estimator, table.guessed))
    predicted = Predictions(
        localizer.title,
        estimator.predict(asked),
        or_none(guesses),
        table.guessed.class_ids,
        map_title(localizer.method),
        estimator.title,
        _stand_ins(estimator, asked),
    )
    return _with_threshold(predicted, estimator, asked, table)


def _with_threshold(
    predicted: Predictions, estimator: Any, asked: np.ndarray, table: FeatureTable
) -> Predictions:
    """What can be said besides of a method that thresholds a map."""
    if not isinstance(estimator, Threshold):
        return predicted
    oracle = None
    if any(map(len, table.truths)):
        oracle = clone(estimator).fit(asked, table.truths).predict(asked)
    return predicted._replace(oracle=oracle, judged=table.judged)


def extractor_for(method, estimators: Sequence[Any], top_k: int) -> Extractor:
    """What reads all that these localizers take off the maps of a method, in one pass; where one
    thresholds them the maps are judged themselves, too."""
    features = {estimator.features for estimator in estimators if hasattr(estimator, "features")}
    readers = {name_of(each): each for each in estimators if not each.in_graph}
    thresholds = any(isinstance(each, Threshold) for each in estimators)
    asked = judges.JUDGES if thresholds else {}
    return Extractor(method, next(iter(features), None), readers, top_k, asked)


def readings(estimator: Any, of: Readings) -> np.ndarray:
    """What that localizer fits and predicts from."""
    return of.features if estimator.in_graph else of.of[name_of(estimator)]


def timed(predictions: Predictions, localizer: Localizer, dataset: Dataset) -> Predictions:
    """With the median time from an image's pixels to its box, one image at a time."""
    times = []
    for position in range(min(_TIMED + 1, len(dataset))):
        try:
            pixels = images.load(dataset[position].image)[None]
        except ExampleError:
            continue
        began = time.perf_counter()
        localizer(pixels)
        times.append(time.perf_counter() - began)
    if len(times) < 2:  # the first one compiles
        return predictions
    return predictions._replace(seconds_per_image=float(np.median(times[1:])))


def class_ids(table: FeatureTable, dataset: Dataset, network: Any) -> np.ndarray | None:
    """The classifier's class of each image's own, -1 where it does not know it.

    Args:
        table, dataset: the images and their classes.
        network: a classifier or an export; None where there is none.

    Returns:
        ``(N,)``; None where it knows none of the classes, or some image has none.
    """
    if network is None or (table.labels < 0).any():
        return None
    try:
        return match_classes(dataset.classes, network)[table.labels]
    except ValueError:
        return None


def folds_record(dataset: Dataset, table: FeatureTable, fold_count: int, seed: int) -> list[dict]:
    """What is fitted on which images where each fold is scored by fits on the others."""
    return [
        fit_record(
            f"fold {number} of {fold_count} is scored by what was fitted on these",
            dataset.name,
            [table.ids[row] for row in train],
        )
        for number, (train, _) in enumerate(splits.folds(len(table), fold_count, seed), start=1)
    ]


def fit_record(what: str, dataset: str, ids: Sequence[str]) -> dict:
    """What was fitted on which images, by number and hash of their ids; JSON can hold it."""
    return {
        "what": what,
        "dataset": dataset,
        "images": len(ids),
        "ids_sha256": splits.ids_sha256(ids),
    }


def _predict_classes(estimator: Any, given: np.ndarray) -> np.ndarray:
    """Boxes ``(N, K, 4)`` from readings ``(N, K, F)``."""
    count, classes = given.shape[:2]
    if not classes:
        return np.zeros((count, 0, 4), np.float32)
    flat = estimator.predict(given.reshape(count * classes, -1))
    return flat.reshape(count, classes, 4)


def or_none(guesses: np.ndarray) -> np.ndarray | None:
    return guesses if guesses.shape[1] else None


def _stand_ins(estimator: Any, given: np.ndarray) -> dict[str, int]:
    if estimator.in_graph:
        return {}
    return dict(Counter(reason for reason in estimator.stand_ins(given) if reason))


def refuse_fitted(config: Mapping[str, Any], dataset: Dataset) -> None:
    """Refuses to score images that a localizer was fitted on.

    Raises:
        ValueError: with their number and the first of them.
    """
    data = config.get("data", {})
    of = {_source(name) for name in data.get("dataset", "").split(TOGETHER)}
    if _source(dataset.name) not in of or not config.get("fitted_on_boxes_of"):
        return
    both = sorted(set(data.get("ids", ())) & set(dataset.ids))
    if both:
        raise ValueError(
            f"{len(both)} of the {len(dataset)} images were used to fit the localizer, {both[0]!r} "
            "among them; choose another --split or --part, or --folds."
        )


def _source(name: str) -> str:
    """A data set's name, without its split where ids are the same in all splits."""
    found = _ACROSS_SPLITS.match(name)
    return found[0] if found else name
