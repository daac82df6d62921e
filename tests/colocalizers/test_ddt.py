"""Deep descriptor transforming where the first component is known."""

import keras
import numpy as np
import pytest
from keras import layers

from sensmap import boxes as box_geometry
from sensmap import classifiers, datasets
from sensmap.colocalizers.ddt import DDT, indicators
from sensmap.datasets import Example

RNG = np.random.default_rng(0)


def looking(last="relu", stride=4):
    """A classifier whose layer ``seen`` gives each cell's mean red, green and blue, 0 to 1."""
    inputs = keras.Input((32, 32, 3))
    pooled = layers.AveragePooling2D(stride)(inputs)
    seen = layers.Conv2D(3, 1, use_bias=False, activation=last, name="seen")(pooled)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(seen)))
    model.get_layer("seen").set_weights([np.eye(3)[None, None]])
    return classifiers.load(
        model, preprocessing=classifiers.Preprocessing((0.0,) * 3, (1 / 255,) * 3)
    )


def picture(name, row, column, colour=(200, 40, 0), ground=(20, 20, 20), side=12):
    """A square of one colour; rows and columns in pixels of 32."""
    image = np.full((32, 32, 3), ground, np.uint8)
    image[row : row + side, column : column + side] = colour
    return Example(name, image)


def of_square(row, column, side=12):
    return np.array([column, row, column + side, row + side], np.float32) / 32


# --- The indicator ---


def test_a_planted_direction():
    # x = m + t d + small noise across it, so that P = (t - mean of t) |d|.
    direction = np.array([3.0, 0.0, 4.0, 12.0]) / 13
    across = np.array([4.0, 0.0, -3.0, 0.0]) / 5
    amounts = [RNG.uniform(2, 9, (5, 7)), RNG.uniform(0, 3, (4, 6)), RNG.uniform(0, 1, (3, 3))]
    images = [each[..., None] * direction * 2 + [1, 5, 2, 3] for each in amounts]
    images[1] += 1e-6 * RNG.normal(size=(4, 6, 1)) * across
    mean = np.concatenate([each.ravel() for each in amounts]).mean()
    for found, amount in zip(indicators(images), amounts, strict=True):
        assert found.shape == amount.shape
        np.testing.assert_allclose(found, 2 * (amount - mean), atol=1e-5)


@pytest.mark.parametrize("channels", [3, 40], ids=["fewer channels", "fewer descriptors"])
def test_against_the_singular_vectors(channels):
    images = [RNG.gamma(0.5, size=(3, 4, channels)).astype(np.float32) for _ in range(2)]
    flat = np.concatenate([each.reshape(-1, channels) for each in images]).astype(np.float64)
    centred = flat - flat.mean(axis=0)
    component = np.linalg.svd(centred)[2][0]
    expected = centred @ component * np.sign(component.sum())  # all are 0 or more
    np.testing.assert_allclose(np.stack(indicators(images)).ravel(), expected, atol=1e-6)


@pytest.mark.parametrize("of", [1, -1], ids=["rectified", "mirrored"])
def test_what_excites_is_positive_whatever_the_sign_of_the_activation(of):
    image = np.full((4, 4, 5), 0.1)
    image[1:3, 1:3] = [1.0, 2.0, 0.0, 0.5, 0.1]
    [found] = indicators([of * image])
    assert np.argwhere(found > 0).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    # Where a quarter of the positions has it, it is three times as far from the mean.
    np.testing.assert_allclose(found[1, 1], -3 * found[0, 0])


def test_in_a_linear_layer_an_object_may_lower_the_sum():
    image = np.full((4, 4, 2), 0.5)
    image[:, 3] = [-4.0, 0.0]
    [found] = indicators([image])
    assert (found[:, 3] > 0).all()
    assert (found[:, :3] < 0).all()


@pytest.mark.parametrize("value", [0.0, 1 / 3, 1e6])
@pytest.mark.parametrize("channels", [2, 60], ids=["fewer channels", "fewer descriptors"])
def test_where_all_descriptors_are_the_same(value, channels):
    images = [np.full((4, 5, channels), value, np.float32)] * 3
    assert not np.any(indicators(images))
    # Networks round: the same numbers at two positions may differ in their last digit.
    noise = 1 + 1e-7 * RNG.normal(size=(3, 4, 5, channels))
    assert not np.any(indicators([(value * each).astype(np.float32) for each in noise]))


