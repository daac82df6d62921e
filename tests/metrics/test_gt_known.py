"""GT-known localization on boxes of which the pixels can be counted."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.metrics import _intervals
from sensmap.metrics.gt_known import GtKnown

WHOLE = [0.0, 0.0, 1.0, 1.0]
SIZE = (100, 200)


def _score(*images):
    metric = GtKnown()
    metric.update(
        np.reshape([predicted for predicted, _ in images], (-1, 4)),
        [truth for _, truth in images],
        [SIZE] * len(images),
    )
    return metric.result()


@pytest.mark.parametrize(
    ("predicted", "truth", "right"),
    [
        ([0, 0, 0.5, 1], [WHOLE], True),  # 100 of 200 columns: exactly half is enough
        ([0, 0, 0.4976, 1], [WHOLE], True),  # 99.52 columns are 100
        ([0, 0, 0.497, 1], [WHOLE], False),  # 99.4 are 99
        ([0, 0, 0.5, 1], [[0.5, 0, 1, 1]], False),  # nothing in common
        ([0, 0, 0.5, 1], [[0.5, 0, 1, 1], [0, 0, 0.5, 1]], True),  # the second of two
    ],
)
def test_one_image(predicted, truth, right):
    assert _score((predicted, truth))["gt_known"] == (100 if right else 0)


def test_three_images():
    result = _score((WHOLE, [WHOLE]), ([0, 0, 0.1, 0.1], [WHOLE]), (WHOLE, []))
    assert result == {
        "gt_known": 50.0,
        "interval": [100 * end for end in _intervals.interval(1, 2)],
        "interval_method": _intervals.METHOD,
        "images": 2,
        "unscored": 1,
    }


def test_no_images():
    result = _score()
    assert (result["gt_known"], result["interval"], result["images"]) == (None, None, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from([WHOLE, [0, 0, 0.25, 1]]), st.sampled_from([[WHOLE], []])),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 6),
)
def test_neither_order_nor_batches_nor_shards_change_a_byte(images, cut):
    merged, other = GtKnown(), GtKnown()
    for predicted, truth in images[cut:][::-1]:
        merged.update([predicted], [truth], [SIZE])
    first = images[:cut]
    other.update([box for box, _ in first], [truth for _, truth in first], [SIZE] * len(first))
    merged.merge(other)
    assert json.dumps(merged.result(), allow_nan=False) == json.dumps(_score(*images))


@pytest.mark.parametrize(
    ("predicted", "truths", "sizes", "message"),
    [
        ([WHOLE], [], [SIZE], "received 2, 1 and 2"),
        ([[0, 0, np.nan, 1]], [[WHOLE]], [SIZE], "predicted box must be four finite"),
        ([WHOLE], [[[1, 0, 0, 1]]], [SIZE], "true box must be four finite"),
        ([WHOLE], [[WHOLE]], [(100, 0)], r"positive pixels; received \(100, 0\)"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(predicted, truths, sizes, message):
    metric = GtKnown()
    metric.update([WHOLE], [[WHOLE]], [SIZE])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        metric.update([WHOLE, *predicted], [[WHOLE], *truths], [SIZE, *sizes])
    assert metric.result() == before
