"""What the benchmarks of exports share, and what `benchmarks.soak` asks and judges by."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sensmap import datasets, localizers, maps
from sensmap.localizer import Localizer
from sensmap.pipeline import Extractor

# Largest difference of a box, relative, and of a class score, relative to 1 or to the score where
# that is larger: batches of other sizes are added up in another order.
TOLERANCES = {"boxes": 1e-5, "class_scores": 1e-5}

_START_OF_FRAME = b"\xff\xc0"


def fitted(method: maps.MapMethod, data: datasets.Dataset) -> Localizer:
    """A localizer of some images' boxes."""
    table = Extractor(method).extract(data)
    return Localizer(method, localizers.create("linear").fit(table.features, table.truths))


class Memory(NamedTuple):
    """Resident memory over a run, in bytes.

    Attributes:
        after_warm_up, at_end: the median of the first and of the last tenth of the samples that
            were taken after the warm-up.
        greatest: of all samples.
    """

    after_warm_up: float
    at_end: float
    greatest: float

    @property
    def growth(self) -> float:
        """By which share of what it was it has grown; below zero where it shrank."""
        return self.at_end / self.after_warm_up - 1


def memory(samples: Sequence[tuple[float, int]], warm_up: float) -> Memory:
    """Sums up what was sampled.

    Single samples jump by what a call holds for a moment, so medians are compared.

    Args:
        samples: seconds since the start and bytes.
        warm_up: samples of the first so many seconds count for the greatest only.

    Raises:
        ValueError: where nothing was sampled after the warm-up.

    >>> memory([(0, 500), (1, 100), (2, 110), (3, 104)], warm_up=1).growth
    0.04
    """
    after = [size for second, size in samples if second >= warm_up]
    if not after:
        raise ValueError(
            f"Nothing was measured after the warm-up of {warm_up:g} s; run for longer."
        )
    tenth = max(1, len(after) // 10)
    return Memory(
        float(np.median(after[:tenth])),
        float(np.median(after[-tenth:])),
        max(size for _, size in samples),
    )


def differences(answer: Mapping, expected: Mapping) -> tuple[np.ndarray, dict[str, float]]:
    """Compares an answer with what was expected.

    Args:
        answer: arrays by the outputs' names, each with an axis of images first.
        expected: the same.

    Returns:
        Which images got a wrong answer, ``(N,)`` bool: another class, a number that is off by
        more than `TOLERANCES`, NaN, another number of images; and the largest difference by name.
    """
    count = len(expected["class_ids"])
    if any(np.shape(answer[name]) != np.shape(expected[name]) for name in expected):
        return np.ones(count, bool), {}
    wrong = ~_everywhere(answer["class_ids"] == expected["class_ids"])
    wrong |= ~_everywhere(answer["degenerate"] == expected["degenerate"])
    largest = {}
    for name, tolerance in TOLERANCES.items():
        scale = np.maximum(1.0, np.abs(expected[name]))
        off = np.abs(answer[name] - expected[name]) / scale
        wrong |= ~_everywhere(off <= tolerance)
        largest[name] = float(off.max())
    # Half a pixel, or a thousandth where a picture has thousands of them.
    pixels = np.abs(answer["boxes_pixels"] - expected["boxes_pixels"])
    wrong |= ~_everywhere(pixels <= np.maximum(0.5, 1e-3 * expected["boxes_pixels"]))
    return wrong, largest


def _everywhere(right: np.ndarray) -> np.ndarray:
    return right.reshape(len(right), -1).all(axis=1)


def broken(jpeg: bytes) -> dict[str, bytes]:
    """What is no picture, or no whole one, by what is wrong with it.

    Args:
        jpeg: a baseline JPEG file.

    >>> sorted(broken(b"\\xff\\xd8\\xff" + _START_OF_FRAME + bytes(20)))
    ['cut off', 'cut off in the header', 'empty', 'huge', 'text']
    """
    size = jpeg.index(_START_OF_FRAME) + 5  # behind marker, length and precision
    return {
        "cut off": jpeg[: len(jpeg) // 2],
        "cut off in the header": jpeg[:3],
        "empty": b"",
        "text": b"<html><body>404 Not Found</body></html>",
        "huge": jpeg[:size] + struct.pack(">HH", 65_500, 65_500) + jpeg[size + 4 :],
    }
