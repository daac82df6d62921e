"""The way back through a strided convolution, against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sensmap.maps import _strided


def derivative(rewritten, pixels, kernel, strides, padding, **options):
    """Of Σ w y with respect to pixels and kernel, and the types of the operations."""

    def traced(pixels, kernel):
        if rewritten:
            with _strided.rewritten():
                y = tf.nn.conv2d(pixels, kernel, strides, padding, **options)
        else:
            y = tf.nn.conv2d(pixels, kernel, strides, padding, **options)
        count = tf.cast(tf.size(y), tf.float32)
        return tf.gradients(y, [pixels, kernel], tf.reshape(tf.sin(tf.range(count)), tf.shape(y)))

    shapes = [tf.TensorSpec([None, *each.shape[1:]]) for each in (pixels, kernel)]
    shapes[1] = tf.TensorSpec(kernel.shape)
    function = tf.function(traced, input_signature=shapes, autograph=False)
    types = [each.type for each in function.get_concrete_function().graph.get_operations()]
    return [each.numpy() for each in function(pixels, kernel)], types


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


paddings = st.one_of(
    st.sampled_from(["SAME", "VALID"]), st.lists(st.integers(0, 3), min_size=4, max_size=4)
)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    taps=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    channels=st.integers(1, 4),
    stride=st.integers(2, 4),
    padding=paddings,
)
def test_it_is_the_derivative(size, taps, channels, stride, padding):
    if isinstance(padding, list):
        top, bottom, left, right = padding
        padding = [[0, 0], [top, bottom], [left, right], [0, 0]]
        around = (top + bottom, left + right)
    else:
        around = taps if padding == "SAME" else (0, 0)
    assume(all(a + b >= c for a, b, c in zip(size, around, taps, strict=True)))
    # TensorFlow's own derivative refuses padding that no tap reaches beyond.
    if isinstance(padding, list):
        assume(max(top, bottom) < taps[0] and max(left, right) < taps[1])
    given_to = (numbers(2, *size, channels), numbers(*taps, channels, 5), stride, padding)
    expected, _ = derivative(False, *given_to)
    found, types = derivative(True, *given_to)
    assert "GatherV2" in types
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(each, other, rtol=1e-4, atol=1e-4)


def test_by_hand():
    # y0 = 2 x0 + 3 x1, y1 = 2 x2 + 3 x3; x4 has no part in either.
    kernel = np.float32([[[[2.0]], [[3.0]]]])
    (of_pixels, _), _ = derivative(True, np.ones((1, 2, 5, 1), np.float32), kernel, 2, "VALID")
    weights = np.sin([0.0, 1.0])
    expected = [2 * weights[0], 3 * weights[0], 2 * weights[1], 3 * weights[1], 0]
    np.testing.assert_allclose(of_pixels[0, :, :, 0], [expected, [0] * 5], rtol=1e-6)


@pytest.mark.parametrize(
    ("channels", "in_kernel", "strides", "options"),
    [
        (5, 5, 2, {}),  # many channels
        (3, 3, 1, {}),  # no stride
        (3, 3, (2, 3), {}),  # two
        (4, 2, 2, {}),  # groups
        (3, 3, 1, {"dilations": 2}),
    ],
)
def test_other_convolutions_go_the_common_way(channels, in_kernel, strides, options):
    given_to = (numbers(2, 9, 8, channels), numbers(3, 2, in_kernel, 4), strides, "SAME")
    expected, _ = derivative(False, *given_to, **options)
    found, types = derivative(True, *given_to, **options)
    assert "GatherV2" not in types
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each, other)
