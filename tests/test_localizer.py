"""From images to boxes in one graph, and on disk."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import boxes as box_geometry
from sensmap import classifiers, features, images, maps
from sensmap.localizer import CONFIG_FILE, LOCALIZER_FILE, Localizer
from sensmap.localizers.linear import BoxRegressor

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 16, 16, 3), np.uint8)
LOW = RNG.uniform(0, 0.4, (12, 2))
BOXES = np.concatenate([LOW, LOW + RNG.uniform(0.2, 0.5, (12, 2))], axis=1)


def network(seed=0, size=16, classes=4):
    keras.utils.set_random_seed(seed)
    stack = [keras.Input((size, size, 3))]
    for number in (1, 2):
        stack.append(layers.Conv2D(6, 3, padding="same", activation="relu", name=f"conv{number}"))
        stack.append(layers.MaxPool2D(name=f"pool{number}"))
    return keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(classes)])


MODEL = network()


def make(kind="quantiles", taken=("pixels", "pool1"), mode="tf", model=MODEL, config=None):
    method = maps.create("gradient", classifiers.load(model, mode), layers=taken)
    regressor = BoxRegressor(kind).fit(list(method(IMAGES).maps), BOXES)
    return Localizer(method, regressor, config)


@pytest.fixture(scope="module")
def localizer():
    return make(config={"seed": 7, "metrics": {"corloc": 61.5}})


@pytest.mark.parametrize("kind", ["quantiles", "pooled"])
@pytest.mark.parametrize("taken", [("pixels",), ("pool1", "pixels")])
def test_boxes_are_those_of_the_regressor(kind, taken):
    localizer = make(kind, taken)
    class_ids = np.arange(12) % 4
    found = localizer(IMAGES, class_ids)
    result = localizer.method(IMAGES, class_ids)
    expected = localizer.estimator.predict(list(result.maps))
    np.testing.assert_allclose(found.boxes, expected, atol=1e-6)
    assert found.boxes.dtype == np.float32
    assert box_geometry.is_valid(found.boxes).all()
    for left, right in zip(found.maps, result.maps, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7 * right.max())
    np.testing.assert_allclose(found.scores, result.scores, rtol=1e-5, atol=1e-6)
    assert found.class_ids.tolist() == class_ids.tolist()
    assert not found.degenerate.any()


@pytest.mark.parametrize("count", [1, 3, 5])
def test_batches_of_any_size_in_their_order(localizer, count):
    whole = localizer(IMAGES)
    part = localizer(IMAGES[:count])
    np.testing.assert_allclose(part.boxes, whole.boxes[:count], atol=1e-5)
    assert part.class_ids.tolist() == part.scores.argmax(axis=1).tolist()
    assert localizer.compiled.experimental_get_tracing_count() == 1


def test_images_of_another_size_are_resized(localizer):
    odd = RNG.integers(0, 256, (2, 7, 30, 3), np.uint8)
    resized = images.resize(odd, (16, 16))
    np.testing.assert_array_equal(localizer(odd).boxes, localizer(resized).boxes)


def test_a_map_that_says_nothing_is_flagged_and_has_a_box():
    # Without a weight, a score is the same for all images.
    model = network()
    model.layers[-1].kernel.assign(tf.zeros_like(model.layers[-1].kernel))
    method = maps.create("gradient", classifiers.load(model, "tf"))
    uniform = np.tile(features.compute("quantiles", [tf.ones((1, 4, 4))]), (12, 1))
    regressor = BoxRegressor().fit(uniform + RNG.normal(size=uniform.shape) * 0.01, BOXES)
    found = Localizer(method, regressor)(IMAGES[:2])
    assert found.degenerate.tolist() == [True, True]
    assert not found.maps[0].any()
    np.testing.assert_allclose(found.boxes, regressor.predict(uniform[:2]), atol=1e-5)


def test_it_can_be_traced_into_a_larger_graph(localizer):
    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.uint8)], autograph=False)
    def serve(pixels):
        return localizer.explain(tf.cast(pixels, tf.float32), maps.top(2)).boxes

    found = localizer(IMAGES[:5], top_k=2).boxes
    np.testing.assert_allclose(serve(IMAGES[:5]), found, atol=1e-6)
    np.testing.assert_allclose(found[:, 0], localizer(IMAGES[:5]).boxes, atol=1e-6)


def test_the_best_classes_have_the_boxes_that_each_has_alone(localizer):
    found = localizer(IMAGES, top_k=3)
    order = np.argsort(-found.scores, axis=1)
    assert found.class_ids.tolist() == order[:, :3].tolist()
    assert found.boxes.shape == (12, 3, 4)
    for rank in range(3):
        alone = localizer(IMAGES, found.class_ids[:, rank])
        np.testing.assert_allclose(found.boxes[:, rank], alone.boxes, atol=1e-5)
        for several, one in zip(found.maps, alone.maps, strict=True):
            np.testing.assert_allclose(several[:, rank], one, rtol=1e-4, atol=1e-6 * one.max())


def test_a_regressor_for_other_maps_is_refused(localizer):
    only_pixels = maps.create("gradient", localizer.classifier)
    with pytest.raises(ValueError, match="fitted on 304 features, but the maps of pixels give 152"):
        Localizer(only_pixels, localizer.estimator)


@pytest.mark.parametrize(
    ("batch", "class_ids", "message"),
    [
        (IMAGES[0], None, r"received \(16, 16, 3\)"),
        (IMAGES[:2], [0, 4], "class id 4 is out of range"),
        (IMAGES[:2], [0], "one class id an image"),
    ],
)
def test_what_is_refused(localizer, batch, class_ids, message):
    with pytest.raises(ValueError, match=message):
        localizer(batch, class_ids)


# --- On disk ---


@pytest.fixture(scope="module")
def saved(localizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("localizer") / "run"
    localizer.save(folder)
    return folder


def test_a_loaded_localizer_gives_the_same_bytes(localizer, saved):
    loaded = Localizer.load(saved, classifiers.load(MODEL, "tf"))
    assert loaded(IMAGES).boxes.tobytes() == localizer(IMAGES).boxes.tobytes()
    assert loaded.method.config == localizer.method.config
    assert loaded.config["seed"] == 7


def test_what_is_written(localizer, saved):
    assert sorted(path.name for path in saved.iterdir()) == [CONFIG_FILE, LOCALIZER_FILE]
    config = json.loads((saved / CONFIG_FILE).read_text())
    assert config["maps"] == localizer.method.config
    assert config["classifier"] == localizer.classifier.config
    assert config["localizer"]["name"] == "linear"
    assert config["localizer"]["features"] == "quantiles"
    assert config["metrics"] == {"corloc": 61.5}


def test_writing_a_loaded_localizer_gives_the_same_files(saved, tmp_path):
    Localizer.load(saved, classifiers.load(MODEL, "tf")).save(tmp_path / "again")
    for name in (CONFIG_FILE, LOCALIZER_FILE):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()


def test_a_folder_that_exists_is_not_replaced_unasked(localizer, saved, tmp_path):
    with pytest.raises(FileExistsError, match="exists and is not empty"):
        localizer.save(saved)
    (tmp_path / "notes.txt").write_text("mine")
    localizer.save(tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG_FILE, LOCALIZER_FILE]


def other_weights():
    return classifiers.load(network(seed=1), "tf")


def other_preprocessing():
    return classifiers.load(MODEL, "torch")


def other_classes():
    return classifiers.load(network(classes=5), "tf")


def other_size():
    return classifiers.load(network(size=24), "tf")


def other_offset():
    return classifiers.load(network(), "tf", class_offset=1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (other_weights, r"made with another classifier: fingerprint was \w{64}, is \w{64}\.$"),
        (other_preprocessing, r"another classifier: preprocessing was \{'mean': \[127.5, .*, is "),
        (other_classes, "num_classes was 4, is 5; fingerprint"),
        (other_size, r"input_size was \[16, 16\], is \[24, 24\]"),
        (other_offset, "class_offset was 0, is 1; num_classes was 4, is 3"),
    ],
)
def test_another_classifier_is_refused_with_the_difference(saved, other, message):
    with pytest.raises(ValueError, match=message) as error:
        Localizer.load(saved, other())
    assert str(saved) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_folder(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no localizer in .*nowhere: it has no config\.json"
    ):
        Localizer.load(tmp_path / "nowhere", classifiers.load(MODEL, "tf"))


def test_a_missing_regressor(localizer, tmp_path):
    localizer.save(tmp_path / "run")
    (tmp_path / "run" / LOCALIZER_FILE).unlink()
    with pytest.raises(FileNotFoundError, match="no box regressor"):
        Localizer.load(tmp_path / "run", localizer.classifier)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda config: [], "does not describe a localizer"),
        (lambda config: {**config, "classifier": None}, "does not describe a localizer"),
        (lambda config: {**config, "maps": "gradient"}, "does not describe a localizer"),
        (lambda config: {**config, "maps": {}}, "does not describe a localizer"),
        (lambda config: {**config, "maps": {"name": "gradients"}}, "no 'gradients' among the maps"),
        (
            lambda config: {**config, "maps": {**config["maps"], "speed": 2}},
            "cannot be made again: .* no option 'speed'; it takes layers",
        ),
        (
            lambda config: {**config, "maps": {**config["maps"], "layers": ["pixels"]}},
            "fitted on 304 features, but the maps of pixels give 152",
        ),
    ],
    ids=["a list", "no classifier", "a name", "no name", "unknown maps", "an option", "layers"],
)
def test_damaged_configurations(localizer, tmp_path, damage, message):
    localizer.save(tmp_path / "run")
    path = tmp_path / "run" / CONFIG_FILE
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match=message):
        Localizer.load(tmp_path / "run", localizer.classifier)


def test_a_truncated_configuration(localizer, tmp_path):
    localizer.save(tmp_path / "run")
    path = tmp_path / "run" / CONFIG_FILE
    path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match="not a valid JSON file"):
        Localizer.load(tmp_path / "run", localizer.classifier)
