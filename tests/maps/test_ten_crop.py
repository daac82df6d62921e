"""Ten sub-images: against ten separate calls, put together in NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from sensmap import classifiers, images, maps

SIDE = 14
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(2)
    stack = [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(6, 3, activation="relu")]
    return classifiers.load(
        keras.Sequential([*stack, layers.MaxPool2D(), layers.Flatten(), layers.Dense(4)]), "tf"
    )


def sub_images(count, size, side=SIDE):
    """Row, column and whether it is mirrored of each sub-image of an image of that size."""
    far = size - side
    centre = [(far // 2, far // 2)]
    places = centre if count < 5 else [(0, 0), (0, far), (far, 0), (far, far), *centre]
    return [(y, x, m) for m in (False, True) for y, x in places][:count]


def separately(classifier, count, size, class_ids=None, reduction="max"):
    """Maps and scores by one call of `gradient` a sub-image, the class ids given or predicted."""
    method = maps.create("gradient", classifier, reduction=reduction)
    whole = images.resize(PIXELS, (size, size)).numpy()
    crops = []
    for y, x, mirrored in sub_images(count, size):
        crop = whole[:, y : y + SIDE, x : x + SIDE]
        crops.append(crop[:, :, ::-1] if mirrored else crop)
    scores = np.mean([classifier.class_scores(crop) for crop in crops], axis=0)
    class_ids = scores.argmax(axis=1) if class_ids is None else class_ids
    total, covered = np.zeros((len(PIXELS), size, size)), np.zeros((size, size))
    for crop, (y, x, mirrored) in zip(crops, sub_images(count, size), strict=True):
        each = method(crop, class_ids).maps[0]
        total[:, y : y + SIDE, x : x + SIDE] += each[:, :, ::-1] if mirrored else each
        covered[y : y + SIDE, x : x + SIDE] += 1
    return total / np.maximum(covered, 1), scores, class_ids


@pytest.mark.parametrize("count", [1, 2, 5, 10])
@pytest.mark.parametrize(("crop", "size"), [(0.875, 16), (1.0, 14), (0.5, 28), (0.8, 18)])
def test_it_is_the_separate_maps_put_together(classifier, count, crop, size):
    method = maps.create("ten_crop", classifier, count=count, crop=crop)
    assert method.image_size == (size, size)
    found = method(PIXELS)
    expected, scores, class_ids = separately(classifier, count, size)
    np.testing.assert_allclose(found.maps[0], expected, rtol=1e-4, atol=1e-5 * expected.max())
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.class_ids, class_ids)


def test_other_reductions_and_given_classes(classifier):
    found = maps.create("ten_crop", classifier, reduction="l2")(PIXELS, [3, 1, 0])
    expected, _, _ = separately(classifier, 10, 16, np.array([3, 1, 0]), "l2")
    np.testing.assert_allclose(found.maps[0], expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_of_a_mirrored_image_it_is_the_mirrored_map(classifier):
    method = maps.create("ten_crop", classifier)
    found, mirrored = (method(pixels).maps[0] for pixels in (PIXELS, PIXELS[:, :, ::-1]))
    np.testing.assert_allclose(mirrored[:, :, ::-1], found, rtol=1e-4, atol=1e-5 * found.max())


def test_it_is_one_pass(classifier):
    graph = maps.create("ten_crop", classifier).compiled.get_concrete_function().graph
    types = [operation.type for operation in graph.get_operations()]
    assert types.count("Conv2D") == 1
    assert types.count("Conv2DBackpropInput") == 1


def test_its_memory_is_that_of_ten_images(classifier):
    one, ten = (maps.create(name, classifier) for name in ("gradient", "ten_crop"))
    assert ten.bytes_per_image() == 10 * one.bytes_per_image()
    assert ten.bytes_per_image(3) == 10 * one.bytes_per_image(3)


def test_images_need_not_be_square():
    image = keras.Input((7, 14, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))
    method = maps.create("ten_crop", classifiers.load(model, "tf"))
    assert method.image_size == (8, 16)
    assert method(PIXELS).maps[0].shape == (3, 8, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 0.4}, r"crop is a number from 0\.5 to 1; received 0\.4\."),
        ({"crop": 224}, "received 224"),
        ({"crop": "half"}, "received 'half'"),
        ({"count": "ten"}, "count is a whole number, 1 or more; received 'ten'"),
        ({"count": 3}, "number of sub-images, one of 1, 2, 5, 10; received 3"),
        ({"reduction": "sum"}, "no reduction over channels 'sum'"),
    ],
)
def test_options_that_are_refused(classifier, options, message):
    with pytest.raises(ValueError, match=message):
        maps.create("ten_crop", classifier, **options)
