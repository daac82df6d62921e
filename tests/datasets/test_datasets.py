"""What all sources share: examples by position, errors that do not end a pass, options."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap import boxes
from sensmap.datasets import Dataset, Example, ExampleError, load
from sensmap.datasets._base import usable_boxes


def read(position: int) -> Example:
    if position == 1:
        raise ExampleError("b: broken")
    return Example("abcd"[position], np.zeros((2, 2, 3), np.uint8), (position,))


@pytest.fixture
def dataset() -> Dataset:
    return Dataset("letters", ["x"], list("abcd"), read, ["e: no letter"])


def test_examples_by_position(dataset):
    assert len(dataset) == 4
    assert dataset[0].id == "a"
    assert dataset[-1].id == "d"
    assert dataset[np.int64(2)].id == "c"
    with pytest.raises(IndexError):
        dataset[4]


def test_a_pass_goes_on_after_an_example_that_fails(dataset):
    examples = iter(dataset)
    assert next(examples).id == "a"
    with pytest.raises(ExampleError, match="b: broken"):
        next(examples)
    assert [example.id for example in examples] == ["c", "d"]


def test_select_keeps_order_and_what_was_skipped(dataset):
    chosen = dataset.select(np.array([3, 0, -2]))
    assert chosen.ids == ("d", "a", "c")
    assert [example.id for example in chosen] == ["d", "a", "c"]
    assert chosen.skipped == ("e: no letter",)
    assert chosen.select([1])[0].id == "a"
    assert len(dataset.select([])) == 0


def test_an_image_cannot_be_in_a_data_set_twice(dataset):
    with pytest.raises(ValueError, match="'a' stands twice"):
        Dataset("letters", [], ["a", "b", "a"], read)
    with pytest.raises(ValueError, match="'c' stands twice"):
        dataset.select([2, 2])


def test_boxes_of_a_class():
    both = np.array([[0, 0, 0.5, 1], [0, 0, 1, 0.5]], np.float32)
    example = Example("a", b"", (3, 5), both, np.array([5, 3], np.int32))
    assert example.boxes_of(3).tolist() == [[0, 0, 1, 0.5]]
    assert example.boxes_of(4).shape == (0, 4)
    assert Example("a", b"").boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dogs", {}, "There is no 'dogs' among the datasets; choose one of csv, cub, digits"),
        ("_base", {}, "There is no '_base'"),
        ("digits", {"size": 3}, "has no option 'size'; it takes count, seed"),
        ("csv", {"year": 3}, "has no option 'year'; it takes none"),
        ("voc:cars", {}, "has no option 'builder'"),
        ("tfds", {}, "needs the name of a set: tfds:<builder>"),
    ],
)
def test_a_wrong_name_or_option_is_explained(name, options, message):
    with pytest.raises(ValueError, match=message):
        load(name, **options)


def test_usable_boxes_cuts_and_drops():
    corners = np.array(
        [
            [2, 2, 4, 4],
            [-5, 0, 5, 20],  # leaves the image on two sides
            [4, 4, 2, 8],  # inverted
            [10, 0, 12, 5],  # outside
            [3, 3, 3, 9],  # no width
            [np.nan, 0, 1, 1],
            [0, 0, 1e300, 1],  # not a float32
        ]
    )
    placed, labels, dropped = usable_boxes(corners, np.arange(7), lambda c: c / 10)
    np.testing.assert_allclose(placed, [[0.2, 0.2, 0.4, 0.4], [0, 0, 0.5, 1]], rtol=1e-6)
    assert labels.tolist() == [0, 1]
    assert labels.dtype == np.int32
    assert len(dropped) == 5
    assert dropped[0] == "box (4, 4, 2, 8) is empty, inverted or outside the image"


@given(
    st.lists(st.lists(st.floats(), min_size=4, max_size=4), max_size=6),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
)
def test_whatever_a_file_says_boxes_are_valid_or_named(corners, size):
    array = np.array(corners, np.float64).reshape(-1, 4)
    with np.errstate(over="ignore", invalid="ignore"):
        placed, labels, dropped = usable_boxes(
            array, np.zeros(len(array)), lambda c: boxes.voc_to_xyxy(c, size)
        )
    assert len(placed) == len(labels)
    assert len(placed) + len(dropped) == len(array)
    assert ((placed >= 0) & (placed <= 1)).all()
    assert (placed[:, 2:] > placed[:, :2]).all()
