"""Classifiers as fully convolutional networks, which take images of any size.

Shimoda & Yanai 2016, section 3.1, after Oquab et al. 2015 and Long et al. 2015: a fully connected
layer over a feature map is a convolution whose kernel covers the map, and one behind it a 1x1
convolution, with the same weights. On larger images the class scores become score maps, which are
pooled globally:

    S_c = pool over positions (i, j) of S_c(i, j)

At the classifier's own input size the pooling has nothing left to do, or is the one that the
classifier had before its last layer, and the scores are the same.
"""

from __future__ import annotations

from typing import Any

import keras

from sensmap.classifiers.class_scores import NEUTRAL, before_softmax
from sensmap.classifiers.keras_errors import reason

POOLINGS = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}
# The score that a class without any evidence starts from.
_ABSENT = -2.0
# What ends the feature maps of a classifier, and what only arranges class scores anew.
_AVERAGED, _FLATTENED = "GlobalAveragePooling2D", "Flatten"
_ARRANGING = {"Flatten", "Reshape", "Squeeze"}


def convert(model: keras.Model) -> keras.Model:
    """The same classifier for images of any size; its layers and weights are copies.

    Args:
        model: a classifier of one input ``(N, h, w, 3)`` that ends in global average pooling and
            at most linear layers, or in ``Flatten`` and fully connected ones.

    Returns:
        A model of input ``(N, None, None, 3)`` and class scores before softmax, with equal scores
        at the input size of ``model``.

    Raises:
        ValueError: if the classifier ends in another way, with the layer that stands in the way.

    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3),
    ...                           keras.layers.Flatten(), keras.layers.Dense(5)])
    >>> convert(model).input_shape, convert(model).layers[-2].kernel_size
    ((None, None, None, 3), (6, 6))
    """
    model, _ = before_softmax(model)
    features, head = _parts(model)
    network = _of_any_size(model, features)
    x, size, averaged = network.output, tuple(features.shape[1:3]), False
    for layer in head:
        kind = type(layer).__name__
        if kind == _AVERAGED:
            averaged, size = True, (1, 1)
        elif kind == "Dense":
            if averaged and not (_is_linear(layer) and layer is _weighted(head)[-1]):
                raise ValueError(
                    f"{model.name!r} cannot be made fully convolutional with equal scores: its "
                    f"layer {layer.name!r} comes after global pooling and is not the last one. "
                    "Give the classifier a new head instead."
                )
            x, size = _as_convolution(layer, size)(x), (1, 1)
        elif kind == "Conv2D":  # of 1x1, behind pooling that keeps its axes
            x = _copied(layer, (None, None, None, x.shape[-1]))(x)
        elif kind not in _ARRANGING:
            x = type(layer).from_config(layer.get_config())(x)
    scores = keras.layers.GlobalAveragePooling2D(name="class_scores")(x)
    return keras.Model(network.input, scores, name=model.name)


def with_head(
    model: keras.Model,
    num_classes: int,
    hidden: int = 0,
    evidence: bool = True,
    pooling: str = "average",
) -> keras.Model:
    """A fully convolutional network for other classes, on a classifier's features.

    The layer that gives the class scores is replaced by 1x1 convolutions. If they are linear up
    to the pooling, the derivative of an absent class is about as large as that of a present one,
    at the same places: only its sign differs. With ``evidence`` each class has a map

        E_c(i, j) = softplus(linear in the features at (i, j))
        S_c       = pool over (i, j) of (v_c E_c(i, j) + b_c),    v_c >= 0

    whose derivative vanishes where there is nothing of the class (BUILD_NOTES.md has figures).

    Args:
        model: the classifier whose features are taken, as of `convert`.
        num_classes: of the new class scores.
        hidden: channels of a hidden layer before them, with dropout; 0 for none.
        evidence: whether the classes have such maps, or are linear in the features.
        pooling: one of `POOLINGS`.

    Raises:
        ValueError: as of `convert`, or for an unknown pooling.

    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3),
    ...                           keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)])
    >>> with_head(model, 2, hidden=3).output_shape
    (None, 2)
    """
    if pooling not in POOLINGS:
        raise ValueError(f"There is no pooling {pooling!r}; choose one of {', '.join(POOLINGS)}.")
    network = convert(model)
    operation, x = _made_by(network.output, network)
    while type(operation).__name__ != "Conv2D":
        operation, x = _made_by(x, network)
    if hidden:
        x = keras.layers.Conv2D(hidden, 1, activation="relu", name="hidden")(x)
        x = keras.layers.Dropout(0.5, name="hidden_dropout")(x)
    if evidence:
        x = keras.layers.Conv2D(num_classes, 1, activation="softplus", name="evidence")(x)
        x = keras.layers.DepthwiseConv2D(
            1,
            depthwise_initializer="ones",
            depthwise_constraint=keras.constraints.NonNeg(),
            bias_initializer=keras.initializers.Constant(_ABSENT),
            name="score_maps",
        )(x)
    else:
        x = keras.layers.Conv2D(num_classes, 1, name="score_maps")(x)
    scores = POOLINGS[pooling](name="class_scores")(x)
    return keras.Model(network.input, scores, name=model.name)


