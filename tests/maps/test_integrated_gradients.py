"""Integrated gradients against closed forms, a fine sum along the way, and the axioms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps

SIDE = 6
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.float32)
TF = classifiers.Preprocessing.of("tf")
BASELINES = {"black": -1.0, "mean": 0.0}  # as the network's input


def powers(power):
    """S_c = sum of w_c x^power, and the weights of class 1."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    raised = layers.Flatten()(layers.Multiply()([image] * power) if power > 1 else image)
    model = keras.Model(image, layers.Dense(2)(raised))
    return classifiers.load(model, "tf"), model.layers[-1].kernel.numpy()[:, 1].reshape(
        SIDE, SIDE, 3
    )


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("power", [1, 2, 3])
def test_of_a_sum_of_powers_it_is_the_difference_of_powers(power, baseline):
    # A_j = w_j (x_j^p - b^p); two Gauss points are exact up to the derivative's degree of 3.
    classifier, weights = powers(power)
    method = maps.create("integrated_gradients", classifier, baseline=baseline, steps=2)
    expected = weights * (TF(PIXELS) ** power - BASELINES[baseline] ** power)
    found = method.attributions(PIXELS, [1] * 4)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    sensitivity = method(PIXELS, [1] * 4).maps[0]
    np.testing.assert_allclose(sensitivity, np.abs(found.sum(axis=-1)), rtol=1e-4, atol=1e-6)


def network(activation):
    keras.utils.set_random_seed(2)
    stack = [keras.Input((SIDE, SIDE, 3))]
    for _ in range(2):
        stack.append(layers.Conv2D(8, 3, activation=activation, bias_initializer="random_normal"))
    return classifiers.load(keras.Sequential([*stack, layers.Flatten(), layers.Dense(3)]), "tf")


def fine_sum(classifier, class_id, baseline, steps=2000):
    """The paper's own sum of equal steps, for one image after the other."""
    model = classifier.model

    @tf.function
    def derivative(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            scores = model(x)[:, class_id]
        return tape.gradient(scores, x)

    places = ((np.arange(steps) + 0.5) / steps)[:, None, None, None]
    found = []
    for x in TF(PIXELS):
        way = x - BASELINES[baseline]
        on_the_way = tf.constant(BASELINES[baseline] + places * way, tf.float32)
        found.append(way * derivative(on_the_way).numpy().mean(axis=0, dtype=np.float64))
    return np.stack(found)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize(("activation", "close"), [("tanh", 1e-4), ("relu", 0.05)])
def test_the_default_steps_are_close_to_a_fine_sum(activation, close, baseline):
    classifier = network(activation)
    method = maps.create("integrated_gradients", classifier, baseline=baseline)
    found = method.attributions(PIXELS, [2] * 4)
    expected = fine_sum(classifier, 2, baseline)
    for left, right in zip(found, expected, strict=True):
        assert np.linalg.norm(left - right) <= close * np.linalg.norm(right)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_they_are_complete(activation, baseline):
    classifier = network(activation)
    method = maps.create("integrated_gradients", classifier, baseline=baseline, steps=5)
    class_ids = np.array([0, 1, 2, 0])
    start = np.full((1, SIDE, SIDE, 3), BASELINES[baseline], np.float32)
    before = classifier.model(start).numpy()[0, class_ids]
    after = classifier.class_scores(PIXELS)[np.arange(4), class_ids]
    added = method.attributions(PIXELS, class_ids).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(added, after - before, rtol=1e-3, atol=1e-5)


def test_they_are_complete_on_a_photograph(squeezenet, golden):
    pixels, class_id = golden["images"][:1], golden["class_ids"][0]
    method = maps.create("integrated_gradients", squeezenet, steps=5)
    added = method.attributions(pixels, [class_id]).sum(dtype=np.float64)
    after, before = squeezenet.class_scores(np.concatenate([pixels, 0 * pixels]))
    np.testing.assert_allclose(added, after[class_id] - before[class_id], rtol=0.01)


def test_the_baseline_itself_gets_nothing():
    method = maps.create("integrated_gradients", network("relu"), steps=3)
    black = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    assert not method.attributions(black, [1]).any()
    assert not method(black, [1]).maps[0].any()


def test_the_classes_of_the_attributions():
    classifier = network("relu")
    method = maps.create("integrated_gradients", classifier, steps=3)
    best = classifier.class_scores(PIXELS).argmax(axis=1)
    np.testing.assert_array_equal(method.attributions(PIXELS), method.attributions(PIXELS, best))
    with pytest.raises(ValueError, match=r"one class id an image; received the shape \(4, 2\)"):
        method.attributions(PIXELS, np.zeros((4, 2), int))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "white"}, "no baseline 'white'; choose one of black, mean"),
        ({"steps": 0}, r"a whole number, 1 or more; received 0\."),
        ({"steps": 2.5}, "received 2.5"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        maps.create("integrated_gradients", network("relu"), **options)
