"""The rules for rectifiers: in every form that Keras has, against closed forms and PyTorch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, maps
from sensmap.maps import _rectifiers, given
from sensmap.maps._derivatives import Derivatives

SIDE, CHANNELS, CLASSES = 4, 5, 3
RNG = np.random.default_rng(0)
PIXELS = RNG.normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
CLASS_IDS = np.array([2, 0], np.int32)
REWRITTEN = ("deconvnet", "guided")


def classifier_of(model):
    return classifiers.load(model, "none", input_size=(SIDE, SIDE))


def derivative_and_count(model, rule, layer="pixels"):
    """The derivative itself, with sign and channels, ``(N, h, w, channels)``; and how many
    rectifiers follow the rule."""
    derivatives = Derivatives(classifier_of(model), layer, rule)

    @tf.function(autograph=False)
    def compute(pixels):
        return derivatives(pixels, given(CLASS_IDS[:, None]), lambda g, _: g).maps[0][:, 0]

    traced = compute.get_concrete_function(tf.constant(PIXELS))
    return traced(tf.constant(PIXELS)).numpy(), _rectifiers.count(traced.graph)


def derivative(model, rule, layer="pixels"):
    return derivative_and_count(model, rule, layer)[0]


def expected(model, rule, maximum=np.inf):
    """Of a 1 x 1 convolution z = x K + b, one rectifier, and a linear layer S = r(z) W."""
    kernel, bias, weights = (weight.numpy() for weight in model.weights[:3])
    z = PIXELS @ kernel[0, 0] + bias
    arriving = weights.T[CLASS_IDS].reshape(z.shape)
    passes = {
        "gradient": z > 0,
        "deconvnet": arriving > 0,
        "guided": (z > 0) & (arriving > 0),
    }[rule]
    return (arriving * passes * (z < maximum)) @ kernel[0, 0].T


# --- Every form of a rectifier ---


@keras.saving.register_keras_serializable("sensmap tests")
class Rectifier(layers.Layer):
    """Calls TensorFlow itself."""

    def call(self, x):
        return tf.nn.relu(x)


def conv(**options):
    return layers.Conv2D(CHANNELS, 1, bias_initializer="random_normal", name="conv", **options)


def head():
    return [layers.Flatten(name="flat"), layers.Dense(CLASSES, use_bias=False, name="scores")]


def functional(rectify, **options):
    image = keras.Input((SIDE, SIDE, 3))
    x = rectify(conv(**options)(image))
    for layer in head():
        x = layer(x)
    return keras.Model(image, x, name="mine")


def sequential():
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), conv(), layers.ReLU(), *head()])


def nested():
    inner = keras.Sequential([keras.Input((SIDE, SIDE, 3)), conv(), layers.ReLU()], name="inner")
    image = keras.Input((SIDE, SIDE, 3))
    x = inner(image)
    for layer in head():
        x = layer(x)
    return keras.Model(image, x, name="mine")


def twice_nested():
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), nested(), layers.Softmax()])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.head = conv(), head()

    def call(self, x):
        x = keras.ops.relu(self.conv(x))
        for layer in self.head:
            x = layer(x)
        return x


def subclassed():
    model = Subclassed()
    model(PIXELS)
    return model


def activated(activation):
    return lambda: functional(lambda x: x, activation=activation)


def layer(make, *arguments, **options):
    return lambda: functional(make(*arguments, **options))


FORMS = {
    "layer": (layer(layers.ReLU), np.inf),
    "layer of six": (layer(layers.ReLU, max_value=6.0), 6.0),
    "layer of a half": (layer(layers.ReLU, max_value=0.5), 0.5),
    "Activation relu": (layer(layers.Activation, "relu"), np.inf),
    "Activation relu6": (layer(layers.Activation, "relu6"), 6.0),
    "Activation tf.nn.relu": (layer(layers.Activation, tf.nn.relu), np.inf),
    "argument relu": (activated("relu"), np.inf),
    "argument relu6": (activated("relu6"), 6.0),
    "argument function": (activated(keras.activations.relu), np.inf),
    "argument layer": (activated(layers.ReLU(0.5)), 0.5),
    "ops.relu": (lambda: functional(keras.ops.relu), np.inf),
    "ops.relu6": (lambda: functional(keras.ops.relu6), 6.0),
    "activations.relu": (lambda: functional(keras.activations.relu), np.inf),
    "Lambda": (layer(layers.Lambda, tf.nn.relu, output_shape=lambda shape: shape), np.inf),
    "custom layer": (layer(Rectifier), np.inf),
    "sequential": (sequential, np.inf),
    "nested": (nested, np.inf),
    "twice nested": (twice_nested, np.inf),
    "subclassed": (subclassed, np.inf),
}


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    """A model with one rectifier, and that rectifier's maximum."""
    keras.utils.set_random_seed(1)
    make, maximum = FORMS[request.param]
    model = make()
    # So that inputs of the rectifier lie below zero, between zero and the maximum, and above.
    kernel = next(weight for weight in model.weights if weight.shape.rank == 4)
    kernel.assign(kernel * 4)
    return model, maximum


