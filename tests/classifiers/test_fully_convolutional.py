"""Equal scores at the classifier's own size, and what a new head gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap.classifiers import Classifier, fully_convolutional, load, save
from sensmap.classifiers.preprocessing import Preprocessing


def flattened():
    return [layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dropout(0.5)]


HEADS = {
    "pooled": lambda: [layers.GlobalAveragePooling2D(), layers.Dense(5)],
    "pooled, softmax": lambda: [
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="softmax"),
    ],
    "score maps": lambda: [layers.Conv2D(5, 1), layers.GlobalAveragePooling2D()],
    "flattened": lambda: [*flattened(), layers.Dense(7, activation="relu"), layers.Dense(5)],
    "convolution behind pooling": lambda: [
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Dropout(0.1),
        layers.Conv2D(5, 1),
        layers.Reshape((5,)),
    ],
    "no bias": lambda: [layers.Flatten(), layers.Dense(5, use_bias=False)],
}


def network(head, size=(18, 14)):
    keras.utils.set_random_seed(0)
    features = [
        layers.Conv2D(8, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.BatchNormalization(),
    ]
    return keras.Sequential([keras.Input((*size, 3)), *features, *head])


def batch(size=(18, 14)):
    return np.random.default_rng(0).normal(size=(3, *size, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", HEADS)
def test_scores_are_equal_at_the_own_size(kind):
    model = network(HEADS[kind]())
    converted = fully_convolutional.convert(model)
    expected = model(batch()).numpy()
    if "softmax" in kind:
        expected = np.log(expected)
    found = converted(batch()).numpy()
    if "softmax" in kind:
        expected, found = (each - each.mean(axis=1, keepdims=True) for each in (expected, found))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_larger_images_have_pooled_score_maps():
    model = network(HEADS["flattened"]())
    converted = fully_convolutional.convert(model)
    # Three by three places of the window: the score is the mean of the crops' scores.
    image = batch((22, 18))[:1]
    crops = [image[:, y : y + 18, x : x + 14] for y in (0, 2, 4) for x in (0, 2, 4)]
    expected = np.mean([model(crop).numpy() for crop in crops], axis=0)
    np.testing.assert_allclose(converted(image).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_original_is_left_alone():
    model = network(HEADS["pooled"]())
    before = model(batch()).numpy()
    converted = fully_convolutional.convert(model)
    converted.set_weights([weight + 1 for weight in converted.get_weights()])
    np.testing.assert_array_equal(model(batch()).numpy(), before)


def test_vgg16():
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, classes=10, classifier_activation=None)
    converted = fully_convolutional.convert(model)
    images = 50 * batch((224, 224))[:1]
    expected = model(images).numpy()
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(converted(images), expected, atol=1e-4 * np.abs(expected).max())
    assert converted(batch((256, 224))[:1]).shape == (1, 10)
    shapes = [converted.get_layer(name).kernel.shape for name in ("fc1", "fc2", "predictions")]
    assert [tuple(shape) for shape in shapes] == [
        (7, 7, 512, 4096),
        (1, 1, 4096, 4096),
        (1, 1, 4096, 10),
    ]


@pytest.mark.parametrize("name", ["squeezenet1_1_imagenet", "mobilenet_v2_imagenet"])
def test_real_classifiers(shared, name):
    model = keras.models.load_model(shared / "models" / f"{name}.keras", compile=False)
    converted = fully_convolutional.convert(model)
    expected = model(batch((224, 224))).numpy()
    np.testing.assert_allclose(converted(batch((224, 224))), expected, rtol=1e-3, atol=1e-4)
    assert converted(batch((160, 256))).shape == (3, 1000)


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("evidence", [True, False])
@pytest.mark.parametrize("pooling", fully_convolutional.POOLINGS)
def test_a_new_head_can_be_saved_and_read(tmp_path, hidden, evidence, pooling):
    model = fully_convolutional.with_head(network(HEADS["pooled"]()), 4, hidden, evidence, pooling)
    names = [layer.name for layer in model.layers]
    assert ("hidden" in names, "evidence" in names) == (hidden > 0, evidence)
    classifier = Classifier(model, Preprocessing.of("tf"), (18, 14), multilabel=True)
    save(classifier, tmp_path / "classifier")
    again = load(tmp_path / "classifier")
    assert again.multilabel
    assert again.takes_any_size
    assert again.fingerprint == classifier.fingerprint


def test_the_derivative_vanishes_where_there_is_no_evidence():
    model = fully_convolutional.with_head(network(HEADS["pooled"]()), 2)
    evidence = model.get_layer("evidence")
    kernel, bias = evidence.get_weights()
    evidence.set_weights([kernel, bias - [50.0, 0.0]])  # of the first class there is none
    inputs = tf.constant(batch())
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        absent, present = tf.unstack(model(inputs), axis=1)
    assert np.abs(tape.gradient(absent, inputs)).max() < 1e-9
    assert np.abs(tape.gradient(present, inputs)).max() > 1e-4
    np.testing.assert_allclose(absent, -2, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            lambda: [layers.GlobalAveragePooling2D(), layers.Dense(9, "relu"), layers.Dense(5)],
            "comes after global pooling and is not the last one",
        ),
        (
            lambda: [layers.Conv2D(5, 3), layers.GlobalMaxPooling2D()],
            r"expected global average pooling or Flatten .* \(GlobalMaxPooling2D\)",
        ),
    ],
)
def test_what_cannot_be_converted(head, message):
    with pytest.raises(ValueError, match=message):
        fully_convolutional.convert(network(head()))


def test_models_without_a_chain():
    image = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    joined = layers.Concatenate()([layers.Dense(2)(x), layers.Dense(3)(x)])
    with pytest.raises(ValueError, match="no single chain of layers"):
        fully_convolutional.convert(keras.Model(image, joined))


def test_an_unknown_pooling():
    with pytest.raises(ValueError, match="no pooling 'sum'; choose one of average, max"):
        fully_convolutional.with_head(network(HEADS["pooled"]()), 2, pooling="sum")
