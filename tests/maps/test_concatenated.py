"""The way back through concatenations, against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from sensmap.maps import _concatenated


def derivatives(rewritten, function, *parts):
    """Of a function's output with respect to the parts, and the types of the operations."""

    def traced(*parts):
        if rewritten:
            with _concatenated.rewritten():
                outputs = function(*parts)
        else:
            outputs = function(*parts)
        return tf.gradients(outputs, parts, tf.sin(outputs))

    signature = [tf.TensorSpec([None, *part.shape[1:]]) for part in parts]
    compiled = tf.function(traced, input_signature=signature, autograph=False)
    types = [each.type for each in compiled.get_concrete_function().graph.get_operations()]
    return [each.numpy() for each in compiled(*parts)], types


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


PARTS = [numbers(2, 6, 5, channels, seed=channels) for channels in (3, 1, 4)]


def two(*parts):
    together = tf.concat(parts, axis=3)
    return convolution((1, 1))(together) + convolution((3, 3))(together)


def convolution(taps, inputs=8, **options):
    kernel = numbers(*taps, inputs, 4)
    options = {"strides": 1, "padding": "SAME", **options}

    def function(*parts):
        seen = parts[0] if len(parts) == 1 else tf.concat(parts, axis=3)
        return tf.nn.conv2d(seen, kernel, **options)

    return function


SEEN_BY_ONE_CONVOLUTION = {
    "1x1": convolution((1, 1)),
    "strided": convolution((3, 2), strides=2),
    "explicit": convolution((3, 3), padding=[[0, 0], [1, 0], [2, 1], [0, 0]]),
    "last axis": lambda *parts: tf.nn.conv2d(
        tf.concat(parts, axis=-1), numbers(1, 1, 8, 4), 1, "VALID"
    ),
}
# How many convolutions see it, or a part of it.
OTHERS = {
    "two see it": (2, two),
    "pooled": (0, lambda *parts: tf.nn.max_pool2d(tf.concat(parts, axis=3), 2, 2, "SAME")),
    "groups": (1, convolution((1, 1), inputs=4)),
    "columns": (
        1,
        lambda *parts: tf.nn.conv2d(
            tf.concat([part[..., :1] for part in parts], axis=2), numbers(1, 1, 1, 4), 1, "SAME"
        ),
    ),
    "flat": (
        0,
        lambda *parts: tf.concat([tf.reshape(part, [2, -1]) for part in parts], axis=1) ** 2,
    ),
}


def check(function, *parts):
    """The types of the operations, if the derivatives are TensorFlow's."""
    expected, _ = derivatives(False, function, *parts)
    found, types = derivatives(True, function, *parts)
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(each, other, rtol=1e-5, atol=1e-5)
    return types


@pytest.mark.parametrize("name", SEEN_BY_ONE_CONVOLUTION)
def test_nothing_is_cut_up_where_one_convolution_sees_it_all(name):
    types = check(SEEN_BY_ONE_CONVOLUTION[name], *PARTS)
    # The whole one is in the graph, and is not run, for nothing takes it.
    assert types.count("Conv2DBackpropInput") == 1 + len(PARTS)
    assert "Slice" not in types


@pytest.mark.parametrize("name", OTHERS)
def test_other_concatenations_are_cut_up(name):
    convolutions, function = OTHERS[name]
    types = check(function, *PARTS)
    assert types.count("Conv2DBackpropInput") == convolutions
    assert types.count("Slice") == len(PARTS)
