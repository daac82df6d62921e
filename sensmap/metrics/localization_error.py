"""The localization error of ILSVRC: wrong in its class, or wrong in its box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sensmap.metrics import _intervals
from sensmap.metrics.corloc import best_ious

# The challenge takes so many guesses an image.
MOST_GUESSES = 5

# Stands for no guess, or for a class that the guesses know nothing of: it never matches.
NO_CLASS = -1


def right_guesses(
    boxes: ArrayLike, class_ids: ArrayLike, truths: Sequence[ArrayLike], labels: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which guesses name an image's class, and which of those locate it too.

    Guess j of image i, a class c and a box b, is right if ``c = label_i`` and
    ``max_{B in B_i} IoU(b, B) >= 0.5``, where B_i are the true boxes of the label.

    Args:
        boxes: ``(N, K, 4)`` xyxy, relative, finite; the guesses of an image, best first.
        class_ids: ``(N, K)`` their classes; -1 for no guess.
        truths: for each image the ``(n_i, 4)`` true boxes of its label, xyxy, relative, finite.
        labels: ``(N,)`` class ids, in the same numbering; -1 for a class that is not in it.

    Returns:
        Each image's guesses with the right class, ``(N, K)`` bool; those with a right box as well,
        ``(N, K)`` bool; and which images have a true box, ``(N,)`` bool.

    Raises:
        ValueError: if the shapes do not fit, a box is not four finite numbers, or an id is not one.

    >>> named, located, _ = right_guesses([[[0, 0, 1, 1]] * 2], [[3, 7]], [[[0, 0, 1, 0.5]]], [7])
    >>> named.tolist(), located.tolist()
    ([[False, True]], [[False, True]])
    """
    ids = _whole_numbers(class_ids, "Class ids of guesses", "NK")
    labels = _whole_numbers(labels, "Labels", "N")
    boxes = np.asarray(boxes, np.float32)
    images, guesses = ids.shape
    if boxes.shape != (images, guesses, 4) or len(labels) != images or len(truths) != images:
        raise ValueError(
            "Boxes (N, K, 4), class ids (N, K), N sets of true boxes and N labels belong together; "
            f"received {boxes.shape}, {ids.shape}, {len(truths)} and {len(labels)}."
        )
    if not 1 <= guesses <= MOST_GUESSES:
        raise ValueError(f"An image has 1 to {MOST_GUESSES} guesses; received {guesses}.")
    repeated = [truth for truth in truths for _ in range(guesses)]
    overlaps = best_ious(boxes.reshape(-1, 4), repeated).reshape(images, guesses)
    named = (ids == labels[:, None]) & (ids != NO_CLASS)
    return named, named & (overlaps >= 0.5), ~np.isnan(overlaps[:, 0])


