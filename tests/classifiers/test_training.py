"""Training on image labels alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from sensmap import classifiers
from sensmap.classifiers import Preprocessing, _training_data, training
from sensmap.datasets import Dataset, Example, ExampleError

ROOT = Path(__file__).resolve().parents[2]
RED, GREEN = (200, 30, 30), (30, 200, 30)


def coloured(count=48, size=20):
    """Red images of the class 0 and green ones of the class 1, with noise."""
    random = np.random.default_rng(0)

    def read(position):
        colour = (RED, GREEN)[position % 2]
        pixels = np.array(colour) + random.integers(-30, 31, (size, size, 3))
        return Example(id=ids[position], image=pixels.astype(np.uint8), labels=(position % 2,))

    ids = [f"image{position}" for position in range(count)]
    return Dataset("coloured", ["red", "green"], ids, read)


def listed(examples, classes=("red", "green")):
    """A data set of these examples; what is an exception is raised when it is read."""

    def read(position):
        if isinstance(examples[position], Exception):
            raise examples[position]
        return examples[position]

    ids = [getattr(example, "id", f"unread{i}") for i, example in enumerate(examples)]
    return Dataset("listed", classes, ids, read)


def train(dataset, seed=0, **options):
    model, preprocessing = training.architecture("small_cnn", (16, 16), 2, seed=seed)
    settings = {"epochs": 3, "batch_size": 16, "learning_rate": 5e-3, **options}
    return training.train(model, dataset, preprocessing, seed=seed, **settings)


def train_linear(dataset, **options):
    """As `train`, with a network that is traced in no time."""
    keras.utils.set_random_seed(0)
    ending = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, activation="relu"), *ending]
    )
    settings = {"epochs": 3, "batch_size": 16, "learning_rate": 5e-2, **options}
    return training.train(model, dataset, Preprocessing.of("tf"), **settings)


def test_it_learns_what_colour_tells():
    classifier, history = train(coloured(), epochs=8)
    assert history["accuracy"][-1] > 0.95
    plain = np.stack([np.full((16, 16, 3), colour, np.uint8) for colour in (RED, GREEN)])
    assert classifier.class_scores(plain).argmax(axis=1).tolist() == [0, 1]
    assert classifier.class_names == ("red", "green")
    assert classifier.preprocessing == Preprocessing.of("tf")
    assert classifier.source == "small_cnn on coloured"


def test_history_is_by_epoch():
    _, history = train(coloured(), epochs=2)
    assert history["images"] == 48
    assert history["skipped"] == []
    assert len(history["accuracy"]) == len(history["loss"]) == 2


def test_the_same_seed_gives_the_same_weights():
    first, again, other = (train(coloured(), seed=seed)[0] for seed in (4, 4, 5))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


def test_what_cannot_be_used_is_named():
    good = [coloured()[position] for position in range(4)]
    examples = [
        good[0],
        ExampleError("its XML is broken"),
        good[1],
        Example(id="unlabelled", image=good[0].image),
        Example(id="text", image=b"hello", labels=(1,)),
        *good[2:],
    ]
    _, history = train(listed(examples), epochs=1)
    assert history["images"] == 4
    assert dict(history["skipped"]) == {
        "unread1": "its XML is broken",
        "unlabelled": "it has no label",
        "text": "image of 5 bytes: not an image (JPEG, PNG, GIF, BMP or WebP).",
    }


@pytest.mark.parametrize("options", [{}, {"batch_size": 5}])
def test_a_data_set_that_is_not_held_gives_the_same_weights(monkeypatch, options):
    good = coloured(20)
    examples = [*good, ExampleError("its XML is broken"), Example("text", b"hello", (0,))]
    held, history = train_linear(listed(examples), **options)
    monkeypatch.setattr(_training_data, "HELD_BYTES", 0)
    decoded, same_history = train_linear(listed(examples), **options)
    assert held.fingerprint == decoded.fingerprint
    assert history == same_history
    assert [name for name, _ in history["skipped"]] == ["unread20", "text"]


def test_the_learning_rate_ends_at_0_with_the_last_step():
    examples = [*coloured(20), ExampleError("its XML is broken")]
    classifier, _ = train_linear(listed(examples), batch_size=5, epochs=2)
    optimizer = classifier.model.optimizer
    assert int(optimizer.iterations) == 2 * 4
    assert float(optimizer.learning_rate) == pytest.approx(0)


def test_nothing_is_said_where_there_is_no_terminal(capfd):
    train_linear(coloured(16), epochs=1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (listed([], classes=("red",)), "listed has 1 classes; a classifier needs two or more"),
        (listed([], classes=("a", "b", "c")), "model has 2 outputs for 3 classes"),
        (listed([]), r"No image of listed could be used \(it is empty\)"),
        (listed([ExampleError("broken")]), r"could be used \(unread0: broken\)"),
    ],
)
def test_data_sets_that_are_refused(dataset, message):
    with pytest.raises(ValueError, match=message):
        train(dataset)


def test_a_training_whose_images_disappear_is_refused(monkeypatch):
    monkeypatch.setattr(_training_data, "HELD_BYTES", 0)
    dataset, seen = coloured(16), []

    def read(position):
        if position in seen:
            raise ExampleError("gone")
        seen.append(position)
        return dataset[position]

    with pytest.raises(ValueError, match=r"images of a batch can still be read \(image.*: gone\)"):
        train_linear(Dataset("vanishing", ["red", "green"], dataset.ids, read))


def test_a_training_that_diverges_is_refused():
    with pytest.raises(ValueError, match=r"diverged: weights became NaN .* smaller learning rate"):
        train(coloured(), learning_rate=float("nan"))


# --- Precision, XLA and several devices ---


# Convolutions of float16 are slow on CPUs, so the network that they train is the smaller one.
@pytest.mark.parametrize(
    ("precision", "method", "size"), [("bfloat16", train, 16), ("float16", train_linear, 8)]
)
def test_mixed_precision_learns_as_well_and_gives_a_float32_classifier(
    tmp_path, precision, method, size
):
    classifier, history = method(coloured(), epochs=8, mixed_precision=precision)
    assert history["accuracy"][-1] > 0.95
    classifiers.save(classifier, tmp_path / "saved")
    saved = classifiers.load(tmp_path / "saved")
    assert saved.fingerprint == classifier.fingerprint
    assert {layer.compute_dtype for layer in saved.model.layers} == {"float32"}
    assert {weight.dtype for weight in saved.model.weights} == {"float32"}
    plain = np.stack([np.full((size, size, 3), colour, np.uint8) for colour in (RED, GREEN)])
    assert saved.class_scores(plain).argmax(axis=1).tolist() == [0, 1]


def test_mixed_precision_computes_in_it_and_scales_the_loss(monkeypatch):
    seen = []
    monkeypatch.setattr(training, "_fit", lambda model, *_: seen.append(model) or {})
    train_linear(coloured(), mixed_precision="float16")
    (model,) = seen
    assert [layer.compute_dtype for layer in model.layers] == ["float16"] * 2 + ["float32"]
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_xla_gives_nearly_the_same_weights():
    plain, compiled = (train_linear(coloured(20), jit_compile=jit)[0] for jit in (False, True))
    assert (plain.model.jit_compile, compiled.model.jit_compile) == (False, True)
    for one, other in zip(plain.model.get_weights(), compiled.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


# Logical devices must be made before TensorFlow starts, so another process is needed.
ON_TWO_DEVICES = """
import json, sys
import keras, numpy as np, tensorflow as tf

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from sensmap import compute, datasets
from sensmap import classifiers
from sensmap.classifiers import Preprocessing, training

