"""Measuring localizers on a data set: predicted boxes, CorLoc beside its baselines, a report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from sensmap import boxes as box_geometry
from sensmap import files, images, localizers, registry, splits
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.export import ServedModel
from sensmap.localizer import Localizer
from sensmap.localizers.linear import BoxRegressor
from sensmap.maps import PREDICTED, MapMethod
from sensmap.pipeline import Extractor, FeatureTable, class_chooser, table_row
from sensmap.report import localization, pictures, tables

# What a method that is compared with is called in tables.
BASELINE_NAMES = {"centred_box": "Constant centre box", "mean_box": "Mean training box"}


class Predictions(NamedTuple):
    """The boxes that one method gives for the images of a table.

    Attributes:
        method: what to call it.
        boxes: ``(N, 4)`` float32 xyxy.
    """

    method: str
    boxes: np.ndarray


def constant_boxes(recorded: Mapping[str, Sequence[float]], count: int) -> list[Predictions]:
    """The constant boxes that a localizer's folder records, as predictions for all images."""
    return [
        Predictions(BASELINE_NAMES[name], np.tile(box_geometry.as_boxes(box), (count, 1)))
        for name, box in recorded.items()
    ]


def cross_validate(
    table: FeatureTable, feature_name: str, fold_count: int, seed: int
) -> list[Predictions]:
    """Each image's boxes by baselines and by a regression fitted on the other folds.

    Args:
        table: the features and boxes of a data set.
        feature_name: what the features are.
        fold_count: how many folds.
        seed: of the partition into folds.

    Raises:
        ValueError: for fewer images than folds, or a fold without boxes to fit on.
    """
    named = {
        BASELINE_NAMES["centred_box"]: lambda: localizers.create("centred_box"),
        BASELINE_NAMES["mean_box"]: lambda: localizers.create("mean_box"),
        "Linear regression": lambda: BoxRegressor(feature_name),
    }
    found = {name: np.zeros((len(table), 4), np.float32) for name in named}
    for train, test in splits.folds(len(table), fold_count, seed):
        truths = [table.truths[position] for position in train]
        for name, make in named.items():
            fitted = make().fit(table.features[train], truths)
            found[name][test] = fitted.predict(table.features[test])
    return [Predictions(name, boxes) for name, boxes in found.items()]


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


def score(predictions: Sequence[Predictions], table: FeatureTable, dataset: Dataset) -> list[dict]:
    """A row of CorLoc and what belongs to it for each method; JSON can hold it."""
    metric = registry.find("sensmap.metrics", "corloc").Metric
    labels = table.labels if (table.labels >= 0).all() else None
    rows = []
    for method, boxes in predictions:
        corloc = metric(dataset.classes if labels is not None else None)
        corloc.update(boxes, table.truths, labels)
        rows.append({"method": method, **corloc.result()})
    return rows


def shown_pictures(
    dataset: Dataset,
    table: FeatureTable,
    boxes: np.ndarray,
    method: MapMethod | None,
    count: int,
    seed: int,
) -> list[localization.Picture]:
    """Images for the report, drawn at random: not the best ones, nor the worst.

    Args:
        dataset, table: the images and what is known of them.
        boxes: ``(N, 4)`` the predicted boxes.
        method: makes the maps to show; None to show none.
        count: at most how many.
        seed: of the drawing.
    """
    chosen = np.random.default_rng(seed).permutation(len(table))[:count]
    positions = {example_id: position for position, example_id in enumerate(dataset.ids)}
    shown = []
    for row in sorted(chosen):
        example = dataset[positions[table.ids[row]]]
        image = images.load(example.image)
        heat = None
        if method is not None:
            heat = method(image[None], [int(table.class_ids[row])]).maps[-1][0]
        label = int(table.labels[row])
        name = dataset.classes[label] if label >= 0 else example.id
        shown.append(
            localization.Picture(
                image=image,
                truth=table.truths[row],
                predicted=boxes[row],
                caption=display_name(name),
                iou=_overlap(boxes[row], table.truths[row]),
                map=heat,
            )
        )
    return shown


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
    boxes: np.ndarray,
) -> str:
    """Writes result.json, table.md, boxes.jsonl, boxes.png and report.html into a folder.

    Returns:
        The table as text for a terminal.
    """
    files.write_json(work / "result.json", result)
    summary = localization.localization_table(result["rows"])
    files.write_text(work / "table.md", tables.as_markdown(summary))
    files.write_text(work / "boxes.jsonl", _box_lines(table, boxes))
    if shown:
        grid = localization.picture_grid(shown)
        files.write_bytes(work / "boxes.png", pictures.encode_png(grid))
    files.write_text(work / "report.html", localization.localization_report(result, shown))
    return tables.as_text(summary)


def _overlap(box: np.ndarray, truth: np.ndarray) -> float | None:
    """None without a true box, which is not the same as to miss it."""
    return box_geometry.best_iou(box, truth) if len(truth) else None


def _box_lines(table: FeatureTable, boxes: np.ndarray) -> str:
    lines = []
    for row, example_id in enumerate(table.ids):
        size = (int(table.sizes[row][0]), int(table.sizes[row][1]))
        overlap = _overlap(boxes[row], table.truths[row])
        line = {
            "id": example_id,
            "class_id": int(table.class_ids[row]),
            "box": [round(float(side), 6) for side in boxes[row]],
            "box_pixels": box_geometry.xyxy_to_pixels(boxes[row], size)[0].round(2).tolist(),
            "iou": overlap if overlap is None else round(overlap, 6),
        }
        lines.append(json.dumps(line))
    return "\n".join(lines) + "\n"


def predict(
    localizer: Localizer, dataset: Dataset, class_of: str, batch_size: int
) -> tuple[FeatureTable, np.ndarray]:
    """The table of a data set by a localizer's own maps and features, and its boxes."""
    extractor = Extractor(localizer.method, localizer.regressor.features)
    table = extractor.extract(dataset, class_of, batch_size)
    return table, localizer.regressor.predict(table.features)


def predict_served(
    served: ServedModel, dataset: Dataset, class_of: str, batch_size: int
) -> tuple[FeatureTable, np.ndarray]:
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
        for (example, _), ids, boxes, pixels, degenerate in zip(
            batch,
            found.class_ids,
            found.boxes,
            found.boxes_pixels,
            found.degenerate,
            strict=True,
        ):
            # The pixels' box over the relative one is the size of the image.
            right, bottom = (pixels[0][2:] / boxes[0][2:]).round().astype(int)
            row = table_row(example, example.size or (int(bottom), int(right)))
            rows.append(row)
            answers.append((ids[0], boxes[0], degenerate[0]))

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
    class_ids, boxes, degenerate = (np.array(part) for part in zip(*answers, strict=True))
    nothing = np.zeros((len(rows), 0), np.float32)
    return FeatureTable.of(rows, nothing, class_ids, degenerate, skipped, began), boxes
