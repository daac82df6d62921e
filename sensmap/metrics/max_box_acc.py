"""MaxBoxAcc: how many objects a score map's boxes find, at the best threshold for all images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap import protocols
from sensmap.metrics import _intervals, _score_maps, _threshold_sweep

LEVELS = _threshold_sweep.LEVELS

RESAMPLES = 1000
_SEED = 0


def sweep(
    score_map: ArrayLike,
    truth: ArrayLike,
    size: tuple[int, int],
    contours: str = "multi",
    inclusive: bool = True,
) -> np.ndarray:
    """The best IoU of one map's boxes with the true ones at every threshold.

    Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020),
    section 3.3, and their code: the map is resized to 224x224 and scaled to 0..1; the boxes are
    those of the contours of what is above the threshold; true boxes are resized with the image;
    corners belong to boxes. Their 1,000 thresholds fall on 255 levels. Done by OpenCV and NumPy
    alone, so that threads may share the work.

    Args:
        score_map: ``(h, w)`` finite numbers, of any size and scale.
        truth: ``(n, 4)`` true boxes of the class, xyxy, relative, half-open.
        size: ``(height, width)`` of the original image in pixels.
        contours: ``"multi"``, every contour gives a box, or ``"single"``, only the one that
            encloses most.
        inclusive: whether the far corner in the annotation belongs to the box
            (`sensmap.protocols.wsol_truths`): yes for ILSVRC, no for CUB.

    Returns:
        ``(255,)`` float64, 0 to 1; NaN without a true box.

    Raises:
        ValueError: if the map is not one of finite numbers, a box is none, the size is not
            positive, or the kind of contours is unknown.

    >>> ious = sweep([[0, 0], [0, 1]], [[0.5, 0.5, 1.0, 1.0]], (300, 300))
    >>> ious.shape, float(ious.max().round(2))
    ((255,), 1.0)
    """
    _check_contours(contours)
    scores = _score_maps.normalize(score_map)
    truth = protocols.wsol_truths(protocols.checked_boxes(truth, "true"), size, inclusive)
    if not len(truth):
        return np.full(LEVELS, np.nan)
    return _threshold_sweep.best_ious(scores, truth, contours)


def bootstrap(right: np.ndarray) -> np.ndarray:
    """The 95% intervals of MaxBoxAcc over other images of the same kind.

    As many images as there are are drawn from them with replacement, 1,000 times, and in each
    draw the best threshold is chosen anew, for the choice is part of the measure; 2.5% of the
    draws are left out at either end (Efron & Tibshirani, "An Introduction to the Bootstrap",
    chapter 13). The draws are always the same, so the images' order matters: sort them first.

    Args:
        right: ``(N, k, 255)`` bool, which of N >= 1 images are right, at k IoUs and 255 levels.

    Returns:
        ``(2, k + 1)`` the lower and upper ends, 0 to 1, at each IoU and of their mean.

    >>> bootstrap(np.ones((4, 2, 255), bool)).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    images, kinds, levels = right.shape
    # Whole numbers below 2^24 are exact in float32, in which matrices multiply fastest.
    counted = right.reshape(images, -1).astype(np.float32)
    generator = np.random.default_rng(_SEED)
    best = np.empty((RESAMPLES, kinds))
    step = 50  # draws at once, for memory
    for start in range(0, RESAMPLES, step):
        times = np.stack(
            [
                np.bincount(generator.integers(images, size=images), minlength=images)
                for _ in range(step)
            ]
        )
        counts = (times.astype(np.float32) @ counted).reshape(step, kinds, levels)
        best[start : start + step] = counts.max(axis=2).astype(np.float64) / images
    shares = np.concatenate([best, best.mean(axis=1, keepdims=True)], axis=1)
    return np.percentile(shares, [2.5, 97.5], axis=0)