@pytest.mark.parametrize("rule", REWRITTEN)
def test_every_form_is_found_once_and_follows_the_rule(form, rule):
    model, maximum = form
    found, count = derivative_and_count(model, rule)
    assert count == 1
    correct = expected(model, rule, maximum)
    np.testing.assert_allclose(found, correct, rtol=1e-4, atol=1e-6)
    assert not np.allclose(correct, expected(model, "gradient", maximum), atol=0.1)


@pytest.mark.parametrize("rule", REWRITTEN)
@pytest.mark.parametrize("name", ["layer", "argument relu6", "custom layer", "nested", "ops.relu"])
def test_a_reloaded_model_is_the_same(name, rule, tmp_path):
    keras.utils.set_random_seed(1)
    model = FORMS[name][0]()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    found, count = derivative_and_count(again, rule)
    assert count == 1
    np.testing.assert_array_equal(found, derivative(model, rule))


def test_the_sample_tells_maxima_from_none():
    keras.utils.set_random_seed(1)
    model = FORMS["layer of six"][0]()
    z = PIXELS @ (model.weights[0].numpy()[0, 0] * 4) + model.weights[1].numpy()
    assert (z > 6).any()
    assert ((z > 0) & (z < 0.5)).any()
    assert (z < 0).any()


def test_all_of_them_are_counted_together():
    stack = [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(4, 1, activation="relu")]
    stack += [layers.Conv2D(4, 1, activation="relu6"), layers.ReLU(), Rectifier()]
    model = keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)])
    for rule, count in (("guided", 4), ("deconvnet", 4), ("gradient", 0)):
        assert maps.create(rule, classifier_of(model)).rectifiers == count


# --- What is no rectifier keeps its derivative ---

OTHERS = {
    "leaky layer": layers.LeakyReLU(0.3),
    "slope": layers.ReLU(negative_slope=0.3),
    "slope and maximum": layers.ReLU(negative_slope=0.3, max_value=0.5),
    "slope and six": layers.ReLU(negative_slope=0.3, max_value=6),
    "slope and threshold": layers.ReLU(negative_slope=0.3, threshold=0.5),
    "threshold": layers.ReLU(threshold=0.5),
    "threshold and maximum": layers.ReLU(threshold=0.25, max_value=0.5),
    "PReLU": layers.PReLU(alpha_initializer=keras.initializers.Constant(0.3)),
    "hard sigmoid": layers.Activation("hard_sigmoid"),
    "hard silu": layers.Activation("hard_silu"),
    "hard sigmoid of a layer": lambda x: layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0),
    "absolute value": lambda x: keras.ops.relu(x) + keras.ops.relu(-x),
    "softplus": layers.Activation("softplus"),
}


@pytest.mark.parametrize("rule", REWRITTEN)
@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_keep_their_derivative(name, rule):
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU(name="first")(image)
    x = OTHERS[name](layers.Conv2D(CHANNELS, 1, bias_initializer="random_normal")(x))
    x = layers.Dense(CLASSES)(layers.Flatten()(x))
    model = keras.Model(image, x)
    # At the rectifier's output: the way back does not pass it, so the rule may change nothing.
    plain = derivative(model, "gradient", "first")
    assert plain.min() < 0 < plain.max()
    found, count = derivative_and_count(model, rule, "first")
    assert count == 1
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("rule", REWRITTEN)
@pytest.mark.parametrize("name", ["leaky layer", "PReLU", "hard silu", "softplus"])
def test_a_model_without_a_rectifier_is_refused_by_name(name, rule):
    model = functional(OTHERS[name])
    method = maps.create(rule, classifier_of(model))
    with pytest.raises(
        ValueError, match=f"^keras.Model mine has no rectifier .* that {rule} would"
    ):
        method(PIXELS)


