"""A whole localizer: from an image to the class, its score and its box, in one graph.

This is what is written to disk by `train/box_regressor.py`, measured by `eval/localization.py`,
exported for serving, and run by ``python -m sensmap``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensmap import boxes as box_geometry
from sensmap import features, files, images, localizers, maps
from sensmap.classifiers import Classifier
from sensmap.localizers.linear import BoxRegressor
from sensmap.maps import MapMethod

CONFIG_FILE = "config.json"
REGRESSOR_FILE = "regressor.npz"


class Localization(NamedTuple):
    """What is found in a batch of images.

    Attributes:
        class_ids: ``(N,)`` int32.
        scores: ``(N, C)`` float32 class scores before softmax.
        boxes: ``(N, 4)`` float32 xyxy, relative, valid.
        maps: one ``(N, h, w)`` float32 sensitivity map a layer.
        degenerate: ``(N,)`` bool, where a map said nothing and counts as uniform.
    """

    class_ids: Any
    scores: Any
    boxes: Any
    maps: tuple
    degenerate: Any


class Localizer:
    """Classifier, map method, features and box regression together.

    Args:
        method: the map method, which holds the classifier.
        regressor: fitted on the features of that method's maps.
        config: what to record beside it: data, seed, metrics and the like.

    Raises:
        ValueError: if the regressor was fitted on another number of features.
    """

    def __init__(
        self, method: MapMethod, regressor: BoxRegressor, config: dict[str, Any] | None = None
    ):
        self.method = method
        self.classifier: Classifier = method.classifier
        self.regressor = regressor
        self.config = dict(config or {})
        height, width = self.classifier.input_size
        self.compiled = tf.function(
            self.localize,
            input_signature=[
                tf.TensorSpec([None, height, width, 3], tf.float32),
                tf.TensorSpec([None], tf.int32),
            ],
            autograph=False,
        )
        self.compiled.get_concrete_function()  # so that what does not fit shows here

    def localize(self, resized: tf.Tensor, class_ids: tf.Tensor) -> Localization:
        """The whole flow, traceable into a larger graph.

        Args:
            resized: ``(N, height, width, 3)`` float32, 0 to 255, at the classifier's input size.
            class_ids: ``(N,)`` int32, or `sensmap.maps.PREDICTED`.
        """
        found, chosen, scores = self.method.sensitivity(resized, class_ids)
        boxes = self._boxes(features.compute(self.regressor.features, found))
        degenerate = tf.reduce_any(tf.stack([features.is_degenerate(m) for m in found]), axis=0)
        return Localization(chosen, scores, boxes, found, degenerate)

    def _boxes(self, design: tf.Tensor) -> tf.Tensor:
        """`BoxRegressor.predict` in the graph, in float64 like there."""
        regressor = self.regressor
        if design.shape[1] != len(regressor.mean_):
            raise ValueError(
                f"The regressor was fitted on {len(regressor.mean_)} features, but the maps of "
                f"{', '.join(self.method.layers)} give {design.shape[1]}."
            )
        standard = (tf.cast(design, tf.float64) - regressor.mean_) / regressor.scale_
        raw = tf.linalg.matmul(standard, regressor.coef_.T) + regressor.intercept_
        return tf.cast(box_geometry.make_valid(raw, xp=tf.experimental.numpy), tf.float32)

    def __call__(self, batch: np.ndarray, class_ids: Sequence[int] | None = None) -> Localization:
        """Localizes in a batch of images.

        Args:
            batch: ``(N, H, W, 3)`` RGB, 0 to 255, any size.
            class_ids: ``(N,)`` class ids; None for the predicted classes.

        Returns:
            `Localization` of NumPy arrays.

        Raises:
            ValueError: for images of another shape or class ids that the classifier lacks.
        """
        pixels, wanted = self.method.check_batch(batch, class_ids)
        found = self.compiled(images.resize(pixels, self.classifier.input_size), wanted)
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), found)

    @property
    def title(self) -> str:
        """What to call it in a table."""
        options = self.method.config
        places = ", ".join(options["layers"])
        how = f"{options['name']}, {options['reduction']}: {places}"
        return f"Linear regression, {self.regressor.features} ({how})"

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Writes the regressor and all that must not differ when it is used; not the classifier.

        Raises:
            OSError: if the folder exists or cannot be written.
        """
        with files.output_folder(folder, overwrite) as work:
            self.write_into(work)

    def write_into(self, work: Path) -> None:
        """Writes the files of `save` into a folder that is being made."""
        self.regressor.save(work / REGRESSOR_FILE)
        recorded = {
            "classifier": self.classifier.config,
            "maps": self.method.config,
            "features": self.regressor.features,
        }
        files.write_json(work / CONFIG_FILE, {**recorded, **self.config})

    @classmethod
    def load(cls, folder: str | Path, classifier: Classifier) -> Localizer:
        """Reads what `save` wrote, for the classifier that it was made with.

        Raises:
            FileNotFoundError: if there is no such folder.
            ValueError: if it is damaged, or the classifier is another one or read otherwise; the
                difference is spelled out.
        """
        config = read_config(folder)
        refuse_other(config["classifier"], classifier.config, folder)
        options = dict(config["maps"])
        try:
            method = maps.create(options.pop("name"), classifier, **options)
        except TypeError as error:  # options of another version
            raise ValueError(f"{folder}: its map method cannot be made: {error}") from error
        regressor = BoxRegressor.load(Path(folder) / REGRESSOR_FILE)
        return cls(method, regressor, config)


def read_config(folder: str | Path) -> dict[str, Any]:
    """The recorded configuration of a localizer's folder."""
    path = Path(folder) / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no localizer in {folder}: it has no {CONFIG_FILE}. "
            "train/box_regressor.py makes one."
        )
    config = files.read_json(path)
    described = isinstance(config, dict) and all(
        isinstance(config.get(part), dict) for part in ("classifier", "maps")
    )
    if not described or "name" not in config["maps"]:
        raise ValueError(f"{path} does not describe a localizer.")
    return config


def refuse_other(recorded: dict, given: dict, folder: str | Path) -> None:
    """Refuses a classifier that differs from the recorded one, and says how."""
    keys = ("preprocessing", "input_size", "class_offset", "num_classes", "fingerprint")
    differing = [key for key in keys if recorded.get(key) != given.get(key)]
    if differing:
        says = "; ".join(f"{key} was {recorded.get(key)}, is {given.get(key)}" for key in differing)
        raise ValueError(f"{folder} was made with another classifier: {says}.")


def baselines(truths: Sequence[np.ndarray]) -> dict[str, list[float]]:
    """The constant boxes learned from the same boxes as a regression; JSON can hold them."""
    nothing = np.zeros((len(truths), 0))
    return {
        name: localizers.create(name).fit(nothing, truths).box_.tolist()
        for name in ("centred_box", "mean_box")
    }
