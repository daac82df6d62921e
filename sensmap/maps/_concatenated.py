"""The derivative with respect to the parts of what a convolution sees put together.

With x the parts a, b, ... behind each other in the channels, K_a, K_b, ... the kernel's numbers for
each, and y = K * x,

    dS/da = K_aᵀ dS/dy,    dS/db = K_bᵀ dS/dy

so that, where nothing else sees x, its own derivative need not be made to be cut up again, which is
bound by memory and takes as long as a convolution (SqueezeNet's fire modules).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import tensorflow as tf

_NAME = "sensmap>concatenated"
_OPTIONS = ("strides", "dilations", "explicit_paddings", "use_cudnn_on_gpu")


@tf.RegisterGradient(_NAME)
def _concatenation(operation: tf.Operation, arriving: tf.Tensor) -> list:
    *parts, axis = operation.inputs
    channels = [part.shape[-1] for part in parts]
    made = arriving.op
    if (
        made.type == "Conv2DBackpropInput"
        and made.get_attr("data_format") == b"NHWC"
        and tf.get_static_value(axis) in (-1, 3)
        and None not in channels
        and made.inputs[1].shape[2] == sum(channels)  # or else it has groups
    ):
        return [*_by_kernels(made, parts, channels), None]
    return [*_slices(arriving, parts, axis), None]


def rewritten() -> contextlib.AbstractContextManager:
    """While the context lasts, concatenations that are traced have this derivative.

    What is traced here must be differentiated by `tf.gradients`, for tapes do not know of it.
    """
    return tf.compat.v1.get_default_graph().gradient_override_map({"ConcatV2": _NAME})


def _by_kernels(
    made: tf.Operation, parts: Sequence[tf.Tensor], channels: Sequence[int]
) -> list[tf.Tensor]:
    _, kernel, above = made.inputs
    options = {name: made.get_attr(name) for name in _OPTIONS}
    options |= {name: made.get_attr(name).decode() for name in ("padding", "data_format")}
    return [
        tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(part), filter=own, out_backprop=above, **options
        )
        for part, own in zip(parts, tf.split(kernel, channels, axis=2), strict=True)
    ]


def _slices(derivative: tf.Tensor, parts: Sequence[tf.Tensor], axis: tf.Tensor) -> list[tf.Tensor]:
    rank = tf.rank(derivative)
    start, along = tf.zeros([rank], tf.int32), tf.one_hot(axis % rank, rank, dtype=tf.int32)
    found = []
    for part in parts:
        found.append(tf.slice(derivative, start, tf.shape(part)))
        start += along * tf.shape(part)
    return found
