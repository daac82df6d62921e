"""One forward pass, and one backward pass a class, one after the other."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps
from sensmap.maps._derivatives import Derivatives

SIDE, CLASSES = 8, 4
PIXELS = np.random.default_rng(0).normal(size=(3, SIDE, SIDE, 3)).astype(np.float32)
CLASS_IDS = np.array([[3, 0, 2], [1, 1, 0], [2, 3, 3]], np.int32)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(1)
    stack = [keras.Input((SIDE, SIDE, 3))]
    for name in ("first", "second"):
        stack.append(layers.Conv2D(5, 3, activation="tanh", name=name))
    stack += [layers.Flatten(), layers.Dense(CLASSES)]
    return classifiers.load(keras.Sequential(stack), "none")


def whole(derivative, at):
    return derivative


def traced(derivatives, classes):
    function = tf.function(
        lambda inputs, ids: derivatives(inputs, maps.given(ids), whole),
        input_signature=[
            tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32),
            tf.TensorSpec([None, classes], tf.int32),
        ],
        autograph=False,
    )
    return function.get_concrete_function()


@pytest.mark.parametrize("eager", [True, False])
def test_each_class_and_place_against_a_tape_of_its_own(classifier, eager):
    derivatives = Derivatives(classifier, ["second", "pixels", "first"])
    if eager:
        found = derivatives(tf.constant(PIXELS), maps.given(CLASS_IDS), whole)
    else:
        found = traced(derivatives, 3)(tf.constant(PIXELS), tf.constant(CLASS_IDS))
    np.testing.assert_array_equal(found.class_ids, CLASS_IDS)
    model = classifier.model
    np.testing.assert_allclose(found.scores, model(PIXELS), rtol=1e-5, atol=1e-6)
    for name, of_layer in zip(derivatives.layers, found.maps, strict=True):
        place = model.inputs[0] if name == "pixels" else model.get_layer(name).output
        below = keras.Model(model.inputs[0], place)(PIXELS)
        above = keras.Model(place, model.outputs[0])
        with tf.GradientTape() as tape:
            tape.watch(below)
            scores = above(below)
        expected = tape.batch_jacobian(scores, below).numpy()
        for image, ids in enumerate(CLASS_IDS):
            np.testing.assert_allclose(of_layer[image], expected[image, ids], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_forward_pass_is_shared(classifier, classes):
    graph = traced(Derivatives(classifier, "pixels"), classes).graph
    types = [operation.type for operation in graph.get_operations()]
    assert types.count("Conv2D") == 2
    assert types.count("Conv2DBackpropInput") == 2 * classes


def test_no_backward_pass_starts_before_the_last_one_is_done(classifier):
    graph = traced(Derivatives(classifier, "pixels"), 3).graph

    def all_before(operation):
        waiting, found = [operation], set()
        while waiting:
            for each in [tensor.op for tensor in waiting[-1].inputs] + waiting.pop().control_inputs:
                if each.name not in found:
                    found.add(each.name)
                    waiting.append(each)
        return found

    backward = [each for each in graph.get_operations() if each.type == "Conv2DBackpropInput"]
    passes = [backward[:2], backward[2:4], backward[4:]]
    for earlier, later in itertools.pairwise(passes):
        for operation in later:
            assert {each.name for each in earlier} <= all_before(operation)


def test_what_is_kept_of_a_derivative_is_up_to_the_caller(classifier):
    found = Derivatives(classifier, ["pixels", "second"])(
        tf.constant(PIXELS), maps.top(2), lambda g, a: tf.reduce_sum(g * a, axis=[1, 2, 3])
    )
    assert [each.shape for each in found.maps] == [(3, 2), (3, 2)]
    # Behind the second layer the scores are linear: S = sum of g a + b.
    bias = tf.gather(classifier.model.layers[-1].bias, found.class_ids)
    scores = tf.gather(found.scores, found.class_ids, batch_dims=1)
    np.testing.assert_allclose(found.maps[1] + bias, scores, rtol=1e-4, atol=1e-5)


# --- Which classes ---

SCORES = tf.constant([[0.1, 0.4, 0.3, 0.2], [4.0, 1.0, 3.0, 2.0]])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (maps.given([[2, 3], [0, 0]]), [[2, 3], [0, 0]]),
        (maps.given([[2, -1], [-1, 0]]), [[2, 1], [0, 0]]),
        (maps.top(1), [[1], [0]]),
        (maps.top(3), [[1, 2, 3], [0, 2, 3]]),
        (maps.given_and_top(tf.constant([[3], [-1]]), 2), [[3, 1, 2], [0, 0, 2]]),
        (maps.given_and_top(tf.constant([[3], [-1]]), 0), [[3], [0]]),
    ],
    ids=["given", "predicted", "best", "best three", "given and best", "given alone"],
)
def test_choices(choice, expected):
    assert choice(SCORES).numpy().tolist() == expected
    assert choice(SCORES).dtype == tf.int32