class LocalizationError:
    """Percent of images whose label and box are in none of the first guesses.

    ``e_i = min_j [c_ij != label_i or max_{B in B_i} IoU(b_ij, B) < 0.5]``, averaged over the
    images (Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", section 4.2;
    Simonyan et al., section 3.2): over one guess top-1, over five top-5. As in the challenge's
    own program exactly 0.5 is enough, and a class may be guessed more than once.

    The classification error, ``min_j [c_ij != label_i]`` over the same images, is the part that
    is lost to the class; what is left to the localization error is lost to the box. Images
    without a true box of their label cannot be scored; they are counted apart.

    >>> metric = LocalizationError()
    >>> guesses = [[0.0, 0.0, 1.0, 1.0]] * 5
    >>> metric.update([guesses] * 2, [[7, 3, 1, 0, 2]] * 2, [[[0, 0, 1, 0.9]]] * 2, [7, 2])
    >>> result = metric.result()
    >>> result["top1_error"], result["top5_error"], result["top1_classification_error"]
    (50.0, 0.0, 50.0)
    """

    def __init__(self) -> None:
        # Images scored and unscored, and of those scored how many each measure finds wrong.
        self._counts: Counter[str] = Counter()
        self._guesses: int | None = None

    def update(
        self,
        boxes: ArrayLike,
        class_ids: ArrayLike,
        truths: Sequence[ArrayLike],
        labels: ArrayLike,
    ) -> None:
        """Counts a batch of images.

        Args:
            boxes: ``(N, K, 4)`` xyxy, relative, finite; the K guesses of an image, best first,
                K from 1 to 5 and the same for all images.
            class_ids: ``(N, K)`` their classes; -1 for no guess, as where a classifier has fewer
                than five classes.
            truths: for each image the ``(n_i, 4)`` true boxes of its label, xyxy, relative.
            labels: ``(N,)`` class ids, in the same numbering as the guesses'; -1 for a class
                that is not in it, which no guess can name.

        Raises:
            ValueError: if the shapes do not fit, K is another than before, a box is not four
                finite numbers, or an id is not one. Nothing has been counted then.
        """
        named, located, scored = right_guesses(boxes, class_ids, truths, labels)
        if len(named):
            self._agree(named.shape[1])
        self._counts.update(
            images=int(scored.sum()),
            unscored=int((~scored).sum()),
            top1=_missed(located[scored, :1]),
            top5=_missed(located[scored]),
            top1_classification=_missed(named[scored, :1]),
            top5_classification=_missed(named[scored]),
        )

    def merge(self, other: LocalizationError) -> None:
        """Adds what another instance has counted.

        Raises:
            ValueError: if the other's images had another number of guesses.
        """
        if other._guesses is not None:
            self._agree(other._guesses)
        self._counts.update(other._counts)

    def result(self) -> dict:
        """The numbers so far, fit for JSON.

        Returns:
            In percent ``top1_error`` and ``top5_error``, each with its 95% ``…_interval``, and
            ``top1_classification_error`` and ``top5_classification_error``; ``guesses``, the K of
            the images; ``images``, the number of those scored; ``unscored``, of those without a
            true box; ``interval_method``. Without images every measure is None; with fewer than
            five guesses those of top-5 are, for the best of fewer goes by another name.
        """
        five = self._guesses == MOST_GUESSES
        return {
            "top1_error": self._percent("top1"),
            "top1_interval": self._interval("top1"),
            "top5_error": self._percent("top5") if five else None,
            "top5_interval": self._interval("top5") if five else None,
            "top1_classification_error": self._percent("top1_classification"),
            "top5_classification_error": self._percent("top5_classification") if five else None,
            "interval_method": _intervals.METHOD,
            "guesses": self._guesses,
            "images": self._counts["images"],
            "unscored": self._counts["unscored"],
        }

    def _agree(self, guesses: int) -> None:
        if self._guesses not in (None, guesses):
            raise ValueError(
                f"All images have the same number of guesses; received {guesses} after "
                f"{self._guesses}. Fill up with class id {NO_CLASS}."
            )
        self._guesses = guesses

    def _percent(self, measure: str) -> float | None:
        images = self._counts["images"]
        return 100 * self._counts[measure] / images if images else None

    def _interval(self, measure: str) -> list[float] | None:
        images = self._counts["images"]
        if not images:
            return None
        return [100 * end for end in _intervals.interval(self._counts[measure], images)]


# The name under which every metric's class is found.
Metric = LocalizationError


def _missed(right: np.ndarray) -> int:
    """How many images, rows of ``(N, K)`` bool, have no right guess."""
    return int((~right.any(axis=1)).sum())


def _whole_numbers(ids: ArrayLike, what: str, axes: str) -> np.ndarray:
    array = np.asarray(ids)
    if array.ndim != len(axes) or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{what} must be whole numbers of the shape ({', '.join(axes)}); "
            f"received the shape {array.shape} and type {array.dtype}."
        )
    if array.min(initial=NO_CLASS) < NO_CLASS:
        raise ValueError(f"{what} are 0 or more, or {NO_CLASS}; received {array.min()}.")
    return array
