"""Layer sensitivity: the gradient's maps of inner layers, and of nothing else."""

import keras
import numpy as np
import pytest
from keras import layers

from sensmap import classifiers, maps

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(2)
    stack = [keras.Input((8, 8, 3))]
    for name in ("first", "second"):
        stack.append(layers.Conv2D(4, 3, 2, padding="same", activation="relu", name=name))
    stack += [layers.Flatten(), layers.Dense(3)]
    return classifiers.load(keras.Sequential(stack), "tf")


@pytest.mark.parametrize("chosen", ["auto", "second", ("second", "first")])
def test_it_is_the_gradient_of_these_layers(classifier, chosen):
    found = maps.create("layer_sensitivity", classifier, layers=chosen)
    expected = maps.create("gradient", classifier, layers=chosen)
    assert found.layers == expected.layers
    for left, right in zip(found(PIXELS).maps, expected(PIXELS).maps, strict=True):
        np.testing.assert_array_equal(left, right)


def test_by_default_there_is_one_layer_a_resolution(classifier):
    assert maps.create("layer_sensitivity", classifier).layers == ("first", "second")


@pytest.mark.parametrize("chosen", ["pixels", ("first", "pixels")])
def test_the_pixels_are_no_inner_layer(classifier, chosen):
    with pytest.raises(ValueError, match="inner layers; for 'pixels' use 'gradient'"):
        maps.create("layer_sensitivity", classifier, layers=chosen)
