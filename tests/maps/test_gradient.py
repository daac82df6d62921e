"""Sensitivity maps against closed forms, central differences and PyTorch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps

SIDE = 8
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.float32)
TF = classifiers.Preprocessing.of("tf")


def gradient(model, **options):
    return maps.create("gradient", classifiers.load(model, "tf"), **options)


def relative_l2(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


# --- Closed forms ---


def test_of_a_linear_model_it_is_the_weights():
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Flatten(), layers.Dense(4, bias_initializer="ones")]
    )
    weights = RNG.normal(size=(SIDE, SIDE, 3, 4)).astype(np.float32)
    model.layers[1].kernel.assign(weights.reshape(-1, 4))
    found = gradient(model)(PIXELS, [0, 3, 1]).maps[0]
    for each, class_id in zip(found, [0, 3, 1], strict=True):
        np.testing.assert_array_equal(each, np.abs(weights[..., class_id]).max(axis=-1))


@pytest.mark.parametrize("reduction", ["max", "mean", "l2", "activation"])
def test_of_a_quadratic_model(reduction):
    # S_c = sum w_c x^2, so dS_c/dx = 2 w_c x.
    image = keras.Input((SIDE, SIDE, 3))
    squared = layers.Flatten()(layers.Multiply()([image, image]))
    model = keras.Model(image, layers.Dense(2, use_bias=False)(squared))
    weights = model.layers[-1].kernel.numpy().reshape(SIDE, SIDE, 3, 2)[..., 1]
    x = TF(PIXELS)
    derivative = 2 * weights * x
    expected = {
        "max": np.abs(derivative).max(axis=-1),
        "mean": np.abs(derivative).mean(axis=-1),
        "l2": np.sqrt((derivative**2).sum(axis=-1)),
        "activation": np.abs((derivative * x).sum(axis=-1)),
    }[reduction]
    found = gradient(model, reduction=reduction)(PIXELS, [1, 1, 1]).maps[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_of_a_sum_over_a_convolution_it_counts_the_windows_over_a_pixel():
    model = keras.Sequential(
        [
            keras.Input((5, 5, 3)),
            layers.Conv2D(1, 3, kernel_initializer="ones"),
            layers.Flatten(),
            layers.Dense(2, kernel_initializer="ones"),
        ]
    )
    found = gradient(model)(np.zeros((1, 5, 5, 3)), [0]).maps[0]
    windows = [1, 2, 3, 2, 1]
    np.testing.assert_allclose(found[0], np.outer(windows, windows), rtol=1e-6)


def test_batch_normalisation_is_in_inference_mode():
    # With the moving mean m and variance v, S = w gamma (x - m) / sqrt(v + epsilon).
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.BatchNormalization(epsilon=1e-3),
            layers.Flatten(),
            layers.Dense(2, kernel_initializer="ones"),
        ]
    )
    statistics = [[1.0, 2.0, 4.0], [0.0] * 3, [0.3, -0.2, 0.1], [0.5, 1.0, 9.0]]
    model.layers[0].set_weights([np.array(each, np.float32) for each in statistics])
    found = gradient(model)(PIXELS, [0, 1, 1]).maps[0]
    expected = max(g / np.sqrt(v + 1e-3) for g, v in zip(statistics[0], statistics[3], strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(model.layers[0].get_weights(), statistics, rtol=1e-6)


# --- Central differences, in float64 ---


def smooth_model(activation):
    """A small network without a kink, in float64 throughout."""
    keras.utils.set_random_seed(1)
    double = {"dtype": "float64"}
    image = keras.Input((SIDE, SIDE, 3), **double)
    x = layers.Conv2D(5, 3, padding="same", activation=activation, name="first", **double)(image)
    x = layers.AveragePooling2D(2, name="pool", **double)(x)
    x = layers.Conv2D(4, 3, strides=2, activation=activation, name="second", **double)(x)
    return keras.Model(image, layers.Dense(3, **double)(layers.Flatten(**double)(x)))


def central_differences(score, x, step=1e-4):
    """The derivative of a score with respect to ``(h, w, c)``, by two more passes a number."""
    steps = np.eye(x.size).reshape(-1, *x.shape) * step
    return ((score(x + steps) - score(x - steps)) / (2 * step)).reshape(x.shape)


@pytest.mark.parametrize("activation", ["softplus", "tanh", "gelu"])
@pytest.mark.parametrize("layer", ["pixels", "pool"])
def test_against_central_differences(activation, layer):
    model = smooth_model(activation)
    found = gradient(model, layers=["pool", "pixels"])(PIXELS[:2], [2, 0])
    network_input = TF(PIXELS[:2]).astype(np.float64)
    if layer == "pixels":
        start, above = network_input, model
    else:
        start = keras.Model(model.input, model.get_layer("pool").output)(network_input).numpy()
        above = keras.Model(model.get_layer("pool").output, model.output)
    for image, class_id in enumerate([2, 0]):
        expected = central_differences(
            lambda x, c=class_id: above(tf.constant(x)).numpy()[:, c], start[image]
        )
        expected = np.abs(expected).max(axis=-1)
        each = found.maps[0 if layer == "pool" else 1][image]
        np.testing.assert_allclose(each, expected, rtol=1e-6, atol=1e-6 * expected.max())


# --- Inner layers ---


@pytest.fixture(scope="module")
def network():
    """Three convolutions, one of them beside a shortcut."""
    keras.utils.set_random_seed(2)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(image)
    x = pool = layers.MaxPool2D(name="pool")(x)
    x = layers.Conv2D(6, 3, padding="same", activation="tanh", name="conv2")(x)
    x = layers.Add(name="add")([x, pool])
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(4, name="scores")(x))


@pytest.mark.parametrize("layer", ["conv1", "pool", "add", "conv3"])
def test_an_inner_layers_map_is_that_of_the_model_above_it(network, layer):
    middle = network.get_layer(layer).output
    below = keras.Model(network.input, middle)(TF(PIXELS))
    above = keras.Model(middle, network.output)
    with tf.GradientTape() as tape:
        tape.watch(below)
        score = above(below)[:, 2]
    expected = tf.reduce_max(tf.abs(tape.gradient(score, below)), axis=-1).numpy()
    found = gradient(network, layers=layer)(PIXELS, [2, 2, 2]).maps
    assert len(found) == 1
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_derivative_times_activation_of_an_inner_layer(network):
    # Behind the last convolution: pooling over 4 x 4 and a linear layer, so S = mean(a) w + b.
    activation = keras.Model(network.input, network.get_layer("conv3").output)(TF(PIXELS)).numpy()
    expected = np.abs(activation @ network.layers[-1].kernel.numpy()[:, 1]) / 16
    found = gradient(network, layers="conv3", reduction="activation")(PIXELS, [1, 1, 1]).maps[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_several_layers_in_one_pass_equal_each_alone(network):
    names = ["conv3", "pixels", "pool", "conv1"]  # in the order asked for
    together = gradient(network, layers=names)(PIXELS, [0, 1, 2])
    assert [each.shape for each in together.maps] == [(3, s, s) for s in (4, 8, 4, 8)]
    for name, found in zip(names, together.maps, strict=True):
        alone = gradient(network, layers=[name])(PIXELS, [0, 1, 2]).maps[0]
        np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-7)


def test_automatic_layers_go_with_named_ones(network):
    assert gradient(network, layers="auto").layers == ("add",)
    assert gradient(network, layers=["pixels", "auto"]).layers == ("pixels", "add")


def operations(method):
    """The types of the operations that are run: those that the outputs need."""
    waiting = [tensor.op for tensor in method.compiled.get_concrete_function().graph.outputs]
    needed = {}
    while waiting:
        operation = waiting.pop()
        if operation.name not in needed:
            needed[operation.name] = operation.type
            waiting += [tensor.op for tensor in operation.inputs] + operation.control_inputs
    return list(needed.values())


@pytest.mark.parametrize(
    ("chosen", "backward"),
    [
        ("pixels", 3),
        ("conv1", 2),  # the convolutions above it
        ("pool", 2),
        ("add", 1),
        ("conv3", 0),
        (["conv3", "pool"], 2),
        (["conv3", "pixels", "conv1"], 3),  # one backward pass serves all
    ],
)
def test_the_pass_goes_back_only_as_far_as_asked(network, chosen, backward):
    types = operations(gradient(network, layers=chosen))
    assert types.count("Conv2D") == 3
    assert types.count("Conv2DBackpropInput") == backward


def test_no_derivative_of_a_weight_is_computed(network):
    types = operations(gradient(network, layers=["pixels", "conv1", "conv3"]))
    assert "Conv2DBackpropFilter" not in types
    assert "BiasAddGrad" not in types
    # The one linear layer: forward, and back to its input.
    assert types.count("MatMul") == 2


# --- The same network in other forms ---


class Subclassed(keras.Model):
    """The same layers, called by code."""

    def __init__(self, network):
        super().__init__()
        self.network_layers = [network.get_layer(name) for name in ("conv1", "pool", "conv2")]
        self.add = network.get_layer("add")
        self.head = [network.get_layer(name) for name in ("conv3", "gap", "scores")]

    def call(self, x):
        conv1, pool, conv2 = self.network_layers
        x = pool(conv1(x))
        x = self.add([conv2(x), x])
        for layer in self.head:
            x = layer(x)
        return x


def as_nested(network, folder):
    image = keras.Input((SIDE, SIDE, 3))
    features = keras.Model(network.input, network.get_layer("gap").output, name="backbone")(image)
    return keras.Model(image, network.get_layer("scores")(features))


def as_sequential(network, folder):
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), network, layers.Softmax()])


def as_reloaded(network, folder):
    network.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras", compile=False)


def as_subclassed(network, folder):
    model = Subclassed(network)
    model(tf.zeros([1, SIDE, SIDE, 3]))
    return model


@pytest.mark.parametrize("form", [as_nested, as_sequential, as_reloaded, as_subclassed])
def test_the_form_of_the_model_does_not_matter(network, form, tmp_path):
    names = ["pixels", "conv1", "add"]
    expected = gradient(network, layers=names)(PIXELS, [3, 0, 1])
    classifier = classifiers.load(form(network, tmp_path), "tf", input_size=(SIDE, SIDE))
    found = maps.create("gradient", classifier, layers=names)(PIXELS, [3, 0, 1])
    for left, right in zip(found.maps, expected.maps, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6 * right.max())


def test_the_background_is_not_a_class(network):
    all_outputs = gradient(network)(PIXELS, [3, 1, 2]).maps[0]
    classifier = classifiers.load(network, "tf", class_offset=1)
    found = maps.create("gradient", classifier)(PIXELS, [2, 0, 1]).maps[0]
    np.testing.assert_array_equal(found, all_outputs)


# --- Half precision ---


def lenet(dtype):
    keras.utils.set_random_seed(4)
    image = keras.Input((16, 16, 3))
    x = image
    for number, filters in enumerate((8, 16), 1):
        x = layers.Conv2D(filters, 3, padding="same", dtype=dtype, name=f"conv{number}")(x)
        x = layers.AveragePooling2D(2, dtype=dtype)(layers.ReLU(dtype=dtype)(x))
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(image, layers.Dense(4, dtype=dtype, name="scores")(x))


IMAGES_16 = RNG.integers(0, 256, (2, 16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("mixed_float16", 0.01), ("mixed_bfloat16", 0.05)]
)
def test_mixed_precision_is_close_to_float32(dtype, tolerance):
    names = ["pixels", "conv2"]
    expected = gradient(lenet("float32"), layers=names)(IMAGES_16, [0, 2])
    found = gradient(lenet(dtype), layers=names)(IMAGES_16, [0, 2])
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0.1, atol=0.01)
    for left, right in zip(found.maps, expected.maps, strict=True):
        assert left.dtype == np.float32
        assert relative_l2(left, right) < tolerance


def test_derivatives_too_small_for_float16_do_not_vanish():
    # 2e-5, divided among 8 x 8 positions, is 3e-7: five steps of half precision's 6e-8.
    models = [lenet("float32"), lenet("mixed_float16")]
    for model in models:
        model.get_layer("scores").kernel.assign(np.linspace(1e-5, 3e-5, 64).reshape(16, 4))
    expected, found = (gradient(model)(IMAGES_16, [1, 1]).maps[0] for model in models)
    assert relative_l2(found, expected) < 0.02


def test_derivatives_too_large_for_the_usual_scale_stay_finite():
    # 100 before it is divided among positions; 1,024 times that is beyond float16's 65,504.
    models = [lenet("float32"), lenet("mixed_float16")]
    for model in models:
        model.get_layer("scores").kernel.assign(np.linspace(80, 120, 64).reshape(16, 4))
    expected, found = (gradient(model)(IMAGES_16, [1, 1]).maps[0] for model in models)
    assert relative_l2(found, expected) < 0.02


# --- PyTorch on the same weights ---


def test_against_pytorch(squeezenet, golden):
    result = maps.create("gradient", squeezenet)(golden["images"], golden["class_ids"])
    np.testing.assert_allclose(result.scores, golden["logits"], rtol=1e-3, atol=1e-2)
    for found, expected in zip(result.maps[0], golden["gradient"], strict=True):
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] >= 0.9999
        assert relative_l2(found, expected) <= 1e-2


# --- What is refused ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "conv4"}, r"no layer 'conv4'; near it: conv"),
        ({"layers": ["conv1", "conv1"]}, r"named, each once; received \['conv1', 'conv1'\]"),
        ({"layers": ["pixels", "pixels"]}, "each once"),
        ({"layers": ["auto", "add"]}, r"each once; received \['add', 'add'\]"),
        ({"layers": []}, "each once"),
        ({"reduction": "median"}, r"no reduction over channels 'median'; choose one of max, mean"),
    ],
    ids=["unknown", "twice", "pixels twice", "chosen and named", "none", "reduction"],
)
def test_options_that_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        gradient(network, **options)


def test_two_names_of_one_layer_are_refused(network, tmp_path):
    nested = as_nested(network, tmp_path)
    with pytest.raises(ValueError, match="each once"):
        gradient(nested, layers=["conv1", "backbone/conv1"])


def model_with_odd_layers():
    image = keras.Input((SIDE, SIDE, 3))
    again = layers.Conv2D(3, 3, padding="same", name="again")
    x = again(again(image))
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(3, name="scores")(x))


class WithALayerAside(keras.Model):
    """Has a layer that it never calls, and one that it calls for nothing."""

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(3, 3, name="conv")
        self.aside = layers.Conv2D(3, 3, name="aside")
        self.unused = layers.ReLU(name="unused")
        self.scores = layers.Dense(3)

    def call(self, x):
        self.aside(x)
        return self.scores(tf.reduce_mean(self.conv(x), axis=[1, 2]))


@pytest.mark.parametrize(
    ("make", "layer", "message"),
    [
        (model_with_odd_layers, "again", "^The layer 'again' is used more than once in a pass; "),
        (model_with_odd_layers, "gap", r"^The layer 'gap' gives no feature map \(N, height, "),
        (WithALayerAside, "unused", "^The layer 'unused' is not used in a pass; "),
        (WithALayerAside, "aside", "^The class scores do not depend on 'aside'; choose another"),
    ],
)
def test_layers_that_no_map_can_be_taken_of(make, layer, message):
    model = make()
    classifier = classifiers.load(model, "tf", input_size=(SIDE, SIDE))
    method = maps.create("gradient", classifier, layers=layer)
    with pytest.raises(ValueError, match=message) as error:
        method(PIXELS)
    assert "\n" not in str(error.value)
    assert not any("call" in vars(layer) for layer in model.layers)
