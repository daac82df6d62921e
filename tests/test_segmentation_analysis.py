"""What is wrong with a mask, worked out on images of a hundred pixels."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensmap import segmentation_analysis
from sensmap.masks import IGNORE
from sensmap.metrics.mean_iou import confusion
from sensmap.segmentation_analysis import CATEGORIES, outcomes

# An image's pixels, by true class and predicted class.
NOTHING_FOUND = [[90, 0, 0], [10, 0, 0], [0, 0, 0]]


def _kind(counts):
    return outcomes([np.array(counts)])[0].kind


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ([[20, 20], [0, 20]], "good"),  # 1/2 and 1/2, exactly
        ([[25, 25], [25, 50]], "off"),  # 1/3 and 1/2; precision and recall are 2/3
        ([[40, 40], [0, 20]], "large"),  # 1/2 and 1/3; recall 1, precision 1/3
        (NOTHING_FOUND, "missed"),  # 0.9 and 0
        # The second class has no pixel, the first one is right: 10/20, 40/80, 0.
        ([[20, 10, 0], [0, 40, 0], [0, 30, 0]], "missed"),
        # A class for another one: it is missed before it is confused or invented.
        ([[20, 0, 0], [0, 0, 80], [0, 0, 0]], "missed"),
        # Background 70/75, the true class 20/25; the invented one has exactly a twentieth.
        ([[55, 10, 5], [10, 20, 0], [0, 0, 0]], "invented"),
        ([[56, 10, 4], [10, 20, 0], [0, 0, 0]], "off"),
        # All that is invented, in an image without any object.
        ([[90, 10], [0, 0]], "invented"),
        ([[96, 4], [0, 0]], "off"),
        # Recall exactly 1/2, precision 10/60.
        ([[30, 50], [10, 10]], "large"),
        ([[30, 49], [11, 10]], "off"),
        # Precision exactly 1/2, recall 10/60; with more background than that it would be good.
        ([[20, 10], [50, 10]], "small"),
        ([[20, 11], [50, 10]], "off"),
        # Foreground 60 of 80: 15 of them are swapped, exactly a quarter; 0/20, 23/46, 22/45.
        ([[0, 10, 10], [0, 23, 8], [0, 7, 22]], "confused"),
        ([[0, 10, 10], [0, 23, 7], [0, 7, 23]], "off"),
    ],
)
def test_kinds_in_their_order(counts, kind):
    assert _kind(counts) == kind


def test_measures_of_an_image():
    # Background 50 of 70, class 1 10 of 30, class 3 is only predicted, class 2 nowhere.
    counts = np.zeros((4, 4), int)
    counts[0, 0], counts[1, 0], counts[1, 1], counts[1, 3], counts[0, 3] = 50, 15, 10, 5, 5
    (found,) = outcomes([counts])
    assert found.mean_iou == pytest.approx((50 / 70 + 10 / 30 + 0) / 3)
    # Truth has 30 pixels, the mask 20, both 15.
    assert found.foreground_iou == pytest.approx(15 / 35)
    assert found.foreground == pytest.approx(30 / 85)
    assert found.classes == 1


def test_all_background():
    (found,) = outcomes([np.diag([7, 0])])
    assert (found.mean_iou, found.foreground_iou, found.foreground, found.classes) == (
        1,
        None,
        0,
        0,
    )
    analysed = segmentation_analysis.analyse([np.diag([7, 0])], ["a"])
    assert (analysed["mean_iou"], analysed["foreground_iou"]) == (100, None)
    assert sum(analysed["iou_histogram"]["counts"]) == 1
    assert sum(analysed["foreground_histogram"]["counts"]) == 0


@given(
    arrays(np.uint8, (4, 5), elements=st.integers(0, 3)),
    arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 2, 3, IGNORE])),
)
def test_measures_are_those_of_the_pixels(mask, truth):
    scored = truth != IGNORE
    if not scored.any():
        return
    (found,) = outcomes([confusion(mask, truth, 4)])
    ious = []
    for index in range(4):
        own, true = (mask == index)[scored], (truth == index)[scored]
        if (own | true).any():
            ious.append((own & true).sum() / (own | true).sum())
    assert found.mean_iou == pytest.approx(np.mean(ious))
    own, true = (mask > 0)[scored], (truth > 0)[scored]
    either = (own | true).sum()
    assert found.foreground_iou == (pytest.approx((own & true).sum() / either) if either else None)
    assert found.foreground == pytest.approx(true.mean())
    assert found.classes == len(set(truth[scored].tolist()) - {0})
    assert found.kind in {category.key for category in CATEGORIES}


def _share(foreground, found):
    """An image of so many pixels of an object, of which so many are found."""
    return np.array([[100 - foreground, 0], [foreground - found, found]])


def test_by_size():
    sizes = (0, 9, 10, 24, 25, 50, 74, 75, 100)
    rows = segmentation_analysis.by_size(outcomes([_share(size, size) for size in sizes]))
    assert [row["images"] for row in rows] == [2, 2, 1, 2, 2]
    assert [row["low"] for row in rows] == [0, 0.1, 0.25, 0.5, 0.75]
    assert [row["high"] for row in rows] == [0.1, 0.25, 0.5, 0.75, None]
    assert all(row["mean_iou"] == row["foreground_iou"] == 100 for row in rows)


def test_by_number_of_classes():
    counts = [np.diag(row) for row in ([5, 0, 0, 0], [5, 1, 0, 0], [0, 1, 2, 0], [0, 1, 2, 3])]
    rows = segmentation_analysis.by_count(outcomes([*counts, counts[1]]))
    assert [row["images"] for row in rows] == [1, 2, 1, 1]
    assert [(row["low"], row["high"]) for row in rows] == [(0, 0), (1, 1), (2, 2), (3, None)]


def test_means_of_a_group_and_their_interval():
    # Of 50 pixels all or none are found: mean IoU 1, and that of 1/2 and 0.
    images = [_share(50, 50), _share(50, 0)]
    row = next(row for row in segmentation_analysis.by_size(outcomes(images)) if row["images"])
    assert row["mean_iou"] == pytest.approx(62.5)
    assert row["foreground_iou"] == pytest.approx(50)
    # A draw of two images is one of them twice in every fourth case.
    assert row["interval"] == pytest.approx([25, 100])
    many = segmentation_analysis.by_size(outcomes(images * 200))[3]
    # The standard error of a mean of 400 values, each 37.5 off, is 1.875.
    half = 1.96 * 37.5 / 20
    assert many["interval"] == pytest.approx([62.5 - half, 62.5 + half], abs=0.6)
    assert many == segmentation_analysis.by_size(outcomes(images[::-1] * 200))[3]


def test_the_worst_come_first():
    images = [_share(50, found) for found in (10, 0, 5, 5, 50)]
    found = segmentation_analysis.errors(outcomes(images), ["a", "b", "d", "c", "e"], worst=2)
    rows = {row["key"]: row for row in found["categories"]}
    assert list(rows) == [category.key for category in CATEGORIES]
    assert {key: row["images"] for key, row in rows.items() if row["images"]} == {
        "good": 1,
        "missed": 1,
        "small": 3,
    }
    assert rows["small"]["share"] == pytest.approx(60)
    # 50/95 and 5/50.
    low = round((50 / 95 + 0.1) / 2, 4)
    assert rows["small"]["worst"] == [{"id": "c", "iou": low}, {"id": "d", "iou": low}]
    assert sum(row["images"] for row in rows.values()) == 5


def test_the_histogram():
    found = segmentation_analysis.analyse([np.array(NOTHING_FOUND), np.diag([1, 1, 1])], ["a", "b"])
    assert found["iou_histogram"]["counts"] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert found["foreground_histogram"]["counts"] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_no_images():
    found = segmentation_analysis.analyse([], [], unscored=3)
    assert (found["images"], found["unscored"], found["mean_iou"]) == (0, 3, None)
    assert {row["share"] for row in found["errors"]["categories"]} == {None}
    assert {row["interval"] for row in found["by_size"]} == {None}


def test_json_can_hold_it():
    found = segmentation_analysis.analyse([np.array(NOTHING_FOUND), np.diag([1, 1, 1])], ["a", "b"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_counts_that_differ():
    with pytest.raises(ValueError, match="received 1 images and 2 ids"):
        segmentation_analysis.analyse([np.eye(2, dtype=int)], ["a", "b"])


@pytest.mark.parametrize(
    "counts", [np.zeros((2, 2), int), np.eye(2), np.ones((2, 3), int), np.ones(4, int)]
)
def test_no_counts_of_pixels(counts):
    with pytest.raises(ValueError, match=r"square matrix of whole numbers, .*; received the shape"):
        outcomes([counts])
