"""SmoothGrad and its forms, against closed forms with the same noise."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps

SIDE, SAMPLES, NOISE, SEED = 4, 6, 0.2, 5
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.float32)
TF = classifiers.Preprocessing.of("tf")
FORMS = ("mean", "squared", "variance")


@pytest.fixture(scope="module")
def quadratic():
    """S_c = sum of w_c x^2, so dS_c/dx = 2 w_c x; and the weights of class 1."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    squared = layers.Flatten()(layers.Multiply()([image, image]))
    model = keras.Model(image, layers.Dense(2, use_bias=False)(squared))
    weights = model.layers[-1].kernel.numpy()[:, 1].reshape(SIDE, SIDE, 3)
    return classifiers.load(model, "tf"), weights


def derivatives(weights, x):
    """Of the quadratic model at each noisy copy; ``(samples, h, w, 3)``."""
    deviation = NOISE * (x.max() - x.min())
    fields = [
        tf.random.stateless_normal((SIDE, SIDE, 3), [SEED, sample], alg="philox").numpy()
        for sample in range(SAMPLES)
    ]
    return 2 * weights * (x + deviation * np.stack(fields).astype(np.float64))


@pytest.mark.parametrize("form", FORMS)
def test_of_a_quadratic_model(quadratic, form):
    classifier, weights = quadratic
    method = maps.create(
        "smooth_grad", classifier, samples=SAMPLES, noise=NOISE, form=form, seed=SEED
    )
    found = method(PIXELS, [1, 1, 1])
    for each, pixels in zip(found.maps[0], PIXELS, strict=True):
        g = derivatives(weights, TF(pixels))
        expected = {
            "mean": np.abs(g.mean(axis=0)),
            "squared": (g**2).mean(axis=0),
            "variance": g.var(axis=0),
        }[form]
        np.testing.assert_allclose(each, expected.max(axis=-1), rtol=1e-4, atol=1e-6)


def test_scores_and_classes_are_those_of_the_clean_image(quadratic):
    classifier, _ = quadratic
    found = maps.create("smooth_grad", classifier, samples=2, noise=1.0)(PIXELS)
    scores = classifier.class_scores(PIXELS)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.class_ids, scores.argmax(axis=1))


def test_without_noise_it_is_the_gradient(quadratic):
    classifier, _ = quadratic
    expected = maps.create("gradient", classifier)(PIXELS).maps[0]
    found = {
        form: maps.create("smooth_grad", classifier, noise=0.0, samples=3, form=form)(PIXELS).maps[
            0
        ]
        for form in FORMS
    }
    np.testing.assert_allclose(found["mean"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["squared"], expected**2, rtol=1e-5)
    np.testing.assert_allclose(found["variance"], 0, atol=1e-12)


def test_a_small_variance_beside_a_large_mean_is_not_lost():
    # dS/dx = 1000 + 2 w x: squares of 10^6 beside a variance of about 10^-3, which float32
    # cannot hold in one sum.
    image = keras.Input((SIDE, SIDE, 3))
    squared = layers.Flatten()(layers.Multiply()([image, image]))
    scores = layers.Add()(
        [
            layers.Dense(2, kernel_initializer="ones")(squared),
            layers.Dense(2, kernel_initializer=keras.initializers.Constant(1000))(
                layers.Flatten()(image)
            ),
        ]
    )
    classifier = classifiers.load(keras.Model(image, scores), "tf")
    options = {"samples": SAMPLES, "noise": 0.01, "seed": SEED, "form": "variance"}
    found = maps.create("smooth_grad", classifier, **options)(PIXELS[:1], [0]).maps[0][0]
    varying = derivatives(np.ones((SIDE, SIDE, 3)), TF(PIXELS[0])) * (0.01 / NOISE)
    expected = varying.var(axis=0).max(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_another_seed_gives_another_map(quadratic):
    classifier, _ = quadratic
    first, second = (
        maps.create("smooth_grad", classifier, samples=2, seed=seed)(PIXELS).maps[0]
        for seed in (0, 2**40)
    )
    assert not np.allclose(first, second, rtol=1e-3)


def test_the_network_stands_in_the_graph_once_more_than_without_samples(quadratic):
    # In the loop's body, whatever the number of samples.
    classifier, _ = quadratic

    def operations(samples):
        method = maps.create("smooth_grad", classifier, samples=samples)
        graph = method.compiled.get_concrete_function().graph
        return sum(
            len(function.node_def) for function in graph.as_graph_def().library.function
        ) + len(graph.get_operations())

    assert operations(2) == operations(50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "median"}, "no form of SmoothGrad 'median'; choose one of mean, squared, "),
        ({"samples": 0}, r"samples is a whole number, 1 or more; received 0\."),
        ({"samples": "many"}, "1 or more; received 'many'"),
        ({"samples": 1, "form": "variance"}, "samples is a whole number, 2 or more; received 1"),
        ({"noise": -0.1}, r"noise is a number from 0 to 1; received -0\.1\."),
        ({"noise": float("nan")}, "received nan"),
        ({"seed": -1}, r"seed is a whole number, 0 or more; received -1\."),
    ],
    ids=["form", "no samples", "word", "one sample", "negative", "nan", "seed"],
)
def test_options_that_are_refused(quadratic, options, message):
    with pytest.raises(ValueError, match=message):
        maps.create("smooth_grad", quadratic[0], **options)
