"""A Keras model as a class-score function, and what is refused."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap.classifiers import Classifier, Preprocessing
from sensmap.classifiers.sanity import SanityCheck

TF = Preprocessing.of("tf")
PIXELS = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)


def model(*ending, size=(8, 8), outputs=4):
    stack = [keras.Input((*size, 3)), layers.GlobalAveragePooling2D(), layers.Dense(outputs)]
    return keras.Sequential([*stack, *ending])


def by_hand(network, pixels=PIXELS):
    kernel, bias = network.layers[1].get_weights()
    return (pixels.astype(np.float32) / 127.5 - 1).mean(axis=(1, 2)) @ kernel + bias


@pytest.mark.parametrize("ending", [[], [layers.Softmax()]])
def test_class_scores(ending):
    network = model(*ending)
    classifier = Classifier(network, TF)
    assert classifier.input_size == (8, 8)
    assert classifier.num_classes == 4
    scores = classifier.class_scores(PIXELS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, by_hand(network), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(classifier.class_scores(PIXELS.astype(np.float32)), scores)


def test_class_scores_of_other_sizes_and_of_no_images():
    classifier = Classifier(model(), TF)
    white = np.full((2, 5, 9, 3), 255, np.uint8)
    at_size = classifier.class_scores(np.full((2, 8, 8, 3), 255, np.uint8))
    np.testing.assert_allclose(classifier.class_scores(white), at_size, rtol=1e-5)
    assert classifier.class_scores(PIXELS[:0]).shape == (0, 4)
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\); received \(8, 8, 3\)"):
        classifier.class_scores(PIXELS[0])


def test_more_images_than_go_through_at_once():
    classifier = Classifier(model(), TF)
    many = np.concatenate([PIXELS] * 40)
    np.testing.assert_allclose(
        classifier.class_scores(many), np.tile(classifier.class_scores(PIXELS), (40, 1)), rtol=1e-5
    )


def test_background_is_cut_away():
    network = model(layers.Softmax(), outputs=5)
    names = ["background", "a", "b", "c", "d"]
    classifier = Classifier(network, TF, class_names=names, class_offset=1)
    assert classifier.num_classes == 4
    assert classifier.class_names == ("a", "b", "c", "d")
    assert classifier.class_id("a") == 0
    scores = classifier.class_scores(PIXELS)
    np.testing.assert_allclose(scores, by_hand(network)[:, 1:], rtol=1e-4, atol=1e-6)
    assert Classifier(network, TF, class_names=names[1:], class_offset=1).class_names[0] == "a"


def test_scores_can_be_traced_and_differentiated():
    classifier = Classifier(model(), TF)

    @tf.function
    def gradient(network_input):
        with tf.GradientTape() as tape:
            tape.watch(network_input)
            score = classifier.scores_from_input(network_input)[:, 2]
        return tape.gradient(score, network_input)

    gradients = gradient(tf.zeros([2, 8, 8, 3])).numpy()
    weights = classifier.model.layers[-1].get_weights()[0][:, 2] / 64
    np.testing.assert_allclose(gradients, np.broadcast_to(weights, (2, 8, 8, 3)), rtol=1e-5)


def test_inference_mode():
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.BatchNormalization(), layers.Dropout(0.9), layers.Flatten()]
    )
    classifier = Classifier(network, TF)
    first = classifier.class_scores(PIXELS)
    np.testing.assert_array_equal(classifier.class_scores(PIXELS), first)
    np.testing.assert_allclose(
        first, (PIXELS / 127.5 - 1).reshape(3, -1) / np.sqrt(1.001), rtol=1e-3, atol=1e-4
    )


def test_mixed_precision_gives_float32():
    image = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D(dtype="mixed_bfloat16")(image)
    x = layers.Dense(4, activation="softmax", dtype="mixed_bfloat16")(x)
    scores = Classifier(keras.Model(image, x), TF).class_scores(PIXELS)
    assert scores.dtype == np.float32
    assert (scores < 0).any()


def test_flexible_size():
    network = model(size=(None, None))
    with pytest.raises(ValueError, match=r"images of any size; .* input_size=\(height, width\)"):
        Classifier(network, TF)
    assert Classifier(network, TF, (6, 10)).input_size == (6, 10)
    half = model(size=(None, 8))
    assert Classifier(half, TF, (6, 8)).input_size == (6, 8)
    with pytest.raises(ValueError, match=r"images of Nonex8 only; input_size=\(6, 9\)"):
        Classifier(half, TF, (6, 9))


def test_unbuilt_sequential():
    network = keras.Sequential([layers.Flatten(), layers.Dense(4, activation="softmax")])
    classifier = Classifier(network, TF, (8, 8))
    assert classifier.num_classes == 4
    assert not np.allclose(classifier.class_scores(PIXELS).sum(axis=1), 1)


class Subclassed(keras.Model):
    def __init__(self, activation=None, several=False):
        super().__init__()
        self.dense = layers.Dense(4, activation=activation)
        self.several = several

    def call(self, images):
        scores = self.dense(keras.ops.mean(images, axis=(1, 2)))
        return [scores, scores] if self.several else scores


def test_subclassed_model_of_scores():
    classifier = Classifier(Subclassed(), TF, (8, 8))
    assert classifier.class_scores(PIXELS).shape == (3, 4)
    assert len(classifier.fingerprint) == 64


def test_input_and_output_in_dictionaries():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Dense(4, activation="softmax")(layers.Flatten()(image))
    named = Classifier(keras.Model({"image": image}, {"scores": x}), TF)
    plain = Classifier(keras.Model(image, x), TF)
    np.testing.assert_array_equal(named.class_scores(PIXELS), plain.class_scores(PIXELS))


def two_inputs():
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layers.Add()(inputs))))


def two_outputs():
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(image)
    return keras.Model(image, [layers.Dense(4)(x), layers.Dense(2)(x)])


def pooled_softmax():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="softmax")(image)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def two_softmaxes():
    return model(layers.Softmax(), layers.Softmax())


def softmax_by_position():
    image = keras.Input((8, 8, 3))
    return keras.Model(image, layers.Flatten()(layers.Conv2D(4, 3, activation="softmax")(image)))


def nan_weights():
    network = model()
    network.set_weights([np.full_like(weight, np.nan) for weight in network.get_weights()])
    return network


def score_map():
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 1)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (two_inputs, "has 2 inputs; a classifier takes one"),
        (two_outputs, r"several outputs: .* \(None, 4\), .* \(None, 2\)"),
        (lambda: Subclassed(several=True), r"several outputs \(list of 2\)"),
        (lambda: Subclassed("softmax"), "gives probabilities"),
        (pooled_softmax, "gives probabilities"),
        (two_softmaxes, "gives probabilities"),
        (softmax_by_position, "ends with a softmax that is not over its classes"),
        (nan_weights, "NaN or infinite outputs"),
        (score_map, r"outputs of the shape \('N', 8, 8, 4\); expected scores"),
        (lambda: model(outputs=1), r"\('N', 1\); expected scores \(N, C\) of at least two"),
        (lambda: model(layers.Dense(1, activation="sigmoid")), "at least two"),
    ],
)
def test_refused_models(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        Classifier(make(), TF, (8, 8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 4), (3, 8, 8), (10,)])
def test_refused_inputs(shape):
    image = keras.Input(shape)
    network = keras.Model(image, layers.Dense(4)(layers.Flatten()(image)))
    with pytest.raises(ValueError, match="expected RGB images, channels last"):
        Classifier(network, TF)


def test_refused_arguments():
    with pytest.raises(ValueError, match=r"of at least two classes after the first 3\."):
        Classifier(model(), TF, class_offset=3)
    with pytest.raises(ValueError, match="class_offset counts background outputs; received -1"):
        Classifier(model(), TF, class_offset=-1)
    with pytest.raises(ValueError, match="3 class names for 4 classes"):
        Classifier(model(), TF, class_names=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"images of 8x8 only; input_size=\(9, 9\) was asked"):
        Classifier(model(), TF, (9, 9))
    with pytest.raises(ValueError, match=r"\(height, width\) in pixels; received \(0, 8\)"):
        Classifier(model(), TF, (0, 8))


def test_size_that_the_layers_cannot_take():
    network = keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 5), layers.Flatten()]
    )
    with pytest.raises(ValueError, match=r"cannot take images of 2x2: [^{]+ size") as caught:
        Classifier(network, TF, (2, 2))
    assert "\n" not in str(caught.value)


def test_config_is_json_and_tells_everything_apart():
    network = model()
    first = Classifier(network, TF, class_names=["a", "b", "c", "d"], source="mine")
    config = json.loads(json.dumps(first.config))
    assert config == first.config
    assert config["source"] == "mine"
    assert config["input_size"] == [8, 8]
    assert Preprocessing.from_config(config["preprocessing"]) == TF
    other = Classifier(network, TF, class_names=["a", "b", "d", "c"])
    assert other.config["class_names_sha256"] != config["class_names_sha256"]
    assert Classifier(network, TF).config["class_names_sha256"] is None


def test_fingerprint():
    network = model()
    fingerprint = Classifier(network, TF).fingerprint
    copy = model()
    assert Classifier(copy, TF).fingerprint != fingerprint  # other weights
    copy.set_weights(network.get_weights())
    assert Classifier(copy, TF).fingerprint == fingerprint  # though layers are named otherwise
    activated = model(layers.Activation("tanh"))
    activated.set_weights(network.get_weights())
    assert Classifier(activated, TF).fingerprint != fingerprint  # other layers
    with_softmax = model(layers.Softmax())
    with_softmax.set_weights(network.get_weights())
    assert Classifier(with_softmax, Preprocessing.of("torch")).class_offset == 0


@pytest.mark.parametrize(
    ("name", "mode", "top1", "top5"),
    [("squeezenet1_1", "torch", 0.667, 0.881), ("mobilenet_v2", "tf", 0.780, 0.944)],
)
def test_real_classifiers(shared, name, mode, top1, top5):
    """On 100 images accuracy must lie within three standard deviations of the known one."""
    from sensmap import classifiers, images

    data = shared / "data" / "ilsvrc2012_val_1300"
    classifier = classifiers.load(
        shared / "models" / f"{name}_imagenet.keras",
        mode,
        class_names=data / "LOC_synset_mapping.txt",
    )
    check = SanityCheck()
    rows = (data / "LOC_val_solution.csv").read_text().splitlines()[1:101]
    for start in range(0, 100, 50):
        pixels, labels = [], []
        for row in rows[start : start + 50]:
            image, _, boxes = row.partition(",")
            path = data / "ILSVRC" / "Data" / "CLS-LOC" / "val" / f"{image}.JPEG"
            pixels.append(images.load_resized(path, classifier.input_size)[0])
            labels.append(classifier.class_id(boxes.split()[0]))
        check.update(classifier.class_scores(np.stack(pixels)), labels)
    result = check.result()
    assert check.warning() is None
    for measured, known in ((result["top1"], top1), (result["top5"], top5)):
        assert abs(measured - 100 * known) < 300 * np.sqrt(known * (1 - known) / 100)
