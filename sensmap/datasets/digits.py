"""Cluttered digits: one handwritten digit somewhere on a coloured texture, among fragments.

Embedded: made from the 1,797 digits of 8x8 pixels that scikit-learn ships (`load_digits`), so
nothing is downloaded. Each image is 64x64 RGB with

* a dark background of smooth random noise at four scales about a random colour;
* 4 to 8 bright fragments: windows cut out of other digits, of at most 0.4 times the digit's
  height, so that no person mistakes them for the digit;
* on top, the digit: any bright colour, about 16 to 48 pixels high (log-uniform), anywhere wholly
  inside. Its box is the tight box of its visible pixels, half-open.

The splits draw on disjoint sets of handwritten digits, for the digit and for the fragments, and
for every seed: ``train`` is for the classifier; ``fit`` for the box regressor, which has to see
maps of images that the classifier was not trained on; ``test`` for scores.
"""

from __future__ import annotations

import functools

import numpy as np
from sklearn.datasets import load_digits

from sensmap import boxes
from sensmap._opencv import cv2
from sensmap.datasets._base import Dataset, Example

SIZE = 64
DIGIT_HEIGHT = (16, 48)
# How many images a split has unless told otherwise, and its share of the 1,797 digits.
COUNTS = {"train": 12_000, "fit": 3_000, "test": 2_000}
_SOURCES = {"train": slice(0, 1_200), "fit": slice(1_200, 1_400), "test": slice(1_400, None)}
_SCALES = ((3, 0.10), (6, 0.06), (13, 0.04), (32, 0.03))  # noise cells a side, amplitude


def load(
    root: str | None = None, split: str | None = None, count: int | None = None, seed: int = 0
) -> Dataset:
    """Makes cluttered digits; each is drawn when it is asked for.

    Args:
        root: None: there is nothing to read.
        split: ``"train"`` (the default), ``"fit"`` or ``"test"``.
        count: how many images; None for `COUNTS`.
        seed: image ``i`` of a split and a seed is always the same.

    Raises:
        ValueError: for a root, an unknown split or a count below one.

    >>> example = load(split="test", count=10)[3]
    >>> example.image.shape, example.image.dtype, example.size
    ((64, 64, 3), dtype('uint8'), (64, 64))
    """
    if root is not None:
        raise ValueError(f"digits are made, not read: leave out the root; received {root!r}.")
    split = split or "train"
    if split not in COUNTS:
        raise ValueError(f"digits have no split {split!r}; choose one of {', '.join(COUNTS)}.")
    count = COUNTS[split] if count is None else count
    if count < 1:
        raise ValueError(f"digits need a count of 1 or more; received {count}.")
    strokes, classes = _sources(split)

    def read(index: int) -> Example:
        rng = np.random.default_rng([seed, list(COUNTS).index(split), index])
        chosen = int(rng.integers(len(strokes)))
        image, box = _draw(rng, strokes, chosen)
        label = int(classes[chosen])
        return Example(
            id=ids[index],
            image=image,
            labels=(label,),
            boxes=boxes.pixels_to_xyxy(box, (SIZE, SIZE)),
            box_labels=np.array([label], np.int32),
            size=(SIZE, SIZE),
        )

    ids = [f"{split}-{seed}-{index:06d}" for index in range(count)]
    return Dataset(f"digits {split}", [str(digit) for digit in range(10)], ids, read)


@functools.cache
def _sources(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Strokes ``(n, 10, 10)`` float32 in 0 to 1, with an empty border, and classes ``(n,)``."""
    digits = load_digits()
    # One fixed order for all seeds: training on one seed and testing on another stays fair.
    order = np.random.default_rng(0).permutation(len(digits.target))[_SOURCES[split]]
    strokes = np.pad(digits.images[order] / 16.0, ((0, 0), (1, 1), (1, 1)))
    return strokes.astype(np.float32), digits.target[order]


def _draw(
    rng: np.random.Generator, strokes: np.ndarray, chosen: int
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """One image, and the pixel corners of its digit's box."""
    image = _background(rng)
    height = float(np.exp(rng.uniform(*np.log(DIGIT_HEIGHT))))
    for _ in range(rng.integers(4, 9)):
        other = (chosen + rng.integers(1, len(strokes))) % len(strokes)
        whole = _stroke(strokes[other], rng.uniform(16, 40))
        side = rng.uniform(0.2, 0.4) * min(height, 32)
        _paint(rng, image, _window(rng, whole, max(4, round(side))))
    box = _paint(rng, image, _stroke(strokes[chosen], height))
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8), box


def _background(rng: np.random.Generator) -> np.ndarray:
    """Noise of several scales about a dark colour, ``(SIZE, SIZE, 3)`` float32."""
    image = np.zeros((SIZE, SIZE, 3), np.float32) + _colour(rng, (0.2, 0.9), (0.1, 0.4))
    for cells, amplitude in _SCALES:
        noise = rng.standard_normal((cells, cells, 3), np.float32) * np.float32(amplitude)
        image += cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return image


def _stroke(small: np.ndarray, height: float) -> np.ndarray:
    """A digit enlarged to about that height and cut to what is visible, opacity in 0 to 1."""
    side = round(height * len(small) / (len(small) - 2))
    smooth = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    opacity = np.clip((smooth - 0.28) / 0.25, 0, 1)  # sharpens what the enlargement blurred
    visible = opacity >= 0.25
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _window(rng: np.random.Generator, opacity: np.ndarray, side: int) -> np.ndarray:
    """A square cut out of a digit about one of its visible pixels, smaller at the digit's edge."""
    visible = np.argwhere(opacity >= 0.5)
    top, left = np.maximum(visible[rng.integers(len(visible))] - side // 2, 0)
    return opacity[top : top + side, left : left + side]


def _paint(
    rng: np.random.Generator, image: np.ndarray, opacity: np.ndarray
) -> tuple[int, int, int, int]:
    """Lays a bright colour over a random place; returns the place's corners."""
    height, width = opacity.shape
    top, left = rng.integers(SIZE - height + 1), rng.integers(SIZE - width + 1)
    place = image[top : top + height, left : left + width]
    place += opacity[..., None] * (_colour(rng, (0.0, 1.0), (0.85, 1.0)) - place)
    return int(left), int(top), int(left + width), int(top + height)


def _colour(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> np.ndarray:
    """A colour of any hue, ``(3,)`` float32 RGB in 0 to 1."""
    hue = rng.random()
    # HSV to RGB: each channel is a trapezoid over the hue circle.
    full = np.clip(np.abs((hue * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return (rng.uniform(*value) * (1 - rng.uniform(*saturation) * (1 - full))).astype(np.float32)
