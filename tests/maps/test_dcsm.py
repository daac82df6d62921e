"""Distinct class-specific maps against their formula, computed apart in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps
from sensmap.classifiers import Classifier, Preprocessing, fully_convolutional

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
CLASSES = 8


@pytest.fixture(scope="module")
def classifier():
    """Fully convolutional, with 'same' padding, so that maps are resized as TensorFlow does."""
    keras.utils.set_random_seed(1)
    stack = [keras.Input((32, 32, 3))]
    for name, filters in (("first", 6), ("second", 8)):
        stack += [
            layers.Conv2D(filters, 3, padding="same", activation="relu", name=name),
            layers.AveragePooling2D(2, name=f"{name}_pool"),
        ]
    base = keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    model = fully_convolutional.with_head(base, CLASSES, hidden=12, evidence=False)
    return Classifier(model, Preprocessing.of("tf"), (32, 32), multilabel=True)


def expected(classifier, layer, class_id, *, scales, candidates, subtraction, alpha=3.0):
    """The map of one class for each image, by plain maps of every class."""
    total = 0.0
    scores = classifier.class_scores(IMAGES)
    for scale in scales:
        size = round(32 * scale)
        sized = Classifier(classifier.model, classifier.preprocessing, (size, size))
        resized = tf.image.resize(IMAGES.astype(np.float32), (size, size), antialias=scale < 1)
        of_classes = np.tile(np.arange(CLASSES), (len(IMAGES), 1))
        found = maps.create("guided", sized, layers=[layer])(resized.numpy(), of_classes)
        found = np.moveaxis(found.maps[0], 1, -1)
        found = np.moveaxis(tf.image.resize(found, (32, 32)).numpy(), -1, 1)
        of_scale = []
        for image, values in enumerate(found):
            order = np.argsort(-scores[image])
            rivals = [
                rival
                for rank, rival in enumerate(order)
                if rival != class_id and (rank < candidates or scores[image, rival] > 0)
            ]
            own = values[class_id]
            distinct = sum(np.maximum(own - subtraction * values[rival], 0) for rival in rivals)
            if not rivals or not subtraction:
                distinct = own
            of_scale.append(np.tanh(alpha * distinct / distinct.max()))
        total = total + np.stack(of_scale)
    return total / len(scales)


@pytest.mark.parametrize(
    "options",
    [
        {"scales": (1.0,), "candidates": 4, "subtraction": 1.0},
        {"scales": (1.0,), "candidates": 2, "subtraction": 0.5},
        {"scales": (1.0,), "candidates": 0, "subtraction": 1.0},
        {"scales": (1.0,), "candidates": 4, "subtraction": 0.0},
        {"scales": (0.75, 1.0, 1.25), "candidates": 3, "subtraction": 1.0},
        {"scales": (1.0,), "candidates": 4, "subtraction": 1.0, "alpha": 0.5},
    ],
    ids=str,
)
def test_the_formula(classifier, options):
    assert (classifier.class_scores(IMAGES) > 0).sum(axis=1).max() <= 6  # the most subtracted
    method = maps.create("dcsm", classifier, layers=["first_pool", "second_pool"], **options)
    for class_id in (0, 5):
        found = method(IMAGES, [class_id] * 3)
        for layer, each in zip(method.layers, found.maps, strict=True):
            wanted = expected(classifier, layer, class_id, **options)
            np.testing.assert_allclose(each, wanted, rtol=2e-3, atol=2e-4)


def test_without_another_class_nothing_is_subtracted(classifier):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    with_bias = classifiers.load(model, "tf")
    with_bias.model.layers[-1].bias.assign([9.0, -9.0, -9.0])  # the first alone is above 0.5
    image = IMAGES[:1, :8, :8]
    alone = maps.create("dcsm", with_bias, layers=["conv"], candidates=0)(image, [0]).maps[0]
    nothing = maps.create("dcsm", with_bias, layers=["conv"], subtraction=0)(image, [0]).maps[0]
    np.testing.assert_allclose(alone, nothing, rtol=1e-5)
    assert alone.max() == pytest.approx(np.tanh(3.0), rel=1e-4)


def test_the_probability_decides_by_the_kind_of_classifier(classifier):
    scores = tf.constant([[1.0, 1.0, 0.9]])
    single = Classifier(classifier.model, classifier.preprocessing, (32, 32))
    assert (classifier.probabilities(scores).numpy() > 0.5).all()
    assert single.probabilities(scores).numpy().sum() == pytest.approx(1)


def test_defaults_go_by_what_the_classifier_takes(classifier):
    assert maps.create("dcsm", classifier).scales == (0.8, 1.0, 1.2)
    fixed = classifiers.load(
        keras.Sequential(
            [
                keras.Input((16, 16, 3)),
                layers.Conv2D(4, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(3),
            ]
        ),
        "tf",
    )
    method = maps.create("dcsm", fixed)
    assert (method.scales, method.candidates) == ((1.0,), 3)
    with pytest.raises(ValueError, match="images of one size only, so the scale must be 1"):
        maps.create("dcsm", fixed, scales=(0.8, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "leaky"}, "no rule 'leaky' for rectifiers; choose one of gradient"),
        ({"scales": ()}, "At least one scale"),
        ({"scales": (0,)}, "scales is a number from 0.1 to 10; received 0"),
        ({"candidates": -1}, "candidates is a whole number, 0 or more; received -1"),
        ({"subtraction": 2}, "subtraction is a number from 0 to 1; received 2"),
        ({"alpha": 0}, "alpha is a number from 0.001 to 1000.0; received 0"),
        ({"layers": ["nope"]}, "no layer 'nope'"),
    ],
)
def test_options_out_of_range(classifier, options, message):
    with pytest.raises(ValueError, match=message):
        maps.create("dcsm", classifier, **options)
