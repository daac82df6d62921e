"""Loading from everywhere, saving, and one clear line for what cannot be loaded."""

import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from sensmap import classifiers
from sensmap.classifiers import Preprocessing, applications

PIXELS = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")


def model(*more, size=(8, 8)):
    stack = [keras.Input((*size, 3)), layers.GlobalAveragePooling2D(), *more]
    return keras.Sequential([*stack, layers.Dense(4, activation="softmax")])


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_file(tmp_path, name):
    network = model()
    network.save(tmp_path / name)
    (tmp_path / "names.txt").write_text("n01440764 tench\nb\nc\nd\n")
    classifier = classifiers.load(str(tmp_path / name), "torch", class_names=tmp_path / "names.txt")
    assert classifier.preprocessing == Preprocessing.of("torch")
    assert classifier.class_id("tench") == 0
    assert classifier.config["source"] == name  # not where it lies on this machine
    direct = classifiers.load(network, "torch")
    np.testing.assert_array_equal(classifier.class_scores(PIXELS), direct.class_scores(PIXELS))
    assert classifier.fingerprint == direct.fingerprint


def test_saved_folder_holds_everything(tmp_path):
    first = classifiers.load(
        model(size=(None, None)),
        Preprocessing((1, 2, 3), 0.1),
        class_names=["a", "b", "c"],
        class_offset=1,
        input_size=(8, 9),
    )
    classifiers.save(first, tmp_path / "mine")
    again = classifiers.load(tmp_path / "mine")
    assert again.config == first.config
    assert again.class_names == first.class_names
    np.testing.assert_array_equal(again.class_scores(PIXELS), first.class_scores(PIXELS))
    # Saying again what is recorded is no contradiction.
    classifiers.load(
        tmp_path / "mine",
        Preprocessing((1, 2, 3), 0.1),
        class_names=["a", "b", "c"],
        class_offset=1,
        input_size=[8, 9],
    )
    with pytest.raises(FileExistsError, match="exists and is not empty"):
        classifiers.save(first, tmp_path / "mine")
    classifiers.save(first, tmp_path / "mine", overwrite=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"preprocessing": "caffe"},
        {"input_size": (9, 9)},
        {"class_names": ["a", "b", "c", "d"]},
        {"class_offset": 1},
        {"weights": "imagenet"},
    ],
)
def test_contradictions_of_a_folder(tmp_path, arguments):
    classifiers.save(classifiers.load(model(), "tf"), tmp_path / "mine")
    with pytest.raises(ValueError, match=r"recorded with another|weights goes with"):
        classifiers.load(tmp_path / "mine", **arguments)


def test_damaged_folders(tmp_path):
    with pytest.raises(ValueError, match=r"not a classifier's folder, for it has no classifier"):
        classifiers.load(tmp_path)
    classifiers.save(classifiers.load(model(), "tf"), tmp_path / "mine")
    path = tmp_path / "mine" / "classifier.json"
    good = json.loads(path.read_text())
    for bad in (
        {key: value for key, value in good.items() if key != "preprocessing"},
        {**good, "input_size": 7},
        [],
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(ValueError, match=r"classifier\.json: damaged") as caught:
            classifiers.load(tmp_path / "mine")
        one_line(caught)
    path.write_text(json.dumps(good))
    model().save(tmp_path / "mine" / "model.keras")
    with pytest.raises(ValueError, match="is not the model that"):
        classifiers.load(tmp_path / "mine")
    (tmp_path / "mine" / "model.keras").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.keras: there is no such file"):
        classifiers.load(tmp_path / "mine")


def test_failed_save_leaves_nothing(tmp_path):
    class Unsaveable(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)

        def call(self, images):
            return self.dense(keras.ops.mean(images, axis=(1, 2)))

        def get_config(self):
            raise RuntimeError("no config")

    classifier = classifiers.load(Unsaveable(), "tf", input_size=(8, 8))
    with pytest.raises(RuntimeError, match="no config"):
        classifiers.save(classifier, tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_lambda_is_refused(tmp_path, name):
    model(layers.Lambda(lambda x: x * 2)).save(tmp_path / name)
    with pytest.raises(
        ValueError, match=rf"{name}: cannot .* Lambda layer, which is code"
    ) as caught:
        classifiers.load(tmp_path / name, "tf")
    one_line(caught)


def test_lambda_in_a_model_at_hand_is_fine():
    assert classifiers.load(model(layers.Lambda(lambda x: x * 2)), "tf").num_classes == 4


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04truncated"])
def test_damaged_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: cannot be read as a Keras model: .+") as caught:
        classifiers.load(tmp_path / name, "tf")
    one_line(caught)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_truncated_files(tmp_path, name):
    model().save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="cannot be read as a Keras model") as caught:
        classifiers.load(tmp_path / name, "tf")
    one_line(caught)


def test_zip_that_is_no_model(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as file:
        file.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="cannot be read as a Keras model") as caught:
        classifiers.load(tmp_path / "model.keras", "tf")
    one_line(caught)


def test_weights_where_a_model_should_be(tmp_path):
    model().save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="it holds weights only; give them with weights="):
        classifiers.load(tmp_path / "model.weights.h5", "tf")


