"""What every map method gives, and how one is found by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensmap import images, registry
from sensmap.maps import _memory

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# In place of a class id: the class that the classifier itself gives the highest score.
PREDICTED = -1

# From ``(N, C)`` class scores to the ``(N, K)`` int32 classes that maps are wanted of; K is known
# when it is traced.
Choice = Callable[[tf.Tensor], tf.Tensor]

# Bytes that the network's activations may take when arrays of images are put through it.
MEMORY_BUDGET = 2 * 2**30


class Sensitivity(NamedTuple):
    """What one pass over a batch gives.

    Attributes:
        maps: one ``(N, h, w)`` float32 array a layer, non-negative, not normalised, in the order
            of the method's ``layers``; ``(N, K, h, w)`` where K classes an image were asked for.
        class_ids: ``(N,)`` or ``(N, K)`` int32, the classes the maps are of.
        scores: ``(N, C)`` float32 class scores before softmax.
    """

    maps: tuple
    class_ids: tf.Tensor | np.ndarray
    scores: tf.Tensor | np.ndarray


class MapMethod:
    """Base of the map methods; a subclass gives `explain`, and keeps each of its options as an
    attribute of the option's name.

    Args:
        classifier: whose class scores are explained.
        layers: where the maps are taken; one map each.

    Attributes:
        classifier, layers: as given, ``layers`` with every choice made.
        image_size: ``(height, width)`` in pixels that images are resized to.
        compiled: `sensitivity` as one `tf.function` of ``(None, height, width, 3)`` float32
            and ``(None,)`` int32, so that a last, smaller batch does not retrace.
    """

    # How many images of the network's input size one image becomes.
    copies = 1

    def __init__(
        self,
        classifier: Classifier,
        layers: Sequence[str],
        image_size: tuple[int, int] | None = None,
    ):
        self.classifier = classifier
        self.layers = tuple(layers)
        self.image_size = image_size or classifier.input_size
        self.compiled = self._function(self.sensitivity, [None])
        self._several: dict[tuple[str, int], Any] = {}
        self._bytes: dict[int, int] = {}

    @property
    def config(self) -> dict[str, Any]:
        """The name and options that `create` makes the same method from; JSON can hold it."""
        kind = type(self)
        options = {name: getattr(self, name) for name in _options(kind)}
        # JSON has no tuples.
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
        return {"name": kind.__module__.rpartition(".")[2], **plain}

    def explain(self, resized: tf.Tensor, choose: Choice) -> Sensitivity:
        """The maps of several classes an image by one forward pass; traceable.

        Args:
            resized: ``(N, height, width, 3)`` float32, 0 to 255, of `image_size`.
            choose: which classes, given the scores: `given`, `top` or `given_and_top`.

        Returns:
            `Sensitivity` with the axis of classes.
        """
        raise TypeError(f"{type(self).__name__} is a map method without `explain`.")

    def sensitivity(self, resized: tf.Tensor, class_ids: tf.Tensor) -> Sensitivity:
        """The maps of one class an image, traceable into a larger graph.

        Args:
            resized: as of `explain`.
            class_ids: ``(N,)`` int32, or `PREDICTED`.
        """
        found = self.explain(resized, given(class_ids[:, None]))
        return Sensitivity(
            tuple(each[:, 0] for each in found.maps), found.class_ids[:, 0], found.scores
        )

    def __call__(
        self,
        batch: np.ndarray,
        class_ids: Sequence[int] | np.ndarray | None = None,
        top_k: int | None = None,
    ) -> Sensitivity:
        """The maps of a batch of images, as arrays.

        Several classes of an image share one forward pass. Batches that would take more memory
        than `MEMORY_BUDGET` are put through the network in parts.

        Args:
            batch: ``(N, H, W, 3)`` RGB, 0 to 255, any size: it is resized to `image_size`.
            class_ids: ``(N,)`` class ids, or ``(N, K)`` for K classes an image; None for the
                predicted classes.
            top_k: instead, of how many classes with the highest scores, best first.

        Returns:
            `Sensitivity` of NumPy arrays; with the axis of classes for ``(N, K)`` class ids and
            for ``top_k``.

        Raises:
            ValueError: for images of another shape, none, or class ids that the classifier lacks.
        """
        pixels, wanted = self.check_batch(batch, class_ids, top_k)
        classes = top_k or int(np.prod(wanted.shape[1:]))
        return self._in_parts(self._call(wanted, top_k), pixels, wanted, classes)

    def _in_parts(
        self, function: Callable, pixels: np.ndarray, wanted: np.ndarray, classes: int
    ) -> Any:
        """What a compiled function gives for a batch, within the memory budget."""
        # One image cannot be parted, so its memory need not be looked up.
        step = self.images_at_once(classes) if len(pixels) > 1 else 1
        parts = []
        for start in range(0, len(pixels), step):
            part = slice(start, start + step)
            resized = images.resize(pixels[part], self.image_size)
            parts.append(
                tf.nest.map_structure(lambda x: x.numpy(), function(resized, wanted[part]))
            )
        return tf.nest.map_structure(lambda *each: np.concatenate(each), *parts)

    def images_at_once(self, classes: int = 1, budget: int = MEMORY_BUDGET) -> int:
        """How many images can be put through together within so many bytes; at least one."""
        return max(1, budget // self.bytes_per_image(classes))

    def bytes_per_image(self, classes: int = 1) -> int:
        """What an image takes while it is on its way there and back, by the traced graph.

        Several classes take more than one: the forward pass cannot be given up bit by bit before
        the last of the backward passes.
        """
        if classes not in self._bytes:
            self._bytes[classes] = self.copies * _memory.peak(self._measured(classes))
        return self._bytes[classes]

    def _measured(self, classes: int) -> tf.Graph:
        """The graph whose memory, for each of the `copies`, is that of so many classes."""
        function = self.compiled if classes == 1 else self._call(np.empty((0, classes)), None)
        return function.get_concrete_function().graph

    def _call(self, wanted: np.ndarray, top_k: int | None) -> Any:
        """The compiled function for class ids of that shape, or for so many classes."""
        if top_k is None and wanted.ndim == 1:
            return self.compiled
        kind, count = ("top", top_k) if top_k else ("given", wanted.shape[1])
        if (kind, count) not in self._several:
            if kind == "top":
                function = self._function(
                    lambda resized, unused: self.explain(resized, top(count)), [None]
                )
            else:
                function = self._function(
                    lambda resized, ids: self.explain(resized, given(ids)), [None, count]
                )
            self._several[kind, count] = function
        return self._several[kind, count]

    def _function(self, function: Callable, class_ids_shape: list) -> Any:
        return tf.function(
            function,
            input_signature=[
                tf.TensorSpec([None, *self.image_size, 3], tf.float32),
                tf.TensorSpec(class_ids_shape, tf.int32),
            ],
            autograph=False,
        )

    def check_batch(
        self, batch: np.ndarray, class_ids: Any = None, top_k: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images and class ids as arrays, if they are what `__call__` takes."""
        pixels = np.asarray(batch)
        if pixels.ndim != 4 or pixels.shape[-1] != 3 or not pixels.size:
            raise ValueError(
                f"Images must have the shape (N, height, width, 3), N not 0; "
                f"received {pixels.shape}."
            )
        count, classes = len(pixels), self.classifier.num_classes
        if top_k is not None:
            if class_ids is not None:
                raise ValueError("Give either class ids or top_k, the number of best classes.")
            check_top_k(top_k, classes)
        if class_ids is None:
            return pixels, np.full(count, PREDICTED, np.int32)
        wanted = np.asarray(class_ids)
        if wanted.ndim not in (1, 2) or len(wanted) != count or not wanted.size:
            raise ValueError(
                f"There must be one class id an image, or (N, K) for K classes each: {count} "
                f"images, class ids of the shape {wanted.shape}."
            )
        if not np.issubdtype(wanted.dtype, np.integer):
            raise ValueError(f"Class ids must be whole numbers; received {wanted.dtype}.")
        if (wanted >= classes).any() or (wanted < PREDICTED).any():
            worst = wanted[(wanted >= classes) | (wanted < PREDICTED)][0]
            raise ValueError(
                f"The class id {worst} is out of range: the classifier has the classes "
                f"0 to {classes - 1} (and {PREDICTED} stands for the predicted one)."
            )
        return pixels, wanted.astype(np.int32)


