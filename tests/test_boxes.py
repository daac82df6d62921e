"""Box geometry: answers worked out by hand, and laws that hold for all boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sensmap import boxes

# Quarter-pixel corners of a 64-pixel image are exact in float32.
_GRID = st.integers(0, 256).map(lambda value: value / 256)


@st.composite
def valid_boxes(draw, max_size=5):
    def box():
        x0, x1 = sorted(draw(st.lists(_GRID, min_size=2, max_size=2, unique=True)))
        y0, y1 = sorted(draw(st.lists(_GRID, min_size=2, max_size=2, unique=True)))
        return [x0, y0, x1, y1]

    return np.array([box() for _ in range(draw(st.integers(1, max_size)))], np.float32)


any_boxes = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.just(4)),
    elements=st.floats(-1e6, 1e6, allow_nan=False),
)


@pytest.mark.parametrize(
    ("given_boxes", "shape"),
    [
        ([], (0, 4)),  # none
        (np.zeros((0, 4)), (0, 4)),
        ([0, 0, 1, 1], (1, 4)),  # one box
        ([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], (2, 4)),
    ],
)
def test_as_boxes_accepts(given_boxes, shape):
    array = boxes.as_boxes(given_boxes)
    assert (array.shape, array.dtype) == (shape, np.float32)


@pytest.mark.parametrize("wrong", [[1, 2, 3], [[1, 2, 3, 4, 5]], 7.0, np.zeros((2, 3, 4))])
def test_as_boxes_refuses_other_shapes(wrong):
    with pytest.raises(ValueError, match=r"shape \(N, 4\)"):
        boxes.as_boxes(wrong)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1], 1.0),  # identical
        ([0, 0, 0.5, 1], [0.5, 0, 1, 1], 0.0),  # sharing an edge only: half-open
        ([0, 0, 1, 1], [0, 0, 1, 0.5], 0.5),  # exactly at the threshold of CorLoc
        ([0, 0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75], 1 / 7),  # 1/16 over 7/16
        ([0, 0, 0.5, 1], [0.25, 0, 1, 1], 0.25),
        ([0.25, 0.25, 0.5, 0.5], [0, 0, 1, 1], 1 / 16),  # inside
        ([0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], 0.0),  # two points
        ([0.5, 0, 0.25, 1], [0, 0, 1, 1], 0.0),  # inverted
    ],
)
def test_iou(a, b, expected):
    assert boxes.iou(a, b).item() == expected
    assert boxes.iou(b, a).item() == expected


def test_iou_of_none():
    assert boxes.iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert boxes.iou([0, 0, 1, 1], []).shape == (1, 0)


@given(valid_boxes(), valid_boxes())
def test_iou_is_symmetric_and_between_zero_and_one(a, b):
    overlap = boxes.iou(a, b)
    assert overlap.dtype == np.float64
    assert ((overlap >= 0) & (overlap <= 1)).all()
    assert np.array_equal(overlap, boxes.iou(b, a).T)
    assert np.array_equal(np.diag(boxes.iou(a, a)), np.ones(len(a)))


@given(st.lists(st.integers(0, 12), min_size=8, max_size=8))
def test_iou_counts_the_pixels_of_a_grid(corners):
    """On a 12x12 grid the half-open boxes' IoU is a ratio of pixel counts."""

    def mask(x0, y0, x1, y1):
        grid = np.zeros((12, 12), bool)
        grid[y0:y1, x0:x1] = True
        return grid

    first, second = ([*np.minimum(c[:2], c[2:]), *np.maximum(c[:2], c[2:])]
                     for c in (corners[:4], corners[4:]))  # fmt: skip
    a, b = mask(*first), mask(*second)
    union = (a | b).sum()
    expected = (a & b).sum() / union if union else 0.0
    size = (12, 12)
    overlap = boxes.iou(boxes.pixels_to_xyxy(first, size), boxes.pixels_to_xyxy(second, size))
    assert overlap.item() == pytest.approx(expected, abs=1e-6)


def test_best_iou_takes_the_best_of_several():
    truth = [[0, 0, 0.5, 1], [0, 0, 1, 0.75]]
    assert boxes.best_iou([0, 0, 1, 1], truth) == 0.75
    assert boxes.best_iou([0, 0, 1, 1], []) == 0.0


