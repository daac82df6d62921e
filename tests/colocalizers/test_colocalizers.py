"""What every co-localizer owes, whatever it goes by."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import boxes as box_geometry
from sensmap import classifiers, colocalizers, registry
from sensmap.datasets import Example, ExampleError

COUNT = 9
LABELS = np.array([4, -1, 0, 4, 0, 4, 7, -1, 4], np.int32)


def network():
    keras.utils.set_random_seed(0)
    stack = [keras.Input((32, 32, 3)), layers.Conv2D(6, 3, 2, activation="relu", padding="same")]
    stack += [layers.Conv2D(8, 3, 2, activation="relu", padding="same")]
    stack += [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    return classifiers.load(keras.Sequential(stack), "tf")


def scenes():
    """Squares on noise, of sizes that are no one network's."""
    rng = np.random.default_rng(1)
    found = []
    for place in range(COUNT):
        image = rng.integers(0, 90, (40 + place, 56, 3), np.uint8)
        row, column = rng.integers(0, 20), rng.integers(0, 30)
        image[row : row + 18, column : column + 22] = [230, 60 + 10 * LABELS[place], 90]
        found.append(Example(f"image {place}", image))
    return found


EXAMPLES = scenes()


@pytest.fixture(scope="module", params=registry.names("sensmap.colocalizers"))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def colocalizer(name):
    needed = {"classifier": network()} if colocalizers.needs_classifier(name) else {}
    return colocalizers.create(name, **needed)


@pytest.fixture(scope="module")
def boxes(colocalizer):
    return colocalizer.boxes(EXAMPLES, LABELS, description="Test")


@pytest.mark.parametrize(
    ("ids", "labels", "expected"),
    [
        ("", [], []),
        ("a", [-1], [[0]]),
        ("abc", [5, 5, 5], [[0, 1, 2]]),
        ("cab", [5, 5, 5], [[1, 2, 0]]),
        ("abcd", [7, 0, 7, 0], [[0, 2], [1, 3]]),
        ("dcba", [7, 0, 7, 0], [[3, 1], [2, 0]]),
        ("abcd", [-1, 3, -1, -2], [[0], [1], [2], [3]]),
    ],
)
def test_which_images_belong_together(ids, labels, expected):
    examples = [Example(each, b"") for each in ids]
    found = colocalizers.by_class(examples, np.array(labels, int))
    assert [members.tolist() for members in found] == expected


def test_each_image_has_a_valid_box(colocalizer, boxes):
    assert boxes.shape == (COUNT, 4)
    assert boxes.dtype == np.float32
    assert box_geometry.is_valid(boxes).all()
    assert ((boxes >= 0) & (boxes <= 1)).all()


def test_it_says_what_it_is(colocalizer, name):
    made = registry.find("sensmap.colocalizers", name).create
    assert isinstance(made.title, str)
    assert made.title == colocalizer.title
    assert isinstance(made.needs_classifier, bool)


def test_the_same_images_have_the_same_boxes(colocalizer, boxes):
    assert colocalizer.boxes(EXAMPLES, LABELS).tobytes() == boxes.tobytes()


def test_the_order_of_the_examples_does_not_matter(colocalizer, boxes):
    order = np.random.default_rng(0).permutation(COUNT)
    found = colocalizer.boxes([EXAMPLES[place] for place in order], LABELS[order])
    assert found.tobytes() == boxes[order].tobytes()


def test_what_a_class_is_called_does_not_matter(colocalizer, boxes):
    renamed = np.where(LABELS < 0, -5, 100 - LABELS)
    assert colocalizer.boxes(EXAMPLES, renamed).tobytes() == boxes.tobytes()


def test_other_classes_do_not_matter(colocalizer, boxes):
    own = np.flatnonzero(LABELS == 4)
    found = colocalizer.boxes([EXAMPLES[place] for place in own], LABELS[own])
    np.testing.assert_allclose(found, boxes[own], atol=1e-5)


def test_images_without_a_label_and_classes_of_one_stand_for_themselves(colocalizer, boxes):
    for place in np.flatnonzero((LABELS < 0) | (LABELS == 7)):
        for label in (-1, 3):
            found = colocalizer.boxes([EXAMPLES[place]], [label])
            np.testing.assert_allclose(found, boxes[[place]], atol=1e-5)


def test_files_are_read_as_arrays_are(colocalizer, boxes, tmp_path):
    written = []
    for example in EXAMPLES:
        path = tmp_path / f"{example.id}.png"
        path.write_bytes(tf.io.encode_png(example.image).numpy())
        written.append(Example(example.id, path))
    np.testing.assert_allclose(colocalizer.boxes(written, LABELS), boxes, atol=1e-5)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8\xff no image", b"text"])
def test_an_image_that_cannot_be_read_is_named(colocalizer, tmp_path, content):
    if content is not None:
        (tmp_path / "broken.jpg").write_bytes(content)
    broken = Example("the broken one", tmp_path / "broken.jpg")
    with pytest.raises(ExampleError, match=r"^the broken one: ") as error:
        colocalizer.boxes([*EXAMPLES[:3], broken], [0, 0, 1, 1])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0], r"must be 3 whole numbers, one an image; received the shape \(2,\)"),
        ([0.0, 1.0, 0.0], "type float64"),
        ([[0], [0], [0]], r"received the shape \(3, 1\)"),
    ],
    ids=["counts differ", "no whole numbers", "two axes"],
)
def test_labels_that_do_not_fit(colocalizer, labels, message):
    with pytest.raises(ValueError, match=message):
        colocalizer.boxes(EXAMPLES[:3], labels)


def test_an_id_that_stands_twice(colocalizer):
    with pytest.raises(ValueError, match="'image 1' stands twice"):
        colocalizer.boxes([EXAMPLES[1], EXAMPLES[0], EXAMPLES[1]], [0, 0, 1])


def test_no_images(colocalizer):
    assert colocalizer.boxes([], np.zeros(0, np.int32)).shape == (0, 4)


def test_options_that_there_are_not(name):
    needed = {"classifier": network()} if colocalizers.needs_classifier(name) else {}
    with pytest.raises(ValueError, match=f"{name!r} has no option 'speed'; it takes "):
        colocalizers.create(name, speed=2, **needed)


def test_a_classifier_is_given_where_it_is_needed(name):
    if colocalizers.needs_classifier(name):
        with pytest.raises(ValueError, match=f"{name!r} reads images by a classifier; give one"):
            colocalizers.create(name)
    else:
        with pytest.raises(ValueError, match=f"{name!r} has no option 'classifier'"):
            colocalizers.create(name, classifier=network())


def test_an_unknown_name_is_answered_with_the_list():
    with pytest.raises(ValueError, match=r"no 'dtt' among the colocalizers; choose one of ddt"):
        colocalizers.create("dtt")
