"""How many boxes a localizer needs: its CorLoc when it is fitted on few a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from sensmap import splits
from sensmap.evaluation.predictions import readings
from sensmap.feature_table import FeatureTable
from sensmap.localizers._base import valid_boxes
from sensmap.metrics import _intervals
from sensmap.metrics.corloc import best_ious

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
        CorLoc and its interval are None where so few images cannot be fitted on: a regression
        needs two.

    Raises:
        ValueError: where not even all images of the other folds can be fitted on.
    """
    given = readings(estimator, table.asked)
    learnable = np.array([len(each) == 1 for each in valid_boxes(table.truths, len(table))])
    parts = splits.folds(len(table), fold_count, seed)

    def found_by(rows: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Which images are found by a fit on these rows; NaN for those without a true box."""
        fitted = clone(estimator).fit(given[rows], [table.truths[row] for row in rows])
        ious = best_ious(fitted.predict(given[test]), [table.truths[row] for row in test])
        return np.where(np.isnan(ious), np.nan, ious >= 0.5)

    curve = []
    for count in counts_of(counts):
        draws = [
            [
                _drawn(train[learnable[train]], table.labels, count, [seed, repeat, fold])
                for fold, (train, _) in enumerate(parts)
            ]
            for repeat in range(1 if count == ALL else REPEATS)
        ]
        fewest = min(len(rows) for draw in draws for rows in draw)
        row: dict[str, Any] = {
            "method": title,
            "boxes_per_class": count,
            "images": float(np.mean([len(rows) for draw in draws for rows in draw])),
            "corloc": None,
            "interval": None,
            "repeats": len(draws),
        }
        if count == ALL or fewest > 1:
            right = np.zeros((len(draws), len(table)))
            for by_image, draw in zip(right, draws, strict=True):
                for rows, (_, test) in zip(draw, parts, strict=True):
                    by_image[test] = found_by(rows, test)
            scored = right.mean(axis=0)
            scored = scored[~np.isnan(scored)]
            row["corloc"] = float(100 * scored.mean())
            row["interval"] = [100 * end for end in _intervals.bootstrap_mean(scored)]
        curve.append(row)
    return curve


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
    rows: np.ndarray, labels: np.ndarray, count: int | str, seed: Sequence[int]
) -> np.ndarray:
    """So many rows of each class; images without a class are of one."""
    if count == ALL:
        return rows
    shuffled = np.random.default_rng(seed).permutation(rows)
    taken: list[int] = []
    seen: dict[int, int] = {}
    for row in shuffled.tolist():
        label = int(labels[row])
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= int(count):
            taken.append(row)
    return np.sort(np.array(taken, np.int64))