# --- The boxes ---


def test_squares_are_found():
    examples = [picture("a", 4, 8), picture("b", 16, 20), picture("c", 0, 4)]
    expected = [of_square(4, 8), of_square(16, 20), of_square(0, 4)]
    np.testing.assert_allclose(DDT(looking()).boxes(examples, [5, 5, 5]), expected, atol=1e-6)


def test_the_class_decides_what_is_common():
    # Red squares beside smaller blue ones: with those that have red in common, red is found,
    # and the other way round.
    def both(name, red, blue):
        example = picture(name, 4, 4, side=12)
        example.image[4:16, 4:16] = [red, 0, 0]
        example.image[20:28, 20:28] = [0, 0, blue]
        return example

    reds = [both(f"r{i}", 250, 250) for i in range(2)] + [picture("r", 8, 8, (250, 0, 0))]
    blues = [both(f"s{i}", 250, 250) for i in range(2)]
    blues += [picture(f"b{i}", 8, 8, (0, 0, 250), side=20) for i in range(4)]
    found = DDT(looking()).boxes([*reds, *blues], [1] * len(reds) + [2] * len(blues))
    np.testing.assert_allclose(found[0], of_square(4, 4), atol=1e-6)
    np.testing.assert_allclose(found[3], of_square(20, 20, 8), atol=1e-6)


def test_the_largest_part_counts():
    example = picture("a", 4, 4)
    example.image[24:28, 24:32] = [200, 40, 0]
    [found] = DDT(looking()).boxes([example], [0])
    np.testing.assert_allclose(found, of_square(4, 4), atol=1e-6)


def test_nothing_in_common_is_the_whole_image():
    # The class's only variation is the others' square; and an image alone is flat.
    flat = Example("flat", np.full((32, 32, 3), 20, np.uint8))
    found = DDT(looking()).boxes([picture("a", 4, 8), flat, flat_copy("other")], [3, 3, -1])
    np.testing.assert_allclose(found, [of_square(4, 8), [0, 0, 1, 1], [0, 0, 1, 1]], atol=1e-6)


def flat_copy(name):
    return Example(name, np.full((32, 32, 3), 90, np.uint8))


def test_boxes_are_relative_whatever_the_size_of_the_image():
    small = picture("a", 4, 8)
    wide = Example("b", np.kron(small.image, np.ones((2, 3, 1), np.uint8)))
    found = DDT(looking()).boxes([small, wide], [0, 0])
    np.testing.assert_allclose(found, [of_square(4, 8)] * 2, atol=1e-6)


# --- The layer ---


def test_the_last_feature_map_is_the_default():
    assert DDT(looking()).layer == "seen"
    assert DDT(looking(), layer="seen").layer == "seen"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("pixels", "takes one inner layer, or 'last' for the last; received 'pixels'"),
        ("auto", "received 'auto'"),
        ("sean", "no layer 'sean'; near it: seen"),
        ("dense", "gives no feature map"),
    ],
)
def test_layers_that_there_are_not(layer, message):
    keras.utils.clear_session()  # so that the dense layer is called `dense`
    with pytest.raises(ValueError, match=message) as error:
        DDT(looking(), layer=layer)
    assert "\n" not in str(error.value)


def test_one_trace_for_all_batches():
    found = DDT(looking())
    examples = [picture(f"{i:02}", 4, 4 * (i % 4)) for i in range(37)]  # 32 and a rest of 5
    boxes = found.boxes(examples, np.arange(37) % 3)
    expected = [of_square(4, 4 * (i % 4)) for i in range(37)]
    np.testing.assert_allclose(boxes, expected, atol=1e-6)
    assert found.compiled.experimental_get_tracing_count() == 1


# --- Photographs ---


def test_pets_are_found(shared):
    network = classifiers.load(shared / "models" / "squeezenet1_1_imagenet.keras", "torch")
    data = datasets.load("voc", str(shared / "data" / "pets3"), "val").select(range(0, 120, 5))
    examples = list(data)
    labels = [example.labels[0] for example in examples]
    found = DDT(network, layer="concatenate_6").boxes(examples, labels)
    ious = [
        box_geometry.best_iou(box, example.boxes)
        for box, example in zip(found, examples, strict=True)
    ]
    # 90% of all 210 images; here within three standard deviations.
    assert np.mean(np.array(ious) >= 0.5) > 0.9 - 3 * np.sqrt(0.09 / len(examples))
