"""Runs an export without Keras, and without the code that made its graph."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensmap import files, images
from sensmap.classifiers import class_names
from sensmap.datasets import ExampleError, ImageSource
from sensmap.export.saved_model import CONFIG_FILE, EXTRA, NAMES_FILE
from sensmap.export.servable import map_output


class Served(NamedTuple):
    """What an export finds in N images, for k classes each.

    Attributes:
        class_ids: ``(N, k)`` int32, from the highest score down.
        class_scores: ``(N, k)`` float32, before softmax.
        boxes: ``(N, k, 4)`` float32 xyxy, relative, valid.
        boxes_pixels: ``(N, k, 4)`` float32, in pixels of the upright image.
        degenerate: ``(N, k)`` bool, where a map said nothing and counts as uniform.
        maps: one ``(N, k, h, w)`` float32 array a layer; none if exported without.
    """

    class_ids: np.ndarray
    class_scores: np.ndarray
    boxes: np.ndarray
    boxes_pixels: np.ndarray
    degenerate: np.ndarray
    maps: tuple[np.ndarray, ...]


class ServedModel:
    """An export of `export_saved_model`.

    Args:
        path: the folder of a version, or the one above it, whose highest version is taken.

    Attributes:
        path: the version's folder.
        config: all that was recorded: classifier, maps, features, data, versions.
        class_names: one for each class, or None.
        num_classes: how many classes there are.
        input_size: ``(height, width)`` in pixels that images are resized to.
        top_k: how many classes' boxes are given where no class is asked for.

    Raises:
        FileNotFoundError: if there is no SavedModel.
        ValueError: if it is not an export of sensmap, or damaged.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = _version_folder(Path(path))
        extra = self.path / EXTRA
        if not (extra / CONFIG_FILE).is_file():
            raise ValueError(
                f"{self.path}: a SavedModel, but not one of sensmap, for it has no "
                f"{EXTRA}/{CONFIG_FILE}."
            )
        self.config: dict[str, Any] = files.read_json(extra / CONFIG_FILE)
        try:
            classifier = self.config["classifier"]
            self.input_size: tuple[int, int] = tuple(classifier["input_size"])
            self.num_classes = int(classifier["num_classes"])
            self.top_k = int(self.config["export"]["top_k"])
            layers = self.config["maps"]["layers"] if self.config["export"]["with_map"] else []
            self._maps = [map_output(layer) for layer in layers]
            loaded = tf.saved_model.load(os.fspath(self.path))
            self._signatures = dict(loaded.signatures)
        except Exception as error:  # JSON of another shape, and TensorFlow's many kinds
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ValueError(f"{self.path}: not a whole export of sensmap: {reason[0]}") from error
        self._loaded = loaded  # which owns the variables
        names = extra / NAMES_FILE
        self.class_names = class_names.read(names) if names.is_file() else None

    def __call__(
        self,
        batch: np.ndarray | Sequence[ImageSource | str],
        class_ids: Sequence[int] | None = None,
    ) -> Served:
        """Localizes in images.

        Args:
            batch: ``(N, H, W, 3)`` uint8 RGB; or a list of files, of files' bytes and of
                ``(H, W, 3)`` uint8 pixels, each of any size. All go through the graph at once.
            class_ids: ``(N,)`` class ids; None for the ``top_k`` predicted ones.

        Raises:
            ExampleError: if an image is missing, empty, truncated or none; in one line that
                names it.
            ValueError: for no images, or class ids that the classifier lacks.
        """
        if isinstance(batch, np.ndarray):
            if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[3] != 3:
                raise ValueError(
                    "Images in one array must have the shape (N, H, W, 3) and the type uint8; "
                    f"received {batch.shape} and {batch.dtype}."
                )
            name, inputs = "images", {"images": tf.constant(batch)}
        else:
            encoded = [_encoded(source) for source in batch]
            name, inputs = "serving_default", {"image_bytes": tf.constant(encoded, tf.string)}
        if not len(batch):
            raise ValueError("There are no images to localize in; expected one or more.")
        if class_ids is not None:
            name = {"images": "images_with_class", "serving_default": "bytes_with_class"}[name]
            inputs["class_id"] = tf.constant(self._check(class_ids, len(batch)))
        try:
            outputs = self._signatures[name](**inputs)
        except tf.errors.InvalidArgumentError:
            for source in batch:
                images.load(source)  # names the one that cannot be read
            raise
        arrays = {key: tensor.numpy() for key, tensor in outputs.items()}
        maps = tuple(arrays.pop(name) for name in self._maps)
        return Served(**arrays, maps=maps)

    def _check(self, class_ids: Sequence[int], count: int) -> np.ndarray:
        wanted = np.asarray(class_ids)
        if wanted.shape != (count,) or not np.issubdtype(wanted.dtype, np.integer):
            raise ValueError(
                f"There must be one class id, a whole number, for each of the {count} images; "
                f"received {wanted.dtype} of the shape {wanted.shape}."
            )
        if wanted.min() < 0 or wanted.max() >= self.num_classes:
            worst = wanted[(wanted < 0) | (wanted >= self.num_classes)][0]
            raise ValueError(
                f"The class id {worst} is out of range: the classifier has the classes 0 to "
                f"{self.num_classes - 1}."
            )
        return wanted.astype(np.int32)


def _encoded(source: ImageSource | str) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | os.PathLike):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise ExampleError(f"{source}: cannot be read ({error.strerror}).") from None
    return tf.io.encode_png(images.load(source)).numpy()  # pixels, without loss


def _version_folder(path: Path) -> Path:
    if (path / "saved_model.pb").is_file():
        return path
    versions = [
        int(file.parent.name)
        for file in path.glob("*/saved_model.pb")
        if file.parent.name.isdecimal()
    ]
    if not versions:
        raise FileNotFoundError(
            f"There is no SavedModel in {path}: neither a saved_model.pb nor a folder with a "
            "version's number that holds one. train/export_saved_model.py makes one."
        )
    return path / str(max(versions))