strategy = compute.strategy("mirrored")
digits = datasets.load("digits", count=22)

def train(strategy):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10),
    ])
    options = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-2, "strategy": strategy}
    classifier, history = training.train(model, digits, Preprocessing.of("tf"), **options)
    return np.concatenate([weight.ravel() for weight in classifier.model.get_weights()]), history

one, one_history = train(None)
two, two_history = train(strategy)
try:
    training.train(keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(),
                                     keras.layers.Dense(10)]),
                   digits, Preprocessing.of("tf"), epochs=1, batch_size=5, strategy=strategy)
except ValueError as error:
    refused = str(error)
print(json.dumps({
    "replicas": strategy.num_replicas_in_sync,
    "apart": float(np.abs(one - two).max()),
    "losses": [one_history["loss"], two_history["loss"]],
    "refused": refused,
}))
"""


def test_two_devices_give_nearly_the_same_weights_as_one():
    found = subprocess.run(
        [sys.executable, "-c", ON_TWO_DEVICES],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answers = json.loads(found.stdout)
    assert answers["replicas"] == 2
    assert answers["apart"] < 1e-4
    np.testing.assert_allclose(*answers["losses"], atol=2e-4)
    assert "a multiple of the 2 replicas" in answers["refused"]


# --- Architectures ---


def test_small_cnn():
    model, preprocessing = training.architecture("small_cnn", (24, 32), 3)
    assert (model.input_shape, model.output_shape) == ((None, 24, 32, 3), (None, 3))
    assert preprocessing == Preprocessing.of("tf")
    assert model.layers[-1].activation is keras.activations.linear


def test_the_preprocessing_of_the_small_one_can_be_chosen():
    _, preprocessing = training.architecture("small_cnn", (16, 16), 2, mode="torch")
    assert preprocessing == Preprocessing.of("torch")


def test_the_seed_decides_about_the_first_weights():
    def weights(seed):
        model, _ = training.architecture("small_cnn", (16, 16), 2, seed=seed)
        return np.concatenate([np.ravel(weight) for weight in model.get_weights()])

    assert weights(3).tobytes() == weights(3).tobytes()
    assert weights(3).tobytes() != weights(4).tobytes()


def test_an_application():
    model, preprocessing = training.architecture("mobilenet", (32, 32), 5)
    assert model.output_shape == (None, 5)
    assert preprocessing == Preprocessing.of("tf")
    assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope", (32, 32), 2), "no architecture 'nope'; choose small_cnn or one of"),
        (("small_cnn", (15, 64), 2), r"16x16 or more; received \(15, 64\)"),
        (("small_cnn", (32, 32), 1), "needs two classes or more; received 1"),
        (("small_cnn", (32, 32), 2, "nope"), "no preprocessing mode 'nope'"),
        (("small_cnn", (32, 32), 2, None, "imagenet"), "starts from random weights"),
        (("MobileNetV2", (32, 32), 2, "torch"), "leave preprocessing out"),
        (("MobileNetV2", (8, 8), 2), "at least 32x32"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        training.architecture(*arguments)


def test_a_missing_file_of_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file of weights"):
        training.architecture("MobileNetV2", (32, 32), 2, weights=str(tmp_path / "none.h5"))


# --- Several labels ---


def halves(count=32, size=40):
    """Images whose halves are red, green, blue or grey: the first three are the classes."""
    random = np.random.default_rng(0)
    colours = (RED, GREEN, (30, 30, 200), (90, 90, 90))

    def read(position):
        chosen = random_pairs[position]
        pixels = np.zeros((size, size, 3))
        for half, colour in enumerate(chosen):
            pixels[:, half * size // 2 : (half + 1) * size // 2] = colours[colour]
        pixels += random.integers(-20, 21, pixels.shape)
        labels = tuple(sorted({int(colour) for colour in chosen} - {3}))
        return Example(id=ids[position], image=pixels.astype(np.uint8), labels=labels)

    random_pairs = [(position % 3, random.integers(0, 4)) for position in range(count)]
    ids = [f"image{position}" for position in range(count)]
    return Dataset("halves", ["red", "green", "blue"], ids, read)


def train_multilabel(dataset, seed=0, **options):
    model, preprocessing = training.multilabel_architecture("small_cnn", 3, seed=seed)
    settings = {"epochs": 12, "batch_size": 8, "learning_rate": 1e-2, **options}
    return training.train(
        model,
        dataset,
        preprocessing,
        multilabel=True,
        sizes=(32, 48),
        input_size=(40, 40),
        seed=seed,
        **settings,
    )


def test_it_learns_several_labels():
    classifier, history = train_multilabel(halves(), seed=1)
    assert classifier.multilabel
    assert classifier.takes_any_size
    assert classifier.input_size == (40, 40)
    assert history["accuracy"][-1] > 0.9
    pixels = np.concatenate([np.full((1, 40, 20, 3), c, np.uint8) for c in (RED, GREEN)], axis=2)
    red, green, blue = classifier.probabilities(classifier.class_scores(pixels)).numpy()[0]
    assert min(red, green) > 0.5 > blue


def test_several_labels_by_the_same_seed_give_the_same_weights():
    first, again = (train_multilabel(halves(16), epochs=1)[0].fingerprint for _ in range(2))
    assert first == again


def test_training_may_start_at_a_layer():
    model, _ = training.multilabel_architecture("small_cnn", 3, trained_from="conv3b")
    trained = [layer.name for layer in model.layers if layer.trainable and layer.weights]
    assert trained[0] == "conv3b"
    assert trained[-2:] == ["evidence", "score_maps"]
    assert len(trained) == 8  # three convolutions, their normalisations, and these two
    with pytest.raises(ValueError, match="small_cnn has no layer 'conv9' to train from; it has"):
        training.multilabel_architecture("small_cnn", 3, trained_from="conv9")


def test_it_starts_from_a_classifiers_folder(tmp_path):
    classifier, _ = train(coloured(), epochs=1)
    classifiers.save(classifier, tmp_path / "start")
    model, preprocessing = training.multilabel_architecture(str(tmp_path / "start"), 3)
    assert preprocessing == classifier.preprocessing
    kernel = classifier.model.get_layer("conv1").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("conv1").get_weights()[0], kernel)
