"""Where a segmenter fails: its masks by the objects' size and number, and the kinds of its errors.

Mean IoU is one number for all pixels of all images. Here each image is judged by itself, on the
matrix that counts its pixels by true and predicted class (`sensmap.metrics.mean_iou.confusion`,
so pixels whose truth is 255 never count):

- its **mean IoU** is the mean over the classes, background included, that have a pixel in the
  image's truth or in its mask; a class that is only predicted has an IoU of 0;
- its **foreground IoU** is that of all classes but the background taken as one: pixels that truth
  and mask both give to some object, of whatever class, over those that either does; there is none
  where both are all background.

The mean of the images' mean IoUs is not the mean IoU of the set: a small image weighs as much as a
large one, and a rare class as much as a frequent one.

`outcomes` gives these measures, and `analyse` does everything at once. What they return can be
written as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sensmap.analysis import SIZES, Category, histogram, summary
from sensmap.metrics.mean_iou import RESAMPLES, ious

# A mask is good from this mean IoU on; precision and recall of the foreground are high from it on.
HALF = 0.5
# A class that the image does not have is invented from this share of the scored pixels on.
INVENTED = 0.05
# Classes are confused from this share of the pixels on that truth and mask both give to objects.
CONFUSED = 0.25

# How many classes, without the background, the truth has: name, least and largest number.
COUNTS = (
    ("no class", 0, 0),
    ("1 class", 1, 1),
    ("2 classes", 2, 2),
    ("3 classes and more", 3, np.inf),
)

_SEED = 0

# In this order: the first that applies is the image's.
CATEGORIES = (
    Category("good", "Good", "The image's own mean IoU is at least 0.5."),
    Category("missed", "Class missed", "A class that the image has is not given a single pixel."),
    Category(
        "invented",
        "Class invented",
        "A class that the image does not have is given at least 5% of its pixels.",
    ),
    Category(
        "large",
        "Too large",
        "Of the objects' pixels at least half are found, but of those that are given to objects, "
        "whatever their class, less than half belong to one.",
    ),
    Category(
        "small",
        "Too small",
        "Of the pixels that are given to objects, whatever their class, at least half belong to "
        "one, but of the objects' pixels less than half are found.",
    ),
    Category(
        "confused",
        "Classes confused",
        "The foreground is right, with an IoU of at least 0.5, but at least a quarter of what "
        "truth and mask both give to objects has another class.",
    ),
    Category(
        "off",
        "Off",
        "All others: objects and mask lie beside each other, or no single cause explains it.",
    ),
)


class Outcome(NamedTuple):
    """How one image was segmented.

    Attributes:
        mean_iou: 0 to 1, over the classes that its truth or its mask has.
        foreground_iou: 0 to 1, of all objects as one class; None where neither has any.
        foreground: the share of the scored pixels that are an object's in truth.
        classes: how many classes, without the background, the truth has.
        kind: the key of one of `CATEGORIES`.
    """

    mean_iou: float
    foreground_iou: float | None
    foreground: float
    classes: int
    kind: str


def outcomes(confusions: Sequence[np.ndarray]) -> list[Outcome]:
    """Judges each image by itself.

    With n_ij its pixels of class i that were given to class j, 0 being the background, and sums
    over all classes but the background, precision Σ n_ij / (Σ n_ij + Σ n_0j) and recall
    Σ n_ij / (Σ n_ij + Σ n_i0) of the foreground, both 0 where nothing is divided by nothing, its
    kind is the first of

    1. good: mean IoU >= 0.5;
    2. missed: a class i with n_i. > 0 and n_.i = 0;
    3. invented: a class j with n_j. = 0 and n_.j >= 0.05 n_..;
    4. large: recall >= 0.5 and precision < 0.5;
    5. small: precision >= 0.5 and recall < 0.5;
    6. confused: foreground IoU >= 0.5, and Σ n_ij with i ≠ j is at least a quarter of Σ n_ij;
    7. off: all others.

    Args:
        confusions: ``(C, C)`` int64 of each image, the background first, none of them all zero.

    Raises:
        ValueError: for anything else.

    >>> outcomes([np.array([[6, 0, 0], [0, 1, 0], [0, 1, 0]])])
    [Outcome(mean_iou=0.5, foreground_iou=1.0, foreground=0.25, classes=2, kind='good')]
    """
    return [_outcome(_checked(each)) for each in confusions]


def analyse(
    confusions: Sequence[np.ndarray], ids: Sequence[str], unscored: int = 0, worst: int = 6
) -> dict[str, Any]:
    """All of this module's analyses.

    Args:
        confusions: as of `outcomes`.
        ids: ``(N,)`` names of the images.
        unscored: how many other images have no pixel that counts.
        worst: how many images of each kind to name.

    Returns:
        ``images``, N, and ``unscored``; ``mean_iou`` and ``foreground_iou``, the means over
        images in percent; ``iou_histogram`` and ``foreground_histogram``, of the same two measures
        of the images, see `sensmap.analysis.histogram`; ``by_size`` and ``by_count``, see these;
        ``errors``, see `errors`. Without images the means are None.

    Raises:
        ValueError: if the counts differ, or a matrix is not one.

    >>> found = analyse([np.diag([3, 1]), np.array([[3, 0], [1, 0]])], ["a", "b"])
    >>> found["mean_iou"], found["foreground_iou"], found["iou_histogram"]["counts"]
    (68.75, 50.0, [0, 0, 0, 1, 0, 0, 0, 0, 0, 1])
    """
    found = outcomes(confusions)
    mean_ious, foregrounds = _measures(found)
    return {
        "images": len(found),
        "unscored": unscored,
        **_means(found),
        "iou_histogram": histogram(np.array(mean_ious)),
        "foreground_histogram": histogram(np.array(foregrounds)),
        "by_size": by_size(found),
        "by_count": by_count(found),
        "errors": errors(found, ids, worst),
    }


def by_size(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Means over the images by the share of the image that its objects cover in truth.

    The groups are `sensmap.analysis.SIZES`, but of all objects together; an image without any is
    in the first.

    Returns:
        For each size ``group``, its name; ``low`` and ``high``, the shares that it begins at and
        ends before, ``high`` None for the last; ``images``; ``mean_iou`` and ``foreground_iou``,
        means over the images in percent; and ``interval``, the 95% one of the former, by a
        bootstrap over images. Without images the measures are None.

    >>> rows = by_size(outcomes([np.array([[3, 0], [1, 0]])]))
    >>> [(row["group"], row["mean_iou"], row["interval"]) for row in rows if row["images"]]
    [('25 to 50%', 37.5, [37.5, 37.5])]
    """
    return _grouped(found, [each.foreground for each in found], SIZES)


