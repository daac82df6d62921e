"""The pointing game on maps with one highest pixel."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.metrics.pointing_game import PointingGame, distance, point

CLASSES = ["cat", "dog"]
SIZE = (60, 80)
# Pixels 40 to 59 by 30 to 44: an eighth of the image and less.
BOX = [[0.5, 0.5, 0.75, 0.75]]


def _peak(x, y):
    """A map of the image's own size whose highest pixel is there."""
    score_map = np.zeros(SIZE)
    score_map[y, x] = 1
    return score_map


def _update(metric, pairs):
    metric.update(
        [score_map for score_map, _, _, _ in pairs],
        [truth for _, truth, _, _ in pairs],
        np.array([label for _, _, label, _ in pairs], int),
        [SIZE] * len(pairs),
        [other for _, _, _, other in pairs],
    )


def _score(*pairs, **arguments):
    metric = PointingGame(CLASSES, **arguments)
    _update(metric, pairs)
    return metric.result()


def _hits(score_map, truth, **arguments):
    return _score((score_map, truth, 0, False), **arguments)["all"]["accuracy"] == 100


@pytest.mark.parametrize(
    ("at", "away"),
    [
        ((40, 30), 0),  # the first pixel of the box
        ((59, 44), 0),  # and its last
        ((60, 44), 1),  # next to it
        ((63, 48), math.hypot(4, 4)),
        ((28, 14), 20),  # 12 and 16
        ((28, 35), 12),  # beside it
    ],
)
def test_distance_to_a_box_and_to_its_mask(at, away):
    mask = np.zeros(SIZE, bool)
    mask[30:45, 40:60] = True
    assert distance(at, BOX, SIZE) == away
    assert distance(at, mask, SIZE) == away


def test_the_nearest_object_counts():
    assert distance((0, 0), [*BOX, [0.1, 0, 0.2, 1]], SIZE) == 8
    assert distance((0, 0), [], SIZE) == math.inf
    assert distance((0, 0), np.zeros(SIZE, bool), SIZE) == math.inf


@pytest.mark.parametrize(("x", "hit"), [(59, True), (73, True), (74, False), (79, False)])
def test_less_than_15_pixels_is_a_hit(x, hit):
    assert _hits(_peak(x, 40), BOX) == hit


def test_without_tolerance_only_the_object_counts():
    assert _hits(_peak(59, 40), BOX, tolerance=0)
    assert not _hits(_peak(60, 40), BOX, tolerance=0)


def test_a_small_map_is_resized_to_the_image():
    # The centres of its pixels lie at 19.5 and 59.5 by 14.5 and 44.5; beyond them it is flat, and
    # the first of the highest pixels counts.
    assert point([[0, 0], [0, 1]], SIZE) == (60, 45)
    assert point([[1, 1], [1, 1]], SIZE) == (0, 0)
    assert point(np.arange(6).reshape(2, 3), (2, 3)) == (2, 1)


def test_all_and_difficult():
    hit, miss, half = _peak(50, 40), _peak(0, 0), [[0.0, 0.5, 1.0, 1.0]]
    result = _score(
        (hit, BOX, 0, False),  # alone
        (miss, BOX, 0, True),  # difficult
        (hit, half, 0, True),  # with another, but large
        (hit, BOX, 1, True),  # difficult
        (hit, BOX * 4, 1, True),  # a sixteenth four times: no longer below a quarter
    )
    assert result["all"]["accuracy_pairs"] == 80
    assert result["all"]["accuracy"] == pytest.approx((200 / 3 + 100) / 2)
    assert result["all"]["by_class"] == [
        {"class": "cat", "accuracy": pytest.approx(200 / 3), "pairs": 3},
        {"class": "dog", "accuracy": 100.0, "pairs": 2},
    ]
    assert result["difficult"]["accuracy"] == 50
    assert [row["pairs"] for row in result["difficult"]["by_class"]] == [1, 1]
    assert (result["all"]["pairs"], result["difficult"]["pairs"]) == (5, 2)


def test_a_mask_is_small_by_its_pixels():
    mask = np.zeros(SIZE, bool)
    mask[:30, :40] = True  # a quarter
    pairs = [(_peak(0, 0), mask, 0, True)]
    assert _score(*pairs)["difficult"]["pairs"] == 0
    mask[0, 0] = False
    assert _score(*pairs)["difficult"]["pairs"] == 1


def test_a_pair_without_an_object_is_counted_apart():
    result = _score((_peak(0, 0), [], 0, True), (_peak(0, 0), np.zeros(SIZE, bool), 1, True))
    assert result == _score() | {"unscored": 2}
    assert (result["all"]["accuracy"], result["difficult"]["interval"]) == (None, None)


_PAIRS = st.lists(
    st.tuples(
        st.sampled_from([_peak(50, 40), _peak(0, 0)]),
        st.sampled_from([BOX, [], [[0.0, 0.0, 1.0, 0.5]]]),
        st.integers(0, 1),
        st.booleans(),
    ),
    max_size=6,
)


@given(_PAIRS, st.integers(0, 6))
def test_neither_order_nor_batches_nor_shards_change_a_byte(pairs, cut):
    merged, other = PointingGame(CLASSES), PointingGame(CLASSES)
    for pair in pairs[cut:][::-1]:
        _update(merged, [pair])
    _update(other, pairs[:cut])
    merged.merge(other)
    assert json.dumps(merged.result(), allow_nan=False) == json.dumps(_score(*pairs))


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((np.full(SIZE, np.nan), BOX, 0, True), "must be finite; received nan"),
        ((np.zeros(3), BOX, 0, True), r"shape \(h, w\); received the shape \(3,\)"),
        ((_peak(0, 0), [[0, 0, np.inf, 1]], 0, True), "true box must be four finite"),
        ((_peak(0, 0), np.ones((3, 3), bool), 0, True), r"\(60, 80\); received \(3, 3\)"),
        ((_peak(0, 0), BOX, 2, True), "class id, 0 to 1; received 2"),
        ((_peak(0, 0), BOX, 0, 1.5), "True or False for each pair"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(pair, message):
    metric = PointingGame(CLASSES)
    _update(metric, [(_peak(0, 0), BOX, 0, True)])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        _update(metric, [(_peak(0, 0), BOX, 0, True), pair])
    assert metric.result() == before


def test_counts_and_sizes_are_checked():
    with pytest.raises(ValueError, match="received 1, 0, 1 and 1"):
        PointingGame().update([_peak(0, 0)], [], [0], [SIZE], [True])
    with pytest.raises(ValueError, match="positive pixels"):
        PointingGame().update([_peak(0, 0)], [BOX], [0], [(0, 5)], [True])
    with pytest.raises(ValueError, match="0 pixels or more; received -1"):
        PointingGame(tolerance=-1)


@pytest.mark.parametrize("other", [{"classes": ["cat"]}, {"classes": CLASSES, "tolerance": 3}])
def test_other_settings_cannot_be_merged(other):
    with pytest.raises(ValueError, match="same classes with the same tolerance"):
        PointingGame(CLASSES).merge(PointingGame(**other))
