"""mCorLoc on boxes of which the pixels can be counted."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.metrics.voc_corloc import VocCorLoc

CLASSES = ["cat", "dog", "emu"]
WHOLE, HALF, BIT = [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.25, 1.0]
SIZE = (60, 100)


def _update(metric, images):
    metric.update(
        np.reshape([predicted for predicted, _, _ in images], (-1, 4)),
        [truth for _, truth, _ in images],
        np.array([label for _, _, label in images], int),
        [SIZE] * len(images),
    )


def _score(*images, classes=CLASSES):
    metric = VocCorLoc(classes)
    _update(metric, images)
    return metric.result()


def test_the_mean_over_classes_is_not_that_over_images():
    # cat: 3 of 3; dog: 0 of 1; emu is never shown.
    result = _score(*[(WHOLE, [WHOLE], 0)] * 3, (BIT, [WHOLE], 1), (WHOLE, [], 2))
    assert (result["corloc"], result["corloc_images"]) == (50, 75)
    assert result["by_class"] == [
        {"class": "cat", "corloc": 100.0, "images": 3},
        {"class": "dog", "corloc": 0.0, "images": 1},
    ]
    assert (result["images"], result["unscored"]) == (4, 1)
    assert result["interval"][0] < 75 < result["interval"][1]


def test_an_image_of_two_classes_is_counted_for_each():
    right = [0.5, 0.0, 1.0, 1.0]
    result = _score((HALF, [HALF], 0), (HALF, [right], 1))
    assert [row["corloc"] for row in result["by_class"]] == [100, 0]


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        (HALF, True),  # exactly half is enough
        ([0, 0, 0.496, 1], True),  # 49.6 columns are 50
        ([0, 0, 0.494, 1], False),  # 49.4 are 49
    ],
)
def test_boxes_are_of_whole_pixels(predicted, right):
    assert _score((predicted, [WHOLE], 0))["corloc"] == (100 if right else 0)


def test_without_names_classes_are_their_ids():
    assert _score((WHOLE, [WHOLE], 7), classes=None)["by_class"][0]["class"] == "7"


def test_no_images():
    result = _score()
    assert [result[key] for key in ("corloc", "corloc_images", "interval")] == [None] * 3
    assert (result["by_class"], result["images"]) == ([], 0)


@given(
    st.lists(
        st.tuples(st.sampled_from([WHOLE, BIT]), st.sampled_from([[WHOLE], []]), st.integers(0, 2)),
        max_size=7,
    ),
    st.integers(0, 7),
)
def test_neither_order_nor_batches_nor_shards_change_a_byte(images, cut):
    merged, other = VocCorLoc(CLASSES), VocCorLoc(CLASSES)
    for image in images[cut:][::-1]:
        _update(merged, [image])
    _update(other, images[:cut])
    merged.merge(other)
    assert json.dumps(merged.result(), allow_nan=False) == json.dumps(_score(*images))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ((WHOLE, [WHOLE], 3), "class id, 0 to 2; received 3"),
        ((WHOLE, [WHOLE], -1), "class id, 0 to 2; received -1"),
        (([0, 0, np.inf, 1], [WHOLE], 0), "predicted box must be four finite"),
        ((WHOLE, [[0, 1, 1, 0]], 0), "true box must be four finite"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(image, message):
    metric = VocCorLoc(CLASSES)
    _update(metric, [(WHOLE, [WHOLE], 0)])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        _update(metric, [(WHOLE, [WHOLE], 0), image])
    assert metric.result() == before


def test_labels_are_whole_numbers_one_an_image():
    with pytest.raises(ValueError, match=r"1 whole numbers, .* type float64"):
        VocCorLoc().update([WHOLE], [[WHOLE]], [0.5], [SIZE])
    with pytest.raises(ValueError, match=r"the shape \(2,\)"):
        VocCorLoc().update([WHOLE], [[WHOLE]], [0, 1], [SIZE])
    with pytest.raises(ValueError, match="0 or more; received -1"):
        VocCorLoc().update([WHOLE], [[WHOLE]], [-1], [SIZE])


def test_other_classes_cannot_be_merged():
    with pytest.raises(ValueError, match="same classes"):
        VocCorLoc(CLASSES).merge(VocCorLoc(CLASSES[:2]))
