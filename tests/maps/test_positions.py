"""Positions of cells by hand, and by where a layer's cell looks in the image."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap.maps import _positions


def chain(*stack, size=33):
    return keras.Sequential([keras.Input((size, size, 3)), *stack])


def seen_from(model, name, size):
    """Centre and distance of two cells' windows, by the derivative of a network of ones."""
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            layer.set_weights([np.ones_like(each) for each in layer.get_weights()])
    part = keras.Model(model.inputs, model.get_layer(name).output)
    image = tf.Variable(np.random.default_rng(0).uniform(1, 2, (1, size, size, 3)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        output = part(image)
        middle = output.shape[1] // 2
        cells = [tf.reduce_sum(output[0, middle + i, middle]) for i in (0, 1)]
    centres = []
    for cell in cells:
        share = np.abs(tape.gradient(cell, image).numpy()).sum(axis=(0, 2, 3))
        centres.append((share * (np.arange(size) + 0.5)).sum() / share.sum())
    return middle, centres[0], centres[1] - centres[0]


STACKS = {
    "valid": [layers.Conv2D(2, 3, 2, name="end")],
    "same": [layers.Conv2D(2, 3, padding="same"), layers.Conv2D(2, 5, 2, "same", name="end")],
    "pooled": [layers.Conv2D(2, 3), layers.AveragePooling2D(3, 2, name="end")],
    "padded": [layers.ZeroPadding2D(((1, 0), (1, 0))), layers.Conv2D(2, 4, 2, name="end")],
    "dilated": [layers.Conv2D(2, 3, dilation_rate=3, name="end")],
    "depthwise": [layers.Conv2D(2, 3, 2), layers.Conv2D(2, 3, 2), layers.ReLU(name="end")],
}


@pytest.mark.parametrize("kind", STACKS)
def test_cells_are_where_their_windows_are(kind):
    configs = [keras.saving.serialize_keras_object(layer) for layer in STACKS[kind]]
    model = chain(*map(keras.saving.deserialize_keras_object, configs))
    [(rows, columns)] = _positions.of_layers(model, ["end"], (33, 33))
    middle, centre, stride = seen_from(model, "end", 33)
    assert rows == columns
    assert rows.stride == pytest.approx(stride, rel=1e-4)
    assert rows.offset + rows.stride * middle == pytest.approx(centre, rel=1e-4)


def test_branches_and_upsampling():
    image = keras.Input((16, 12, 3))
    x = layers.MaxPooling2D(2)(image)
    x = layers.Concatenate(name="both")([x, layers.Conv2D(3, 1)(x)])
    model = keras.Model(image, layers.UpSampling2D(2, name="up")(x))
    both, up = _positions.of_layers(model, ["both", "up"], (16, 12))
    assert both == (_positions.Axis(8, 1.0, 2.0), _positions.Axis(6, 1.0, 2.0))
    assert up == (_positions.Axis(16, 0.5, 1.0), _positions.Axis(12, 0.5, 1.0))


def test_the_pixels_are_where_they_are():
    [(rows, _)] = _positions.of_layers(chain(layers.Conv2D(2, 3)), ["pixels"], (33, 33))
    assert rows == (33, 0.5, 1.0)
    np.testing.assert_array_equal(_positions.resampling(rows, 33), np.eye(33))


def test_evenly_covering_cells_are_resized_as_usual():
    maps = np.random.default_rng(0).uniform(size=(1, 6, 6, 1)).astype(np.float32)
    matrix = _positions.resampling(_positions.Axis(6, 2.5, 5.0), 30)
    expected = tf.image.resize(maps, (30, 30)).numpy()[0, ..., 0]
    np.testing.assert_allclose(matrix @ maps[0, ..., 0] @ matrix.T, expected, atol=1e-5)


def test_the_sixteenth_of_squeezenet(squeezenet):
    [(rows, _)] = _positions.of_layers(squeezenet.model, ["concatenate_5"], (224, 224))
    assert (rows.cells, rows.stride) == (13, 16.0)
    assert rows.offset == 15.5  # 7.5 more than half a stride
