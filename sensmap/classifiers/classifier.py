"""A Keras model as a class-score function of images."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sensmap import compute, images
from sensmap.classifiers.class_names import ClassIndex
from sensmap.classifiers.class_scores import before_softmax
from sensmap.classifiers.keras_errors import reason
from sensmap.classifiers.preprocessing import Preprocessing

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"sensmap needs Keras on TensorFlow, but it runs on {keras.backend.backend()}; "
        "set the environment variable KERAS_BACKEND=tensorflow."
    )

# Images that `class_scores` puts through the network at once.
_BATCH = 64


class Classifier:
    """Class scores before softmax, of images of 0 to 255.

    A softmax or sigmoid that ends the model is removed (`sensmap.classifiers.class_scores`), and
    one image of noise is put through the result: a model whose outputs are still probabilities,
    not finite or not one score a class is refused.

    Args:
        model: a Keras image classifier with one input ``(N, h, w, 3)`` and one output ``(N, C)``.
        preprocessing: what the model was trained with.
        input_size: ``(height, width)`` in pixels; None for the model's own, where it has one.
        class_names: the name of each class, or None. They may include those of the background.
        class_offset: how many outputs, from the first, stand for the background. They are cut
            away, so that class ids are those of the class names.
        source: what to call the model in records.
        multilabel: whether an image may have several of the classes, so that probabilities are a
            sigmoid of each score; None to go by what ends the model.
        mixed_precision: one of `sensmap.compute.PRECISIONS` for the layers to compute in; "none"
            to leave them as they are.

    Attributes:
        model: the Keras model of the scores before softmax, background included.
        input_size: ``(height, width)`` in pixels.
        num_classes: the number of classes without the background.
        multilabel: whether it is such a classifier.

    Raises:
        ValueError: if the model is not such a classifier, with the reason.
    """

    def __init__(
        self,
        model: keras.Model,
        preprocessing: Preprocessing,
        input_size: tuple[int, int] | None = None,
        class_names: Sequence[str] | None = None,
        class_offset: int = 0,
        source: str | None = None,
        multilabel: bool | None = None,
        mixed_precision: str = "none",
    ):
        self.source = source or f"keras.Model {model.name}"
        self.preprocessing = preprocessing
        self.class_offset = class_offset
        self.input_size = _input_size(model, input_size, self.source)
        if isinstance(model, keras.Sequential) and not model.built:
            model.build((None, *self.input_size, 3))
        if len(getattr(model, "outputs", None) or [None]) != 1:
            outputs = ", ".join(f"{output.name} {output.shape}" for output in model.outputs)
            raise ValueError(
                f"{self.source} has several outputs: {outputs}. A classifier has one; "
                "make a keras.Model of the output that holds the class scores."
            )
        model = _plain(model)
        self.model, removed = before_softmax(model)
        self.multilabel = removed == "sigmoid" if multilabel is None else multilabel
        noise = np.random.default_rng(0).uniform(0, 255, (1, *self.input_size, 3))
        probe = self.preprocess(noise.astype(np.float32))
        scores = self._probe(self.model, probe)
        if removed is not None:
            _check_removal(removed, scores, self._probe(model, probe), self.source)
        if compute.check_precision(mixed_precision) != "none":
            self.model = self._in_precision(mixed_precision)
            scores = self._probe(self.model, probe)
            if not np.isfinite(scores).all():
                raise ValueError(
                    f"{self.source} gives NaN or infinite outputs in {mixed_precision}; bfloat16 "
                    "has the range of float32."
                )
        self.num_classes = _check_scores(scores, class_offset, self.source)
        self.class_names = _check_names(class_names, self.num_classes, class_offset)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model: its operations, their output shapes and activations, and the
        weights. What layers are called does not count, nor does the version of Keras."""
        digest = hashlib.sha256(json.dumps(_architecture(self.model)).encode())
        for weight in self.model.get_weights():
            digest.update(f"{weight.dtype} {weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()

    @property
    def config(self) -> dict[str, Any]:
        """What an artefact records of the classifier that it was made with; JSON can hold it."""
        names = self.class_names
        return {
            "source": self.source,
            "preprocessing": self.preprocessing.to_config(),
            "input_size": list(self.input_size),
            "class_offset": self.class_offset,
            "num_classes": self.num_classes,
            "multilabel": self.multilabel,
            "class_names_sha256": names and hashlib.sha256("\n".join(names).encode()).hexdigest(),
            "fingerprint": self.fingerprint,
            # Only where there is any, so that what was recorded before there was stays valid.
            **({} if self.mixed_precision == "none" else {"mixed_precision": self.mixed_precision}),
        }

    @functools.cached_property
    def mixed_precision(self) -> str:
        """What precision layers compute in, other than float32: ``"none"``, ``"float16"``, ..."""
        return compute.precision_of(self.model)

    @property
    def takes_any_size(self) -> bool:
        """Whether the network takes images of other sizes than `input_size`."""
        inputs = getattr(self.model, "inputs", None)
        return inputs is None or tuple(inputs[0].shape[1:3]) == (None, None)

    def preprocess(self, pixels):
        """From ``(N, h, w, 3)`` float32 RGB pixels of 0 to 255 to the network's input."""
        return self.preprocessing(pixels)

    def scores_from_input(self, network_input: tf.Tensor) -> tf.Tensor:
        """Class scores before softmax, in inference mode; can be traced and differentiated.

        Args:
            network_input: ``(N, h, w, 3)`` float32, preprocessed.

        Returns:
            ``(N, C)`` float32, without the background.
        """
        scores = tf.cast(self.model(network_input, training=False), tf.float32)
        return scores[:, self.class_offset :]

    def probabilities(self, scores: tf.Tensor) -> tf.Tensor:
        """Of ``(N, C)`` class scores: each class's own, or, if an image has one class, all
        together of sum 1."""
        return tf.sigmoid(scores) if self.multilabel else tf.nn.softmax(scores)

    def class_scores(self, pixels: np.ndarray) -> np.ndarray:
        """Class scores of images of one size, whichever it is.

        Args:
            pixels: ``(N, H, W, 3)`` RGB, 0 to 255, uint8 or float.

        Returns:
            ``(N, C)`` float32, before softmax.
        """
        shape = np.shape(pixels)
        if len(shape) != 4 or shape[3] != 3:
            raise ValueError(f"Images must have the shape (N, H, W, 3); received {shape}.")
        parts = [
            self._scores_of_pixels(images.resize(pixels[start : start + _BATCH], self.input_size))
            for start in range(0, shape[0], _BATCH)
        ]
        return np.concatenate([np.zeros((0, self.num_classes), np.float32), *parts])

    def class_id(self, name_or_id: str | int) -> int:
        """A class by its number, WordNet id or any of its names.

        Raises:
            ValueError: if there is none, or several.
        """
        return self._class_index.find(name_or_id)

    @functools.cached_property
    def _class_index(self) -> ClassIndex:
        return ClassIndex(self.num_classes, self.class_names)

    @functools.cached_property
    def _scores_of_pixels(self):
        signature = [tf.TensorSpec([None, *self.input_size, 3], tf.float32)]
        return tf.function(
            lambda pixels: self.scores_from_input(self.preprocess(pixels)),
            input_signature=signature,
        )

    def _in_precision(self, precision: str) -> keras.Model:
        try:
            return compute.in_precision(self.model, precision)
        except Exception as error:  # whatever a layer that is made again raises
            raise ValueError(
                f"{self.source} cannot compute in {precision}: {reason(error)}"
            ) from error

    def _probe(self, model: keras.Model, network_input: np.ndarray) -> np.ndarray:
        """The outputs for one image, where the model gives one array of them."""
        try:
            output = model(network_input, training=False)
        except Exception as error:  # whatever the layers raise
            height, width = self.input_size
            raise ValueError(
                f"{self.source} cannot take images of {height}x{width}: {reason(error)}"
            ) from error
        if not tf.is_tensor(output):
            raise ValueError(
                f"{self.source} has several outputs ({type(output).__name__} of {len(output)}); "
                "a classifier has one. Make a keras.Model of the one with the class scores."
            )
        return tf.cast(output, tf.float32).numpy()


def _plain(model: keras.Model) -> keras.Model:
    """The same graph from one tensor to one tensor, where they stand in lists or dictionaries."""
    if isinstance(model, keras.Sequential) or getattr(model, "outputs", None) is None:
        return model
    if all(isinstance(end, keras.KerasTensor) for end in (model.input, model.output)):
        return model
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def _input_size(model: keras.Model, asked: tuple[int, int] | None, source: str) -> tuple[int, int]:
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        raise ValueError(
            f"{source} has {len(inputs)} inputs; a classifier takes one, images (N, h, w, 3)."
        )
    shape = tuple(inputs[0].shape) if inputs else (None, None, None, 3)
    if len(shape) != 4 or shape[3] not in (3, None):
        raise ValueError(
            f"{source} takes an input of the shape {shape}; expected RGB images, channels last, "
            "(None, height, width, 3)."
        )
    if asked is None:
        if None in shape[1:3]:
            raise ValueError(
                f"{source} takes images of any size; say at which it works best with "
                "input_size=(height, width)."
            )
        return shape[1:3]
    height, width = (int(side) for side in asked)
    if min(height, width) < 1:
        raise ValueError(f"An input size is (height, width) in pixels; received {asked}.")
    if shape[1] not in (height, None) or shape[2] not in (width, None):
        raise ValueError(
            f"{source} takes images of {shape[1]}x{shape[2]} only; input_size={asked} was asked."
        )
    return height, width


def _check_scores(scores: np.ndarray, class_offset: int, source: str) -> int:
    """The number of classes, if these can be the scores of a classifier."""
    if scores.ndim != 2 or len(scores) != 1 or scores.shape[1] - class_offset < 2:
        raise ValueError(
            f"{source} gives outputs of the shape {('N', *scores.shape[1:])}; expected scores "
            f"(N, C) of at least two classes"
            + (f" after the first {class_offset}." if class_offset else ".")
        )
    if class_offset < 0:
        raise ValueError(f"class_offset counts background outputs; received {class_offset}.")
    if not np.isfinite(scores).all():
        raise ValueError(f"{source} gives NaN or infinite outputs; its weights may be damaged.")
    if scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2:
        raise ValueError(
            f"{source} gives probabilities (they sum to one), and how it makes them cannot be "
            "taken away from its end. Maps need class scores before softmax: make a keras.Model "
            "that ends before the softmax."
        )
    return scores.shape[1] - class_offset


def _check_removal(removed: str, scores: np.ndarray, outputs: np.ndarray, source: str) -> None:
    """Whether the removed function, applied to the scores, gives the old outputs.

    The tolerance is that of a model that computes in bfloat16; a wrong removal is far off.
    """
    function = tf.nn.softmax if removed == "softmax" else tf.nn.sigmoid
    again = function(scores).numpy()
    if again.shape != outputs.shape or not np.allclose(
        again, outputs, rtol=5e-2, atol=1e-2 / outputs.shape[-1], equal_nan=True
    ):
        raise ValueError(
            f"{source} ends with a {removed} that is not over its classes and cannot be taken "
            f"away; make a keras.Model that ends before it."
        )


def _check_names(
    names: Sequence[str] | None, num_classes: int, class_offset: int
) -> tuple[str, ...] | None:
    if names is None:
        return None
    if len(names) == num_classes + class_offset:
        names = names[class_offset:]
    if len(names) != num_classes:
        raise ValueError(
            f"There are {len(names)} class names for {num_classes} classes; expected one for each."
        )
    return tuple(names)


def _architecture(model: keras.Model) -> list:
    parts = []
    for part in getattr(model, "operations", None) or getattr(model, "layers", []):
        if isinstance(part, keras.layers.InputLayer):
            continue
        if isinstance(part, keras.Model):
            parts.append(_architecture(part))
        else:
            outputs = keras.tree.flatten(getattr(part, "output", []))
            shapes = [list(tensor.shape) for tensor in outputs]
            activation = getattr(getattr(part, "activation", None), "__name__", None)
            parts.append([type(part).__name__, shapes, activation])
    return parts
