"""Places of labels, worked out on an image of 100 x 100 pixels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.report import _labels

IMAGE = (100, 100)


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((20, 30, 60, 80), (20, 20, 50, 30)),  # above its left corner
        ((20, 5, 60, 80), (20, 80, 50, 90)),  # no room above: below
        ((20, 5, 60, 95), (20, 5, 50, 15)),  # nor below: inside
        ((0, 0, 100, 100), (0, 0, 30, 10)),
        ((90, 30, 100, 80), (70, 20, 100, 30)),  # moved in from the right
    ],
    ids=["above", "below", "inside", "all of the image", "at the border"],
)
def test_one_label(box, place):
    assert _labels.place([box], [(30, 10)], IMAGE) == [place]


def test_labels_of_one_box_make_way_for_each_other():
    places = _labels.place([(20, 40, 90, 60)] * 6, [(30, 10)] * 6, IMAGE)
    assert places == [
        (20, 30, 50, 40),  # above, left
        (60, 30, 90, 40),  # above, right
        (20, 60, 50, 70),  # below, left
        (60, 60, 90, 70),  # below, right
        (20, 20, 50, 30),  # higher
        (60, 20, 90, 30),
    ]


def test_where_all_is_taken_the_least_is_covered():
    whole = (0, 0, 10, 10)
    assert _labels.place([whole] * 2, [(10, 8), (10, 4)], (10, 10)) == [
        (0, 0, 10, 8),
        (0, 6, 10, 10),  # two rows are covered, four would be at the top
    ]


def test_a_label_larger_than_the_image_begins_in_its_corner():
    assert _labels.place([(2, 2, 5, 5)], [(20, 30)], (10, 10)) == [(0, 0, 20, 30)]


_SIDE = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted)
_BOX = st.tuples(_SIDE, _SIDE).map(
    lambda sides: (sides[0][0], sides[1][0], sides[0][1], sides[1][1])
)
_LABEL = st.tuples(st.integers(1, 100), st.just(8))


@given(st.lists(st.tuples(_BOX, _LABEL), max_size=5))
def test_five_labels_of_a_twelfth_of_the_height_always_find_room(boxes_and_labels):
    boxes, labels = [[pair[part] for pair in boxes_and_labels] for part in (0, 1)]
    places = _labels.place(boxes, labels, IMAGE)
    assert [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in places] == labels
    for number, (x0, y0, x1, y1) in enumerate(places):
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= 100
        assert y1 <= 100
        for other in places[:number]:
            assert x1 <= other[0] or other[2] <= x0 or y1 <= other[1] or other[3] <= y0
