"""Where the cells of a feature map lie in the image.

The cell i of a layer sees a window of the image whose centre is, in pixels,

    x(i) = offset + stride * i

The usual resizing of maps takes offset = stride / 2, which is right for "same" padding. Each
convolution or pooling without padding moves the cells, in SqueezeNet by 7 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from sensmap.maps import _layers

_WINDOWS = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"}


class Axis(NamedTuple):
    """Of a feature map's rows or columns, in pixels of the image."""

    cells: int
    offset: float
    stride: float


# Of rows and of columns.
Positions = tuple[Axis, Axis]


def of_layers(
    model: keras.Model, layers: Sequence[str], input_size: tuple[int, int]
) -> list[Positions]:
    """The positions of each layer's cells, for images of that size.

    The forward pass is only traced. Of an operation that changes the size in a way not known here
    (upsampling) it is taken that it covers evenly what it got.

    >>> model = keras.Sequential([keras.Input((11, 11, 3)),
    ...     keras.layers.Conv2D(4, 3, 2, padding="same", name="same"),
    ...     keras.layers.MaxPooling2D(3, 1, padding="valid", name="valid")])
    >>> of_layers(model, ["same", "valid"], (11, 11))[1][0]
    Axis(cells=4, offset=2.5, stride=2.0)
    """
    found = {name: _layers.find(model, name) for name in layers if name != _layers.PIXELS}
    names = {id(layer): name for name, layer in found.items()}
    outputs: dict[str, tf.Tensor] = {}

    def heard(layer: keras.Layer, _: tuple, output: Any) -> None:
        outputs[names[id(layer)]] = output

    @tf.function(input_signature=[tf.TensorSpec([1, *input_size, 3])], autograph=False)
    def forward(inputs):
        with _layers.listening(list(found.values()), heard):
            return model(inputs, training=False)

    graph = forward.get_concrete_function().graph
    outputs[_layers.PIXELS] = graph.inputs[0]
    known: dict[str, Positions] = {
        graph.inputs[0].name: (Axis(input_size[0], 0.5, 1.0), Axis(input_size[1], 0.5, 1.0))
    }
    for operation in graph.get_operations():  # each after those that it takes from
        before = next((known[each.name] for each in operation.inputs if each.name in known), None)
        for made in operation.outputs:
            if before is None:
                continue
            known[made.name] = before  # of other shapes, which upsampling has on its way
            if made.shape.rank == 4:
                rows, columns = (
                    _moved(operation, before[axis - 1], made.shape[axis], axis) for axis in (1, 2)
                )
                known[made.name] = rows, columns
    return [known[outputs[name].name] for name in layers]


def resampling(axis: Axis, length: int) -> np.ndarray:
    """The ``(length, cells)`` float32 matrix that takes cells to pixels, linearly between their
    centres and constant beyond the outermost.

    >>> resampling(Axis(2, 1.5, 2.0), 5).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]
    """
    cells = (np.arange(length) + 0.5 - axis.offset) / axis.stride
    cells = np.clip(cells, 0, axis.cells - 1)
    return np.maximum(0, 1 - np.abs(cells[:, None] - np.arange(axis.cells))).astype(np.float32)


def _moved(operation: tf.Operation, before: Axis, cells: int, axis: int) -> Axis:
    """An operation's output along an axis of ``(N, h, w, channels)``."""
    cells_before, offset, stride = before
    if operation.type in _WINDOWS:
        step = operation.get_attr("strides")[axis]
        if operation.type in ("MaxPool", "AvgPool"):
            window = operation.get_attr("ksize")[axis]
        else:
            dilation = operation.get_attr("dilations")[axis]
            window = (operation.inputs[1].shape[axis - 1] - 1) * dilation + 1
        missing = (cells - 1) * step + window - cells_before
        padding = max(missing, 0) // 2 if operation.get_attr("padding") == b"SAME" else 0
        return Axis(cells, offset + stride * ((window - 1) / 2 - padding), stride * step)
    if operation.type in ("Pad", "PadV2"):
        added = tf.get_static_value(operation.inputs[1])[axis][0]
        return Axis(cells, offset - stride * float(added), stride)
    wider = stride * cells_before / cells
    return Axis(cells, offset + (wider - stride) / 2, wider)
