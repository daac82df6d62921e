"""What is wrong with a box, worked out on boxes in tenths of the image."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap import analysis
from sensmap.boxes import iou

WHOLE = [0.0, 0.0, 1.0, 1.0]


def _left(share):
    """The left part of the image: IoU, precision and recall with the whole are shares."""
    return [0.0, 0.0, share, 1.0]


def _kinds(found):
    return [each["key"] for each in found if each["images"]]


def _of(analysed, boxes, truths):
    return analysed(analysis.match(boxes, truths))


def _errors(boxes, truths, *others, **options):
    return analysis.errors(analysis.match(boxes, truths), *others, **options)


@pytest.mark.parametrize(
    ("box", "truth", "kind"),
    [
        (_left(0.5), [WHOLE], "right"),  # exactly 0.5
        (_left(0.5), [[0.9, 0.9, 1, 1], WHOLE], "right"),  # with the second
        (_left(0.25), [WHOLE], "part"),  # precision 1, recall 1/4
        ([0.0, 0.0, 0.1, 0.1], [WHOLE], "part"),  # IoU 0.01: on the object all the same
        # Shared 1/8 of 1/4 by 1: precision exactly 1/2, recall 1/8 / (3/4).
        ([0.125, 0, 0.375, 1], [[0.25, 0, 1, 1]], "part"),
        (WHOLE, [_left(0.25)], "large"),  # recall 1, precision 1/4
        (WHOLE, [[0, 0, 0.1, 0.1]], "large"),
        # The same two boxes the other way round: recall exactly 1/2.
        ([0.25, 0, 1, 1], [[0.125, 0, 0.375, 1]], "large"),
        # Two objects at the sides, a box around both: IoU with each is 1/4.
        (WHOLE, [_left(0.25), [0.75, 0, 1, 1]], "several"),
        # Half of each of two of three is covered: 1/4 of 3/4 in the box of 1/2.
        (
            [0.125, 0, 0.625, 1],
            [_left(0.25), [0.5, 0, 0.75, 1], [0.9, 0.9, 1, 1]],
            "several",
        ),
        # A quarter of the second is covered, the box around both has the IoU 5/8: IoU 2/5 and 1/8.
        (_left(0.625), [_left(0.25), [0.5, 0, 1, 1]], "several"),
        # The box around both has the IoU 0.6, but only the first is touched: 0.3 of 0.6 and 0.6.
        ([0.3, 0, 0.9, 1], [_left(0.6), [0.95, 0, 1, 1]], "off"),
        (_left(0.25), [[0.5, 0, 1, 1]], "missed"),
        (_left(0.25), [[0.5, 0, 0.75, 1], [0.75, 0, 1, 1]], "missed"),
        # Shared 1/16 of 1/2 and 1/2: IoU 1/15.
        (_left(0.5), [[0.4375, 0, 0.9375, 1]], "missed"),
        # Shared 1/8 of 1/2 and 1/2: IoU 1/7.
        (_left(0.5), [[0.375, 0, 0.875, 1]], "off"),
        # Precision and recall 0.6, IoU 3/7.
        ([0, 0, 0.5, 1], [[0.2, 0, 0.7, 1]], "off"),
        # A box without an area lies in nothing.
        ([0.5, 0, 0.5, 1], [WHOLE], "missed"),
    ],
)
def test_a_box_has_one_kind_of_error(box, truth, kind):
    found = _errors([box], [truth], ["a"])
    assert _kinds(found["categories"]) == [kind]
    assert found["boxes"] == found["categories"]
    assert found["class_wrong_box_right"] is None


def test_an_iou_of_exactly_a_tenth_has_not_missed():
    # Shared 1/8 of 5/8 and 3/4: IoU 1/10.
    box, truth = [0, 0, 0.625, 1], [0.5, 0, 1.25, 1]
    assert iou(box, truth)[0, 0] == 0.1
    assert _kinds(_errors([box], [[truth]], ["a"])["categories"]) == ["off"]


def test_classes_are_wrong_whatever_the_box():
    boxes, truths = [WHOLE, WHOLE, _left(0.25), WHOLE], [[WHOLE], [WHOLE], [WHOLE], [_left(0.25)]]
    found = _errors(boxes, truths, list("abcd"), [True, False, False, True])
    by_class = {each["key"]: each["images"] for each in found["categories"]}
    by_box = {each["key"]: each["images"] for each in found["boxes"]}
    none = {"several": 0, "missed": 0, "off": 0}
    assert by_class == none | {"right": 1, "class": 2, "part": 0, "large": 1}
    assert by_box == none | {"right": 2, "part": 1, "large": 1}
    assert found["class_wrong_box_right"] == 1
    wrong = next(each for each in found["categories"] if each["key"] == "class")
    assert wrong["share"] == 50.0
    assert wrong["worst"] == [{"id": "c", "iou": 0.25}, {"id": "b", "iou": 1.0}]


def test_the_worst_come_first_and_equals_by_id():
    widths = [0.25, 0.125, 0.25, 0.375]
    found = _errors([_left(each) for each in widths], [[WHOLE]] * 4, list("zyxw"), worst=3)
    (part,) = [each for each in found["categories"] if each["images"]]
    assert [each["id"] for each in part["worst"]] == ["y", "x", "z"]
    assert part["images"] == 4


def test_sizes_are_those_of_the_largest_true_box():
    truths = [_left(share) for share in (0.0625, 0.25, 0.5, 0.75, 1.0)]
    # A small one beside a large one, which the box is around: the size is that of the large one.
    both = [_left(0.0625), [0.125, 0, 1, 1]]
    rows = _of(analysis.by_size, [*truths, _left(0.0625)], [*([each] for each in truths), both])
    assert [row["images"] for row in rows] == [1, 0, 1, 1, 3]
    assert rows[4]["corloc"] == 100.0
    assert rows[1] == {
        "group": "10 to 25%",
        "low": 0.1,
        "high": 0.25,
        "images": 0,
        "corloc": None,
        "interval": None,
        "mean_iou": None,
    }
    assert (rows[4]["low"], rows[4]["high"]) == (0.75, None)


def test_corloc_and_mean_iou_of_a_size():
    rows = _of(analysis.by_size, [_left(0.5), _left(0.25), _left(0.75)], [[WHOLE]] * 3)
    assert rows[4]["corloc"] == pytest.approx(200 / 3)
    assert rows[4]["mean_iou"] == 0.5
    low, high = rows[4]["interval"]
    assert low < 200 / 3 < high


@pytest.mark.parametrize(
    ("count", "group"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (40, 3)]
)
def test_numbers_of_objects(count, group):
    rows = _of(analysis.by_count, [WHOLE], [[WHOLE] * count])
    assert [row["images"] for row in rows] == [int(place == group) for place in range(4)]
    assert [(row["low"], row["high"]) for row in rows] == [(1, 1), (2, 2), (3, 4), (5, None)]


@pytest.mark.parametrize(
    ("share", "bin_"), [(0.0, 0), (0.0625, 0), (0.25, 2), (0.5, 5), (0.875, 8), (1.0, 9)]
)
def test_bins_of_iou(share, bin_):
    found = _of(analysis.iou_histogram, [_left(share)], [[WHOLE]])
    assert found["counts"] == [int(place == bin_) for place in range(10)]
    assert found["edges"] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_an_iou_on_a_border_belongs_to_the_upper_bin():
    box, truth = [0, 0, 0.625, 1], [0.5, 0, 1.25, 1]  # 1/10, as above
    assert _of(analysis.iou_histogram, [box], [[truth]])["counts"][:2] == [0, 1]


def test_areas():
    boxes = [_left(0.25), _left(0.25), _left(0.75)]
    truths = [[_left(0.125)], [_left(0.375), [0.5, 0, 1, 1]], [WHOLE]]
    found = _of(analysis.areas, boxes, truths)
    # The second's larger true box is not touched; the matched one counts.
    assert found["points"] == [[0.25, 0.125], [0.25, 0.375], [0.75, 1.0]]
    bins = {each["low"]: each for each in found["bins"] if each["images"]}
    assert bins == {
        0.2: {"low": 0.2, "high": 0.3, "images": 2, "predicted": 0.25, "true": 0.25},
        0.7: {"low": 0.7, "high": 0.8, "images": 1, "predicted": 0.75, "true": 1.0},
    }
    assert len(found["bins"]) == 10
    assert found["median_ratio"] == 0.75  # of 2, 2/3 and 3/4
    predicted, true = np.array([0.25, 0.25, 0.75]), np.array([0.125, 0.375, 1.0])
    covariance = ((predicted - predicted.mean()) * (true - true.mean())).mean()
    assert found["correlation"] == pytest.approx(covariance / predicted.std() / true.std())


def test_of_untouched_boxes_the_largest_is_matched():
    found = _of(analysis.areas, [_left(0.25)], [[[0.3, 0, 0.4, 1], [0.5, 0, 1, 1], [0.9, 0, 1, 1]]])
    assert found["points"] == [[0.25, 0.5]]


def test_what_cannot_be_told_of_areas_is_none():
    one_size = _of(analysis.areas, [WHOLE] * 2, [[_left(0.5)], [_left(0.25)]])
    assert one_size["correlation"] is None
    assert one_size["median_ratio"] == 3.0
    without_area = _of(analysis.areas, [WHOLE], [[[0.5, 0, 0.5, 1]]])
    assert without_area["median_ratio"] is None


@pytest.mark.parametrize(
    ("truths", "unscored"), [([], 0), ([np.zeros((0, 4))], 1)], ids=["no images", "no true boxes"]
)
def test_nothing(truths, unscored):
    found = analysis.analyse([WHOLE] * len(truths), truths, ["a"] * len(truths))
    assert (found["images"], found["unscored"]) == (0, unscored)
    assert {row["corloc"] for row in found["by_size"] + found["by_count"]} == {None}
    assert found["iou_histogram"]["counts"] == [0] * 10
    assert found["areas"]["points"] == []
    assert found["areas"]["correlation"] is found["areas"]["median_ratio"] is None
    assert {(each["images"], each["share"]) for each in found["errors"]["boxes"]} == {(0, None)}
    json.dumps(found, allow_nan=False)


def test_images_without_a_true_box_are_left_out():
    found = analysis.analyse(
        [WHOLE] * 3, [[], [WHOLE], [_left(0.25)]], list("abc"), [False, True, True]
    )
    assert (found["images"], found["unscored"]) == (2, 1)
    assert _kinds(found["errors"]["categories"]) == ["right", "large"]
    assert found["errors"]["categories"][0]["worst"] == [{"id": "b", "iou": 1.0}]


@pytest.mark.parametrize(
    ("ids", "named", "message"),
    [
        (["a"], None, "Each of the 2 images .* received 1 ids and the shape none"),
        (["a", "b"], [True], r"received 2 ids and the shape \(1,\)"),
    ],
)
def test_ids_and_names_go_with_the_images(ids, named, message):
    with pytest.raises(ValueError, match=message):
        _errors([WHOLE] * 2, [[WHOLE]] * 2, ids, named)


def test_boxes_go_with_the_images():
    with pytest.raises(ValueError, match="received 1 predicted boxes and 2 sets"):
        analysis.analyse([WHOLE], [[WHOLE]] * 2, list("ab"))


# Boxes on a raster of eighths, so that halves and touching sides are met.
_SIDE = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
_BOX = st.tuples(_SIDE, _SIDE).map(
    lambda sides: [sides[0][0] / 8, sides[1][0] / 8, sides[0][1] / 8, sides[1][1] / 8]
)
_IMAGE = st.tuples(_BOX, st.lists(_BOX, max_size=5), st.booleans())


@given(st.lists(_IMAGE, max_size=8), st.booleans())
def test_every_image_is_counted_once(images, knows_classes):
    boxes, truths, named = [list(each) for each in zip(*images, strict=True)] or ([], [], [])
    ids = [f"{position:02}" for position in range(len(images))]
    found = analysis.analyse(boxes, truths, ids, named if knows_classes else None, worst=99)
    json.dumps(found, allow_nan=False)
    scored = [name for name, truth in zip(ids, truths, strict=True) if truth]
    assert found["images"] == len(scored)
    assert found["images"] + found["unscored"] == len(images)
    for rows in (found["by_size"], found["by_count"], found["areas"]["bins"]):
        assert sum(row["images"] for row in rows) == len(scored)
    counts = found["iou_histogram"]["counts"]
    assert sum(counts) == len(scored)
    for split in ("categories", "boxes"):
        listed = [each["id"] for row in found["errors"][split] for each in row["worst"]]
        assert sorted(listed) == scored
        assert sum(row["images"] for row in found["errors"][split]) == len(scored)
    assert found["errors"]["boxes"][0]["images"] == sum(counts[5:])
    if knows_classes:
        right, wrong = found["errors"]["categories"][:2]
        by_class = right["images"] + found["errors"]["class_wrong_box_right"]
        assert by_class == sum(counts[5:])
        not_named = [truth and not name for truth, name in zip(truths, named, strict=True)]
        assert wrong["images"] == sum(map(bool, not_named))


@given(_BOX, st.lists(_BOX, min_size=1, max_size=4))
def test_mirrored_images_have_the_same_errors(box, truth):
    def mirrored(each):
        return [1 - each[2], each[1], 1 - each[0], each[3]]

    one = _errors([box], [truth], ["a"])
    other = _errors([mirrored(box)], [[mirrored(each) for each in truth]], ["a"])
    assert one == other
