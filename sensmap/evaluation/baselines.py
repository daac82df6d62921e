"""What every localizer is compared with: constant boxes, objectness, and co-localization.

Ebrahimpour & Noelle's Table 1 beside the box that is the whole image. Constant boxes are learned
from boxes; the others look at the images alone, co-localizers at all images of a class at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import colocalizers, images, localizers, registry
from sensmap.datasets import Dataset, Example
from sensmap.evaluation.predictions import Predictions, cross_validate, or_none
from sensmap.feature_table import FeatureTable
from sensmap.parallel import in_threads

CONSTANT = ("centred_box", "mean_box", "full_image")
OBJECTNESS = "objectness"
ALL = "all"


def names() -> tuple[str, ...]:
    """All baselines, in the order of the tables."""
    return (*CONSTANT, OBJECTNESS, *registry.names("sensmap.colocalizers"))


def chosen(given: Sequence[str]) -> tuple[str, ...]:
    """The baselines of these names; of "all" all.

    Raises:
        ValueError: for what is no baseline, with the list of those that there are.
    """
    if list(given) == [ALL]:
        return names()
    for name in given:
        if name not in names():
            raise ValueError(f"There is no baseline {name!r}; there are {', '.join(names())}.")
    return tuple(given)


def recorded(
    chosen: Sequence[str], boxes: Mapping[str, Sequence[float]], table: FeatureTable
) -> list[Predictions]:
    """The constant boxes that a localizer's folder records, for all images.

    Args:
        chosen: the names of baselines; of those that are not constant none is given.
        boxes: the recorded ones, by the names of constant localizers.
        table: the images.
    """
    known = {**boxes, "full_image": (0, 0, 1, 1)}
    found = []
    for name in chosen:
        if name in CONSTANT and name in known:
            tiled = np.tile(box_geometry.as_boxes(known[name]), (len(table), 1))
            found.append(as_baseline(localizers.create(name).title, tiled, table))
    return found


def constant(
    chosen: Sequence[str], table: FeatureTable, fold_count: int, seed: int
) -> list[Predictions]:
    """Constant boxes, for each image learned from the other folds."""
    estimators = [localizers.create(name) for name in chosen if name in CONSTANT]
    found = cross_validate(table, estimators, fold_count, seed)
    return [predicted._replace(baseline=True) for _, predicted in found]


def from_images(
    chosen: Sequence[str],
    table: FeatureTable,
    dataset: Dataset,
    classifier: Any = None,
) -> list[Predictions]:
    """The boxes of those baselines that look at the images.

    Args:
        chosen: their names; others, and those that need a classifier where there is none, are
            left out.
        table, dataset: the images.
        classifier: for co-localizers that read images by one.

    Raises:
        ExampleError: for an image that cannot be read.
    """
    positions = {example_id: position for position, example_id in enumerate(dataset.ids)}
    examples = [dataset[positions[name]] for name in table.ids]
    found = []
    for name in chosen:
        began = time.perf_counter()
        if name == OBJECTNESS:
            localizer = localizers.create(name)
            title, boxes = localizer.title, _top_windows(localizer, examples)
        elif name in registry.names("sensmap.colocalizers"):
            needy = colocalizers.needs_classifier(name)
            if needy and classifier is None:
                continue
            joint = colocalizers.create(name, **({"classifier": classifier} if needy else {}))
            title, boxes = joint.title, joint.boxes(examples, table.labels)
        else:
            continue
        seconds = (time.perf_counter() - began) / len(examples)
        found.append(as_baseline(title, boxes, table, seconds))
    return found


def _top_windows(localizer: Any, examples: Sequence[Example]) -> np.ndarray:
    def box(example: Example) -> np.ndarray:
        return localizer.read((), images.load(example.image))

    readings = list(in_threads(box, examples, localizer.title))
    return localizer.predict(np.stack(readings))


def as_baseline(
    title: str, boxes: np.ndarray, table: FeatureTable, seconds: float | None = None
) -> Predictions:
    """The predictions of a method whose box is the same whatever class is guessed.

    Args:
        title: what to call it.
        boxes: ``(N, 4)`` xyxy.
        table: the images.
        seconds: an image's.
    """
    guesses = np.repeat(boxes[:, None], table.guessed.class_ids.shape[1], axis=1)
    return Predictions(
        title,
        boxes,
        or_none(guesses),
        table.guessed.class_ids,
        seconds_per_image=seconds,
        baseline=True,
    )
