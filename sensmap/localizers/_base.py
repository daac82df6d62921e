"""What localizers share: how they are found, what they learn from, and how they are stored."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sensmap import boxes as box_geometry
from sensmap import files, registry


def create(name: str, **options) -> BaseEstimator:
    """The localizer of that name.

    Raises:
        ValueError: for an unknown name.

    >>> create("mean_box").fit(np.zeros((1, 2)), [[0, 0, 1, 1]]).predict(np.zeros((3, 2))).shape
    (3, 4)
    """
    return registry.find("sensmap.localizers", name).create(**options)


def layers_of(maps: ArrayLike | Sequence[ArrayLike]) -> list[np.ndarray]:
    """Maps as a list of arrays ``(N, h, w)``, one a layer; or features as a list of one array
    ``(N, F)``.

    Args:
        maps: ``(N, h, w)`` maps, a list of such arrays, or ``(N, F)`` features.

    Raises:
        ValueError: for other shapes, or layers of different numbers of images.

    >>> [layer.shape for layer in layers_of([np.ones((5, 8, 8)), np.ones((5, 4, 4))])]
    [(5, 8, 8), (5, 4, 4)]
    """
    several = isinstance(maps, (list, tuple)) and len(maps) > 0 and np.ndim(maps[0]) == 3
    layers = [np.asarray(layer) for layer in (maps if several else [maps])]  # type: ignore[union-attr]
    shapes = [layer.shape for layer in layers]
    if any(len(shape) != 3 for shape in shapes) and len(shapes[0]) != 2:
        raise ValueError(
            "Expected maps (N, h, w), a list of them (one a layer), or features (N, F); received "
            f"{', '.join(map(str, shapes))}."
        )
    if len({shape[0] for shape in shapes}) != 1:
        raise ValueError(
            f"Each layer must have maps of the same images; received {', '.join(map(str, shapes))}."
        )
    return layers


def count_of(maps: ArrayLike | Sequence[ArrayLike]) -> int:
    """For how many images these maps or features are."""
    return len(layers_of(maps)[0])


def targets(boxes: np.ndarray | Sequence[ArrayLike], count: int) -> tuple[np.ndarray, np.ndarray]:
    """What a localizer learns from: the images with exactly one valid box.

    With several boxes nothing says which of them the map shows, so such images are left out of
    a fit, like those with none; in an evaluation any of an image's boxes counts.

    Args:
        boxes: ``(N, 4)`` xyxy, or for each image its ``(n, 4)`` boxes.
        count: the number of images.

    Returns:
        The positions ``(k,)`` of these images, and their boxes ``(k, 4)`` float64, clipped to
        the image.

    Raises:
        ValueError: if the counts differ, or no image has exactly one valid box.

    >>> targets([[[0, 0, 1, 1]], [], [[0, 0, 1, 1], [0, 0, 0.5, 1]]], 3)
    (array([0]), array([[0., 0., 1., 1.]]))
    """
    valid = valid_boxes(boxes, count)
    positions = np.array([i for i, each in enumerate(valid) if len(each) == 1], np.int64)
    if len(positions) == 0:
        raise ValueError(
            f"Of {count} images none has exactly one valid box, and that is what is learned from."
        )
    chosen = np.concatenate([valid[i] for i in positions])
    return positions, chosen.astype(np.float64)


def valid_boxes(boxes: np.ndarray | Sequence[ArrayLike], count: int) -> list[np.ndarray]:
    """Each image's valid boxes, ``(n, 4)`` float32, clipped to the image.

    Args:
        boxes: ``(N, 4)`` xyxy, or for each image its ``(n, 4)`` boxes.
        count: the number of images.

    Raises:
        ValueError: if the counts differ.
    """
    if len(boxes) != count:
        raise ValueError(f"There are boxes of {len(boxes)} images for maps of {count}.")
    return [
        box_geometry.clip(each[box_geometry.is_valid(each)])
        for each in map(box_geometry.as_boxes, boxes)
    ]


class Reader(BaseEstimator):
    """Base of the localizers that read each image's maps on the host.

    Reading an image is the work; fitting and predicting take readings, a few numbers an image,
    so that a data set is read once and in any order, and cross-validated at no cost.

    A subclass gives ``read(maps, image) -> (F,)`` float32, which any thread may call;
    ``mask(maps, image) -> (H, W)`` bool; ``stand_ins(readings)``; ``_fit(readings, truths)``, with
    each image's valid boxes; and ``_predict(readings) -> (N, 4)``.
    """

    title: str
    # How many numbers are read off an image.
    size: int
    in_graph = False

    def read(self, maps: Sequence[np.ndarray], image: np.ndarray | None) -> np.ndarray:
        """What is kept of one image: ``(F,)`` float32."""
        raise TypeError(f"{type(self).__name__} is a localizer without `read`.")

    def mask(self, maps: Sequence[np.ndarray], image: np.ndarray) -> np.ndarray:
        """What the box of one image is drawn around: ``(H, W)`` bool."""
        raise TypeError(f"{type(self).__name__} is a localizer without `mask`.")

    def fit(self, given, boxes, images: Sequence[np.ndarray] | None = None):
        """Learns from boxes, where there is anything to learn.

        Args:
            given: ``(N, h, w)`` maps; or a list of such arrays, one a layer; or ``(N, F)``
                readings.
            boxes: ``(N, 4)`` xyxy, or for each image its ``(n, 4)`` boxes, of which any counts.
                Images without a valid box are left out.
            images: for maps, the ``(H, W, 3)`` uint8 images.

        Raises:
            ValueError: if no image has a valid box, or what is given does not fit together.
        """
        readings = self.readings(given, images)
        truths = valid_boxes(boxes, len(readings))
        if not any(map(len, truths)):
            raise ValueError(f"Of {len(readings)} images none has a valid box.")
        self._fit(readings, truths)
        return self

    def predict(self, given, images: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """Boxes from maps or readings, as of `fit`: ``(N, 4)`` float32 xyxy, valid."""
        readings = self.readings(given, images)
        return box_geometry.make_valid(self._predict(readings)).astype(np.float32)

    def masks(self, given, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The mask of each image, ``(H, W)`` bool, at its size."""
        layers = layers_of(given)
        return [self.mask([each[i] for each in layers], image) for i, image in enumerate(images)]

    def readings(self, given, images: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """``(N, F)`` float32 readings of maps; readings as they are."""
        layers = layers_of(given)
        if layers[0].ndim == 2:
            if layers[0].shape[1] != self.size or not np.isfinite(layers[0]).all():
                raise ValueError(
                    f"{self.title} takes maps, or readings of {self.size} finite numbers an "
                    f"image; received {layers[0].shape}."
                )
            return np.asarray(layers[0], np.float32)
        count = len(layers[0])
        if images is not None and len(images) != count:
            raise ValueError(f"There are {len(images)} images for maps of {count}.")
        each = images if images is not None else [None] * count
        return np.stack(
            [self.read([layer[i] for layer in layers], image) for i, image in enumerate(each)]
        )

    def save(self, path: str | Path) -> None:
        """Writes the options and what was learned: NumPy arrays, no pickle."""
        learned = {key: value for key, value in vars(self).items() if key.endswith("_")}
        store(path, {**self.get_params(), **learned})

    @classmethod
    def load(cls, path: str | Path):
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it holds another localizer, or is damaged.
        """
        found, what = cls(), f"localizer {cls.title}"
        arrays = stored(path, what)
        options = found.get_params()
        try:
            found.set_params(**{key: arrays.pop(key).item() for key in options})
            for key, value in arrays.items():
                if not key.endswith("_") or not np.isfinite(value).all():
                    raise ValueError(f"it holds {key!r}")
                setattr(found, key, value.item())
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a {what}, or is damaged: {error}") from error
        return found

    def stand_ins(self, readings: np.ndarray) -> list[str]:
        """For each reading why its box is a stand-in; "" where it is none."""
        raise TypeError(f"{type(self).__name__} is a localizer without `stand_ins`.")

    def _fit(self, readings: np.ndarray, truths: Sequence[np.ndarray]) -> None:
        raise TypeError(f"{type(self).__name__} is a localizer without `_fit`.")

    def _predict(self, readings: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} is a localizer without `_predict`.")


def store(path: str | Path, values: Mapping[str, Any]) -> None:
    """Writes numbers, words and arrays by their names; whole or not at all."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {key: np.asarray(value) for key, value in values.items()}
    np.savez(buffer, **arrays)
    files.write_bytes(path, buffer.getvalue())


def stored(path: str | Path, what: str) -> dict[str, np.ndarray]:
    """Reads what `store` wrote, without pickle.

    Args:
        path: of the file.
        what: it should hold, for errors.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no {what} at {path}.")
    try:
        # Opened here: of a damaged file NumPy would leave it open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # NumPy's readers raise many kinds on a damaged file
        raise ValueError(f"{path} is not a {what}, or is damaged: {error}") from error
