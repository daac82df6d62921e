"""Preprocessing against Keras's own, and its records."""

import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from sensmap.classifiers import Preprocessing, applications

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 5, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
@pytest.mark.parametrize("kind", [np.array, tf.constant])
def test_modes_equal_keras(mode, kind):
    expected = keras.applications.imagenet_utils.preprocess_input(PIXELS.copy(), mode=mode)
    result = Preprocessing.of(mode)(kind(PIXELS))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_mode_none_leaves_pixels():
    np.testing.assert_array_equal(Preprocessing.of("none")(PIXELS), PIXELS)


@pytest.mark.parametrize("name", applications.names())
def test_every_application_has_its_own_preprocessing(name):
    module = importlib.import_module(getattr(keras.applications, name).__module__)
    expected = module.preprocess_input(PIXELS.copy())
    result = applications.preprocessing(name)(PIXELS)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_mean_and_scale_by_hand():
    preprocessing = Preprocessing(mean=(1.0, 2.0, 3.0), scale=0.5, bgr=True)
    pixel = np.array([[[[10.0, 20.0, 30.0]]]], np.float32)
    assert preprocessing(pixel).tolist() == [[[[14.5, 9.0, 3.5]]]]  # (30-1)/2, (20-2)/2, (10-3)/2


def test_one_number_is_three():
    assert Preprocessing(7, 2) == Preprocessing((7, 7, 7), (2, 2, 2))
    assert Preprocessing([7, 7, 7], np.float64(2)) == Preprocessing(7, 2)
    assert hash(Preprocessing([7, 7, 7])) == hash(Preprocessing(7))


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe", "none"])
def test_config_through_json(mode):
    preprocessing = Preprocessing.of(mode)
    again = Preprocessing.from_config(json.loads(json.dumps(preprocessing.to_config())))
    assert again == preprocessing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": (1, 2)}, "mean must be one finite number or three"),
        ({"mean": "tf"}, "mean must be one finite"),
        ({"mean": None}, "mean must be one finite"),
        ({"scale": float("nan")}, "scale must be one finite"),
        ({"scale": (1, 0, 1)}, "scale must not be 0"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**arguments)


def test_unknown_mode_lists_the_known():
    with pytest.raises(ValueError, match=r"no preprocessing mode 'pytorch'; .* tf, torch, caffe"):
        Preprocessing.of("pytorch")


@pytest.mark.parametrize("config", [{}, {"mean": 1}, None, {"mean": 0, "scale": 1, "mode": "tf"}])
def test_damaged_config(config):
    with pytest.raises(ValueError, match="holds mean, scale and bgr"):
        Preprocessing.from_config(config)
