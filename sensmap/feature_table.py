"""What one pass over a data set gives: a table with a row for each image."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sensmap.datasets import Example


class Readings(NamedTuple):
    """What a box is read from, for each image; K classes an image in place of one have an axis.

    Attributes:
        class_ids: ``(N,)`` or ``(N, K)`` int32, the classifier's classes that the maps are of.
        scores: ``(N,)`` or ``(N, K)`` float32, their class scores before softmax.
        features: ``(N, F)`` or ``(N, K, F)`` float32, computed on the device.
        of: by a localizer's name what it has read off the maps, of the same shapes.
    """

    class_ids: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    of: Mapping[str, np.ndarray] = {}


@dataclasses.dataclass
class FeatureTable:
    """What is known of each image of a data set after one pass over it; one row an image.

    Attributes:
        ids: the images' ids.
        asked: what was read from the maps of the class asked for.
        guessed: the same of the classes with the highest scores, best first; ``(N, K, ...)``.
        labels: ``(N,)`` int32, the images' own class in the data set, -1 without one; of an
            image with several classes the first.
        truths: for each image its ``(n, 4)`` boxes of that class (of any, without a class).
        sizes: ``(N, 2)`` int32, height and width of the original images.
        skipped: what could not be used, as (id, reason).
        dropped: boxes that were left out of usable images (empty, inverted, outside), as
            (id, reason).
        degenerate: how many maps said nothing (NaN or zero everywhere) and count as uniform.
        seconds: the time that the pass took.
        judged: by a judge's name what it says of each image's maps of the class asked for,
            ``(N, ...)``.
    """

    ids: list[str]
    asked: Readings
    guessed: Readings
    labels: np.ndarray
    truths: list[np.ndarray]
    sizes: np.ndarray
    skipped: list[tuple[str, str]]
    dropped: list[tuple[str, str]]
    degenerate: int
    seconds: float
    judged: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def features(self) -> np.ndarray:
        """``(N, F)`` float32 features of the maps of the class asked for."""
        return self.asked.features

    @property
    def class_ids(self) -> np.ndarray:
        """``(N,)`` int32, the classes asked for."""
        return self.asked.class_ids

    @classmethod
    def of(
        cls,
        rows: Sequence[tuple],
        asked: Readings,
        guessed: Readings,
        degenerate: np.ndarray,
        skipped: list[tuple[str, str]],
        began: float,
    ) -> FeatureTable:
        """Puts a table together from the `table_row` of each image and what a pass gave for it."""
        ids, labels, truths, sizes, dropped = zip(*rows, strict=True)
        return cls(
            ids=list(ids),
            asked=asked,
            guessed=guessed,
            labels=np.array(labels, np.int32),
            truths=list(truths),
            sizes=np.array(sizes, np.int32),
            skipped=skipped,
            dropped=[
                (name, reason)
                for name, reasons in zip(ids, dropped, strict=True)
                for reason in reasons
            ],
            degenerate=int(np.sum(degenerate)),
            seconds=time.perf_counter() - began,
        )


def image_class(example: Example) -> int:
    """The class that stands for an image: the first of its labels; -1 without any."""
    return example.labels[0] if example.labels else -1


def table_row(example: Example, size: tuple[int, int]) -> tuple:
    """What a `FeatureTable` holds of an example: id, label, truths, size, boxes left out."""
    label = image_class(example)
    truth = example.boxes if label < 0 else example.boxes_of(label)
    return example.id, label, truth, size, example.dropped
