"""The conventions by which published localization figures were made, under names.

"IoU 0.5" is not one measure. Whether corners belong to their box, in which pixels the boxes are
compared, which of an image's objects count and how many contours of a map may be tried: each
changes the figure, by points rather than by tenths. A `Protocol` names one set of choices, and the
functions here apply them; all else in sensmap has the one convention of `sensmap.boxes`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sensmap import boxes as box_geometry

# The side in pixels to which Choe et al. resize maps, masks and boxes.
WSOL_SIZE = 224


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One set of choices.

    Attributes:
        name: what to ask for.
        pixels: in which the boxes are compared: ``"relative"``, those of the image as sides of 1,
            not rounded; ``"original"``, whole ones of the original image; ``"224"``, whole ones of
            the image resized to 224x224.
        inclusive: whether the far corners belong to the box, so that its sides are
            ``x1 - x0 + 1``; else they are ``x1 - x0``.
        comparison: of the IoU with the level that is asked for.
        truths: the true boxes of which one must be met.
        ious: the levels that are asked for; of several the mean is reported.
        average: over what the share of images is taken: ``"images"``, or ``"classes"``, each by
            itself first.
        contours: of a thresholded map: ``"single"``, the one that encloses most, ``"multi"``, any
            of them, or None where a method gives one box.
        reference: where the choices are written down.
    """

    name: str
    pixels: Literal["relative", "original", "224"]
    inclusive: bool
    comparison: Literal[">="]
    truths: str
    ious: tuple[float, ...]
    average: Literal["images", "classes"]
    contours: Literal["single", "multi"] | None
    reference: str


_TRUTHS = "any box of the class asked for"
_CHOE = "Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, CVPR 2020"

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "sensmap",
            pixels="relative",
            inclusive=False,
            comparison=">=",
            truths=_TRUTHS,
            ious=(0.5,),
            average="images",
            contours=None,
            reference="sensmap.boxes and sensmap.metrics.corloc",
        ),
        Protocol(
            "wsol_v1",
            pixels="224",
            inclusive=True,
            comparison=">=",
            truths=_TRUTHS,
            ious=(0.5,),
            average="images",
            contours="single",
            reference=f"{_CHOE}, section 3.3: MaxBoxAcc",
        ),
        Protocol(
            "wsol_v2",
            pixels="224",
            inclusive=True,
            comparison=">=",
            truths=_TRUTHS,
            ious=(0.3, 0.5, 0.7),
            average="images",
            contours="multi",
            reference=f"{_CHOE}, its code and journal version (arXiv 2007.04178): MaxBoxAccV2",
        ),
        Protocol(
            "voc_corloc",
            pixels="original",
            inclusive=True,
            comparison=">=",
            truths=_TRUTHS,
            ious=(0.5,),
            average="classes",
            contours=None,
            reference="Deselaers, Alexe & Ferrari, Weakly Supervised Localization and Learning "
            "with Generic Knowledge, IJCV 2012, with the overlap of PASCAL VOC's devkit",
        ),
        Protocol(
            "ilsvrc",
            pixels="original",
            inclusive=True,
            comparison=">=",
            truths=_TRUTHS,
            ious=(0.5,),
            average="images",
            contours=None,
            reference="Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, "
            "IJCV 2015, section 4.2, and its devkit",
        ),
    )
}


def find(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ValueError: for an unknown name, with the list of those that exist.

    >>> find("wsol_v1").contours
    'single'
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f"There is no {name!r} among the protocols; choose one of {', '.join(PROTOCOLS)}."
        )
    return PROTOCOLS[name]


def inclusive_iou(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """IoU of every box of ``a`` with every box of ``b``, where both corners belong to the box.

    ``|A ∩ B| / |A ∪ B|`` with sides of ``x1 - x0 + 1``, as in the devkits of PASCAL VOC and ILSVRC
    and in the code of Choe et al. `sensmap.boxes.iou` is that of half-open boxes.

    Args:
        a: ``(N, 4)`` x0, y0, x1, y1 in pixels, ``x0 <= x1`` and ``y0 <= y1``.
        b: ``(M, 4)``, the same.

    Returns:
        ``(N, M)`` float64, 0 to 1.

    >>> inclusive_iou([[1, 2, 5, 6]], [[3, 1, 4, 5]])  # 8 of 25 + 10 - 8 pixels
    array([[0.2962963]])
    """
    left = np.asarray(a).reshape(-1, 1, 4)
    right = np.asarray(b).reshape(1, -1, 4)
    width, height = (
        np.maximum(
            np.minimum(left[..., high], right[..., high])
            - np.maximum(left[..., low], right[..., low])
            + 1,
            0,
        )
        for low, high in ((0, 2), (1, 3))
    )
    both = width * height
    return both / (_inclusive_area(left) + _inclusive_area(right) - both)


def original_pixels(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """The pixels of the original image that boxes cover, as corners that belong to them.

    A true box is what stands in the annotation, counted from zero: our loaders divide whole
    pixels by the size, in float32, and rounding undoes that. A predicted box is rounded to whole
    pixels, at least one.

    Args:
        boxes: ``(N, 4)`` xyxy, relative, half-open.
        size: ``(height, width)`` of the original image.

    Returns:
        ``(N, 4)`` int64 x0, y0, x1, y1.

    >>> original_pixels([0.0, 0.25, 0.5, 1.0], size=(100, 200)).tolist()
    [[0, 25, 99, 99]]
    """
    corners = np.rint(_pixels(boxes, size)).astype(np.int64)
    corners[:, 2:] = np.maximum(corners[:, 2:] - 1, corners[:, :2])
    return corners


def wsol_truths(boxes: ArrayLike, size: tuple[int, int], inclusive: bool = True) -> np.ndarray:
    """True boxes in pixels of the image at 224x224, as Choe et al. have them.

    ``int(224 x / width)`` of each number that stands in the annotation, cut off rather than
    rounded. What stands there as the far corner differs: ILSVRC's belongs to the box, while for
    CUB they take ``x + width``, which does not.

    Args:
        boxes: ``(N, 4)`` xyxy, relative, half-open, from whole pixels of the original image.
        size: ``(height, width)`` of the original image.
        inclusive: whether the annotation's far corner belongs to the box.

    Returns:
        ``(N, 4)`` int64 x0, y0, x1, y1.

    >>> whole = [0.0, 0.0, 1.0, 1.0]
    >>> wsol_truths(whole, size=(375, 500)).tolist()
    [[0, 0, 223, 223]]
    >>> wsol_truths(whole, size=(375, 500), inclusive=False).tolist()
    [[0, 0, 224, 224]]
    """
    height, width = checked_size(size)
    corners = np.rint(_pixels(boxes, size)) - [0, 0, inclusive, inclusive]
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2])
    # First times, then over, as they do: elsewise a whole quotient may come out just below.
    return (corners * float(WSOL_SIZE) / [width, height, width, height]).astype(np.int64)


