"""Batch normalisation as a part of the convolution before it.

Of a trained network, with m and v the means and variances that it has learned,

    gamma (K * x + c - m) / sqrt(v + eps) + beta = (s K) * x + s (c - m) + beta,
    s = gamma / sqrt(v + eps)

channel by channel: to scale the kernel K is to leave two passes over the activations out on the way
forth, and one on the way back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from sensmap.maps import _layers

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
_OPTIONS = ("strides", "padding", "explicit_paddings", "data_format", "dilations")


@contextlib.contextmanager
def folded(model: keras.Model, kept: Callable[[tf.Tensor], bool]) -> Iterator[None]:
    """While the context lasts, batch normalisation that is traced is folded where it can be.

    Args:
        model: whose layers are called.
        kept: whether a tensor is needed itself, so that what follows must be made from it.
    """

    def folding(layer: keras.layers.BatchNormalization) -> Callable:
        call = layer.call

        def call_folded(inputs, *args, **kwargs):
            learning = args or kwargs.get("training")
            single = inputs.dtype == tf.float32 and layer.compute_dtype == "float32"
            parts = _parts(inputs, kept) if single and not learning else None
            return _normalised(*parts, layer) if parts else call(inputs, *args, **kwargs)

        return call_folded

    layers = [
        layer
        for layer in _layers.named_layers(model).values()
        # What inherits from it may do anything.
        if type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, 3)
    ]
    with _layers.calling({layer: folding(layer) for layer in layers}):
        yield


def _parts(
    tensor: tf.Tensor, kept: Callable[[tf.Tensor], bool]
) -> tuple[tf.Operation, tf.Tensor | None] | None:
    """The convolution and the bias that made a tensor, if nothing else did."""
    made = tensor
    bias = None
    # Keras adds other numbers by this operation, too, of rows for example.
    if tensor.op.type == "BiasAdd" and tensor.op.get_attr("data_format") == b"NHWC":
        made, bias = tensor.op.inputs
    if made.op.type not in _CONVOLUTIONS or made.op.get_attr("data_format") != b"NHWC":
        return None
    return None if kept(tensor) or kept(made) else (made.op, bias)


def _normalised(
    operation: tf.Operation, bias: tf.Tensor | None, layer: keras.layers.BatchNormalization
) -> tf.Tensor:
    pixels, kernel = operation.inputs
    scale = tf.math.rsqrt(layer.moving_variance + layer.epsilon)
    if layer.scale:
        scale *= layer.gamma
    offset = -tf.convert_to_tensor(layer.moving_mean)
    if bias is not None:
        offset += bias
    offset *= scale
    if layer.center:
        offset += layer.beta
    depthwise = operation.type == "DepthwiseConv2dNative"
    scaled = kernel * (tf.reshape(scale, kernel.shape[2:]) if depthwise else scale)
    options = {name: operation.get_attr(name) for name in _OPTIONS}
    options |= {name: options[name].decode() for name in ("padding", "data_format")}
    convolve = tf.raw_ops.DepthwiseConv2dNative if depthwise else tf.raw_ops.Conv2D
    return tf.nn.bias_add(convolve(input=pixels, filter=scaled, **options), offset)
