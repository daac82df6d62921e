"""Images for the report: drawn at random, and the worst of each kind of failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import images
from sensmap.analysis import RIGHT
from sensmap.datasets import Dataset
from sensmap.evaluation.predictions import Predictions
from sensmap.feature_table import FeatureTable
from sensmap.localizer import Localization, Localizer
from sensmap.report import localization


def drawn(
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
    return _pictures(dataset, table, predictions, localizer, sorted(chosen))


def worst(
    dataset: Dataset,
    table: FeatureTable,
    predictions: Predictions,
    localizer: Localizer | None,
    analysis: Mapping,
) -> dict[str, list[localization.Picture]]:
    """The worst images of each kind of error, by its key.

    Args:
        dataset, table, predictions, localizer: as of `drawn`.
        analysis: what `sensmap.analysis.analyse` gives for these predictions.
    """
    rows = {example_id: row for row, example_id in enumerate(table.ids)}
    return {
        kind["key"]: _pictures(
            dataset, table, predictions, localizer, [rows[each["id"]] for each in kind["worst"]]
        )
        for kind in analysis["errors"]["categories"]
        if kind["key"] != RIGHT
    }


def _pictures(
    dataset: Dataset,
    table: FeatureTable,
    predictions: Predictions,
    localizer: Localizer | None,
    rows: Iterable[int],
) -> list[localization.Picture]:
    positions = {example_id: position for position, example_id in enumerate(dataset.ids)}
    shown = []
    for row in rows:
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
                iou=overlap(predictions.boxes[row], table.truths[row]),
                map=heat,
                cut=cut,
                guesses=_guesses(predictions, table, row, localizer),
            )
        )
    return shown


def ranked(predictions: Predictions, table: FeatureTable, row: int) -> tuple:
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
    for class_id, score, box in zip(*ranked(predictions, table, row), strict=True):
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


def overlap(box: np.ndarray, truth: np.ndarray) -> float | None:
    """None without a true box, which is not the same as to miss it."""
    return box_geometry.best_iou(box, truth) if len(truth) else None
