"""Scores before softmax: every usual ending, to the last bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap.classifiers.class_scores import before_softmax

IMAGES = np.random.default_rng(0).normal(size=(3, 6, 6, 3)).astype(np.float32)


def body(dtype=None):
    """An image input and features of it, ``(N, 8)``."""
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="conv", dtype=dtype)(image)
    return image, layers.GlobalAveragePooling2D(dtype=dtype)(x)


# Each takes the scores, a symbolic tensor, and puts an end to a model.
ENDINGS = {
    "Softmax layer": layers.Softmax(),
    "Softmax layer, axis by number": layers.Softmax(axis=1),
    "Activation layer": layers.Activation("softmax"),
    "operation": keras.ops.softmax,
    "activation function": keras.activations.softmax,
    "then dropout": lambda x: layers.Dropout(0.5)(layers.Softmax()(x)),
    "then identity": lambda x: layers.Identity()(layers.Softmax()(x)),
    "then linear activation": lambda x: layers.Activation("linear")(layers.Softmax()(x)),
    "then cast": lambda x: keras.ops.cast(keras.ops.softmax(x), "float16"),
    "then cast by a layer": lambda x: layers.Activation("linear", dtype="float16")(
        layers.Softmax()(x)
    ),
    "then flatten": lambda x: layers.Flatten()(layers.Softmax()(x)),
    "then reshape": lambda x: layers.Reshape((5,))(layers.Softmax()(x)),
    "then reshape operation": lambda x: keras.ops.reshape(layers.Softmax()(x), (-1, 5)),
    "reshaped before and after": lambda x: layers.Flatten()(
        layers.Softmax()(layers.Reshape((1, 1, 5))(x))
    ),
    "squeezed after": lambda x: keras.ops.squeeze(
        layers.Softmax()(layers.Reshape((1, 5))(x)), axis=1
    ),
    "in a nested model": keras.Sequential([keras.Input((5,)), layers.Softmax()]),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_softmax_after_the_scores(ending):
    image, features = body()
    scores = layers.Dense(5)(features)
    model = keras.Model(image, ending(scores))
    stripped, removed = before_softmax(model)
    assert removed == "softmax"
    np.testing.assert_array_equal(stripped(IMAGES), keras.Model(image, scores)(IMAGES))


def with_sigmoid_layer(x):
    return layers.Activation("sigmoid")(x)


@pytest.mark.parametrize("ending", [with_sigmoid_layer, keras.ops.sigmoid])
def test_sigmoid_after_the_scores(ending):
    image, features = body()
    scores = layers.Dense(5)(features)
    stripped, removed = before_softmax(keras.Model(image, ending(scores)))
    assert removed == "sigmoid"
    np.testing.assert_array_equal(stripped(IMAGES), keras.Model(image, scores)(IMAGES))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", tf.nn.softmax])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_with_activation(activation, bias):
    image, features = body()
    dense = layers.Dense(5, activation=activation, use_bias=bias, bias_initializer="normal")
    model = keras.Model(image, dense(features))
    stripped, removed = before_softmax(model)
    assert removed == ("sigmoid" if activation == "sigmoid" else "softmax")
    linear = layers.Dense(5, use_bias=bias)
    expected = keras.Model(image, linear(features))
    linear.set_weights(dense.get_weights())
    np.testing.assert_array_equal(stripped(IMAGES), expected(IMAGES))
    function = tf.nn.sigmoid if activation == "sigmoid" else tf.nn.softmax
    np.testing.assert_allclose(function(stripped(IMAGES)), model(IMAGES), rtol=1e-6)


def test_convolution_with_activation():
    image, features = body()
    x = layers.Reshape((1, 1, 8))(features)
    convolution = layers.Conv2D(5, 1, activation="softmax")
    model = keras.Model(image, layers.Flatten()(convolution(x)))
    stripped, removed = before_softmax(model)
    assert removed == "softmax"
    kernel, bias = convolution.get_weights()
    expected = keras.Model(image, features)(IMAGES).numpy() @ kernel[0, 0] + bias
    np.testing.assert_allclose(stripped(IMAGES), expected, rtol=1e-5, atol=1e-6)


def test_sequential():
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Flatten(), layers.Dense(5, activation="softmax")]
    )
    stripped, removed = before_softmax(model)
    assert removed == "softmax"
    kernel, bias = model.layers[-1].get_weights()
    expected = keras.ops.matmul(IMAGES.reshape(3, -1), kernel) + bias
    np.testing.assert_array_equal(stripped(IMAGES), expected)


def functional_head(outer):
    inner = keras.Input((8,))
    head = keras.Model(inner, layers.Dense(5, activation="softmax", name="dense")(inner))
    return head(outer), head.get_layer("dense")


def sequential_head(outer):
    dense = layers.Dense(5, activation="softmax")
    return keras.Sequential([keras.Input((8,)), layers.Dropout(0.5), dense])(outer), dense


def head_in_head(outer):
    inner = keras.Input((8,))
    outputs, dense = sequential_head(inner)
    return keras.Model(inner, layers.Identity()(outputs))(outer, training=False), dense


def in_a_sequential(outer):
    inner = keras.Input((8,))
    outputs, dense = functional_head(inner)
    head = keras.Model(inner, outputs)
    return keras.Sequential([keras.Input((8,)), head, layers.Flatten()])(outer), dense


@pytest.mark.parametrize("head", [functional_head, sequential_head, head_in_head, in_a_sequential])
def test_nested_models(head):
    image, features = body()
    outputs, dense = head(features)
    model = keras.Model(image, outputs)
    stripped, removed = before_softmax(model)
    assert removed == "softmax"
    linear = layers.Dense(5)
    expected = keras.Model(image, linear(features))
    linear.set_weights(dense.get_weights())
    np.testing.assert_array_equal(stripped(IMAGES), expected(IMAGES))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("last", ["float32", None])
def test_mixed_precision(dtype, last):
    image, features = body(dtype)
    dense = layers.Dense(5, dtype=dtype)
    scores = dense(features)
    model = keras.Model(image, layers.Activation("softmax", dtype=last or dtype)(scores))
    stripped, removed = before_softmax(model)
    assert removed == "softmax"
    np.testing.assert_array_equal(
        tf.cast(stripped(IMAGES), tf.float32),
        tf.cast(keras.Model(image, scores)(IMAGES), tf.float32),
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_reloaded_model(tmp_path, suffix):
    image, features = body()
    model = keras.Model(image, head_in_head(features)[0])
    model.save(tmp_path / f"model{suffix}")
    loaded = keras.models.load_model(tmp_path / f"model{suffix}", compile=False)
    again, removed = before_softmax(loaded)
    assert removed == "softmax"
    np.testing.assert_array_equal(again(IMAGES), before_softmax(model)[0](IMAGES))


def test_everything_before_the_end_is_the_same():
    image, features = body()
    model = keras.Model(image, layers.Dense(5, activation="softmax")(features))
    stripped, _ = before_softmax(model)
    assert stripped.get_layer("conv") is model.get_layer("conv")
    assert stripped.input is model.input
    # Inner layers can still be asked for: their only outputs are those of this graph.
    inner = keras.Model(stripped.input, [stripped.get_layer("conv").output, stripped.output])
    assert inner(IMAGES)[0].shape == (3, 4, 4, 8)
    assert len(stripped.weights) == len(model.weights)


def test_the_given_model_is_left_alone():
    image, features = body()
    model = keras.Model(image, layers.Dense(5, activation="softmax")(features))
    before = model(IMAGES).numpy()
    before_softmax(model)
    np.testing.assert_array_equal(model(IMAGES), before)
    assert model.layers[-1].activation is keras.activations.softmax


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(5, activation="softmax")

    def call(self, images):
        return self.dense(keras.ops.reshape(images, (-1, 108)))


def no_softmax():
    image, features = body()
    return keras.Model(image, layers.Dense(5)(features))


def relu_at_the_end():
    image, features = body()
    return keras.Model(image, layers.Dense(5, activation="relu")(features))


def softmax_then_pooling():
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(5, 3, activation="softmax")(image)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def softmax_over_positions():
    image = keras.Input((6, 6, 3))
    return keras.Model(image, layers.Softmax(axis=1)(image))


def softmax_then_dense():
    image, features = body()
    return keras.Model(image, layers.Dense(5)(layers.Softmax()(features)))


def mean_of_two_softmaxes():
    image, features = body()
    two = [layers.Dense(5, activation="softmax")(features) for _ in range(2)]
    return keras.Model(image, layers.Average()(two))


@pytest.mark.parametrize(
    "make",
    [
        no_softmax,
        relu_at_the_end,
        softmax_then_pooling,
        softmax_over_positions,
        softmax_then_dense,
        mean_of_two_softmaxes,
        Subclassed,
    ],
)
def test_nothing_to_remove(make):
    model = make()
    stripped, removed = before_softmax(model)
    assert stripped is model
    assert removed is None
