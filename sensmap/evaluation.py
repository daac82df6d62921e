"""Measuring localizers on a data set: boxes, CorLoc and localization error beside baselines."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from tqdm import tqdm

from sensmap import boxes as box_geometry
from sensmap import files, images, localizers, registry, splits
from sensmap.classifiers.class_names import match_classes
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.export import ServedModel
from sensmap.localizer import Localization, Localizer, map_title, name_of
from sensmap.maps import PREDICTED
from sensmap.pipeline import (
    PREDICTION,
    Extractor,
    FeatureTable,
    Readings,
    class_chooser,
    table_row,
)
from sensmap.report import localization, pictures, tables

# The constant boxes that every localizer is compared with.
BASELINES = ("centred_box", "mean_box")

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
    """

    method: str
    boxes: np.ndarray
    guesses: np.ndarray | None = None
    guessed: np.ndarray | None = None
    maps: str | None = None
    localizer: str | None = None
    stand_ins: Mapping[str, int] = {}
    seconds_per_image: float | None = None


def constant_boxes(
    recorded: Mapping[str, Sequence[float]], table: FeatureTable
) -> list[Predictions]:
    """The constant boxes that a localizer's folder records, as predictions for all images."""
    found = []
    for name, recorded_box in recorded.items():
        box = box_geometry.as_boxes(recorded_box)[0]
        boxes = np.tile(box, (len(table), 1))
        guesses = np.tile(box, (*table.guessed.class_ids.shape, 1))
        guessed = table.guessed.class_ids
        found.append(Predictions(localizers.create(name).title, boxes, _or_none(guesses), guessed))
    return found


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
            _or_none(guesses),
            table.guessed.class_ids,
            stand_ins=_stand_ins(fitted, asked),
        )
        found.append((fitted, predicted))
    return found


def predict(table: FeatureTable, localizer: Localizer) -> Predictions:
    """The boxes of a fitted localizer for what was read off its own maps."""
    estimator = localizer.estimator
    asked = readings(estimator, table.asked)
    guesses = _predict_classes(estimator, readings(estimator, table.guessed))
    return Predictions(
        localizer.title,
        estimator.predict(asked),
        _or_none(guesses),
        table.guessed.class_ids,
        map_title(localizer.method),
        estimator.title,
        _stand_ins(estimator, asked),
    )


def extractor_for(method, estimators: Sequence[Any], top_k: int) -> Extractor:
    """What reads all that these localizers take off the maps of a method, in one pass."""
    features = {estimator.features for estimator in estimators if hasattr(estimator, "features")}
    readers = {name_of(each): each for each in estimators if not each.in_graph}
    return Extractor(method, next(iter(features), None), readers, top_k)


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


def known(dataset: Dataset, network: Any) -> np.ndarray | None:
    """The classifier's class for each of a data set's; None where it knows none of them.

    Args:
        dataset: whose classes they are.
        network: a classifier or an export.
    """
    try:
        return match_classes(dataset.classes, network)
    except ValueError:
        return None


def _predict_classes(estimator: Any, given: np.ndarray) -> np.ndarray:
    """Boxes ``(N, K, 4)`` from readings ``(N, K, F)``."""
    count, classes = given.shape[:2]
    if not classes:
        return np.zeros((count, 0, 4), np.float32)
    flat = estimator.predict(given.reshape(count * classes, -1))
    return flat.reshape(count, classes, 4)


def _or_none(guesses: np.ndarray) -> np.ndarray | None:
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
    if data.get("dataset") != dataset.name or not config.get("fitted_on_boxes_of"):
        return
    both = sorted(set(data.get("ids", ())) & set(dataset.ids))
    if both:
        raise ValueError(
            f"{len(both)} of the {len(dataset)} images were used to fit the localizer, {both[0]!r} "
            "among them; choose another --split or --part, or --folds."
        )


def score(
    predictions: Sequence[Predictions],
    table: FeatureTable,
    dataset: Dataset,
    known: np.ndarray | None = None,
) -> list[dict]:
    """A row of measures for each method; JSON can hold it.

    Args:
        predictions: of each method.
        table, dataset: the images, their boxes and classes.
        known: ``(classes of the data set,)`` the classifier's class for each, -1 without one;
            None where it knows none of them, and localization errors cannot be told.
    """
    corloc = registry.find("sensmap.metrics", "corloc").Metric
    labels = table.labels if (table.labels >= 0).all() else None
    rows = []
    for each in predictions:
        metric = corloc(dataset.classes if labels is not None else None)
        metric.update(each.boxes, table.truths, labels)
        row = {"method": each.method, **metric.result()}
        if each.guesses is not None and labels is not None and known is not None:
            row |= _localization_error(each, table, known[labels])
        if each.maps is not None:
            row |= {"maps": each.maps, "localizer": each.localizer}
        if each.stand_ins:
            row["stand_ins"] = dict(each.stand_ins)
        if each.seconds_per_image is not None:
            row["seconds_per_image"] = each.seconds_per_image
        rows.append(row)
    return rows


