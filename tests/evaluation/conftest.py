"""A localizer and its export, and images of every kind."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_tables import NAMES

from sensmap import classifiers, datasets, maps
from sensmap.datasets import Dataset, Example
from sensmap.export import ServedModel, export_saved_model
from sensmap.localizer import Localizer
from sensmap.localizers.linear import BoxRegressor
from sensmap.pipeline import Extractor


@pytest.fixture(scope="session")
def localizer():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(6, 5, strides=2, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    classifier = classifiers.load(model, "tf", class_names=NAMES)
    method = maps.create("gradient", classifier)
    table = Extractor(method).extract(datasets.load("digits", split="fit", count=60))
    return Localizer(method, BoxRegressor().fit(table.features, table.truths))


@pytest.fixture(scope="session")
def served(localizer, tmp_path_factory):
    return ServedModel(export_saved_model(localizer, tmp_path_factory.mktemp("export")))


@pytest.fixture(scope="session")
def mixed():
    """Images of different sizes: arrays, files' bytes, one broken, one without a label."""
    digits = datasets.load("digits", split="test", count=7)
    wide = np.tile(digits[1].image, (1, 3, 1))

    def read(position):
        example = digits[position]
        image, size, labels = example.image, example.size, example.labels
        if position == 2:
            image, size = b"not an image", None
        elif position == 3:
            image, size = tf.io.encode_png(wide).numpy(), None
        elif position == 5:
            labels = ()
        return Example(digits.ids[position], image, labels, example.boxes, example.box_labels, size)

    return Dataset("mixed", NAMES, digits.ids, read)