def test_clear_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no classifier 'MobilNet': .* MobileNet, "):
        classifiers.load("MobilNet")
    model().save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"model\.keras trained with\? .* tf, torch, caffe, none"):
        classifiers.load(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"a Keras model trained with\?"):
        classifiers.load(model())
    with pytest.raises(ValueError, match="no preprocessing mode 'pt'"):
        classifiers.load(tmp_path / "model.keras", "pt")
    with pytest.raises(ValueError, match=r"weights goes with a keras\.applications name, not with"):
        classifiers.load(tmp_path / "model.keras", "tf", weights="imagenet")
    with pytest.raises(ValueError, match=r"weights goes with a keras\.applications name, not with"):
        classifiers.load(model(), "tf", weights="imagenet")
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"a classifier is a \.keras or \.h5 file, or a folder"):
        classifiers.load(tmp_path / "model.pt", "tf")


def test_application_with_random_weights():
    names = [f"class {number}" for number in range(5)]
    classifier = classifiers.load("mobilenetV2", class_names=names, input_size=(64, 96))
    assert classifier.num_classes == 5
    assert classifier.input_size == (64, 96)
    assert classifier.preprocessing == Preprocessing.of("tf")
    assert classifier.config["source"] == "keras.applications.MobileNetV2, weights None"
    own = Preprocessing((1, 2, 3), 0.5)
    assert classifiers.load("MobileNet", own, input_size=(32, 32)).preprocessing == own


def test_application_with_a_file_of_weights(tmp_path):
    network = keras.applications.MobileNet(weights=None, classes=3, input_shape=(32, 32, 3))
    network.save_weights(tmp_path / "my.weights.h5")
    classifier = classifiers.load(
        "MobileNet",
        weights=tmp_path / "my.weights.h5",
        class_names=["a", "b", "c"],
        input_size=(32, 32),
    )
    expected = classifiers.load(network, "tf")
    np.testing.assert_array_equal(classifier.class_scores(PIXELS), expected.class_scores(PIXELS))
    assert classifier.config["source"].endswith("weights my.weights.h5")
    with pytest.raises(ValueError, match="MobileNet cannot be built with weights") as caught:
        classifiers.load("MobileNet", weights=tmp_path / "my.weights.h5", input_size=(32, 32))
    one_line(caught)  # 1,000 classes do not fit
    with pytest.raises(FileNotFoundError, match="there is no such file of weights"):
        classifiers.load("MobileNet", weights=tmp_path / "none.h5")


def test_imagenet_weights_come_with_their_preprocessing():
    with pytest.raises(ValueError, match="VGG16 with ImageNet's weights was trained with"):
        classifiers.load("vgg16", "tf", weights="imagenet")


def test_imagenet_names_only_from_a_file_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert applications.imagenet_names() is None
    (tmp_path / "models").mkdir()
    index = {"1": ["n01443537", "goldfish"], "0": ["n01440764", "great_white"]}
    (tmp_path / "models" / "imagenet_class_index.json").write_text(json.dumps(index))
    assert applications.imagenet_names() == ("n01440764 great white", "n01443537 goldfish")


def test_names_of_applications():
    known = applications.names()
    assert {"ConvNeXtTiny", "EfficientNetV2B0", "NASNetMobile", "Xception"} <= set(known)
    every = {name for name in vars(keras.applications) if name[0].isupper()}
    assert set(known) == every
    assert applications.find("VGG20") is None
