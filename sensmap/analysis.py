"""Where a localizer fails: its boxes by the objects' size and number, and the kinds of its errors.

CorLoc is one number for all images. Here the same boxes are taken apart: by how much of the image
the object fills, by how many objects there are, by IoU, by how the boxes' areas go with those of
the objects, and by what is wrong with each box that does not count as right (in the spirit of
Hoiem et al., "Diagnosing Error in Object Detectors", ECCV 2012, whose errors are those of
detectors; a localizer has one box an image and no false alarms).

`match` finds for each predicted box its true box, all else is counted on that, and `analyse` does
everything at once. What they return can be written as JSON.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sensmap import boxes as box_geometry
from sensmap.metrics.corloc import best_ious, summarize

# A box is right from this IoU on, and covers a box, or lies in it, from this share on.
HALF = 0.5
# A box whose IoU with every true box is below this has missed them.
MISSED = 0.1

# What the largest true box covers of the image: name, least share, and the share that is too much.
SIZES = (
    ("below 10%", 0.0, 0.1),
    ("10 to 25%", 0.1, 0.25),
    ("25 to 50%", 0.25, 0.5),
    ("50 to 75%", 0.5, 0.75),
    ("75% and more", 0.75, np.inf),
)
# How many true boxes the image has: name, least and largest number.
COUNTS = (
    ("1 object", 1, 1),
    ("2 objects", 2, 2),
    ("3 or 4 objects", 3, 4),
    ("5 objects and more", 5, np.inf),
)
# The borders of ten bins: k / 10 exactly as it is written, which a sum of tenths is not.
_TENTHS = np.arange(11) / 10

RIGHT, CLASS = "right", "class"


class Category(NamedTuple):
    """A kind of outcome.

    Attributes:
        key: under which it is found.
        title: what to call it.
        meaning: when an image belongs to it, none of those before it applying.
    """

    key: str
    title: str
    meaning: str


# In this order: the first that applies is the image's.
CATEGORIES = (
    Category(
        RIGHT,
        "Right",
        "The box has an IoU of at least 0.5 with a true box; the class, where it is judged, is "
        "right, too.",
    ),
    Category(
        CLASS,
        "Another class",
        "The classifier's first guess is another class than the image's, whatever the box.",
    ),
    Category(
        "several",
        "Around several objects",
        "The box covers at least half of each of two true boxes; or it touches two and has an "
        "IoU of at least 0.5 with the box around all of them.",
    ),
    Category(
        "part",
        "On a part",
        "At least half of the box lies in its true box, of which it covers less than half.",
    ),
    Category(
        "large",
        "Too large",
        "The box covers at least half of its true box, but less than half of it lies there.",
    ),
    Category("missed", "Missed", "The IoU with every true box is below 0.1."),
    Category("off", "Off", "All others: the box is shifted, or of another shape."),
)
# Those that are told by the box alone.
BOX_CATEGORIES = tuple(category for category in CATEGORIES if category.key != CLASS)


class Matched(NamedTuple):
    """Predicted boxes and the true ones, of the M images that have a true box.

    Attributes:
        total: N, how many images there are with those that have none.
        positions: ``(M,)`` among all images.
        boxes: ``(M, 4)`` predicted.
        truths: ``(n_i, 4)`` each.
        matches: ``(M,)`` position of the matched true box among its image's.
        ious: ``(M,)`` float64, with the matched true box.
    """

    total: int
    positions: np.ndarray
    boxes: np.ndarray
    truths: list[np.ndarray]
    matches: np.ndarray
    ious: np.ndarray


def match(boxes: ArrayLike, truths: Sequence[ArrayLike]) -> Matched:
    """Finds the true box that belongs to each predicted one.

    It is the one with the highest IoU; of several with the same, as where no true box is touched,
    the largest. Images without a true box are left out.

    Args:
        boxes: ``(N, 4)`` xyxy, relative, one predicted box an image.
        truths: for each image the ``(n_i, 4)`` true boxes of its class, xyxy, relative.

    Raises:
        ValueError: if the counts differ, or a box is not four finite numbers.

    >>> found = match([[0, 0, 1, 1], [0, 0, 1, 1]], [[], [[0, 0, 0.5, 1], [0, 0, 1, 0.75]]])
    >>> found.positions.tolist(), found.matches.tolist(), found.ious.tolist()
    ([1], [1], [0.75])
    """
    ious = best_ious(boxes, truths)
    positions = np.flatnonzero(~np.isnan(ious))
    predicted = box_geometry.as_boxes(boxes)[positions]
    own = [box_geometry.as_boxes(truths[position]) for position in positions.tolist()]
    matches = [_match(box, truth) for box, truth in zip(predicted, own, strict=True)]
    return Matched(len(ious), positions, predicted, own, np.array(matches, int), ious[positions])


def analyse(
    boxes: ArrayLike,
    truths: Sequence[ArrayLike],
    ids: Sequence[str],
    named: ArrayLike | None = None,
    worst: int = 6,
) -> dict[str, Any]:
    """All of this module's analyses.

    Args:
        boxes, truths: as of `match`.
        ids: ``(N,)`` names of the images.
        named: ``(N,)`` bool, whether the classifier's first guess is the image's class; None
            where that is not known.
        worst: how many images of each kind of error to name.

    Returns:
        ``images``, the number of those with a true box, and ``unscored``, that of the others;
        ``by_size``, see `by_size`; ``by_count``, see `by_count`; ``iou_histogram``, see
        `iou_histogram`; ``areas``, see `areas`; ``errors``, see `errors`.

    Raises:
        ValueError: if the counts differ, or a box is not four finite numbers.

    >>> found = analyse([[0, 0, 1, 1], [0, 0, 1, 1]], [[[0, 0, 0.5, 1]], []], ["a", "b"])
    >>> found["images"], found["unscored"], found["iou_histogram"]["counts"]
    (1, 1, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    """
    found = match(boxes, truths)
    return {
        "images": len(found.ious),
        "unscored": found.total - len(found.ious),
        "by_size": by_size(found),
        "by_count": by_count(found),
        "iou_histogram": iou_histogram(found),
        "areas": areas(found),
        "errors": errors(found, ids, named, worst),
    }


def by_size(found: Matched) -> list[dict[str, Any]]:
    """CorLoc by the share of the image that the object covers, see `SIZES`.

    With several true boxes the largest counts: what group an image is in does not depend on the
    predicted box, so methods can be compared group by group.

    Returns:
        For each size ``group``, its name; ``low`` and ``high``, the shares that it begins at and
        ends before, ``high`` None for the last; ``images``; ``corloc`` in percent and its
        ``interval``; ``mean_iou``. Without images the measures are None.

    >>> small, large = by_size(match([[0, 0, 1, 1]], [[[0, 0, 0.2, 0.2]]]))[:2]
    >>> small["images"], small["corloc"], large["images"], large["corloc"]
    (1, 0.0, 0, None)
    """
    return _grouped(found, SIZES, lambda truth: _area(truth).max())


def by_count(found: Matched) -> list[dict[str, Any]]:
    """CorLoc by the number of true boxes, see `COUNTS`.

    Returns:
        As `by_size`; ``low`` and ``high`` are the least and the largest number.

    >>> found = match([[0, 0, 1, 1]], [[[0, 0, 1, 1], [0, 0, 1, 0.5]]])
    >>> [row["images"] for row in by_count(found)]
    [0, 1, 0, 0]
    """
    groups = [(name, low, high + 1) for name, low, high in COUNTS]
    rows = _grouped(found, groups, len)
    return [row | {"high": row["high"] and row["high"] - 1} for row in rows]


def iou_histogram(found: Matched) -> dict[str, list]:
    """How many images have which IoU, see `histogram`; the last five bins are what CorLoc counts.

    >>> found = match([[0, 0, 1, 1]] * 2, [[[0, 0, 1, 1]], [[0, 0, 0.5, 1]]])
    >>> iou_histogram(found)["counts"]
    [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    """
    return histogram(found.ious)


def histogram(values: np.ndarray) -> dict[str, list]:
    """How many values of 0 to 1 lie in which of ten bins.

    Returns:
        ``edges``, the eleven borders of the bins, and ``counts``. A bin begins at its lower
        border and ends before its upper one; the last includes 1.

    >>> histogram(np.array([0.0, 0.3, 0.39, 1.0]))["counts"]
    [1, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    """
    counts = np.bincount(_tenth(values), minlength=10)
    return {"edges": _TENTHS.tolist(), "counts": counts.tolist()}


def areas(found: Matched) -> dict[str, Any]:
    """Whether large boxes are around large objects: predicted areas beside the true ones.

    A localizer that knows the objects' sizes has all points near the diagonal; one that gives
    every image the same box has them on a vertical line.

    Returns:
        ``points``, the areas of each image's predicted and its matched true box as shares of the
        image, rounded to three digits; ``bins``, ten by the predicted area, each with ``low``,
        ``high``, ``images`` and the mean areas ``predicted`` and ``true`` (None without images);
        ``correlation``, Pearson's, None where it is not defined; ``median_ratio``, the median of
        the predicted over the true area, None without any.

    >>> truths = [[[0, 0, 0.5, 1]], [[0, 0, 0.25, 1]]]
    >>> found = areas(match([[0, 0, 1, 1], [0, 0, 0.5, 1]], truths))
    >>> found["points"], round(found["correlation"], 6), found["median_ratio"]
    ([[1.0, 0.5], [0.5, 0.25]], 1.0, 2.0)
    """
    predicted = _area(found.boxes)
    true = np.array(
        [_area(truth)[match] for truth, match in zip(found.truths, found.matches, strict=True)]
    )
    places = _tenth(predicted)
    bins = []
    for place, (low, high) in enumerate(itertools.pairwise(_TENTHS.tolist())):
        inside = places == place
        means = [float(part[inside].mean()) if inside.any() else None for part in (predicted, true)]
        bins.append(
            {
                "low": low,
                "high": high,
                "images": int(inside.sum()),
                "predicted": means[0],
                "true": means[1],
            }
        )
    varies = len(true) > 1 and np.ptp(predicted) > 0 and np.ptp(true) > 0
    has_area = true > 0
    return {
        "points": np.stack([predicted, true], axis=1).round(3).tolist(),
        "bins": bins,
        "correlation": float(np.corrcoef(predicted, true)[0, 1]) if varies else None,
        "median_ratio": (
            float(np.median(predicted[has_area] / true[has_area])) if has_area.any() else None
        ),
    }


def errors(
    found: Matched,
    ids: Sequence[str],
    named: ArrayLike | None = None,
    worst: int = 6,
) -> dict[str, Any]:
    """What is wrong with each image: exactly one of `CATEGORIES`, the first that applies.

    With the predicted box p, the true boxes B and the matched one m, precision |p ∩ m| / |p| and
    recall |p ∩ m| / |m|:

    1. right: IoU(p, m) >= 0.5, and the class is right where that is known;
    2. class: the classifier's first guess is another class, whether the box is right or not
       (an error in the sense of ILSVRC; only where ``named`` is given);
    3. several: |p ∩ b| / |b| >= 0.5 for two b in B, or p touches two b in B and has an IoU
       >= 0.5 with the smallest box around all of B;
    4. part: precision >= 0.5 and recall < 0.5;
    5. large: recall >= 0.5 and precision < 0.5;
    6. missed: IoU(p, b) < 0.1 for every b in B;
    7. off: all others.

    A tiny box inside of a large object is thus on a part and not missed, whatever its IoU.

    Args:
        found: what `match` gives.
        ids: ``(N,)`` names of the images.
        named: ``(N,)`` bool, whether the classifier's first guess is the image's class; None
            where that is not known.
        worst: how many images of each category to name.

    Returns:
        ``categories``, for each that can be told ``key``, ``title``, ``meaning``, ``images``,
        ``share`` of all images in percent (None without images) and ``worst``, the images with
        the lowest IoU, each with ``id`` and ``iou``; at the same IoU in the order of the ids.
        ``boxes``, the same of all images by the box alone, as if every class were right; where
        ``named`` is not given, both are the same. ``class_wrong_box_right``, how many images of
        the category class have a right box; None where ``named`` is not given.

    Raises:
        ValueError: if the counts differ, or a box is not four finite numbers.

    >>> whole, left = [0, 0, 1, 1], [0, 0, 0.4, 1]
    >>> found = errors(match([whole, left], [[left], [whole]]), ["cat", "dog"])
    >>> [(each["key"], each["worst"]) for each in found["categories"] if each["images"]]
    [('part', [{'id': 'dog', 'iou': 0.4}]), ('large', [{'id': 'cat', 'iou': 0.4}])]
    """
    _check_counts(found.total, ids, named)
    own_ids = [ids[position] for position in found.positions]
    cases = zip(found.boxes, found.truths, found.matches, found.ious, strict=True)
    by_box = [_kind(*case) for case in cases]

    def summed(kinds: Sequence[str], categories: Sequence[Category]) -> list[dict[str, Any]]:
        return [summary(each, kinds, own_ids, found.ious, worst) for each in categories]

    alone = summed(by_box, BOX_CATEGORIES)
    if named is None:
        return {"categories": alone, "boxes": alone, "class_wrong_box_right": None}
    rightly_named = np.asarray(named, bool)[found.positions]
    kinds = [kind if right else CLASS for kind, right in zip(by_box, rightly_named, strict=True)]
    return {
        "categories": summed(kinds, CATEGORIES),
        "boxes": alone,
        "class_wrong_box_right": int(((found.ious >= HALF) & ~rightly_named).sum()),
    }


def summary(
    category: Category, kinds: Sequence[str], ids: Sequence[str], ious: np.ndarray, worst: int
) -> dict[str, Any]:
    """What is reported of a category.

    Args:
        category: which.
        kinds: ``(N,)`` the key of each image's category.
        ids: ``(N,)`` names of the images.
        ious: ``(N,)`` by which the worst are found.
        worst: how many of them to name.

    Returns:
        ``key``, ``title``, ``meaning``, ``images``, ``share`` and ``worst``, see `errors`.

    >>> found = summary(CATEGORIES[0], ["right", "off"], ["a", "b"], np.array([0.7, 0.3]), 1)
    >>> found["images"], found["share"], found["worst"]
    (1, 50.0, [{'id': 'a', 'iou': 0.7}])
    """
    own = [
        (float(iou), name)
        for iou, name, kind in zip(ious, ids, kinds, strict=True)
        if kind == category.key
    ]
    return {
        **category._asdict(),
        "images": len(own),
        "share": 100 * len(own) / len(kinds) if kinds else None,
        "worst": [{"id": name, "iou": round(iou, 4)} for iou, name in sorted(own)[:worst]],
    }


def _match(box: np.ndarray, truth: np.ndarray) -> int:
    return int(np.lexsort([_area(truth), box_geometry.iou(box, truth)[0]])[-1])


def _grouped(
    found: Matched,
    groups: Sequence[tuple[str, float, float]],
    value: Callable[[np.ndarray], float],
) -> list[dict[str, Any]]:
    """CorLoc of the images whose value is at least a group's first number and below its second."""
    values = np.array([value(truth) for truth in found.truths])
    rows = []
    for name, low, high in groups:
        summary = summarize(found.ious[(values >= low) & (values < high)].tolist())
        measures = {key: summary[key] for key in ("images", "corloc", "interval", "mean_iou")}
        limits = {"low": low, "high": high if np.isfinite(high) else None}
        rows.append({"group": name, **limits, **measures})
    return rows


def _kind(box: np.ndarray, truth: np.ndarray, match: int, iou: float) -> str:
    """The key of the category that the box alone tells."""
    if iou >= HALF:
        return RIGHT
    shared = _shared(box, truth)
    # Boxes without an area are neither covered nor do they lie in anything.
    recalls = _share(shared, _area(truth))
    precision = float(_share(shared[match], _area(box[None])[0]))
    around = float(box_geometry.iou(box, box_geometry.union_box(truth))[0, 0])
    if (recalls >= HALF).sum() > 1 or ((shared > 0).sum() > 1 and around >= HALF):
        return "several"
    if precision >= HALF > recalls[match]:
        return "part"
    if recalls[match] >= HALF > precision:
        return "large"
    return "missed" if iou < MISSED else "off"


def _shared(box: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The area that each true box has in common with a box, ``(n,)`` float64."""
    one, others = box.astype(np.float64), truth.astype(np.float64)
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    return np.maximum(sides, 0.0).prod(axis=1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    """In float64, so that a half is a half."""
    array = boxes.astype(np.float64)
    return np.maximum(array[:, 2:] - array[:, :2], 0.0).prod(axis=1)


def _tenth(values: np.ndarray) -> np.ndarray:
    """The bin of each value: of 0.1, the second one; of 1 and above, the last."""
    return np.searchsorted(_TENTHS[1:-1], values, side="right")


def _check_counts(count: int, ids: Sequence[str], named: ArrayLike | None) -> None:
    shape = (count,) if named is None else np.asarray(named).shape
    if len(ids) != count or shape != (count,):
        told = "none" if named is None else str(shape)
        raise ValueError(
            f"Each of the {count} images has one id and, where known, one value that says whether "
            f"its class was named; received {len(ids)} ids and the shape {told}."
        )
