"""Conventions: answers worked out by hand, and the boxes of an independent implementation."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap import boxes, datasets, protocols

WHOLE = [0.0, 0.0, 1.0, 1.0]


def test_an_unknown_name_is_answered_with_the_list():
    with pytest.raises(
        ValueError,
        match="no 'coco' among the protocols; choose one of sensmap, wsol_v1, wsol_v2, voc_corloc, "
        "ilsvrc",
    ):
        protocols.find("coco")


def test_what_the_names_stand_for():
    table = {
        name: (each.pixels, each.inclusive, each.contours, each.ious, each.average)
        for name, each in protocols.PROTOCOLS.items()
    }
    assert table == {
        "sensmap": ("relative", False, None, (0.5,), "images"),
        "wsol_v1": ("224", True, "single", (0.5,), "images"),
        "wsol_v2": ("224", True, "multi", (0.3, 0.5, 0.7), "images"),
        "voc_corloc": ("original", True, None, (0.5,), "classes"),
        "ilsvrc": ("original", True, None, (0.5,), "images"),
    }


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 5, 6], [3, 1, 4, 5], 8 / 27),  # 25 and 10 pixels, of which 2 x 4 in both
        ([0, 0, 0, 0], [0, 0, 0, 0], 1),  # one pixel
        ([0, 0, 4, 4], [5, 0, 9, 4], 0),  # next to each other
        ([0, 0, 4, 4], [4, 4, 8, 8], 1 / 49),  # a corner in common
    ],
)
def test_inclusive_iou(a, b, expected):
    assert protocols.inclusive_iou([a], [b]).tolist() == [[expected]]
    assert protocols.inclusive_iou([b], [a]).tolist() == [[expected]]


def test_inclusive_iou_of_every_pair():
    eye = [[1, 1, 3, 3], [4, 4, 5, 5]]
    assert protocols.inclusive_iou(eye, eye).tolist() == [[1, 0], [0, 1]]
    assert protocols.inclusive_iou(np.zeros((0, 4)), eye).shape == (0, 2)


_PIXELS = st.tuples(st.integers(1, 5000), st.integers(1, 5000)).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.tuples(*[st.integers(0, size[1] - 1)] * 2).map(sorted),
        st.tuples(*[st.integers(0, size[0] - 1)] * 2).map(sorted),
    )
)


@given(_PIXELS)
def test_whole_pixels_of_an_annotation_survive_the_way_through_float32(case):
    size, (x0, x1), (y0, y1) = case
    relative = boxes.inclusive_to_xyxy([x0, y0, x1, y1], size)
    assert protocols.original_pixels(relative, size).tolist() == [[x0, y0, x1, y1]]
    scaled = [int(x0 * 224 / size[1]), int(y0 * 224 / size[0])]
    scaled += [int(x1 * 224 / size[1]), int(y1 * 224 / size[0])]
    assert protocols.wsol_truths(relative, size).tolist() == [scaled]


@given(_PIXELS, _PIXELS)
def test_half_open_and_inclusive_iou_are_the_same_measure_of_the_same_pixels(one, other):
    first, second = ([x0, y0, x1, y1] for _, (x0, x1), (y0, y1) in (one, other))
    half_open = boxes.iou(np.add(first, [0, 0, 1, 1]), np.add(second, [0, 0, 1, 1]))
    assert protocols.inclusive_iou([first], [second]) == pytest.approx(half_open, abs=1e-12)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([0.24, 0, 0.36, 1], [[2, 0, 3, 9]]),  # 2.4 to 3.6: the pixels 2 and 3
        ([0.5, 0.5, 0.5, 0.5], [[5, 5, 5, 5]]),  # at least one
        ([], []),
    ],
)
def test_predicted_boxes_in_pixels_of_the_image(box, expected):
    assert protocols.original_pixels(box, (10, 10)).tolist() == expected


def test_predicted_boxes_end_as_those_of_contours_do():
    # One pixel past their last one, but not past the image.
    assert protocols.wsol_predicted([WHOLE, [0, 0, 0.5, 0.25]]).tolist() == [
        *([0, 0, 223, 223], [0, 0, 112, 56])
    ]


def test_true_boxes_whose_far_corner_is_outside():
    # The first image of CUB's test set: x 60, y 27, width 325, height 304 of 500 x 335.
    relative = boxes.xywh_to_xyxy([60, 27, 325, 304], (335, 500))
    assert protocols.wsol_truths(relative, (335, 500), inclusive=False).tolist() == [
        [int(26.88), int(18.05), int(172.48), int(221.33)]
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sensmap", 0.5 / 0.96),  # 50 of 96 columns
        ("ilsvrc", 50 / 96),
        ("voc_corloc", 50 / 96),
        # int(2.24 x 49) + 1 = 110 columns; of the prediction, to min(215, 223), 216.
        ("wsol_v1", 110 * 222 / (216 * 224)),
        ("wsol_v2", 110 * 222 / (216 * 224)),
    ],
)
def test_one_pair_of_boxes_by_every_protocol(name, expected):
    found = protocols.best_ious(name, [[0, 0, 0.96, 1]], [[[0, 0, 0.5, 1]]], [(100, 100)])
    assert found == pytest.approx([expected], abs=1e-6)


def test_the_best_of_the_true_boxes_counts_and_none_gives_nan():
    left, right = [0, 0, 0.5, 1], [0.5, 0, 1, 1]
    found = protocols.best_ious("ilsvrc", [left, left], [[right, left], []], [(10, 10)] * 2)
    assert found[0] == 1
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("predicted", "truths", "sizes", "message"),
    [
        ([WHOLE], [], [(1, 1)], "received 1, 0 and 1"),
        ([[0, 0, np.nan, 1]], [[WHOLE]], [(1, 1)], "predicted box must be four finite"),
        ([WHOLE], [[[1, 0, 0, 1]]], [(1, 1)], r"true box must be .*received \[1.0, 0.0, 0.0"),
        ([WHOLE], [[WHOLE]], [(0, 1)], r"\(height, width\) in positive pixels; received \(0, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(predicted, truths, sizes, message):
    with pytest.raises(ValueError, match=message):
        protocols.best_ious("ilsvrc", predicted, truths, sizes)


def test_true_boxes_equal_those_of_choe_et_al(shared):
    expected = json.loads((shared / "goldens" / "max_box_acc_expected.json").read_text())
    data = datasets.load("ilsvrc", str(shared / "data" / "ilsvrc2012_val_1300"))
    place = {name: position for position, name in enumerate(data.ids)}
    found = {}
    for name in expected["gt_boxes_224"]:
        example = data[place[name]]
        found[name] = protocols.wsol_truths(example.boxes, example.size).tolist()
    assert len(found) == 200
    assert found == expected["gt_boxes_224"]