def by_count(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Means over the images by the number of classes that they show, see `COUNTS`.

    Returns:
        As `by_size`; ``low`` and ``high`` are the least and the largest number.

    >>> rows = by_count(outcomes([np.array([[3, 0], [1, 0]])]))
    >>> [row["images"] for row in rows]
    [0, 1, 0, 0]
    """
    groups = [(name, low, high + 1) for name, low, high in COUNTS]
    rows = _grouped(found, [each.classes for each in found], groups)
    return [row | {"high": None if row["high"] is None else row["high"] - 1} for row in rows]


def errors(found: Sequence[Outcome], ids: Sequence[str], worst: int = 6) -> dict[str, Any]:
    """What is wrong with each image: exactly one of `CATEGORIES`, see `outcomes`.

    Args:
        found: what `outcomes` gives.
        ids: ``(N,)`` names of the images.
        worst: how many images of each category to name.

    Returns:
        ``categories``, for each ``key``, ``title``, ``meaning``, ``images``, ``share`` of all
        images in percent (None without images) and ``worst``, the images with the lowest mean
        IoU, each with ``id`` and ``iou``; at the same IoU in the order of the ids.

    Raises:
        ValueError: if the counts differ.

    >>> found = errors(outcomes([np.array([[3, 0], [1, 0]])]), ["cat"])
    >>> [(each["key"], each["worst"]) for each in found["categories"] if each["images"]]
    [('missed', [{'id': 'cat', 'iou': 0.375}])]
    """
    if len(ids) != len(found):
        raise ValueError(f"Each image has one id; received {len(found)} images and {len(ids)} ids.")
    kinds = [each.kind for each in found]
    mean_ious = np.array([each.mean_iou for each in found])
    rows = [summary(category, kinds, ids, mean_ious, worst) for category in CATEGORIES]
    return {"categories": rows}


def _outcome(counts: np.ndarray) -> Outcome:
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    shared = int(counts[1:, 1:].sum())
    of_truth, of_mask = int(true[1:].sum()), int(predicted[1:].sum())
    either = of_truth + of_mask - shared
    foreground_iou = shared / either if either else None
    mean_iou = float(np.nanmean(ious(counts)))
    right = int(np.trace(counts[1:, 1:]))
    recall, precision = (shared / whole if whole else 0.0 for whole in (of_truth, of_mask))
    foreground = of_truth / int(true.sum())
    classes = int((true[1:] > 0).sum())

    if mean_iou >= HALF:
        kind = "good"
    elif (predicted[1:][true[1:] > 0] == 0).any():
        kind = "missed"
    elif (predicted[1:][true[1:] == 0] / true.sum() >= INVENTED).any():
        kind = "invented"
    elif recall >= HALF > precision:
        kind = "large"
    elif precision >= HALF > recall:
        kind = "small"
    elif (foreground_iou or 0.0) >= HALF and shared - right >= CONFUSED * shared:
        kind = "confused"
    else:
        kind = "off"
    return Outcome(mean_iou, foreground_iou, foreground, classes, kind)


def _grouped(
    found: Sequence[Outcome],
    values: Sequence[float],
    groups: Sequence[tuple[str, float, float]],
) -> list[dict[str, Any]]:
    """Of the images whose value is at least a group's first number and below its second."""
    rows = []
    for name, low, high in groups:
        own = [each for each, value in zip(found, values, strict=True) if low <= value < high]
        limits = {"low": low, "high": high if np.isfinite(high) else None}
        interval = _interval([each.mean_iou for each in own]) if own else None
        rows.append(
            {
                "group": name,
                **limits,
                "images": len(own),
                **_means(own),
                "interval": interval,
            }
        )
    return rows


def _measures(found: Sequence[Outcome]) -> tuple[list[float], list[float]]:
    """Of each image the mean IoU, and the foreground IoU of those that have one."""
    foregrounds = [each.foreground_iou for each in found if each.foreground_iou is not None]
    return [each.mean_iou for each in found], foregrounds


def _means(found: Sequence[Outcome]) -> dict[str, float | None]:
    means = (float(100 * np.mean(each)) if each else None for each in _measures(found))
    return dict(zip(("mean_iou", "foreground_iou"), means, strict=True))


def _interval(values: Sequence[float]) -> list[float]:
    """Of the mean, in percent, over other images of the same kind.

    The bootstrap of `sensmap.metrics.mean_iou.bootstrap`, sorted for the same reason.
    """
    generator = np.random.default_rng(_SEED)
    drawn = generator.integers(len(values), size=(RESAMPLES, len(values)))
    ends = np.percentile(np.sort(values)[drawn].mean(axis=1), [2.5, 97.5])
    return [float(100 * end) for end in ends]


def _checked(confusion: np.ndarray) -> np.ndarray:
    counts = np.asarray(confusion)
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1]
    if not square or counts.dtype.kind not in "iu" or not counts.any():
        raise ValueError(
            "An image's pixels are counted in a square matrix of whole numbers, true by predicted "
            f"class, with a pixel at least; received the shape {counts.shape}, type "
            f"{counts.dtype} and a sum of {counts.sum()}."
        )
    return counts