# --- What cannot be rewritten ---


class Compiled(layers.Layer):
    """A layer that compiles itself."""

    @tf.function
    def call(self, x):
        return tf.nn.relu(x)


class Conditional(layers.Layer):
    def call(self, x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.nn.relu(x), lambda: x)


@pytest.mark.parametrize("rule", REWRITTEN)
@pytest.mark.parametrize("kind", [Compiled, Conditional])
def test_a_rectifier_out_of_reach_is_refused(kind, rule):
    image = keras.Input((SIDE, SIDE, 3))
    x = kind()(layers.Conv2D(4, 1, activation="relu")(image))
    model = keras.Model(image, layers.Dense(CLASSES)(layers.Flatten()(x)), name="mine")
    method = maps.create(rule, classifier_of(model))
    with pytest.raises(
        ValueError, match=r"^keras\.Model mine has a rectifier inside a tf\.function"
    ):
        method(PIXELS)
    assert maps.create("gradient", classifier_of(model))(PIXELS).maps[0].max() > 0


@pytest.mark.parametrize("rule", REWRITTEN)
def test_outside_of_a_graph_it_is_refused(rule):
    method = maps.create(rule, classifier_of(sequential()))
    with pytest.raises(ValueError, match=f"^The rule '{rule}' is one of graphs"):
        method.sensitivity(tf.constant(PIXELS), tf.constant(CLASS_IDS))
    whole = tf.function(method.sensitivity, autograph=False)
    found = whole(tf.constant(PIXELS), tf.constant(CLASS_IDS))
    np.testing.assert_array_equal(found.maps[0], method(PIXELS, CLASS_IDS).maps[0])


def test_what_is_traced_afterwards_is_differentiated_as_ever():
    model = sequential()
    plain = derivative(model, "gradient")
    derivative(model, "guided")

    @tf.function(autograph=False)
    def both(pixels):
        with _rectifiers.rewritten("guided", "model"):
            model(pixels)
        scores = tf.gather(model(pixels), CLASS_IDS, batch_dims=1)
        return tf.gradients(scores, pixels)[0]

    np.testing.assert_allclose(both(tf.constant(PIXELS)), plain, rtol=1e-5, atol=1e-7)


# --- Inner layers ---


@pytest.mark.parametrize("rule", REWRITTEN)
def test_inner_layers_follow_the_rule_on_the_way_to_them(rule):
    keras.utils.set_random_seed(1)
    model = FORMS["layer"][0]()
    found = maps.create(rule, classifier_of(model), layers=["conv", "pixels"])(PIXELS, CLASS_IDS)
    kernel = model.weights[0].numpy()[0, 0]
    at_conv = derivative(model, rule, "conv")
    np.testing.assert_allclose(at_conv @ kernel.T, expected(model, rule), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.maps[0], np.abs(at_conv).max(axis=-1), rtol=1e-5, atol=1e-7)
    at_pixels = np.abs(expected(model, rule)).max(axis=-1)
    np.testing.assert_allclose(found.maps[1], at_pixels, rtol=1e-4, atol=1e-6)


def test_half_precision_follows_the_rules():
    keras.utils.set_random_seed(1)
    model = functional(layers.ReLU())
    half = keras.models.clone_model(
        model,
        clone_function=lambda each: each.__class__.from_config(
            {**each.get_config(), "dtype": "mixed_float16"}
        ),
    )
    half.set_weights(model.get_weights())
    for rule in REWRITTEN:
        correct = expected(model, rule)
        close = 5e-3 * np.abs(correct).max()
        np.testing.assert_allclose(derivative(half, rule), correct, rtol=0.02, atol=close)


# --- PyTorch on the same weights ---


@pytest.mark.parametrize("rule", REWRITTEN)
def test_against_pytorch(squeezenet, golden, rule):
    method = maps.create(rule, squeezenet)
    result = method(golden["images"], golden["class_ids"])
    assert method.rectifiers == 26
    for found, correct in zip(result.maps[0], golden[rule], strict=True):
        assert np.corrcoef(found.ravel(), correct.ravel())[0, 1] >= 0.9999
        assert np.linalg.norm(found - correct) <= 1e-2 * np.linalg.norm(correct)
