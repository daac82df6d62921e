"""Precisions and strategies, of one device; two devices are those of test_pipeline_compute.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from keras import layers

from sensmap import classifiers, compute, maps
from sensmap import flags as shared

HALF = ["float16", "bfloat16"]
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 12, 12, 3)).astype(np.float32)


def backbone():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv1"),
            layers.BatchNormalization(name="norm"),
        ],
        name="backbone",
    )


def nested(head):
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    features = backbone()(image)
    shared_layer = layers.Conv2D(4, 3, padding="same", name="twice")
    once = shared_layer(features)
    joined = layers.Add()([once, shared_layer(once)]) + 1.0
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(joined)), name="nested")


def dense(x):
    return layers.Dense(5, name="scores")(x)


def dense_softmax(x):
    return layers.Dense(5, activation="softmax", name="scores")(x)


def softmax_behind(x):
    return layers.Softmax(name="softmax")(layers.Dropout(0.5)(dense(x)))


def policies(model):
    return {
        name: layer.dtype_policy.name
        for name, layer in maps._layers.named_layers(model).items()
        if isinstance(layer, layers.Layer) and not isinstance(layer, layers.InputLayer)
    }


# --- Precision ---


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("head", [dense, dense_softmax, softmax_behind])
def test_layers_compute_in_half_precision_and_scores_in_float32(head, precision):
    model = nested(head)
    before, weights = policies(model), model.get_weights()
    found = compute.in_precision(model, precision)
    exact = ("scores", "dropout", "softmax")
    for name, policy in policies(found).items():
        assert policy == ("float32" if name.startswith(exact) else f"mixed_{precision}"), name
    assert found(PIXELS).dtype == tf.float32
    assert {weight.dtype for weight in found.weights} == {"float32"}
    for old, new in zip(weights, found.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # Rounding is of 2^-11 or 2^-8; no more than a few of them add up here.
    inputs = PIXELS / 255
    exact_scores, scores = model(inputs).numpy(), found(inputs).numpy()
    assert np.abs(scores - exact_scores).max() > 0
    np.testing.assert_allclose(scores, exact_scores, rtol=0, atol=0.02 * np.ptp(exact_scores))
    # The given one is as it was, and shares nothing.
    assert policies(model) == before
    found.set_weights([weight * 0 for weight in weights])
    np.testing.assert_array_equal(model(inputs), exact_scores)


def test_scores_behind_a_convolution_are_pooled_in_float32():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(5, 1, activation="relu", name="conv")(image)
    x = layers.Flatten(name="flat")(layers.GlobalAveragePooling2D(name="pool")(x))
    found = policies(compute.in_precision(keras.Model(image, x), "float16"))
    assert [found[name] for name in ("conv", "pool", "flat")] == [
        "mixed_float16",
        "float32",
        "float32",
    ]


def test_the_end_of_a_model_inside_another_is_float32():
    inner = nested(softmax_behind)
    image = keras.Input((12, 12, 3))
    found = policies(compute.in_precision(keras.Model(image, inner(image)), "bfloat16"))
    assert {name for name, policy in found.items() if policy == "float32"} >= {
        "nested/scores",
        "nested/softmax",
    }
    assert found["nested/backbone/conv1"] == "mixed_bfloat16"


def test_without_a_precision_it_is_the_same_model():
    model = nested(dense)
    assert compute.in_precision(model, "none") is model
    assert compute.precision_of(model) == "none"
    assert compute.precision_of(compute.in_precision(model, "float16")) == "float16"


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(5)

    def call(self, inputs):
        return self.dense(keras.ops.mean(inputs, axis=(1, 2)))


def test_a_model_without_a_graph_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^source cannot compute in float16: .* no graph.*'none'"):
        classifiers.Classifier(
            Subclassed(),
            classifiers.Preprocessing.of("tf"),
            (12, 12),
            source="source",
            mixed_precision="float16",
        )


@pytest.mark.parametrize(
    "act",
    [
        lambda: compute.in_precision(nested(dense), "float8"),
        lambda: classifiers.load(nested(dense), "tf", mixed_precision="float8"),
    ],
)
def test_an_unknown_precision(act):
    with pytest.raises(ValueError, match=r"^There is no precision 'float8'; choose .* bfloat16\.$"):
        act()


# --- Classifiers ---


@pytest.mark.parametrize("precision", HALF)
def test_a_classifier_says_its_precision_only_where_it_has_one(tmp_path, precision):
    exact = classifiers.load(nested(dense_softmax), "tf")
    half = classifiers.load(nested(dense_softmax), "tf", mixed_precision=precision)
    assert "mixed_precision" not in exact.config
    assert half.config == {**exact.config, "mixed_precision": precision}
    assert half.class_scores(PIXELS).dtype == np.float32
    classifiers.save(half, tmp_path / "half")
    again = classifiers.load(tmp_path / "half")
    assert again.config == half.config
    np.testing.assert_array_equal(again.class_scores(PIXELS), half.class_scores(PIXELS))
    classifiers.save(exact, tmp_path / "exact")
    made = classifiers.load(tmp_path / "exact", mixed_precision=precision)
    assert made.config == half.config


def test_scores_that_leave_the_range_of_float16():
    model = nested(dense)
    model.get_layer("twice").bias.assign([1e5] * 4)
    with pytest.raises(ValueError, match=r"NaN or infinite outputs in float16; bfloat16 has the "):
        classifiers.load(model, "tf", mixed_precision="float16")
    classifiers.load(model, "tf", mixed_precision="bfloat16")


# --- Strategies and compilation ---


def test_strategies_by_name():
    assert compute.strategy("none") is None
    mirrored = compute.strategy("mirrored")
    assert mirrored is compute.strategy("mirrored")
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    assert mirrored.num_replicas_in_sync == len(tf.config.list_logical_devices(kind))
    with pytest.raises(ValueError, match=r"^There is no strategy 'tpu'; choose .* mirrored\.$"):
        compute.strategy("tpu")


def test_flags_know_the_same_names():
    known = flags.FlagValues()
    with pytest.MonkeyPatch.context() as patch:
        # As in a binary; this process's own flags stay as they are.
        for kind in ("DEFINE_enum", "DEFINE_bool"):
            define = getattr(flags, kind)
            patch.setattr(
                flags, kind, lambda *each, define=define: define(*each, flag_values=known)
            )
        shared.define_compute()
    assert set(known) == set(shared.COMPUTE_FLAGS)
    assert known["strategy"].parser.enum_values == list(compute.STRATEGIES)
    assert known["mixed_precision"].parser.enum_values == list(compute.PRECISIONS)
    assert [known[name].default for name in shared.COMPUTE_FLAGS] == ["none", "none", False]


@pytest.mark.parametrize(("size", "expected"), [(1, [3]), (2, [3, 4]), (5, [3, 4, 4, 4, 4])])
def test_batches_are_filled_up_with_their_last_image(size, expected):
    numbers, pairs = compute.repeated(size, tf.constant([3, 4]), tf.constant([[3, 0], [4, 0]]))
    assert numbers.numpy().tolist() == expected
    assert pairs.numpy()[:, 0].tolist() == expected


def test_what_xla_cannot_compile_ends_in_one_line():
    @tf.function(jit_compile=True, input_signature=[tf.TensorSpec([1, 4, 4, 3])])
    def shrunk(pixels):
        return tf.image.resize(pixels, (2, 2), antialias=True)

    expected = r"^It has the operation ScaleAndTranslate, which XLA cannot compile; leave jit_com"
    with pytest.raises(ValueError, match=expected), compute.compiling("It"):
        shrunk(tf.zeros([1, 4, 4, 3]))
    # Other errors stay what they are.
    with pytest.raises(tf.errors.InvalidArgumentError), compute.compiling("It"):
        tf.reshape(tf.zeros(3), [2])
