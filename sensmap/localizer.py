"""A whole localizer: from an image to the class, its score and its box.

This is what is written to disk by `train/box_regressor.py`, measured by `eval/localization.py`,
exported for serving, and run by ``python -m sensmap``. With the box regressor all of it is one
graph; localizers that work on the host (GraphCut, threshold) read the maps that the graph gives.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensmap import boxes as box_geometry
from sensmap import features, files, images, localizers, maps
from sensmap.classifiers import Classifier
from sensmap.maps import MapMethod

CONFIG_FILE = "config.json"
LOCALIZER_FILE = "localizer.npz"


class Localization(NamedTuple):
    """What is found in a batch of images; K classes an image in place of one have an axis.

    Attributes:
        class_ids: ``(N,)`` or ``(N, K)`` int32.
        scores: ``(N, C)`` float32 class scores before softmax.
        boxes: ``(N, 4)`` or ``(N, K, 4)`` float32 xyxy, relative, valid.
        maps: one ``(N, h, w)`` or ``(N, K, h, w)`` float32 sensitivity map a layer.
        degenerate: ``(N,)`` or ``(N, K)`` bool, where the box is a stand-in, because a map said
            nothing (the regression takes it as uniform) or nothing was cut out.
    """

    class_ids: Any
    scores: Any
    boxes: Any
    maps: tuple
    degenerate: Any


class Localizer:
    """Classifier, map method and a localizer of boxes together.

    Args:
        method: the map method, which holds the classifier.
        estimator: of `sensmap.localizers`, fitted on that method's maps if it learns anything.
        config: what to record beside it: data, seed, metrics and the like.

    Attributes:
        method, estimator, classifier: as given.
        compiled: `explain` for one class an image, as one `tf.function` of
            ``(None, height, width, 3)`` float32 and ``(None,)`` int32.

    Raises:
        ValueError: if the estimator was fitted on another number of features.
    """

    def __init__(self, method: MapMethod, estimator: Any, config: dict[str, Any] | None = None):
        self.method = method
        self.classifier: Classifier = method.classifier
        self.estimator = estimator
        self.config = dict(config or {})
        self._several: dict[int, Callable] = {}
        self.compiled = self._function(self._one_class)
        if estimator.in_graph:
            self.graph()  # so that what does not fit shows here

    def explain(self, resized: tf.Tensor, choose: maps.Choice) -> Localization:
        """The whole flow for several classes an image, traceable into a larger graph.

        Args:
            resized: ``(N, height, width, 3)`` float32, 0 to 255, of ``method.image_size``.
            choose: which classes, given the scores; see `sensmap.maps.MapMethod.explain`.

        Raises:
            ValueError: where the estimator works on the host.
        """
        if not self.estimator.in_graph:
            raise ValueError(
                f"{type(self.estimator).__name__} works on the host and cannot be part of a graph "
                "or an export; the box regressor (linear) can."
            )
        found, chosen, scores = self.method.explain(resized, choose)
        design = features.compute_by_class(self.estimator.features, found)
        boxes = self._boxes(tf.reshape(design, [-1, design.shape[2]]))
        boxes = tf.reshape(boxes, [-1, design.shape[1], 4])
        each = [features.is_degenerate(tf.reshape(m, [-1, *m.shape[2:]])) for m in found]
        degenerate = tf.reshape(tf.reduce_any(tf.stack(each), axis=0), [-1, design.shape[1]])
        return Localization(chosen, scores, boxes, found, degenerate)

    def _one_class(self, resized: tf.Tensor, class_ids: tf.Tensor) -> Localization:
        return _first_class(self.explain(resized, maps.given(class_ids[:, None])))

    def _boxes(self, design: tf.Tensor) -> tf.Tensor:
        """`BoxRegressor.predict` in the graph, in float64 like there."""
        regressor = self.estimator
        if design.shape[1] != len(regressor.mean_):
            raise ValueError(
                f"The regressor was fitted on {len(regressor.mean_)} features, but the maps of "
                f"{', '.join(self.method.layers)} give {design.shape[1]}."
            )
        standard = (tf.cast(design, tf.float64) - regressor.mean_) / regressor.scale_
        raw = tf.linalg.matmul(standard, regressor.coef_.T) + regressor.intercept_
        return tf.cast(box_geometry.make_valid(raw, xp=tf.experimental.numpy), tf.float32)

    def __call__(
        self,
        batch: np.ndarray,
        class_ids: Sequence[int] | None = None,
        top_k: int | None = None,
    ) -> Localization:
        """Localizes in a batch of images.

        Args:
            batch: ``(N, H, W, 3)`` RGB, 0 to 255, any size.
            class_ids: ``(N,)`` class ids; None for the predicted classes.
            top_k: instead, of how many classes with the highest scores, best first.

        Returns:
            `Localization` of NumPy arrays; with the axis of classes for ``top_k``.

        Raises:
            ValueError: for images of another shape or class ids that the classifier lacks.
        """
        if not self.estimator.in_graph:
            return self._on_host(batch, class_ids, top_k)
        pixels, wanted = self.method.check_batch(batch, class_ids, top_k)
        function = self._top(top_k) if top_k else self.compiled
        step = self.method.images_at_once(top_k or 1)
        parts = []
        for start in range(0, len(pixels), step):
            part = slice(start, start + step)
            resized = images.resize(pixels[part], self.method.image_size)
            found = function(resized, wanted[part])
            parts.append(tf.nest.map_structure(lambda tensor: tensor.numpy(), found))
        return tf.nest.map_structure(lambda *each: np.concatenate(each), *parts)

    def _on_host(self, batch, class_ids, top_k) -> Localization:
        found = self.method(batch, class_ids, top_k)
        photos = np.clip(np.round(batch), 0, 255).astype(np.uint8)
        axes = found.class_ids.shape
        flat = [each.reshape(-1, *each.shape[-2:]) for each in found.maps]
        count = int(np.prod(axes[1:]))

        def read(place: int) -> np.ndarray:
            return self.estimator.read([each[place] for each in flat], photos[place // count])

        with ThreadPoolExecutor(os.cpu_count()) as workers:
            readings = np.stack(list(workers.map(read, range(len(flat[0])))))
        boxes = self.estimator.predict(readings).reshape(*axes, 4)
        reasons = self.estimator.stand_ins(readings)
        degenerate = np.array([bool(reason) for reason in reasons]).reshape(axes)
        return Localization(found.class_ids, found.scores, boxes, found.maps, degenerate)

    def _top(self, count: int) -> Callable:
        if count not in self._several:
            self._several[count] = self._function(
                lambda resized, unused: self.explain(resized, maps.top(count))
            )
        return self._several[count]

    def _function(self, function: Callable) -> Any:
        return tf.function(
            function,
            input_signature=[
                tf.TensorSpec([None, *self.method.image_size, 3], tf.float32),
                tf.TensorSpec([None], tf.int32),
            ],
            autograph=False,
        )

    def graph(self) -> Any:
        """The traced function of `compiled`.

        Raises:
            ValueError: where the estimator works on the host.
        """
        return self.compiled.get_concrete_function()

    @property
    def title(self) -> str:
        """What to call it in a table."""
        return f"{self.estimator.title} ({map_title(self.method)})"

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Writes the estimator and all that must not differ when it is used; not the classifier.

        Raises:
            OSError: if the folder exists or cannot be written.
        """
        with files.output_folder(folder, overwrite) as work:
            self.write_into(work)

    def write_into(self, work: Path) -> None:
        """Writes the files of `save` into a folder that is being made."""
        self.estimator.save(work / LOCALIZER_FILE)
        files.write_json(work / CONFIG_FILE, {**self.recorded, **self.config})

    @property
    def recorded(self) -> dict[str, Any]:
        """All that must not differ when it is used; JSON can hold it."""
        return {
            "classifier": self.classifier.config,
            "maps": self.method.config,
            "localizer": {"name": name_of(self.estimator), **self.estimator.get_params()},
        }

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
            kind = type(localizers.create(config["localizer"]["name"]))
        except (TypeError, ValueError) as error:  # names and options of another version
            raise ValueError(f"{folder}: it cannot be made again: {error}") from error
        return cls(method, kind.load(Path(folder) / LOCALIZER_FILE), config)


def name_of(estimator: Any) -> str:
    """The name that a localizer is known by: that of its module."""
    return type(estimator).__module__.rpartition(".")[2]


def map_title(method: MapMethod) -> str:
    """What to call a map method: its name, and what of its options is not the default."""
    defaults = {
        name: option.default for name, option in inspect.signature(type(method)).parameters.items()
    }
    config = dict(method.config)
    name = config.pop("name")
    differing = [
        ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for option, value in config.items()
        if value != defaults.get(option) and value != list(_as_tuple(defaults.get(option)))
    ]
    return ", ".join([name, *differing])


def _as_tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _first_class(found: Localization) -> Localization:
    return Localization(
        found.class_ids[:, 0],
        found.scores,
        found.boxes[:, 0],
        tuple(each[:, 0] for each in found.maps),
        found.degenerate[:, 0],
    )


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
        isinstance(config.get(part), dict) for part in ("classifier", "maps", "localizer")
    )
    if not described or not all("name" in config[part] for part in ("maps", "localizer")):
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
