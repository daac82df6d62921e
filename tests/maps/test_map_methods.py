"""What every map method owes, whatever it computes."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, images, maps, registry

METHODS = registry.names("sensmap.maps")
CLASSES = 4
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(3)
    stack = [keras.Input((16, 16, 3))]
    for filters in (6, 8):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPool2D()]
    stack += [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)]
    return classifiers.load(keras.Sequential(stack), "tf")


@pytest.fixture(scope="module", params=METHODS)
def method(request, classifier):
    return maps.create(request.param, classifier)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_what_a_batch_gives(method, classifier, count):
    result = method(IMAGES[:count], np.arange(count) % CLASSES)
    assert len(result.maps) == len(method.layers) > 0
    for each in result.maps:
        assert isinstance(each, np.ndarray)
        assert each.shape[0] == count
        assert each.ndim == 3
        assert each.dtype == np.float32
        assert np.isfinite(each).all()
        assert (each >= 0).all()
        assert each.max() > 0
    assert result.class_ids.dtype == np.int32
    assert result.class_ids.tolist() == [0, 1, 2, 3, 0][:count]
    assert result.scores.dtype == np.float32
    assert result.scores.shape == (count, CLASSES)
    if method.copies == 1:  # the others' scores are averages
        np.testing.assert_allclose(
            result.scores, classifier.class_scores(IMAGES[:count]), rtol=1e-4, atol=1e-5
        )


def test_a_batch_gives_what_its_images_give_alone_in_their_order(method):
    together = method(IMAGES, [3, 2, 1, 0, 1])
    for place, class_id in enumerate([3, 2, 1, 0, 1]):
        alone = method(IMAGES[place : place + 1], [class_id])
        for many, one in zip(together.maps, alone.maps, strict=True):
            np.testing.assert_allclose(many[place], one[0], rtol=1e-3, atol=1e-4 * many.max())


def test_the_predicted_classes_are_the_default(method):
    predicted = method(IMAGES)
    best = predicted.scores.argmax(axis=1)
    assert predicted.class_ids.tolist() == best.tolist()
    given = method(IMAGES, best)
    for left, right in zip(predicted.maps, given.maps, strict=True):
        np.testing.assert_array_equal(left, right)
    assert method(IMAGES, [maps.PREDICTED] * 5).class_ids.tolist() == best.tolist()
    assert method(IMAGES[:2], [maps.PREDICTED, 2]).class_ids.tolist() == [best[0], 2]


def test_the_class_matters(method):
    zero, one = (method(IMAGES, [class_id] * 5).maps[0] for class_id in (0, 1))
    assert not np.allclose(zero, one, rtol=1e-2)


def test_the_same_call_gives_the_same_bytes(method):
    first, second = (method(IMAGES, [1] * 5).maps[0].tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "kind",
    [
        lambda batch: batch.astype(np.float32),
        lambda batch: batch.astype(np.float64),
        lambda batch: batch.tolist(),
        tf.constant,
    ],
    ids=["float32", "float64", "lists", "tensor"],
)
def test_images_of_any_kind_are_the_same_images(method, kind):
    expected = method(IMAGES[:2], [0, 1]).maps[0]
    np.testing.assert_array_equal(method(kind(IMAGES[:2]), [0, 1]).maps[0], expected)


def test_images_of_another_size_are_resized(method):
    odd = np.random.default_rng(1).integers(0, 256, (2, 7, 30, 3), np.uint8)
    resized = images.resize(odd, method.image_size)
    np.testing.assert_array_equal(method(odd).maps[0], method(resized).maps[0])


@pytest.mark.parametrize("name", METHODS)
def test_each_kind_of_call_is_traced_once(name, classifier):
    method = maps.create(name, classifier)
    for count in (5, 5, 3, 1):
        method(IMAGES[:count])
        method(IMAGES[:count].astype(np.float32), [0] * count)
        method(IMAGES[:count], np.zeros((count, 2), int))
        method(IMAGES[:count], top_k=2)
    assert method.compiled.experimental_get_tracing_count() == 1
    several = method._several.values()
    assert [each.experimental_get_tracing_count() for each in several] == [1, 1]


# --- Several classes ---

RANKED = np.array([[3, 0], [1, 1], [2, maps.PREDICTED], [0, 2], [maps.PREDICTED, 3]])


def test_several_classes_are_what_each_gives_alone(method):
    together = method(IMAGES, RANKED)
    assert together.class_ids.shape == (5, 2)
    for rank in range(2):
        alone = method(IMAGES, RANKED[:, rank])
        np.testing.assert_array_equal(together.class_ids[:, rank], alone.class_ids)
        np.testing.assert_allclose(together.scores, alone.scores, rtol=1e-5, atol=1e-6)
        for several, one in zip(together.maps, alone.maps, strict=True):
            assert several.shape == (5, 2, *one.shape[1:])
            close = 1e-4 * several.max()
            np.testing.assert_allclose(several[:, rank], one, rtol=1e-3, atol=close)


def test_the_best_classes_come_best_first(method):
    best = method(IMAGES, top_k=3)
    expected = np.argsort(-best.scores, axis=1)[:, :3]
    np.testing.assert_array_equal(best.class_ids, expected)
    given = method(IMAGES, expected)
    for left, right in zip(best.maps, given.maps, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4 * left.max())


def test_a_single_class_may_come_with_the_axis_of_classes(method):
    column = method(IMAGES, np.ones((5, 1), int))
    flat = method(IMAGES, [1] * 5)
    for left, right in zip(column.maps, flat.maps, strict=True):
        assert left.shape == (5, 1, *right.shape[1:])
        np.testing.assert_allclose(left[:, 0], right, rtol=1e-3, atol=1e-4 * right.max())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 5}, r"top_k=5: .* for 1 to 4 classes"),
        ({"top_k": 0}, r"top_k=0: .* for 1 to 4 classes"),
        ({"top_k": 2, "class_ids": [0] * 5}, "either class ids or top_k"),
        ({"class_ids": np.zeros((5, 0), int)}, r"class ids of the shape \(5, 0\)"),
        ({"class_ids": np.zeros((5, 1, 1), int)}, r"class ids of the shape \(5, 1, 1\)"),
        ({"class_ids": np.full((5, 2), 4)}, r"class id 4 is out of range"),
    ],
    ids=["too many", "none", "both", "empty", "too deep", "out of range"],
)
def test_several_classes_that_are_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        method(IMAGES, **options)


# --- Memory ---


def test_a_batch_is_put_through_in_parts_that_fit(method, monkeypatch):
    whole = method(IMAGES, RANKED)
    assert method.bytes_per_image(2) > method.bytes_per_image() > 0
    of_two = 2 * method.bytes_per_image(2)
    assert method.images_at_once(2, of_two) == 2
    assert method.images_at_once(2, of_two - 1) == 1
    assert method.images_at_once(2, 1) == 1
    sizes = []
    function = method._call(RANKED, None)

    def listened(batch, class_ids):
        sizes.append(len(batch))
        return function(batch, class_ids)

    monkeypatch.setattr(method, "_call", lambda *_: listened)
    monkeypatch.setattr(method, "images_at_once", lambda classes: 2)
    parts = method(IMAGES, RANKED)
    assert sizes == [2, 2, 1]
    np.testing.assert_array_equal(parts.class_ids, whole.class_ids)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-5, atol=1e-6)
    for left, right in zip(parts.maps, whole.maps, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4 * right.max())


# --- What is refused, recorded and left alone ---


@pytest.mark.parametrize(
    ("batch", "class_ids", "message"),
    [
        (IMAGES, [0, 1, 2, 3, 4], r"class id 4 is out of range: .* 0 to 3"),
        (IMAGES, [0, 0, 0, 0, -2], r"class id -2 is out of range"),
        (IMAGES, [0, 1, 2], r"5 images, class ids of the shape \(3,\)"),
        (IMAGES, [0.5] * 5, r"whole numbers; received float64"),
        (IMAGES[0], [0], r"\(N, height, width, 3\), N not 0; received \(16, 16, 3\)"),
        (IMAGES[:0], [], r"received \(0, 16, 16, 3\)"),
        (IMAGES[..., :1], [0] * 5, r"received \(5, 16, 16, 1\)"),
    ],
    ids=["too high", "too low", "too few", "fractions", "one image", "no images", "gray"],
)
def test_what_is_refused(method, batch, class_ids, message):
    with pytest.raises(ValueError, match=message):
        method(batch, class_ids)


def test_the_recorded_configuration_makes_the_same_method(method, classifier):
    config = json.loads(json.dumps(method.config))
    again = maps.create(config.pop("name"), classifier, **config)
    assert again.layers == method.layers
    np.testing.assert_array_equal(again(IMAGES).maps[0], method(IMAGES).maps[0])


def test_the_model_is_left_as_it_was(method, classifier):
    weights = [weight.copy() for weight in classifier.model.get_weights()]
    method(IMAGES)
    for before, after in zip(weights, classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not any("call" in vars(layer) for layer in classifier.model.layers)


@pytest.mark.parametrize("name", METHODS)
def test_an_unknown_option_is_answered_with_the_list(name, classifier):
    takes = ", ".join(maps.option_names(name)) or "none"
    with pytest.raises(
        ValueError, match=f"^The map method '{name}' has no option 'nonsense'; it takes {takes}.$"
    ):
        maps.create(name, classifier, nonsense=1)


@pytest.mark.parametrize("name", METHODS)
def test_the_configuration_holds_every_option(name, classifier):
    config = maps.create(name, classifier).config
    assert config["name"] == name
    assert set(config) == {"name", *maps.option_names(name)}


def test_an_unknown_method_is_answered_with_the_list(classifier):
    with pytest.raises(
        ValueError, match=r"no 'gradients' among the maps; choose one of .*gradient"
    ):
        maps.create("gradients", classifier)
