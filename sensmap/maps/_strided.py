"""The derivative with respect to the input of a strided convolution that sees few channels.

Most classifiers begin with such a convolution, of the image's 3 channels, and the common way back
through it takes five times as long on a CPU as the way forth. With stride s, kernel K of k taps a
side and padding p,

    dS/dx[s q + r - p] = Σ_t K[r + s t]ᵀ dS/dy[q - t],    0 <= r < s,  0 <= t < k / s

so for each of the s² remainders r the derivative is a convolution of stride 1. All of them are made
as the channels of one, and put beside each other (sub-pixel convolution, Shi et al. 2016).
"""

from __future__ import annotations

import contextlib

import numpy as np
import tensorflow as tf

# More, and the common way is the faster one.
_FEW_CHANNELS = 4
_NAME = "sensmap>strided"


@tf.RegisterGradient(_NAME)
def _convolution(operation: tf.Operation, arriving: tf.Tensor) -> list:
    pixels, kernel = operation.inputs
    shapes = pixels.shape[1:], kernel.shape, arriving.shape[1:3]
    strides = operation.get_attr("strides")
    few = (
        operation.get_attr("data_format") == b"NHWC"
        and operation.get_attr("dilations") == [1, 1, 1, 1]
        and strides[1] == strides[2] > 1
        and all(shape.is_fully_defined() for shape in shapes)
        and pixels.shape[3] == kernel.shape[2] <= _FEW_CHANNELS
    )
    options = {
        name: operation.get_attr(name)
        for name in ("strides", "dilations", "explicit_paddings", "use_cudnn_on_gpu")
    }
    options |= {name: operation.get_attr(name).decode() for name in ("padding", "data_format")}
    # Not computed where, as in almost any network, the kernel does not depend on the image.
    of_kernel = tf.raw_ops.Conv2DBackpropFilter(
        input=pixels, filter_sizes=tf.shape(kernel), out_backprop=arriving, **options
    )
    of_pixels = (
        _by_remainders(arriving, pixels.shape, kernel, _before(operation), strides[1])
        if few
        else tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(pixels), filter=kernel, out_backprop=arriving, **options
        )
    )
    return [of_pixels, of_kernel]


def rewritten() -> contextlib.AbstractContextManager:
    """While the context lasts, convolutions that are traced have this derivative.

    What is traced here must be differentiated by `tf.gradients`, for tapes do not know of it.
    """
    return tf.compat.v1.get_default_graph().gradient_override_map({"Conv2D": _NAME})


def _before(operation: tf.Operation) -> tuple[int, int]:
    """Rows and columns of padding above and left of a convolution's input."""
    padding = operation.get_attr("padding")
    if padding == b"VALID":
        return 0, 0
    if padding == b"EXPLICIT":
        explicit = operation.get_attr("explicit_paddings")
        return explicit[2], explicit[4]
    sides = zip(
        operation.inputs[0].shape[1:3],
        operation.inputs[1].shape[:2],
        operation.outputs[0].shape[1:3],
        operation.get_attr("strides")[1:3],
        strict=True,
    )
    top, left = (max((out - 1) * s + taps - side, 0) // 2 for side, taps, out, s in sides)
    return top, left


def _by_remainders(
    arriving: tf.Tensor,
    shape: tf.TensorShape,
    kernel: tf.Tensor,
    before: tuple[int, int],
    stride: int,
) -> tf.Tensor:
    rows, columns, channels, filters = kernel.shape
    taps = [-(-side // stride) for side in (rows, columns)]
    filled = tf.pad(
        kernel, [[0, taps[0] * stride - rows], [0, taps[1] * stride - columns], [0, 0], [0, 0]]
    )
    # (t, t', filters, r, r', channels), and t from the last to the first, as convolutions go. By
    # places, for to transpose so many axes takes longer than so few numbers deserve.
    sizes = [taps[0], stride, taps[1], stride, channels, filters]
    places = np.arange(np.prod(sizes)).reshape(sizes)[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4)
    remainders = places.reshape(*taps, filters, stride * stride * channels)
    of_remainders = tf.gather(tf.reshape(filled, [-1]), remainders)
    # So many q are needed, and the derivative has so many; outside it is zero.
    needed = [-(-(pad + side) // stride) for pad, side in zip(before, shape[1:3], strict=True)]
    after = [max(0, q - side) for q, side in zip(needed, arriving.shape[1:3], strict=True)]
    around = [[0, 0], [taps[0] - 1, after[0]], [taps[1] - 1, after[1]], [0, 0]]
    found = tf.nn.conv2d(arriving, of_remainders, 1, around)[:, : needed[0], : needed[1]]
    # (N, q, r, q', r' and channels): a third of depth_to_space's time.
    split = tf.reshape(found, [-1, needed[0], needed[1], stride, stride * channels])
    beside = tf.reshape(
        tf.transpose(split, [0, 1, 3, 2, 4]), [-1, needed[0] * stride, needed[1] * stride, channels]
    )
    (top, left), (height, width) = before, shape[1:3]
    return beside[:, top : top + height, left : left + width]
