"""Class activation maps: from the head's weights, and which heads allow them."""

import keras
import numpy as np
import pytest
from keras import layers

from sensmap import classifiers, maps

SIDE = 8
PIXELS = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.float32)
CLASS_IDS = np.array([0, 1, 2, 1])
TF = classifiers.Preprocessing.of("tf")


def network(*head, **options):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(6, 3, 2, padding="same", activation="relu", name="features", **options),
            *head,
        ],
        name="net",
    )


def dense(units=3, **options):
    return layers.Dense(units, bias_initializer="random_normal", **options)


HEADS = {
    "pooled and linear": lambda: [layers.GlobalAveragePooling2D(), dense(name="scores")],
    "two linear layers": lambda: [layers.GlobalAveragePooling2D(), dense(5), dense()],
    "axes kept": lambda: [
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Conv2D(3, 1, bias_initializer="random_normal"),
        layers.Flatten(),
    ],
    "pooled by a layer of pooling": lambda: [layers.AveragePooling2D(4), layers.Flatten(), dense()],
    "normalised": lambda: [layers.GlobalAveragePooling2D(), layers.BatchNormalization(), dense()],
    "dropout": lambda: [layers.Dropout(0.5), layers.GlobalAveragePooling2D(), dense()],
    "scores of positions": lambda: [
        layers.Conv2D(3, 1, activation="relu", bias_initializer="random_normal", name="places"),
        layers.GlobalAveragePooling2D(),
    ],
}


@pytest.mark.parametrize("head", HEADS)
def test_it_is_the_weighted_sum_of_the_feature_map(head):
    model = network(*HEADS[head]())
    method = maps.create("cam", classifiers.load(model, "tf"))
    middle = model.get_layer(method.layers[0]).output
    features = keras.Model(model.inputs[0], middle)(TF(PIXELS)).numpy()
    # A head that averages and is linear shows its weights if channels are 1 everywhere, one by
    # one: S(A_k = 1) - S(A = 0) = w_k.
    above = keras.Model(middle, model.outputs[0])
    channels = features.shape[-1]
    alone = np.eye(channels, dtype=np.float32)[:, None, None] * np.ones((1, *middle.shape[1:]))
    weights = (above(alone) - above(np.zeros_like(alone[:1]))).numpy()[:, CLASS_IDS]
    expected = np.einsum("nijk,kn->nij", features, weights)
    expected -= expected.min(axis=(1, 2), keepdims=True)
    found = method(PIXELS, CLASS_IDS).maps[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("head", "layer"), [("pooled and linear", "features"), ("scores of positions", "places")]
)
def test_the_feature_map_is_the_last_one(head, layer):
    classifier = classifiers.load(network(*HEADS[head]()), "tf")
    assert maps.create("cam", classifier).layers == (layer,)


def test_the_scores_of_positions_are_their_own_map():
    # As in SqueezeNet: a 1 x 1 convolution to one channel a class, a rectifier, pooling.
    model = network(*HEADS["scores of positions"]())
    places = keras.Model(model.inputs[0], model.get_layer("places").output)(TF(PIXELS)).numpy()
    expected = places[np.arange(4), :, :, CLASS_IDS]
    expected = expected - expected.min(axis=(1, 2), keepdims=True)
    method = maps.create("cam", classifiers.load(model, "tf"))
    np.testing.assert_allclose(method(PIXELS, CLASS_IDS).maps[0], expected, rtol=1e-4, atol=1e-5)


REFUSED = {
    "flattened": lambda: [layers.Flatten(), dense()],
    "largest instead of mean": lambda: [layers.GlobalMaxPooling2D(), dense()],
    "hidden layer": lambda: [layers.GlobalAveragePooling2D(), dense(8, activation="relu"), dense()],
    "smooth hidden layer": lambda: [
        layers.GlobalAveragePooling2D(),
        dense(8, activation="tanh"),
        dense(),
    ],
    "unpadded pooling": lambda: [layers.AveragePooling2D(3, 1), layers.Flatten(), dense()],
}


@pytest.mark.parametrize("head", REFUSED)
def test_heads_that_do_not_allow_it(head):
    classifier = classifiers.load(network(*REFUSED[head]()), "tf")
    with pytest.raises(ValueError, match=r"keras\.Model net has no global average .* 'grad_cam'"):
        maps.create("cam", classifier)


def test_a_network_without_feature_maps():
    flat = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Flatten(), dense()], name="flat")
    with pytest.raises(ValueError, match="'flat' has no layer with a feature map"):
        maps.create("cam", classifiers.load(flat, "tf"))


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_no_reason_to_refuse(dtype):
    model = network(layers.GlobalAveragePooling2D(), dense())
    half = network(layers.GlobalAveragePooling2D(dtype=dtype), dense(dtype=dtype), dtype=dtype)
    half.set_weights(model.get_weights())
    expected, found = (
        maps.create("cam", classifiers.load(each, "tf"))(PIXELS, CLASS_IDS)
        for each in (model, half)
    )
    close = 0.03 * expected.maps[0].max()
    np.testing.assert_allclose(found.maps[0], expected.maps[0], atol=close)
