"""Batch normalisation that is folded into convolutions, against what is not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps
from sensmap.maps import _folding

SHAPE = (9, 8, 3)


def learned(model):
    """The model with statistics and weights as if it had been trained."""
    random = np.random.default_rng(0)
    for variable in model.weights:
        low = 0.3 if "variance" in variable.path else -1.0
        variable.assign(random.uniform(low, 1.5, variable.shape))
    return model


def model_of(*middle):
    return learned(keras.Sequential([keras.Input(SHAPE), *middle, layers.Flatten()]))


def traced(model, kept=lambda tensor: False):
    """Output and derivative, and the types of the operations that they take."""

    @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE])], autograph=False)
    def both(inputs):
        with _folding.folded(model, kept):
            outputs = model(inputs, training=False)
        return outputs, tf.gradients(outputs, inputs, tf.sin(outputs))[0]

    images = np.random.default_rng(1).uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    types = [each.type for each in both.get_concrete_function().graph.get_operations()]
    return [each.numpy() for each in both(images)], types, images


def folded(types):
    # The convolution itself stays in the graph, and is not run if nothing takes its output.
    return len([each for each in types if each in ("Conv2D", "DepthwiseConv2dNative")]) > 1


def directly(model, images):
    inputs = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=False)
        value = tf.reduce_sum(-tf.cos(outputs))
    return [outputs.numpy(), tape.gradient(value, inputs).numpy()]


CONVOLUTIONS = {
    "plain": lambda: layers.Conv2D(5, 3, use_bias=False),
    "with a bias": lambda: layers.Conv2D(5, 3, strides=2, padding="same"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
    "depthwise with a bias": lambda: layers.DepthwiseConv2D(2, strides=2),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, True), (True, False)])
def test_it_changes_nothing(name, center, scale):
    norm = layers.BatchNormalization(center=center, scale=scale, epsilon=0.1)
    model = model_of(CONVOLUTIONS[name](), norm, layers.ReLU(6.0))
    found, types, images = traced(model)
    assert folded(types)
    for each, expected in zip(found, directly(model, images), strict=True):
        np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-5)
    # And nothing of it stays behind.
    assert "call" not in vars(norm)


def test_by_hand():
    norm = layers.BatchNormalization(epsilon=0.0)
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(2, 1), norm])
    kernel = [[[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]]]  # red and green
    of_channels = {"bias": [5.0, 0.0], "gamma": [3.0, 1.0], "beta": [7.0, -1.0]}
    statistics = {"mean": [1.0, 2.0], "variance": [4.0, 0.25]}
    values = [kernel, *of_channels.values(), *statistics.values()]
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
    (outputs, _), types, images = traced(model)
    red, green, _ = np.moveaxis(images, -1, 0)
    expected = np.stack([3 * (red + 5 - 1) / 2 + 7, (green - 2) / 0.5 - 1], axis=-1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)
    assert folded(types)


@pytest.mark.parametrize(
    "middle",
    [
        lambda: [layers.Conv2D(4, 3), layers.ReLU(), layers.BatchNormalization()],
        lambda: [layers.Conv2D(4, 2, dilation_rate=2), layers.BatchNormalization()],
        lambda: [layers.Conv2D(8, 2), layers.BatchNormalization(axis=1)],
        lambda: [layers.BatchNormalization()],
        lambda: [layers.Conv2D(4, 3), layers.BatchNormalization(dtype="mixed_bfloat16")],
    ],
    ids=["after a rectifier", "dilated", "of rows", "of the image", "of another precision"],
)
def test_what_cannot_be_folded_stays(middle):
    model = model_of(*middle())
    found, types, images = traced(model)
    assert not folded(types)
    for each, expected in zip(found, directly(model, images), strict=True):
        np.testing.assert_array_equal(each, expected)


def test_a_tensor_that_is_needed_itself_is_kept():
    convolution = layers.Conv2D(4, 3, use_bias=False)
    model = model_of(convolution, layers.BatchNormalization())
    _, types, _ = traced(model, kept=lambda tensor: tensor.shape[-1] == 4)
    assert not folded(types)


def test_a_place_before_what_is_added_keeps_its_derivative():
    inputs = keras.Input(SHAPE)
    middle = layers.Conv2D(4, 3, use_bias=False, name="place")(inputs)
    shifted = layers.BatchNormalization()(middle + np.arange(4, dtype=np.float32))
    outputs = layers.Dense(3)(layers.Flatten()(shifted))
    classifier = classifiers.load(learned(keras.Model(inputs, outputs)), preprocessing="none")
    images = np.zeros((1, *SHAPE), np.uint8)
    (found,) = maps.create("gradient", classifier, layers="place")(images, [1]).maps
    assert found.shape == (1, 7, 6)
    assert found.min() > 0


def test_numbers_of_rows_are_no_bias():
    inputs = keras.Input(SHAPE)
    middle = layers.Conv2D(7, 3, use_bias=False)(inputs)  # as many channels as rows
    rows = np.arange(7, dtype=np.float32).reshape(7, 1, 1)
    outputs = layers.BatchNormalization()(middle + rows)
    model = learned(keras.Model(inputs, layers.Flatten()(outputs)))
    found, _, images = traced(model)
    for each, expected in zip(found, directly(model, images), strict=True):
        np.testing.assert_allclose(each, expected, rtol=1e-5, atol=1e-5)


def test_the_branch_beside_it_keeps_the_convolution_s_own_output():
    inputs = keras.Input(SHAPE)
    middle = layers.Conv2D(4, 3, use_bias=False)(inputs)
    both = layers.Add()([layers.BatchNormalization()(middle), middle])
    model = learned(keras.Model(inputs, layers.Flatten()(both)))
    found, types, images = traced(model)
    assert folded(types)
    for each, expected in zip(found, directly(model, images), strict=True):
        np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-5)
