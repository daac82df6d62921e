"""Derivative times input against closed forms."""

import keras
import numpy as np
from keras import layers

from sensmap import classifiers, maps

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 4, 4, 3)).astype(np.float32)
TF = classifiers.Preprocessing.of("tf")


def test_of_a_linear_model_it_adds_up_to_the_score():
    # S = sum w x, so the map is |sum over channels of w x|, and S is what it adds up to where all
    # its parts are positive.
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Dense(2, use_bias=False)(layers.Flatten()(image)))
    weights = RNG.normal(size=(4, 4, 3, 2)).astype(np.float32)
    model.layers[-1].kernel.assign(weights.reshape(-1, 2))
    method = maps.create("gradient_x_input", classifiers.load(model, "tf"))
    found = method(PIXELS, [0, 1, 0])
    for each, pixels, class_id in zip(found.maps[0], PIXELS, [0, 1, 0], strict=True):
        expected = np.abs((weights[..., class_id] * TF(pixels)).sum(axis=-1))
        np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-6)
    signed = weights[..., 0] * np.sign(TF(PIXELS[0]))  # of a model whose every part is positive
    model.layers[-1].kernel.assign(
        np.stack([np.abs(weights[..., 0]) * np.sign(TF(PIXELS[0])), signed], axis=-1).reshape(-1, 2)
    )
    positive = method(PIXELS[:1], [0])
    np.testing.assert_allclose(positive.maps[0].sum(), positive.scores[0, 0], rtol=1e-5)


def test_it_is_the_gradients_reduction_activation():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    classifier = classifiers.load(model, "tf")
    expected = maps.create("gradient", classifier, reduction="activation")(PIXELS).maps[0]
    found = maps.create("gradient_x_input", classifier)(PIXELS).maps[0]
    np.testing.assert_array_equal(found, expected)
