"""How many boxes a localizer needs: its CorLoc when it is fitted on few a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from sensmap import splits
from sensmap.evaluation.predictions import readings
from sensmap.localizers._base import valid_boxes
from sensmap.metrics import _intervals
from sensmap.metrics.corloc import best_ious
from sensmap.pipeline import FeatureTable

ALL = "all"
# Which images are taken varies; the curve is the mean over so many choices.
REPEATS = 5


def measure(
    table: FeatureTable,
    estimator: Any,
    title: str,
    counts: Sequence[str],
    fold_count: int,
    seed: int,
) -> list[dict]:
    """CorLoc by the number of boxed images of each class that a localizer is fitted on.

    Of each fold's training images with exactly one box, n of each class are drawn, `REPEATS`
    times, and those drawn for a smaller n are among those for a larger one. Every image is scored
    by localizers that were fitted on the other folds.

    Args:
        table: what was read off the maps of a data set, its boxes and labels.
        estimator: of `sensmap.localizers`; it is not changed.
        title: what to call it.
        counts: numbers of images of a class as words, or "all"; see `counts_of`.
        fold_count, seed: of the partition into folds.

    Returns:
        For each count ``method``, ``boxes_per_class``, ``images`` (the mean number fitted on),
        ``corloc`` in percent, its 95% ``interval`` by the bootstrap over images, and ``repeats``.

    Raises:
        ValueError: where a fold has fewer than two images to fit on, or no image can be scored.
    """
    given = readings(estimator, table.asked)
    learnable = np.array([len(each) == 1 for each in valid_boxes(table.truths, len(table))])
    parts = splits.folds(len(table), fold_count, seed)
    found = []
    for count in counts_of(counts):
        repeats = 1 if count == ALL else REPEATS
        right = np.full((repeats, len(table)), np.nan)
        fitted_on = []
        for repeat in range(repeats):
            for fold, (train, test) in enumerate(parts):
                generator = np.random.default_rng([seed, repeat, fold])
                chosen = _drawn(train[learnable[train]], table.labels, count, generator)
                fitted = clone(estimator).fit(given[chosen], [table.truths[row] for row in chosen])
                ious = best_ious(fitted.predict(given[test]), [table.truths[row] for row in test])
                right[repeat, test] = np.where(np.isnan(ious), np.nan, ious >= 0.5)
                fitted_on.append(len(chosen))
        by_image = right.mean(axis=0)
        by_image = by_image[~np.isnan(by_image)]
        found.append(
            {
                "method": title,
                "boxes_per_class": count,
                "images": float(np.mean(fitted_on)),
                "corloc": float(100 * by_image.mean()),
                "interval": [100 * end for end in _intervals.bootstrap_mean(by_image)],
                "repeats": repeats,
            }
        )
    return found


def counts_of(given: Sequence[str]) -> list[int | str]:
    """Numbers of boxes a class from words: whole numbers above 0, or "all".

    >>> counts_of(["1", "5", "all"])
    [1, 5, 'all']
    """
    found: list[int | str] = []
    for word in given:
        if word != ALL and not (word.isascii() and word.isdigit() and int(word)):
            raise ValueError(
                f"A learning curve takes numbers of boxes a class, or {ALL!r}; received {word!r}."
            )
        found.append(ALL if word == ALL else int(word))
    return found


def _drawn(
    rows: np.ndarray, labels: np.ndarray, count: int | str, generator: np.random.Generator
) -> np.ndarray:
    """So many rows of each class; images without a class are of one."""
    if count == ALL:
        return rows
    shuffled = generator.permutation(rows)
    taken: list[int] = []
    seen: dict[int, int] = {}
    for row in shuffled.tolist():
        label = int(labels[row])
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= int(count):
            taken.append(row)
    return np.sort(np.array(taken, np.int64))