def _localization_error(each: Predictions, table: FeatureTable, labels: np.ndarray) -> dict:
    metric = registry.find("sensmap.metrics", "localization_error").Metric()
    metric.update(each.guesses, each.guessed, table.truths, labels)
    result = metric.result()
    of_corloc = ("images", "unscored", "interval_method")
    return {key: value for key, value in result.items() if key not in of_corloc}


def shown_pictures(
    dataset: Dataset,
    table: FeatureTable,
    predictions: Predictions,
    localizer: Localizer | None,
    count: int,
    seed: int,
) -> list[localization.Picture]:
    """Images for the report, drawn at random: not the best ones, nor the worst.

    Args:
        dataset, table: the images and what is known of them.
        predictions: the boxes to show.
        localizer: makes the maps and segmentations to show; None to show none.
        count: at most how many.
        seed: of the drawing.
    """
    chosen = np.random.default_rng(seed).permutation(len(table))[:count]
    positions = {example_id: position for position, example_id in enumerate(dataset.ids)}
    shown = []
    for row in sorted(chosen):
        example = dataset[positions[table.ids[row]]]
        image = images.load(example.image)
        heat, cut = None, None
        if localizer is not None:
            found = localizer(image[None], [int(table.class_ids[row])])
            heat, cut = found.maps[-1][0], cut_by(localizer, found, image)
        label = int(table.labels[row])
        name = dataset.classes[label] if label >= 0 else example.id
        shown.append(
            localization.Picture(
                image=image,
                truth=table.truths[row],
                predicted=predictions.boxes[row],
                caption=display_name(name),
                iou=_overlap(predictions.boxes[row], table.truths[row]),
                map=heat,
                cut=cut,
                guesses=_guesses(predictions, table, row, localizer),
            )
        )
    return shown


def _ranked(predictions: Predictions, table: FeatureTable, row: int) -> tuple:
    """Class ids, scores and boxes of an image's best classes."""
    guessed = table.guessed
    return guessed.class_ids[row], guessed.scores[row], predictions.guesses[row]  # type: ignore[index]


def cut_by(localizer: Localizer, found: Localization, image: np.ndarray) -> localization.Cut | None:
    """What was cut out of an image by the map of its (first) class, where that is the way.

    Args:
        localizer: what localized.
        found: in a batch of that one image.
        image: ``(H, W, 3)`` uint8.
    """
    if not hasattr(localizer.estimator, "segment"):
        return None
    maps = [each.reshape(-1, *each.shape[-2:])[0] for each in found.maps]
    segmented = localizer.estimator.segment(maps, image)
    # Not every localizer that cuts fits colour models first.
    seeds = getattr(segmented, "seeds", None)
    return localization.Cut(seeds, segmented.mask, segmented.box)


def _guesses(
    predictions: Predictions, table: FeatureTable, row: int, localizer: Localizer | None
) -> list[localization.Guess]:
    if predictions.guesses is None or localizer is None:
        return []
    names = localizer.classifier.class_names
    found = []
    for class_id, score, box in zip(*_ranked(predictions, table, row), strict=True):
        name = display_name(names[class_id]) if names else str(class_id)
        found.append(localization.Guess(name, float(score), box))
    return found


def display_name(class_name: str) -> str:
    """A class name for people: without the WordNet id, and the first of its synonyms.

    >>> display_name("n01440764 tench, Tinca tinca"), display_name("Bengal")
    ('tench', 'Bengal')
    """
    words = class_name.partition(" ")
    is_wordnet = words[0][:1] == "n" and words[0][1:].isdigit() and len(words[0]) == 9
    return (words[2] if is_wordnet and words[2] else class_name).split(",")[0]


