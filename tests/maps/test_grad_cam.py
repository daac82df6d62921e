"""Grad-CAM and Grad-CAM++: their equations, written out in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps

SIDE = 8
PIXELS = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.float32)
CLASS_IDS = np.array([0, 1, 2, 1])
TF = classifiers.Preprocessing.of("tf")


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(6, 3, 2, padding="same", activation="relu", name="first"),
            layers.Conv2D(5, 3, padding="same", activation="relu", name="second"),
            layers.Flatten(name="flat"),
            layers.Dense(8, activation="tanh", name="hidden"),
            layers.Dense(3, name="scores"),
        ]
    )


def derivative_and_output(network, layer):
    """g = dS_c/dA and A of a layer, both ``(N, h, w, channels)``, from models cut at the layer."""
    middle = network.get_layer(layer).output
    below = keras.Model(network.inputs[0], middle)(TF(PIXELS))
    with tf.GradientTape() as tape:
        tape.watch(below)
        scores = keras.Model(middle, network.outputs[0])(below)
        chosen = tf.gather(scores, CLASS_IDS, batch_dims=1)
    return tape.gradient(chosen, below).numpy().astype(np.float64), below.numpy()


def grad_cam(g, activation):
    weights = g.mean(axis=(1, 2))
    return np.maximum(0, np.einsum("nk,nijk->nij", weights, activation))


def grad_cam_plus_plus(g, activation):
    """The equation as printed, with exp(S) = 1."""
    denominator = 2 * g**2 + g**3 * activation.sum(axis=(1, 2), keepdims=True)
    alpha = np.divide(g**2, denominator, out=np.zeros_like(g), where=denominator != 0)
    weights = (alpha * np.maximum(0, g)).sum(axis=(1, 2))
    return np.maximum(0, np.einsum("nk,nijk->nij", weights, activation))


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize(
    ("name", "equation"),
    [("grad_cam", grad_cam), ("grad_cam_plus_plus", grad_cam_plus_plus)],
    ids=["grad_cam", "grad_cam_plus_plus"],
)
def test_the_equation(network, name, equation, layer):
    method = maps.create(name, classifiers.load(network, "tf"), layers=layer)
    found = method(PIXELS, CLASS_IDS).maps[0]
    expected = equation(*derivative_and_output(network, layer))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())
    assert expected.max() > 0
    if name == "grad_cam":
        assert (expected == 0).any()


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_plus_plus"])
def test_the_last_feature_map_is_the_default(network, name):
    classifier = classifiers.load(network, "tf")
    assert maps.create(name, classifier).layers == ("second",)
    assert maps.create(name, classifier, layers=["first", "last"]).layers == ("first", "second")


def test_small_derivatives_do_not_vanish(network):
    # g^3 of 10^-15 would be 10^-45, below float32: the map must only get smaller.
    small = keras.models.clone_model(network)
    small.set_weights(network.get_weights())
    kernel = small.get_layer("scores").kernel
    large = maps.create("grad_cam_plus_plus", classifiers.load(network, "tf"))
    g, activation = derivative_and_output(network, "second")
    kernel.assign(kernel * 1e-15)
    found = maps.create("grad_cam_plus_plus", classifiers.load(small, "tf"))(PIXELS, CLASS_IDS)
    expected = grad_cam_plus_plus(g * 1e-15, activation)
    np.testing.assert_allclose(found.maps[0], expected, rtol=1e-3, atol=1e-5 * expected.max())
    assert large(PIXELS, CLASS_IDS).maps[0].max() > 1e10 * found.maps[0].max() > 0
