"""An image's record comes back, with sensmap and without."""

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from sensmap.feature_store.records import Row, Skipped, decode, encode

ROW = Row(
    id="größer/1.jpg",
    label=7,
    truth=np.array([[0, 0.25, 0.5, 1], [0.1, 0.2, 0.3, 0.4]], np.float32),
    size=(375, 500),
    dropped=("box (8, 0, 2, 10) is empty",),
    class_ids=np.array([7, 2, 9], np.int32),
    scores=np.array([1.5, -2.5, 3e38], np.float32),
    features=np.arange(6, dtype=np.float32).reshape(3, 2) / 3,
    degenerate=True,
    readings={"graphcut": np.array([[1], [2], [np.nan]], np.float32)},
)


def assert_same(found, expected):
    for name, value in expected._asdict().items():
        other = getattr(found, name)
        if name == "readings":
            assert list(other) == sorted(value)
            pairs = [(other[key], value[key]) for key in value]
        else:
            pairs = [(other, value)]
        for one, two in pairs:
            if isinstance(two, np.ndarray):
                assert one.dtype == two.dtype
                np.testing.assert_array_equal(one, two)
            else:
                assert one == two
                assert type(one) is type(two)


def test_a_row_comes_back():
    assert_same(decode(encode(ROW)), ROW)


def test_a_skipped_image_comes_back():
    assert decode(encode(Skipped("größer", "the file is empty"))) == (
        "größer",
        "the file is empty",
    )


def test_a_row_of_little_comes_back():
    little = Row(
        *("a", -1, np.zeros((0, 4), np.float32), (1, 1), ()),
        *(np.array([0], np.int32), np.zeros(1, np.float32), np.zeros((1, 0), np.float32), False),
    )
    assert_same(decode(encode(little)), little)


@given(
    st.text(st.characters(codec="utf-8")),
    numpy_strategies.arrays(
        np.float32, st.tuples(st.integers(1, 4), st.integers(0, 5)), elements=st.floats(width=32)
    ),
    st.lists(st.text(st.characters(codec="utf-8"))),
)
def test_any_row_comes_back_and_always_as_the_same_bytes(name, features, dropped):
    row = ROW._replace(
        id=name,
        class_ids=np.arange(len(features), dtype=np.int32),
        scores=np.zeros(len(features), np.float32),
        features=features,
        readings={"b": features, "a": features},
        dropped=tuple(dropped),
    )
    assert_same(decode(encode(row)), row)
    assert encode(row) == encode(row._replace(readings={"a": features, "b": features}))


def test_tensorflow_alone_reads_it():
    numbers = tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)
    known = {
        "id": tf.io.FixedLenFeature([], tf.string),
        "skipped": tf.io.FixedLenFeature([], tf.string, ""),
        "class_ids": tf.io.FixedLenFeature([3], tf.int64, [-1] * 3),
        "features": tf.io.FixedLenFeature([3, 2], tf.float32, [0.0] * 6),
        "boxes": numbers,
        "readings/graphcut": numbers,
    }
    used = tf.io.parse_single_example(encode(ROW), known)
    assert used["id"].numpy().decode() == ROW.id
    assert used["skipped"].numpy() == b""
    assert used["class_ids"].numpy().tolist() == [7, 2, 9]
    np.testing.assert_array_equal(used["features"], ROW.features)
    np.testing.assert_array_equal(used["boxes"], ROW.truth.ravel())
    np.testing.assert_array_equal(used["readings/graphcut"], [1, 2, np.nan])
    skipped = tf.io.parse_single_example(encode(Skipped("a", "why")), known)
    assert skipped["skipped"].numpy() == b"why"


@pytest.mark.parametrize("record", [b"", b"\0", b"text", encode(ROW)[:-40]])
def test_other_bytes_are_refused(record):
    with pytest.raises(ValueError, match="no record of a feature store"):
        decode(record)