def wsol_predicted(boxes: ArrayLike) -> np.ndarray:
    """Predicted boxes in pixels of the image at 224x224, as Choe et al. take them from contours.

    Theirs end at ``min(x + width, 223)``: one pixel past the contour, but not past the image.

    Args:
        boxes: ``(N, 4)`` xyxy, relative, half-open.

    Returns:
        ``(N, 4)`` int64 x0, y0, x1, y1.

    >>> wsol_predicted([[0.25, 0.0, 0.5, 1.0]]).tolist()
    [[56, 0, 112, 223]]
    """
    corners = np.rint(_pixels(boxes, (WSOL_SIZE, WSOL_SIZE))).astype(np.int64)
    corners = np.clip(corners, 0, WSOL_SIZE - 1)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2])
    return corners


def best_ious(
    name: str,
    predicted: ArrayLike,
    truths: Sequence[ArrayLike],
    sizes: Sequence[tuple[int, int]],
) -> np.ndarray:
    """The highest IoU, by a protocol, of each image's predicted box with any of its true boxes.

    Args:
        name: of the protocol.
        predicted: ``(N, 4)`` xyxy, relative, half-open, finite; one box an image.
        truths: for each image its ``(n_i, 4)`` true boxes, likewise.
        sizes: for each image ``(height, width)`` of the original in pixels.

    Returns:
        ``(N,)`` float64 in 0 to 1; NaN for an image without a true box.

    Raises:
        ValueError: if the protocol is unknown, the counts differ, a box is not four finite
            numbers in order, or a size is not two positive numbers.

    >>> truth = [[[0.0, 0.0, 0.5, 1.0]]]
    >>> best_ious("sensmap", [[0, 0, 1, 1]], truth, [(10, 10)]).tolist()
    [0.5]
    >>> best_ious("wsol_v2", [[0, 0, 1, 1]], truth, [(10, 10)]).round(3).tolist()
    [0.362]
    """
    protocol = find(name)
    predicted = checked_boxes(predicted, "predicted")
    if not len(predicted) == len(truths) == len(sizes):
        raise ValueError(
            "Each image has one predicted box, one set of true boxes and one size; "
            f"received {len(predicted)}, {len(truths)} and {len(sizes)}."
        )
    found = np.full(len(predicted), np.nan)
    for position, (truth, size) in enumerate(zip(truths, sizes, strict=True)):
        box, truth = predicted[position : position + 1], checked_boxes(truth, "true")
        if not len(truth):
            continue
        if protocol.pixels == "relative":
            overlaps = box_geometry.iou(box, truth)
        elif protocol.pixels == "original":
            overlaps = inclusive_iou(original_pixels(box, size), original_pixels(truth, size))
        else:
            overlaps = inclusive_iou(wsol_predicted(box), wsol_truths(truth, size))
        found[position] = overlaps.max()
    return found


def checked_boxes(boxes: ArrayLike, kind: str) -> np.ndarray:
    """Boxes as ``(N, 4)`` float32, if they are four finite numbers in order.

    Args:
        boxes: ``(N, 4)`` xyxy.
        kind: ``"true"`` or ``"predicted"``, for the message.

    Raises:
        ValueError: if they are not.

    >>> checked_boxes([0.5, 0.0, 0.25, 1.0], "true")
    Traceback (most recent call last):
    ...
    ValueError: A true box must be four finite numbers x0 <= x1, y0 <= y1; received
    [0.5, 0.0, 0.25, 1.0].
    """
    array = box_geometry.as_boxes(boxes)
    fine = np.isfinite(array).all(axis=1) & (array[:, :2] <= array[:, 2:]).all(axis=1)
    if not fine.all():
        raise ValueError(
            f"A {kind} box must be four finite numbers x0 <= x1, y0 <= y1; received "
            f"{array[~fine][0].tolist()}."
        )
    return array


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """An image's size, if it is ``(height, width)`` in positive whole pixels.

    Raises:
        ValueError: if it is not.

    >>> checked_size((375, 500))
    (375, 500)
    """
    array = np.asarray(size)
    if array.shape != (2,) or array.dtype.kind not in "iu" or array.min() < 1:
        raise ValueError(
            f"An image size must be (height, width) in positive pixels; received {size}."
        )
    height, width = array.tolist()
    return height, width


def _pixels(boxes: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    height, width = checked_size(size)
    sides = np.array([width, height, width, height], np.float64)
    return box_geometry.as_boxes(boxes).astype(np.float64) * sides


def _inclusive_area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., 2] - boxes[..., 0] + 1) * (boxes[..., 3] - boxes[..., 1] + 1)
