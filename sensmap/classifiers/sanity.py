"""Is the classifier read rightly? Top-1 and top-5 accuracy before any map is made.

Wrong preprocessing or another order of classes make every later number wrong without a sign;
here they show at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def true_class_ranks(scores: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """How many classes score as high as the true class or higher, itself left out.

    Ties and NaN count against the classifier, so that a constant output is never right.

    Args:
        scores: ``(N, C)`` class scores.
        labels: ``(N,)`` true class ids; negative where the classifier does not know the class.

    Returns:
        ``(n,)`` int ranks from 0, of the n images with a known class.

    >>> true_class_ranks([[1, 3, 2], [5, 5, 0], [0, 0, 9]], [1, 0, -1]).tolist()
    [0, 1]
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            "Scores must have the shape (N, C) and labels (N,); received "
            f"{scores.shape} and {labels.shape}."
        )
    if labels.max(initial=-1) >= scores.shape[1]:
        raise ValueError(
            f"There is no class {labels.max()}: the scores are of {scores.shape[1]} classes."
        )
    known = labels >= 0
    scores, labels = scores[known], labels[known]
    true_scores = scores[np.arange(len(labels)), labels]
    return (~(scores < true_scores[:, None])).sum(axis=1) - 1


def accuracy(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Top-1 and top-5 accuracy in percent; NaN without labelled images.

    >>> accuracy([[1, 3, 2], [5, 9, 0]], [1, 0])
    (50.0, 100.0)
    """
    ranks = true_class_ranks(scores, labels)
    if not len(ranks):
        return math.nan, math.nan
    return 100 * float((ranks < 1).mean()), 100 * float((ranks < 5).mean())


class SanityCheck:
    """Accuracy over a stream of batches, and a warning where it is no better than guessing.

    Guessing among C classes is right for n/C of n images. The warning is given when the number
    of right ones is within three standard deviations of that, ``n/C + 3 sqrt(n/C (1 - 1/C))``.

    >>> check = SanityCheck()
    >>> check.update(np.eye(10), np.arange(10))
    >>> check.result()["top1"], check.warning()
    (100.0, None)
    """

    def __init__(self):
        self.count = self.top1 = self.top5 = self.unknown = self.num_classes = 0

    def update(self, scores: ArrayLike, labels: ArrayLike) -> None:
        """Counts a batch; arguments as of `true_class_ranks`."""
        ranks = true_class_ranks(scores, labels)
        self.num_classes = np.shape(scores)[1]
        self.count += len(ranks)
        self.unknown += len(np.asarray(labels)) - len(ranks)
        self.top1 += int((ranks < 1).sum())
        self.top5 += int((ranks < 5).sum())

    def merge(self, other: SanityCheck) -> None:
        """Adds the counts of another part of the data."""
        self.count += other.count
        self.unknown += other.unknown
        self.top1 += other.top1
        self.top5 += other.top5
        self.num_classes = self.num_classes or other.num_classes

    def result(self) -> dict[str, float | int | None]:
        """Percentages (None without images) and counts; JSON can hold it."""
        share = 100 / self.count if self.count else None
        return {
            "top1": share and self.top1 * share,
            "top5": share and self.top5 * share,
            "images": self.count,
            "images_of_unknown_class": self.unknown,
        }

    def warning(self) -> str | None:
        """One line where the classifier is no better than guessing; otherwise None."""
        if not self.count:
            return None
        chance = 1 / self.num_classes
        expected = self.count * chance
        if self.top1 > expected + 3 * math.sqrt(expected * (1 - chance)):
            return None
        return (
            f"The classifier is right for {self.top1} of {self.count} images, no better than "
            f"guessing among {self.num_classes} classes: check its preprocessing and the order "
            "of its classes."
        )