def check_top_k(top_k: int, classes: int) -> None:
    """Refuses a number of best classes that there is not."""
    if not 1 <= top_k <= classes:
        raise ValueError(
            f"top_k={top_k}: maps and boxes can be given for 1 to {classes} classes, which is how "
            "many the classifier has."
        )


def given(class_ids: tf.Tensor | np.ndarray | Sequence[Sequence[int]]) -> Choice:
    """These classes: ``(N, K)`` int32, where `PREDICTED` stands for the one with the top score."""
    class_ids = tf.convert_to_tensor(class_ids, tf.int32)
    return lambda scores: tf.where(
        class_ids == PREDICTED,
        tf.argmax(scores, axis=1, output_type=tf.int32)[:, None],
        class_ids,
    )


def top(count: int) -> Choice:
    """So many classes with the highest scores, best first."""
    return lambda scores: tf.math.top_k(scores, count).indices


def given_and_top(class_ids: tf.Tensor, count: int) -> Choice:
    """`given` classes ``(N, K)``, and behind them the `top` ones."""
    if not count:
        return given(class_ids)
    return lambda scores: tf.concat([given(class_ids)(scores), top(count)(scores)], axis=1)


def create(name: str, classifier: Classifier, **options) -> MapMethod:
    """The map method of that name for a classifier.

    Args:
        name: a module of `sensmap.maps`, such as ``"gradient"``.
        classifier: whose class scores are explained.
        **options: what the method takes besides.

    Raises:
        ValueError: for an unknown name, option or option value.
    """
    make = registry.find("sensmap.maps", name).create
    known = option_names(name)
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"The map method {name!r} has no option {unknown[0]!r}; "
            f"it takes {', '.join(known) or 'none'}."
        )
    return make(classifier, **options)


def option_names(name: str) -> tuple[str, ...]:
    """What the map method of that name takes besides the classifier."""
    return _options(registry.find("sensmap.maps", name).create)


def _options(make: Callable) -> tuple[str, ...]:
    return tuple(inspect.signature(make).parameters)[1:]
