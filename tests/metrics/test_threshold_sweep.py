"""The sweep against drawing the contours at every one of 1,000 thresholds."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensmap._opencv import cv2
from sensmap.metrics import _score_maps
from sensmap.metrics import _threshold_sweep as sweep

# Score maps with the boxes that thresholds of 0, 0.2, 0.4, 0.6 and 0.8 leave of them.
HILL = [
    *([0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.4, 0.4, 0.4, 0.6]),
    *([0.0, 0.4, 1.0, 0.8, 0.6], [0.0, 0.4, 0.4, 0.4, 0.6]),
]
HILL_BOXES = [[1, 1, 4, 3], [1, 1, 4, 3], [2, 1, 4, 3], [2, 2, 4, 3], [2, 2, 3, 3]]
ISLANDS = [
    *([0.4, 0.0, 0.2, 0.2, 0.2], [0.4, 0.4, 0.0, 0.4, 0.0]),
    *([0.0, 0.0, 0.0, 0.4, 0.0], [1.0, 0.6, 0.8, 0.2, 0.2]),
]
ISLANDS_BOXES = [[0, 0, 4, 3], [0, 0, 2, 2], [0, 3, 3, 3], [2, 3, 3, 3], [0, 3, 1, 3]]
# Enclosed at 0.5: the outer pixels from 1 to 5, the hole's contour from 2 to 4.
RING = [[0.0] * 7, *([0.0, *[1.0] * 5, 0.0] for _ in range(5)), [0.0] * 7]
RING[3] = [0.0, 1.0, 1.0, 0.2, 1.0, 1.0, 0.0]


def plain(scores, truths, contours):
    """What `best_ious` gives, from 1,000 thresholds, spelt out."""
    values = (scores * 255).astype(np.uint8)
    height, width = values.shape
    found = np.full(255, np.nan)
    for threshold in np.arange(0, 1, 0.001):
        level = int(threshold * 255)
        if not np.isnan(found[level]):
            continue
        mask = np.where(values > level, 255, 0).astype(np.uint8)
        outlines = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        if contours == "single" and len(outlines):
            outlines = [max(outlines, key=cv2.contourArea)]
        boxes = []
        for outline in outlines:
            x, y, w, h = cv2.boundingRect(outline)
            boxes.append((x, y, min(x + w, width - 1), min(y + h, height - 1)))
        found[level] = max(
            _iou(box, truth) for box in boxes or [(0, 0, 0, 0)] for truth in truths.tolist()
        )
    return found


def _iou(a, b):
    wide = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    high = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return wide * high / (sum(areas) - wide * high)


@pytest.mark.parametrize(("scores", "boxes"), [(HILL, HILL_BOXES), (ISLANDS, ISLANDS_BOXES)])
def test_the_box_that_each_threshold_leaves(scores, boxes):
    for threshold, box in zip((0.0, 0.2, 0.4, 0.6, 0.8), boxes, strict=True):
        ious = sweep.best_ious(np.array(scores), np.array([box]), "single")
        assert ious[int(255 * threshold)] == 1, (threshold, box)


def test_the_largest_of_several_or_any_of_them():
    # Above 0.2 three pixels in a corner enclose half a pixel, and a bent line of five none.
    line = np.array([[0, 1, 4, 3]])
    assert sweep.best_ious(np.array(ISLANDS), line, "multi")[51] == 1
    assert sweep.best_ious(np.array(ISLANDS), line, "single")[51] == _iou([0, 0, 2, 2], line[0])


def test_an_area_belongs_to_the_component_that_is_kept():
    # Above 1/3 the three pixels in the corner enclose half a pixel, and all others nothing. Among
    # their neighbours are pixels that are not kept and lead to another peak.
    scores = [[0, 1, 1, 2, 1, 3, 1, 0], [2, 0, 3, 0, 3, 0, 1, 2], [3, 0, 0, 0, 3, 0, 2, 2]]
    corner = np.array([[6, 1, 7, 2]])
    assert sweep.best_ious(np.array(scores) / 3, corner, "single")[85] == 1


def test_a_hole_is_a_contour_too():
    scores, hole = np.array(RING), np.array([[2, 2, 5, 5]])
    multi = sweep.best_ious(scores, hole, "multi")
    assert multi[127] == 1
    assert multi[0] == _iou([1, 1, 6, 6], hole[0])  # filled in
    assert (sweep.best_ious(scores, hole, "single") == multi[0]).all()


def test_holes_that_grow_together_and_open():
    # Two holes with a wall of 0.6 between them, a gap of 0.8 that leads out from the second one,
    # and an island of 0.4 in the first.
    scores = np.ones((7, 10))
    scores[1:5, 1:5], scores[2, 3] = 0.2, 0.4
    scores[1:5, 6:8], scores[3, 5], scores[2, 8:] = 0.3, 0.6, 0.8
    first, second, both = [0, 0, 6, 6], [5, 0, 9, 6], [0, 0, 9, 6]
    for at, box, expected in (
        *((0.25, first, 1), (0.5, first, 1), (0.35, second, 1), (0.7, both, 1)),
        # Below 0.3 there is no second hole, between 0.2 and 0.4 an island, above 0.8 no hole.
        *((0.25, second, _iou(second, both)), (0.35, [3, 2, 4, 3], 1), (0.45, [3, 2, 4, 3], None)),
        (0.9, [0, 0, 8, 5], None),
    ):
        truths = np.array([box])
        iou = sweep.best_ious(scores, truths, "multi")[int(255 * at)]
        assert iou == plain(scores, truths, "multi")[int(255 * at)], (at, box)
        assert (iou == expected) if expected is not None else (iou < 1), (at, box)


def test_a_hole_is_closed_by_corners_and_does_not_leave_by_them():
    # Four pixels that touch at their corners only enclose the one between them.
    scores = np.zeros((5, 5))
    scores[[1, 2, 2, 3], [2, 1, 3, 2]] = 1
    ious = sweep.best_ious(scores, np.array([[1, 1, 4, 4]]), "multi")
    assert ious.tolist() == [1.0] * 255
    values, order = sweep._framed(scores)
    holes = sweep._hole_corners(order, values)[1:, :, 100]
    assert holes[holes[:, 0] != sweep._NONE].tolist() == [[-2, -2, 2, 2]]


def test_above_the_highest_value_the_box_is_one_pixel():
    scores = np.array(HILL) / 2
    for truth, expected in (([0, 0, 0, 0], 1), ([0, 0, 1, 0], 0.5), ([1, 1, 2, 2], 0)):
        ious = sweep.best_ious(scores, np.array([truth]), "multi")
        assert ious[127:].tolist() == [expected] * 128
    nothing = sweep.best_ious(np.zeros((4, 5)), np.array([[0, 0, 0, 0]]), "single")
    assert nothing.tolist() == [1] * 255


def test_thresholds_fall_on_255_levels():
    assert sweep.LEVEL_OF_THRESHOLD.tolist() == [int(each * 255) for each in np.arange(0, 1, 0.001)]
    assert sorted(set(sweep.LEVEL_OF_THRESHOLD.tolist())) == list(range(255))


def _to_0_1(scores):
    scores = scores - scores.min()
    return scores / scores.max() if scores.max() > 0 else scores


def _random_maps(count):
    """Grain, plateaus, smooth and terraced hills, and what is riddled with holes."""
    rng = np.random.default_rng(5)
    for turn in range(count):
        height, width = (int(side) for side in rng.integers(2, 24, 2))
        small = rng.random(rng.integers(1, 7, 2))
        scores = [
            lambda size: rng.random(size[::-1]),
            lambda size: np.floor(3 * rng.random(size[::-1])),
            lambda size, small=small: cv2.resize(small, size, interpolation=cv2.INTER_CUBIC),
            lambda size, small=small: np.round(4 * cv2.resize(small, size)),
            lambda size: 1.0 * (rng.random(size[::-1]) < 0.65),
        ][turn % 5]((width, height))
        corners = np.sort(rng.integers(0, [[width], [height]], (2, 2, 2)), axis=2)
        yield _to_0_1(scores), corners.transpose(0, 2, 1).reshape(2, 4)


@pytest.mark.parametrize("contours", sweep.CONTOURS)
def test_equals_the_plain_sweep_on_random_maps(contours):
    for scores, truths in _random_maps(100):
        found = sweep.best_ious(scores, truths, contours)
        assert found.tolist() == plain(scores, truths, contours).tolist()


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.int64,
        st.tuples(st.integers(2, 9), st.integers(2, 9)),
        elements=st.integers(0, 3),
    ),
    st.sampled_from(sweep.CONTOURS),
)
def test_equals_the_plain_sweep_where_much_is_equal(levels, contours):
    scores, truths = _to_0_1(levels / 1), np.array([[1, 1, 3, 2], [0, 0, 1, 1]])
    assert (sweep.best_ious(scores, truths, contours) == plain(scores, truths, contours)).all()


@pytest.mark.parametrize("contours", sweep.CONTOURS)
@pytest.mark.parametrize("kind", ["cam", "gradient"])
def test_equals_the_plain_sweep_on_maps_of_photographs(shared, kind, contours):
    with np.load(shared / "goldens" / "max_box_acc_maps.npz", allow_pickle=False) as arrays:
        ids, maps = arrays["ids"][:200:8], arrays[kind][:200:8]
    text = (shared / "goldens" / "max_box_acc_expected.json").read_text()
    for name, score_map in zip(ids, maps, strict=True):
        truths = np.array(json.loads(text)["gt_boxes_224"][name])
        scores = _score_maps.normalize(score_map)
        found = sweep.best_ious(scores, truths, contours)
        assert found.tolist() == plain(scores, truths, contours).tolist()