class MaxBoxAcc:
    """Percent of images that a map's boxes find, at the threshold that finds most of them.

    ``MaxBoxAcc_δ = max_τ 100 |{i : max_{b in boxes(s_i, τ), B in B_i} IoU(b, B) >= δ}| / N``
    (Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020,
    section 3.3), with single contours and δ = 0.5; MaxBoxAccV2 (their journal version, arXiv
    2007.04178) is the mean over δ = 0.3, 0.5 and 0.7, each at its own τ, with all contours. For
    these the figures equal those of the authors' code.

    The threshold is chosen on the very images that are scored: an upper bound, which grows with
    the noise. `at` scores thresholds that were chosen elsewhere. Only the map is measured, the
    class is given.

    Images without a true box cannot be scored; they are counted apart. A constant map gives the
    box (0, 0, 0, 0), as theirs do.

    Args:
        contours: ``"multi"`` or ``"single"`` (`sweep`).
        ious: the levels δ, ascending.
        inclusive: whether the annotations' far corners belong to the box (`sweep`).

    >>> metric = MaxBoxAcc()
    >>> metric.update([[[0, 0], [0, 1]]], [[[0.5, 0.5, 1.0, 1.0]]], [(300, 300)])
    >>> result = metric.result()
    >>> result["max_box_acc"], result["max_box_acc_v2"], result["by_iou"][2]["threshold"]
    (100.0, 100.0, 0.326)
    """

    def __init__(
        self,
        contours: str = "multi",
        ious: Sequence[float] = (0.3, 0.5, 0.7),
        inclusive: bool = True,
    ):
        _check_contours(contours)
        self.contours = contours
        self.ious = tuple(float(iou) for iou in ious)
        self.inclusive = bool(inclusive)
        if not self.ious or list(self.ious) != sorted({*self.ious}) or not 0 < self.ious[0] <= 1:
            raise ValueError(
                f"The IoUs asked for ascend and are above 0; received {list(self.ious)}."
            )
        # Of each image which levels are right at which IoU, packed to bits.
        self._right: list[bytes] = []
        self._unscored = 0

    def update(
        self,
        maps: Sequence[ArrayLike],
        truths: Sequence[ArrayLike],
        sizes: Sequence[tuple[int, int]],
    ) -> None:
        """Counts a batch of images.

        Args:
            maps: for each image its ``(h_i, w_i)`` score map of the true class, finite.
            truths: for each image the ``(n_i, 4)`` true boxes of its class, xyxy, relative.
            sizes: for each image ``(height, width)`` of the original in pixels.

        Raises:
            ValueError: if the counts differ or `sweep` refuses an image. Nothing has been counted
                then.
        """
        if not len(maps) == len(truths) == len(sizes):
            raise ValueError(
                "Each image has one map, one set of true boxes and one size; "
                f"received {len(maps)}, {len(truths)} and {len(sizes)}."
            )
        swept = [
            sweep(score_map, truth, size, self.contours, self.inclusive)
            for score_map, truth, size in zip(maps, truths, sizes, strict=True)
        ]
        self.update_swept(np.reshape(swept, (-1, LEVELS)))

    def update_swept(self, best_ious: ArrayLike) -> None:
        """Counts a batch of images of which the best IoUs are known.

        From `sweep`, which threads can share; or, of a method that gives one box and has no
        threshold, its IoU 255 times over (``sensmap.protocols.best_ious("wsol_v2", ...)``).

        Args:
            best_ious: ``(N, 255)`` 0 to 1; all NaN for an image without a true box.

        Raises:
            ValueError: if they are not that. Nothing has been counted then.
        """
        swept = np.asarray(best_ious, np.float64)
        if swept.ndim != 2 or swept.shape[1] != LEVELS:
            raise ValueError(
                f"Best IoUs are an array of the shape (N, {LEVELS}), one a level; "
                f"received {swept.shape}."
            )
        unscored = np.isnan(swept).all(axis=1)
        scored = swept[~unscored]
        if not ((scored >= 0) & (scored <= 1)).all():
            wrong = scored[~((scored >= 0) & (scored <= 1))][0]
            raise ValueError(
                f"An IoU is 0 to 1, or NaN at all levels of an image; received {wrong}."
            )
        right = scored[:, None, :] >= np.array(self.ious)[:, None]
        packed = np.packbits(right.reshape(len(scored), len(self.ious) * LEVELS), axis=1)
        self._right += [row.tobytes() for row in packed]
        self._unscored += int(unscored.sum())

    def merge(self, other: MaxBoxAcc) -> None:
        """Adds what another instance has counted.

        Raises:
            ValueError: if the other was made with other arguments.
        """
        if self._settings() != other._settings():
            raise ValueError(
                "Only counts with the same contours, IoUs and corners can be merged; received "
                f"{other._settings()} for {self._settings()}."
            )
        self._right += other._right
        self._unscored += other._unscored

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            In percent ``max_box_acc``, at IoU 0.5 (None if that is not asked for), and
            ``max_box_acc_v2``, the mean over the IoUs, each with its 95% ``…_interval`` by
            `bootstrap`; ``by_iou``, for each IoU ``iou``, ``max_box_acc``, ``interval`` and the
            ``threshold`` chosen, the lowest of the best, 0 to 0.999; ``contours``;
            ``interval_method``; ``images``, the number of those scored; ``unscored``, of those
            without a true box. Without images every measure is None.
        """
        right = self._unpacked()
        rows: list[dict] = [
            {"iou": iou, "max_box_acc": None, "interval": None, "threshold": None}
            for iou in self.ious
        ]
        mean = mean_interval = None
        if len(right):
            counts = right.sum(axis=0)
            chosen = counts.argmax(axis=1)
            ends = 100 * bootstrap(right).T
            for row, count, level, interval in zip(rows, counts, chosen, ends, strict=False):
                row["max_box_acc"] = 100 * int(count[level]) / len(right)
                row["interval"] = interval.tolist()
                row["threshold"] = threshold_of(int(level))
            mean = sum(row["max_box_acc"] for row in rows) / len(rows)
            mean_interval = ends[-1].tolist()
        half: dict = next((row for row in rows if row["iou"] == 0.5), {})
        return {
            "max_box_acc": half.get("max_box_acc"),
            "max_box_acc_interval": half.get("interval"),
            "max_box_acc_v2": mean,
            "max_box_acc_v2_interval": mean_interval,
            "by_iou": rows,
            "contours": self.contours,
            "interval_method": f"bootstrap over images, the threshold chosen anew, "
            f"{RESAMPLES:,} resamples, percentile, 95%",
            "images": len(right),
            "unscored": self._unscored,
        }

    def at(self, thresholds: Sequence[float]) -> dict:
        """The same shares at thresholds that were chosen elsewhere, as on other images.

        Args:
            thresholds: one for each IoU, from 0 to below 1, as `result` gives them.

        Returns:
            In percent ``box_acc``, at IoU 0.5 (None if that is not asked for), ``box_acc_v2``,
            the mean over the IoUs, and ``by_iou``, for each IoU ``iou``, ``box_acc``, its 95%
            ``interval`` and ``threshold``; ``images``.

        Raises:
            ValueError: if there is not one threshold for each IoU, or one is not 0 to below 1.

        >>> metric = MaxBoxAcc(ious=[0.5])
        >>> metric.update_swept([[1.0] * 100 + [0.0] * 155])
        >>> metric.at([0.2])["box_acc"], metric.at([0.6])["box_acc"]
        (100.0, 0.0)
        """
        if len(thresholds) != len(self.ious):
            raise ValueError(
                f"Each of the {len(self.ious)} IoUs takes one threshold; "
                f"received {len(thresholds)}."
            )
        right = self._unpacked()
        images = len(right)
        rows: list[dict] = []
        for place, (iou, threshold) in enumerate(zip(self.ious, thresholds, strict=True)):
            row: dict = {
                "iou": iou,
                "box_acc": None,
                "interval": None,
                "threshold": float(threshold),
            }
            count = int(right[:, place, level_of(threshold)].sum())
            if images:
                row["box_acc"] = 100 * count / images
                row["interval"] = [100 * end for end in _intervals.interval(count, images)]
            rows.append(row)
        return {
            "box_acc": next((row["box_acc"] for row in rows if row["iou"] == 0.5), None),
            "box_acc_v2": sum(row["box_acc"] for row in rows) / len(rows) if images else None,
            "by_iou": rows,
            "images": images,
        }

    def _settings(self) -> tuple:
        return self.contours, self.ious, self.inclusive

    def _unpacked(self) -> np.ndarray:
        """``(N, k, 255)`` bool, the images in an order of their own."""
        kinds, images = len(self.ious), len(self._right)
        packed = np.frombuffer(b"".join(sorted(self._right)), np.uint8)
        packed = packed.reshape(images, math.ceil(kinds * LEVELS / 8))
        bits = np.unpackbits(packed, axis=1, count=kinds * LEVELS)
        return bits.astype(bool).reshape(images, kinds, LEVELS)


# The name under which every metric's class is found.
Metric = MaxBoxAcc


def level_of(threshold: float) -> int:
    """The level, 0 to 254, that a threshold falls on: ``int(255 τ)``.

    Raises:
        ValueError: if the threshold is not from 0 to below 1.

    >>> level_of(0.0), level_of(0.5), level_of(0.999)
    (0, 127, 254)
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"A threshold is from 0 to below 1; received {threshold}.")
    return int(threshold * LEVELS)


def threshold_of(level: int) -> float:
    """The lowest of the 1,000 thresholds 0, 0.001, ..., 0.999 that falls on a level.

    >>> threshold_of(0), threshold_of(127), threshold_of(254)
    (0.0, 0.499, 0.997)
    """
    return int(np.searchsorted(_threshold_sweep.LEVEL_OF_THRESHOLD, level)) / 1000


def _check_contours(contours: str) -> None:
    if contours not in _threshold_sweep.CONTOURS:
        raise ValueError(
            f"Contours are 'single', the one that encloses most, or 'multi', all of them; "
            f"received {contours!r}."
        )
