"""Masks from maps that are the channels of an image, by hand, and the field on top of them."""

from types import SimpleNamespace

import numpy as np
import pytest
from channels import Channels, painted
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from sensmap.dense_crf import DenseCRF
from sensmap.segmentation import Segmenter, class_maps, label_probabilities

LEFT_GREEN_RIGHT_BLUE = painted((1, (0, 8), (0, 3), 200), (2, (0, 8), (5, 8), 100))


def test_shares_of_the_labels():
    # At the first pixel the background has 2 (1 - 0.75) = 0.5 beside 0.75 and 0.25; at the second
    # 2 (1 - 0) alone; at the third nothing.
    maps = np.array([[[0.75, 0.0, 1.0]], [[0.25, 0.0, 1.0]]])
    found = label_probabilities(maps, 2.0)
    np.testing.assert_allclose(found[:, 0, 0], [1 / 3, 1 / 2, 1 / 6], rtol=1e-6)
    assert found[:, 0, 1].tolist() == [1, 0, 0]
    assert found[:, 0, 2].tolist() == [0, 0.5, 0.5]
    assert found.dtype == np.float32


@given(
    st_numpy.arrays(np.float32, (3, 2, 4), elements=st.floats(0, 1, width=32)),
    st.floats(0.01, 100),
)
def test_shares_are_probabilities(maps, background):
    found = label_probabilities(maps, background)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


def test_layers_are_merged_at_the_images_size_each_over_its_maximum():
    first = np.array([[[4.0, 0.0]], [[1.0, 1.0]]])
    second = np.array([[[0.0, 9.0, 0.0, 9.0]], [[2.0, 2.0, 1.0, 0.0]]])
    found = class_maps([first, second], (1, 4))
    # Of the first class 1, 0.75, 0.25, 0 and 0, 1, 0, 1: the highest sum is 1.75.
    np.testing.assert_allclose(found[0, 0] * 1.75, [1, 1.75, 0.25, 1], rtol=1e-6)
    np.testing.assert_allclose(found[1, 0] * 2, [2, 2, 1.5, 1], rtol=1e-6)


def test_a_class_of_which_a_layer_says_nothing_has_an_empty_map():
    maps = [np.array([[[0.0, 0.0]], [[1.0, 2.0]]]), np.ones((2, 1, 2))]
    found = class_maps(maps, (1, 2))
    assert not found[0].any()
    assert found[1].max() == 1


@pytest.mark.parametrize(
    ("rectangles", "expected"),
    [
        ([(0, (0, 4), (0, 8), 100), (2, (0, 8), (0, 8), 200)], [2, 0]),
        ([(1, (0, 1), (0, 1), 1)], [1]),
        ([], [0]),  # no probability is above 0.5: the highest alone
    ],
    ids=["two", "one", "none"],
)
def test_the_classes_of_an_image(rectangles, expected):
    found = Segmenter(Channels()).classes_of(painted(*rectangles))
    assert found.tolist() == expected
    assert found.dtype == np.int32


def test_a_mask_has_the_index_of_the_class_and_maps_stand_by_themselves():
    found = Segmenter(Channels())(LEFT_GREEN_RIGHT_BLUE)
    assert found.class_ids.tolist() == [1, 2]
    # Each map is over its own maximum: blue counts as much as green, which is brighter.
    assert found.mask.tolist() == [[2, 2, 2, 0, 0, 3, 3, 3]] * 8
    assert found.mask.dtype == np.uint8
    assert found.maps.max(axis=(1, 2)).tolist() == [1, 1]
    np.testing.assert_array_equal(found.mask, found.unrefined)


def test_only_the_classes_asked_for_are_looked_for():
    found = Segmenter(Channels())(LEFT_GREEN_RIGHT_BLUE, [2])
    assert found.mask.tolist() == [[0, 0, 0, 0, 0, 3, 3, 3]] * 8


@pytest.mark.parametrize(("background", "expected"), [(0.9, 1), (1.1, 0)])
def test_the_weight_decides_where_the_background_begins(background, expected):
    image = painted((0, (0, 8), (0, 4), 200), (0, (0, 8), (4, 8), 100))  # a map of 1 and of 0.5
    found = Segmenter(Channels(), background)(image, [0])
    assert found.mask.tolist() == [[1] * 4 + [expected] * 4] * 8


def test_the_field_has_the_energies_of_the_probabilities():
    field = DenseCRF(gaussian_weight=1.0, bilateral_xy=5.0, steps=2)
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    found = Segmenter(Channels(), 1.5, field)(image, [1, 0])
    maps = np.stack([image[..., 1] / image[..., 1].max(), image[..., 0] / image[..., 0].max()])
    scores = np.concatenate([1.5 * (1 - maps.max(axis=0))[None], maps])
    energies = -np.log(np.clip(scores / scores.sum(axis=0), 1e-4, 1))
    expected = np.array([0, 2, 1])[field.infer(energies, image).argmax(axis=0)]
    assert np.count_nonzero(found.mask != expected) <= 1  # rounding may turn a tie
    assert (found.mask != found.unrefined).any()
    assert found.unrefined.tolist() == np.array([0, 2, 1])[scores.argmax(axis=0)].tolist()


@pytest.mark.parametrize("background", [0, -1, np.inf, np.nan])
def test_weights_that_cannot_be(background):
    with pytest.raises(ValueError, match="a weight above 0; received"):
        Segmenter(Channels(), background)


def test_more_classes_than_masks_hold():
    method = SimpleNamespace(classifier=SimpleNamespace(num_classes=255, source="many"))
    with pytest.raises(ValueError, match="many has 255 classes; masks of 8 bits hold 254"):
        Segmenter(method)
