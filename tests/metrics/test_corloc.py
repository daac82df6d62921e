"""CorLoc on boxes whose overlap can be worked out by hand."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.metrics import _intervals
from sensmap.metrics.corloc import CorLoc, best_ious

WHOLE = [0.0, 0.0, 1.0, 1.0]


def _score(predicted, truths, labels=None, classes=None):
    metric = CorLoc(classes)
    metric.update(predicted, truths, labels)
    return metric.result()


def test_no_images():
    assert _score([], []) == {
        "corloc": None,
        "interval": None,
        "interval_method": _intervals.METHOD,
        "corloc_30": None,
        "corloc_70": None,
        "mean_iou": None,
        "images": 0,
        "unscored": 0,
        "by_class": [],
    }


@pytest.mark.parametrize(
    ("truth", "iou", "correct"),
    [
        ([WHOLE], 1.0, (True, True, True)),  # the same box
        ([[0, 0, 1, 0.75]], 0.75, (True, True, True)),
        ([[0, 0, 1, 0.5]], 0.5, (True, True, False)),  # exactly at the threshold: found
        ([[0, 0, 1, 0.49]], 0.49, (True, False, False)),  # just below it
        ([[0, 0, 0.5, 0.5]], 0.25, (False, False, False)),
        ([[0, 0, 0.25, 0.25], [0, 0, 1, 0.75]], 0.75, (True, True, True)),  # any box counts
        ([[0.5, 0.5, 0.5, 1]], 0.0, (False, False, False)),  # no area
    ],
)
def test_one_image_predicted_as_a_whole(truth, iou, correct):
    result = _score([WHOLE], [truth])
    found = tuple(result[key] == 100.0 for key in ("corloc_30", "corloc", "corloc_70"))
    assert found == correct
    assert result["mean_iou"] == pytest.approx(iou, abs=1e-7)


def test_half_open_boxes():
    # In an image of 80 x 80, 20 x 10 pixels against 10 x 10: 100 / 200. With corners that belong
    # to the box it would be 121 / 231.
    result = _score([[0, 0, 0.25, 0.125]], [[[0, 0, 0.125, 0.125]]])
    assert result["mean_iou"] == 0.5
    # Boxes that share no more than an edge do not overlap.
    assert _score([[0, 0, 0.5, 1]], [[[0.5, 0, 1, 1]]])["mean_iou"] == 0.0


def test_the_table_by_hand():
    result = _score(
        [WHOLE, WHOLE, WHOLE, WHOLE, WHOLE],
        [[[0, 0, 1, 0.5]], [[0, 0, 0.5, 0.5]], [], [WHOLE], [[0, 0, 1, 0.25]]],
        labels=[2, 0, 1, 2, 2],
        classes=["ant", "bee", "cat"],
    )
    # IoU 0.5, 0.25, unscored, 1, 0.25.
    assert result["images"] == 4
    assert result["unscored"] == 1
    assert result["corloc"] == 50.0
    assert (result["corloc_30"], result["corloc_70"]) == (50.0, 25.0)
    assert result["mean_iou"] == 0.5
    # None of four draws is right with a probability of 1/16, all four with as much.
    assert result["interval"] == [0.0, 100.0]
    assert result["by_class"] == [
        {"class": "ant", "images": 1, "corloc": 0.0, "mean_iou": 0.25},
        {"class": "cat", "images": 3, "corloc": 200 / 3, "mean_iou": 1.75 / 3},
    ]


def test_classes_without_names_go_by_their_ids():
    by_class = _score([WHOLE, WHOLE], [[WHOLE], [WHOLE]], labels=[10, 9])["by_class"]
    assert [row["class"] for row in by_class] == ["9", "10"]


def test_best_iou_of_each_image():
    found = best_ious([WHOLE, WHOLE], [[[0, 0, 1, 0.25], [0, 0, 1, 0.5]], np.zeros((0, 4))])
    np.testing.assert_array_equal(found, [0.5, np.nan])


_BOX = st.tuples(*[st.floats(0, 1, width=32)] * 4).map(list)
_IMAGE = st.tuples(_BOX, st.lists(_BOX, max_size=3), st.integers(0, 2))


def _counted(images):
    metric = CorLoc(["ant", "bee", "cat"])
    for predicted, truth, label in images:
        metric.update([predicted], [truth], [label])
    return metric


@given(
    st.lists(_IMAGE, max_size=12).flatmap(
        lambda images: st.tuples(
            st.just(images), st.permutations(images), st.integers(0, len(images))
        )
    )
)
def test_neither_order_nor_batches_nor_shards_change_a_byte(case):
    images, shuffled, cut = case
    whole = CorLoc(["ant", "bee", "cat"])
    predicted, truths, labels = ([image[part] for image in images] for part in range(3))
    whole.update(predicted, truths, np.array(labels, np.int32))
    merged = _counted(shuffled[cut:])
    merged.merge(_counted(shuffled[:cut]))
    assert json.dumps(merged.result(), allow_nan=False) == json.dumps(whole.result())


@pytest.mark.parametrize(
    ("predicted", "truths", "labels", "message"),
    [
        ([WHOLE, WHOLE], [[WHOLE]], [0, 0], "received 2 predicted boxes and 1 sets"),
        ([WHOLE], [[WHOLE]], [0, 1], r"must be 1 whole numbers.* shape \(2,\)"),
        ([WHOLE], [[WHOLE]], [0.5], "type float64"),
        ([WHOLE], [[WHOLE]], [2], "class id, 0 to 1; received 2"),
        ([WHOLE], [[WHOLE]], [-1], "received -1"),
        ([[0, 0, np.nan, 1]], [[WHOLE]], [0], "predicted box must be four finite numbers"),
        ([WHOLE], [[[0, 0, np.inf, 1]]], [0], "true box must be four finite numbers"),
        ([[0, 0, 1]], [[WHOLE]], [0], r"shape \(N, 4\)"),
    ],
    ids=["counts", "labels", "float label", "high", "negative", "nan", "inf", "three numbers"],
)
def test_what_does_not_fit_is_refused_and_not_counted(predicted, truths, labels, message):
    metric = CorLoc(["ant", "bee"])
    with pytest.raises(ValueError, match=message):
        metric.update(predicted, truths, labels)
    assert metric.result() == CorLoc(["ant", "bee"]).result()


def test_other_classes_cannot_be_merged():
    with pytest.raises(ValueError, match="same classes"):
        CorLoc(["ant"]).merge(CorLoc(["bee"]))


STATE = {"classes": ["ant", "bee"], "ious": [0.5, 0.25], "labels": [1, None], "unscored": 1}


def test_a_state_is_gone_on_from():
    metric = CorLoc(["ant", "bee"])
    metric.update([WHOLE, WHOLE], [[[0, 0, 1, 0.5]], []], [1, 0])
    metric.update([WHOLE], [[[0, 0, 0.5, 0.5]]])
    assert metric.state() == STATE
    again = CorLoc.from_state(json.loads(json.dumps(STATE)))
    for each in (metric, again):
        each.update([WHOLE], [[WHOLE]], [0])
    assert again.result() == metric.result()
    again.merge(metric)  # of the same classes
    assert STATE["ious"] == [0.5, 0.25]


def test_a_state_without_classes():
    metric = CorLoc()
    metric.update([WHOLE], [[WHOLE]], [12])
    assert CorLoc.from_state(metric.state()).result() == metric.result()


@pytest.mark.parametrize(
    "changed",
    [
        {"ious": [0.5]},
        {"ious": [0.5, 1.5]},
        {"ious": [0.5, float("nan")]},
        {"ious": ["a", "b"]},
        {"labels": [2, None]},
        {"labels": [0.5, None]},
        {"unscored": -1},
        {"unscored": None},
    ],
)
def test_other_things_are_no_state(changed):
    with pytest.raises(ValueError, match="This is no state of CorLoc"):
        CorLoc.from_state({**STATE, **changed})


@pytest.mark.parametrize("key", STATE)
def test_a_state_is_all_of_it(key):
    with pytest.raises(ValueError, match=f"This is no state of CorLoc .*{key}"):
        CorLoc.from_state({name: each for name, each in STATE.items() if name != key})