def _parts(model: keras.Model) -> tuple[keras.KerasTensor, list[Any]]:
    """The last feature map before pooling or flattening, and the layers from there, in order."""
    if getattr(model, "outputs", None) is None:
        raise ValueError(
            f"{model.name!r} is a subclassed model without a graph; make a functional one of it."
        )
    head: list[Any] = []
    tensor = model.outputs[0]
    while True:
        operation, before = _made_by(tensor, model)
        head.insert(0, operation)
        kind, tensor = type(operation).__name__, before
        if kind == _AVERAGED or (kind == _FLATTENED and _is_spatial(before)):
            return tensor, head
        known = NEUTRAL | _ARRANGING | {"Dense", "Conv2D", "Activation", "ReLU"}
        if kind not in known or (kind == "Conv2D" and operation.kernel_size != (1, 1)):
            raise ValueError(
                f"{model.name!r} cannot be made fully convolutional: expected global average "
                f"pooling or Flatten before its last layers, found {operation.name!r} ({kind})."
            )


def _made_by(tensor: keras.KerasTensor, model: keras.Model) -> tuple[Any, keras.KerasTensor]:
    """The operation that a tensor comes from, and the one tensor that it takes."""
    # As in `class_scores`: Keras has no public way there.
    operation, index, _ = tensor._keras_history
    call = operation._inbound_nodes[index]
    if call.is_input or len(call.input_tensors) != 1 or isinstance(operation, keras.Model):
        raise ValueError(
            f"{model.name!r} cannot be made fully convolutional: there is no single chain of "
            f"layers from a feature map to the class scores (at {operation.name!r})."
        )
    return operation, call.input_tensors[0]


def _of_any_size(model: keras.Model, features: keras.KerasTensor) -> keras.Model:
    """A copy of the network up to these features, for images of any size."""
    network = keras.Model(model.inputs[0], features, name=model.name)
    try:
        copied = keras.models.clone_model(network, input_tensors=keras.Input((None, None, 3)))
    except Exception as error:  # whatever the layers raise
        raise ValueError(
            f"{model.name!r} cannot take images of any size: {reason(error)}"
        ) from error
    copied.set_weights(network.get_weights())
    return copied


def _as_convolution(dense: keras.layers.Dense, size: tuple[int, int]) -> keras.layers.Conv2D:
    """The convolution that does at each position what a fully connected layer does over all."""
    kernel, *bias = dense.get_weights()
    channels = kernel.shape[0] // (size[0] * size[1])
    convolution = keras.layers.Conv2D(
        dense.units,
        size,
        activation=dense.activation,
        use_bias=dense.use_bias,
        name=dense.name,
    )
    convolution.build((None, None, None, channels))
    convolution.set_weights([kernel.reshape(*size, channels, dense.units), *bias])
    return convolution


def _copied(layer: keras.Layer, input_shape: tuple) -> keras.Layer:
    copy = type(layer).from_config(layer.get_config())
    copy.build(input_shape)
    copy.set_weights(layer.get_weights())
    return copy


def _weighted(head: list[Any]) -> list[Any]:
    return [layer for layer in head if type(layer).__name__ in ("Dense", "Conv2D")]


def _is_linear(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", None) == "linear"


def _is_spatial(tensor: keras.KerasTensor) -> bool:
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1)