def test_area():
    assert boxes.area([[0, 0, 0.5, 0.25], [0.5, 0, 0, 1]]).tolist() == [0.125, 0.0]
    assert boxes.area([]).shape == (0,)


@pytest.mark.parametrize(
    ("box", "valid"),
    [
        ([0, 0, 1, 1], True),
        ([-1, -1, 0.1, 0.1], True),  # leaves the image but has an area inside
        ([0.5, 0.5, 0.5, 1], False),  # no width
        ([0.6, 0, 0.4, 1], False),  # inverted
        ([1.0, 0, 2.0, 1], False),  # outside
        ([-1, 0, 0.0, 1], False),  # ends where the image begins
        ([float("nan"), 0, 1, 1], False),
        ([0, 0, float("inf"), 1], False),
    ],
)
def test_is_valid(box, valid):
    assert boxes.is_valid(box).tolist() == [valid]


@given(any_boxes)
def test_make_valid_makes_valid_boxes(numbers):
    made = boxes.make_valid(numbers)
    assert made.shape == numbers.shape
    assert (made >= 0).all()
    assert (made <= 1).all()
    assert (made[:, 2:] - made[:, :2] >= boxes.MIN_SIDE * (1 - 1e-9)).all()
    assert boxes.is_valid(made).all()


@given(valid_boxes())
def test_make_valid_leaves_valid_boxes_alone(array):
    assert np.array_equal(boxes.make_valid(array), array)
    assert boxes.make_valid(array).dtype == np.float32


@pytest.mark.parametrize(
    ("box", "made"),
    [
        ([0.75, -1.0, 0.25, 0.5], [0.25, 0.0, 0.75, 0.5]),  # inverted, beyond the border
        ([2.0, 0.0, 3.0, 1.0], [0.999, 0.0, 1.0, 1.0]),  # outside: a sliver at the border
        ([0.5, 0.0, 0.5, 1.0], [0.4995, 0.0, 0.5005, 1.0]),  # no width
    ],
)
def test_make_valid(box, made):
    np.testing.assert_allclose(boxes.make_valid(np.array([box])), [made], atol=1e-12)


def test_union_box():
    both = boxes.union_box([[0.25, 0, 0.5, 0.5], [0, 0.25, 0.25, 0.75]])
    assert both.tolist() == [0, 0, 0.5, 0.75]
    with pytest.raises(ValueError, match="no boxes"):
        boxes.union_box([])


def test_centred_box():
    assert boxes.centred_box(0.5, 0.25).tolist() == [0.25, 0.375, 0.75, 0.625]


@pytest.mark.parametrize(
    ("convert", "box"),
    [
        (boxes.pixels_to_xyxy, [10, 20, 40, 80]),
        (boxes.inclusive_to_xyxy, [10, 20, 39, 79]),
        (boxes.voc_to_xyxy, [11, 21, 40, 80]),
        (boxes.xywh_to_xyxy, [10, 20, 30, 60]),
    ],
)
def test_every_convention_says_the_same_box(convert, box):
    expected = np.array([[0.125, 0.2, 0.5, 0.8]], np.float32)  # 80 wide, 100 high
    assert np.array_equal(convert(box, size=(100, 80)), expected)
    assert np.array_equal(convert([box, box], size=(100, 80)), np.repeat(expected, 2, axis=0))
    assert convert([], size=(100, 80)).shape == (0, 4)


def test_yxyx_is_its_own_inverse():
    assert boxes.yxyx_to_xyxy([0.125, 0.25, 0.5, 1]).tolist() == [[0.25, 0.125, 1, 0.5]]
    assert boxes.yxyx_to_xyxy([]).shape == (0, 4)


@given(valid_boxes(), st.integers(1, 5000), st.integers(1, 5000))
def test_pixels_and_back(array, height, width):
    pixels = boxes.xyxy_to_pixels(array, (height, width))
    np.testing.assert_allclose(boxes.pixels_to_xyxy(pixels, (height, width)), array, atol=1e-6)


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-1, 5)])
def test_a_size_must_be_positive(size):
    with pytest.raises(ValueError, match=r"\(height, width\) in positive pixels"):
        boxes.pixels_to_xyxy([0, 0, 1, 1], size)
