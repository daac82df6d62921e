"""Layers by name, and one layer for each resolution."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap.maps import _layers

SIZE = (32, 32)


def conv(name, stride=1, **options):
    return layers.Conv2D(4, 3, stride, padding="same", name=name, **options)


def model(body):
    """A classifier around ``body``, a function of symbolic tensors."""
    image = keras.Input((*SIZE, 3), name="image")
    features = layers.GlobalAveragePooling2D(name="gap")(body(image))
    return keras.Model(image, layers.Dense(3, name="scores")(features))


def vgg(x):
    for stage in (1, 2, 3):
        for number in (1, 2, 3):
            x = conv(f"conv{stage}_{number}", activation="relu")(x)
        x = layers.MaxPool2D(name=f"pool{stage}")(x)
    return x


def residual(x):
    x = conv("stem", 2)(x)
    for number in (1, 2):
        inside = conv(f"block{number}_b")(conv(f"block{number}_a")(x))
        x = layers.ReLU(name=f"out{number}")(layers.Add(name=f"add{number}")([inside, x]))
    return x


def residual_with_a_plain_plus(x):
    x = conv("stem", 2)(x)
    inside = conv("block_b")(conv("block_a")(x))
    return layers.ReLU(name="out")(inside + x)


def branches(x):
    x = conv("stem", 2)(x)
    both = [conv("left")(x), conv("right")(conv("right_before")(x))]
    x = layers.Concatenate(name="joined")(both)
    return layers.ReLU(name="out")(x)


def dropout_beside_a_branch(x):
    x = conv("stem", 2)(x)
    dropped = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Add(name="added")([conv("branch")(x), dropped])
    return layers.ReLU(name="out")(x)


def one_a_resolution(x):
    return conv("second", 2)(conv("first", 2)(x))


def padded(x):
    x = layers.ZeroPadding2D(1, name="padding")(x)  # 34 x 34, alone
    return conv("b")(conv("a", 2)(x))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # 16 x 16: pool1, conv2_1, conv2_2, conv2_3; 8 x 8: pool2 and so on; 4 x 4: pool3 alone.
        (vgg, ("conv2_1", "conv3_1")),
        (residual, ("out1",)),  # of stem, add1, out1, add2, out2
        (residual_with_a_plain_plus, ("add",)),  # of stem, the plus, out
        (branches, ("joined",)),  # of stem, joined, out
        (dropout_beside_a_branch, ("added",)),  # of stem, added, out
        (one_a_resolution, ("first", "second")),
        (padded, ("a",)),
    ],
)
def test_one_layer_a_resolution(body, expected):
    keras.backend.clear_session()  # names of unnamed operations start again
    assert _layers.one_per_resolution(model(body), SIZE) == expected


def kept_axes(x):
    return layers.GlobalAveragePooling2D(keepdims=True, name="kept")(conv("features", 2)(x))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (vgg, "pool3"),
        (residual, "out2"),
        (branches, "out"),
        (dropout_beside_a_branch, "out"),
        (kept_axes, "features"),  # what is left of one row and column is no map
        (lambda x: conv("as_large_as_the_image")(x), "as_large_as_the_image"),
    ],
)
def test_the_last_feature_map(body, expected):
    assert _layers.last(model(body), SIZE) == expected


def test_without_a_feature_map():
    image = keras.Input((*SIZE, 3))
    flat = keras.Model(image, layers.Dense(3)(layers.Flatten()(image)), name="flat")
    with pytest.raises(ValueError, match="'flat' has no layer with a feature map"):
        _layers.last(flat, SIZE)


def test_a_shortcut_in_a_subclassed_models_code_is_seen():
    class Network(keras.Model):
        def __init__(self):
            super().__init__(name="network")
            self.steps = [conv("stem", 2), conv("inside_a"), conv("inside_b"), conv("after")]
            self.scores = layers.Dense(3, name="scores")

        def call(self, x):
            stem, inside_a, inside_b, after = self.steps
            x = tf.nn.relu(stem(x))
            x = after(inside_b(inside_a(x)) + x)
            return self.scores(tf.reduce_mean(x, axis=[1, 2]))

    network = Network()
    network(tf.zeros([1, *SIZE, 3]))
    assert [name for name, _ in _layers.bottlenecks(network, SIZE)] == ["stem", "after", "scores"]
    assert _layers.one_per_resolution(network, SIZE) == ("stem",)


def test_a_nested_models_layers_are_chosen_by_their_paths():
    inner_image = keras.Input((*SIZE, 3))
    backbone = keras.Model(inner_image, vgg(inner_image), name="backbone")
    expected = ("backbone/conv2_1", "backbone/conv3_1")
    assert _layers.one_per_resolution(model(backbone), SIZE) == expected


def test_without_a_layer_to_choose():
    with pytest.raises(ValueError, match=r"name some, or use 'pixels'"):
        _layers.one_per_resolution(model(lambda x: conv("as_large_as_the_image")(x)), SIZE)


def test_choosing_leaves_the_model_as_it_was():
    network = model(vgg)
    image = np.random.default_rng(0).normal(size=(1, *SIZE, 3)).astype(np.float32)
    before = network(image).numpy()
    _layers.one_per_resolution(network, SIZE)
    np.testing.assert_array_equal(network(image).numpy(), before)
    assert not any("call" in vars(layer) for layer in network.layers)


def test_the_layers_are_left_as_they_were_after_an_error():
    layer = conv("conv")
    with pytest.raises(KeyError), _layers.listening([layer], lambda *_: None):
        raise KeyError
    assert "call" not in vars(layer)


@pytest.fixture(scope="module")
def nested():
    return keras.Sequential(
        [
            keras.Input((*SIZE, 3)),
            keras.Sequential([conv("conv"), conv("only_here")], name="left"),
            keras.Sequential([conv("conv"), layers.ReLU(name="relu")], name="right"),
            layers.GlobalAveragePooling2D(name="gap"),
        ]
    )


def test_names_are_paths_or_their_unique_endings(nested):
    assert _layers.find(nested, "right/conv") is nested.get_layer("right").get_layer("conv")
    assert _layers.find(nested, "only_here") is nested.get_layer("left").get_layer("only_here")
    assert set(_layers.named_layers(nested)) >= {"left/conv", "right/conv", "right/relu", "gap"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv", r"ambiguous; choose one of \['left/conv', 'right/conv'\]"),
        ("right/convv", r"no layer 'right/convv'; near it: right/conv, "),
        ("qqqq", r"no layer 'qqqq'; near it: left/conv, .* \(or 'pixels'"),
        ("left", r"no layer 'left'"),  # a model is no layer
    ],
)
def test_names_that_no_layer_has(nested, name, message):
    with pytest.raises(ValueError, match=message):
        _layers.find(nested, name)
