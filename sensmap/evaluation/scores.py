"""The measures of every method: a row each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sensmap import protocols, splits
from sensmap.datasets import Dataset
from sensmap.evaluation import judges
from sensmap.evaluation.predictions import Predictions
from sensmap.feature_table import FeatureTable
from sensmap.metrics import _intervals, pxap
from sensmap.metrics.corloc import CorLoc
from sensmap.metrics.gt_known import GtKnown
from sensmap.metrics.localization_error import LocalizationError
from sensmap.metrics.max_box_acc import MaxBoxAcc
from sensmap.metrics.voc_corloc import VocCorLoc

# Those of MaxBoxAccV2.
_IOUS = (0.3, 0.5, 0.7)
# A threshold that is said to be transferred was chosen on the others of so many folds.
TRANSFER_FOLDS = 5


def score(
    predictions: Sequence[Predictions],
    table: FeatureTable,
    dataset: Dataset,
    class_ids: np.ndarray | None = None,
    seed: int = 0,
) -> list[dict]:
    """A row of measures for each method; JSON can hold it.

    Args:
        predictions: of each method.
        table, dataset: the images, their boxes and classes.
        class_ids: ``(N,)`` the classifier's class of each image's own, -1 where it does not know
            it; None where localization errors cannot be told.
        seed: of the folds on which thresholds are chosen for the others.
    """
    labels = table.labels if (table.labels >= 0).all() else None
    rows = []
    for each in predictions:
        metric = CorLoc(dataset.classes if labels is not None else None)
        metric.update(each.boxes, table.truths, labels)
        row = {"method": each.method, **metric.result()}
        if each.oracle is not None:
            best = CorLoc()
            best.update(each.oracle, table.truths)
            row["corloc_oracle"] = best.result()["corloc"]
        row |= _other_protocols(each, table, labels, seed)
        if each.guesses is not None and class_ids is not None:
            row |= _localization_error(each, table, class_ids)
        if each.maps is not None:
            row |= {"maps": each.maps, "localizer": each.localizer}
        if each.stand_ins:
            row["stand_ins"] = dict(each.stand_ins)
        if each.seconds_per_image is not None:
            row["seconds_per_image"] = each.seconds_per_image
        if each.baseline:
            row["group"] = "baseline"
        rows.append(row)
    return rows


def _other_protocols(
    each: Predictions, table: FeatureTable, labels: np.ndarray | None, seed: int
) -> dict:
    """The measures by other conventions than `sensmap.boxes`'; see `sensmap.protocols`."""
    sizes = [(int(height), int(width)) for height, width in table.sizes]
    known = GtKnown()
    known.update(each.boxes, table.truths, sizes)
    measured = known.result()
    row = {"gt_known": measured["gt_known"], "gt_known_interval": measured["interval"]}
    if labels is not None:
        by_class = VocCorLoc()
        by_class.update(each.boxes, table.truths, labels, sizes)
        row["voc_corloc"] = by_class.result()["corloc"]
    if each.judged:
        row |= _thresholded(each.judged[judges.SWEEP], seed)
        return row | _pointed(each.judged[judges.POINT]) | _pixels(each.judged[judges.PIXELS])
    return row | _boxed(protocols.best_ious("wsol_v2", each.boxes, table.truths, sizes))


def _boxed(ious: np.ndarray) -> dict:
    """MaxBoxAcc of a method that gives one box, so that there is no threshold to choose."""
    right = ious[~np.isnan(ious), None] >= np.array(_IOUS)
    if not len(right):
        return {}
    half = right[:, _IOUS.index(0.5)]
    at_half = _intervals.interval(int(half.sum()), len(half))
    return {
        "max_box_acc": float(100 * half.mean()),
        "max_box_acc_interval": [100 * end for end in at_half],
        "max_box_acc_v2": float(100 * right.mean()),
        "max_box_acc_v2_interval": [
            100 * end for end in _intervals.bootstrap_mean(right.mean(axis=1))
        ],
    }


def _thresholded(swept: np.ndarray, seed: int) -> dict:
    """MaxBoxAcc at the thresholds that are best on these images, which is the protocol, and at
    those that are best on others: an image's are chosen on the other folds.

    Args:
        swept: ``(N, 255)`` the best IoU of each image at each level; NaN without a true box.
        seed: of the folds.
    """
    metric = MaxBoxAcc(ious=_IOUS)
    metric.update_swept(swept)
    found = metric.result()
    oracle = ("max_box_acc", "max_box_acc_interval", "max_box_acc_v2", "max_box_acc_v2_interval")
    row = {key: found[key] for key in oracle}
    row["max_box_acc_thresholds"] = {
        str(each["iou"]): each["threshold"] for each in found["by_iou"]
    }
    scored = swept[~np.isnan(swept).any(axis=1)]
    if len(scored) < TRANSFER_FOLDS:
        return row
    right = scored[:, None] >= np.array(_IOUS)[:, None]
    transferred = np.zeros((len(scored), len(_IOUS)), bool)
    for train, test in splits.folds(len(scored), TRANSFER_FOLDS, seed):
        levels = right[train].sum(axis=0).argmax(axis=1)
        transferred[test] = right[test][:, np.arange(len(_IOUS)), levels]
    at_half = transferred[:, _IOUS.index(0.5)]
    row["max_box_acc_transferred"] = float(100 * at_half.mean())
    row["max_box_acc_v2_transferred"] = float(100 * transferred.mean())
    return row


def _pointed(played: np.ndarray) -> dict:
    """The pointing game, from ``(N, 2)`` hits and which images are difficult."""
    hits, difficult = played[~np.isnan(played[:, 0])].T.astype(bool)
    row: dict = {}
    sets = {"pointing_game": hits, "pointing_game_difficult": hits[difficult]}
    for key, right in sets.items():
        if len(right):
            row[key] = float(100 * right.mean())
            ends = _intervals.interval(int(right.sum()), len(right))
            row[f"{key}_interval"] = [100 * end for end in ends]
    return row


def _pixels(counts: np.ndarray) -> dict:
    """PxAP, from each image's ``(2, 1001)`` counts of pixels."""
    total = counts.sum(axis=0)
    return {"pxap": 100 * pxap.average_precision(total)} if total[1].any() else {}


def _localization_error(each: Predictions, table: FeatureTable, class_ids: np.ndarray) -> dict:
    metric = LocalizationError()
    metric.update(each.guesses, each.guessed, table.truths, class_ids)  # type: ignore[arg-type]
    result = metric.result()
    of_corloc = ("images", "unscored", "interval_method")
    return {key: value for key, value in result.items() if key not in of_corloc}