def write(
    work: Path,
    result: dict[str, Any],
    shown: Sequence[localization.Picture],
    table: FeatureTable,
    predictions: Predictions,
) -> str:
    """Writes result.json, table.md, boxes.jsonl, boxes.png and report.html into a folder.

    Returns:
        The table as text for a terminal.
    """
    files.write_json(work / "result.json", result)
    summary = localization.localization_table(result["rows"])
    across = localization.cross_table(result["rows"])
    both = [summary] if across is None else [summary, across]
    files.write_text(work / "table.md", "\n\n".join(map(tables.as_markdown, both)) + "\n")
    files.write_text(work / "boxes.jsonl", _box_lines(table, predictions))
    if shown:
        grid = localization.picture_grid(shown)
        files.write_bytes(work / "boxes.png", pictures.encode_png(grid))
    files.write_text(work / "report.html", localization.localization_report(result, shown))
    return "\n\n".join(map(tables.as_text, both))


def _overlap(box: np.ndarray, truth: np.ndarray) -> float | None:
    """None without a true box, which is not the same as to miss it."""
    return box_geometry.best_iou(box, truth) if len(truth) else None


def _box_lines(table: FeatureTable, predictions: Predictions) -> str:
    lines = []
    for row, example_id in enumerate(table.ids):
        size = (int(table.sizes[row][0]), int(table.sizes[row][1]))
        box = predictions.boxes[row]
        overlap = _overlap(box, table.truths[row])
        line = {
            "id": example_id,
            "class_id": int(table.class_ids[row]),
            "box": [round(float(side), 6) for side in box],
            "box_pixels": box_geometry.xyxy_to_pixels(box, size)[0].round(2).tolist(),
            "iou": overlap if overlap is None else round(overlap, 6),
        }
        if predictions.guesses is not None:
            line["guesses"] = [
                {
                    "class_id": int(class_id),
                    "score": round(float(score), 4),
                    "box": [round(float(side), 6) for side in guess],
                }
                for class_id, score, guess in zip(*_ranked(predictions, table, row), strict=True)
            ]
        lines.append(json.dumps(line))
    return "\n".join(lines) + "\n"


def predict_served(
    served: ServedModel, dataset: Dataset, class_of: str, batch_size: int
) -> tuple[FeatureTable, Predictions]:
    """The boxes that an exported model gives for a data set, and a table without features.

    Images go through the export as encoded files, the way a server gets them.
    """
    began = time.perf_counter()
    class_id_of = class_chooser(served, dataset, class_of)
    rows: list[tuple] = []
    answers: list[tuple] = []
    skipped: list[tuple[str, str]] = []

    def localize(batch: list[tuple[Example, int]]) -> None:
        wanted = [class_id for _, class_id in batch]
        asked = None if wanted[0] == PREDICTED else wanted
        try:
            found = served([example.image for example, _ in batch], asked)
        except ExampleError as error:
            if len(batch) == 1:
                skipped.append((batch[0][0].id, str(error)))
            else:  # one broken image fails its batch
                for each in batch:
                    localize([each])
            return
        for place, (example, _) in enumerate(batch):
            # The pixels' box over the relative one is the size of the image.
            right, bottom = found.boxes_pixels[place, 0, 2:] / found.boxes[place, 0, 2:]
            size = example.size or (round(float(bottom)), round(float(right)))
            rows.append(table_row(example, size))
            answers.append(tuple(part[place] for part in found[:3] + found[4:5]))

    batch: list[tuple[Example, int]] = []
    for position in tqdm(range(len(dataset)), desc="Served", unit="image", disable=None):
        try:
            example = dataset[position]
            batch.append((example, class_id_of(example)))
        except ExampleError as error:
            skipped.append((dataset.ids[position], str(error)))
        if len(batch) == batch_size:
            localize(batch)
            batch = []
    if batch:
        localize(batch)
    if not rows:
        raise ValueError(f"No image of {dataset.name} could be used ({skipped[:1]}).")
    class_ids, scores, boxes, degenerate = (np.array(part) for part in zip(*answers, strict=True))
    # The best class is the one asked for where none was; only then the others are guesses.
    ranks = class_ids.shape[1] if class_of == PREDICTION else 0
    nothing = np.zeros((*class_ids.shape, 0), np.float32)
    asked = Readings(class_ids[:, 0], scores[:, 0], nothing[:, 0])
    guessed = Readings(class_ids[:, :ranks], scores[:, :ranks], nothing[:, :ranks])
    table = FeatureTable.of(rows, asked, guessed, degenerate[:, 0], skipped, began)
    guesses = _or_none(boxes[:, :ranks])
    return table, Predictions("SavedModel", boxes[:, 0], guesses, guessed.class_ids)
