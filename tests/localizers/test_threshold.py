"""The threshold localizer, by hand."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sensmap.localizers.threshold import LEVELS, Threshold


def stairs():
    """A map of 4 x 4 with steps at 0, 0.3, 0.6 and 1 of its range, brought to 2 to 4."""
    shares = np.zeros((4, 4), np.float32)
    shares[:, :3], shares[:3, :2], shares[0, 0] = 0.3, 0.6, 1.0
    return 2 + 2 * shares


BOXES = {0.0: [0, 0, 1, 1], 0.3: [0, 0, 0.75, 1], 0.6: [0, 0, 0.5, 0.75], 1.0: [0, 0, 0.25, 0.25]}


@pytest.mark.parametrize(
    ("level", "step"),
    [(0, 0.0), (1, 0.3), (29, 0.3), (31, 0.6), (59, 0.6), (61, 1.0), (99, 1.0)],
)
def test_a_reading_holds_the_box_of_each_level(level, step):
    found = Threshold().read([stairs()]).reshape(LEVELS, 4)
    assert found[level].tolist() == BOXES[step]


def test_the_box_is_that_of_the_largest_component():
    sensitivity = np.zeros((6, 6), np.float32)
    sensitivity[0, 0], sensitivity[3:5, 2:6] = 1.0, 0.8
    found = Threshold().read([sensitivity]).reshape(LEVELS, 4)
    np.testing.assert_allclose(found[50], [2 / 6, 3 / 6, 1, 5 / 6], atol=1e-6)
    np.testing.assert_allclose(found[90], [0, 0, 1 / 6, 1 / 6], atol=1e-6)


@pytest.mark.parametrize(
    ("truths", "expected"),
    [
        ([[BOXES[0.6]]], 0.30),  # found exactly from 0.3 on, which float32 just passes
        ([[BOXES[1.0]]], 0.61),
        ([[BOXES[1.0], BOXES[0.6]]], 0.30),  # any box counts; the lowest of those as good
        ([[[0.5, 0.5, 1, 1]]], 0.0),  # CorLoc 0 at all levels: the highest mean IoU
    ],
    ids=["one box", "a small box", "two boxes", "never found"],
)
def test_the_threshold_has_the_highest_corloc(truths, expected):
    found = Threshold().fit(stairs()[None], truths)
    assert found.threshold_ == pytest.approx(expected)
    assert found.images_ == 1


def test_corloc_comes_before_mean_iou():
    # At one level two boxes are found barely, at another one exactly: the former is better.
    readings = np.zeros((2, LEVELS, 4), np.float32)
    readings[:] = [0, 0, 0.01, 0.01]
    readings[:, 20] = [0, 0, 0.5, 1]
    readings[0, 70] = [0, 0, 1, 1]
    readings[1, 70] = [0, 0, 1, 0.49]
    found = Threshold().fit(readings.reshape(2, -1), [[0, 0, 1, 1]] * 2)
    assert found.threshold_ == pytest.approx(0.2)


def test_images_without_a_box_have_no_part():
    maps = np.stack([stairs(), stairs()[::-1]])
    alone = Threshold().fit(maps[:1], [[BOXES[0.6]]])
    beside = Threshold().fit(maps, [[BOXES[0.6]], []])
    assert (beside.threshold_, beside.images_) == (alone.threshold_, 1)


def test_it_must_be_fitted():
    with pytest.raises(NotFittedError, match="Threshold"):
        Threshold().predict(stairs()[None])
    with pytest.raises(NotFittedError, match="Threshold"):
        Threshold().masks(stairs()[None], [np.zeros((8, 8, 3), np.uint8)])


def test_masks_are_of_the_images_size():
    fitted = Threshold().fit(stairs()[None], [[BOXES[0.6]]])
    [mask] = fitted.masks(
        np.kron(stairs(), np.ones((25, 25)))[None], [np.zeros((200, 300, 3), np.uint8)]
    )
    rows, columns = np.nonzero(mask)
    found = [
        columns.min() / 300,
        rows.min() / 200,
        (columns.max() + 1) / 300,
        (rows.max() + 1) / 200,
    ]
    np.testing.assert_allclose(found, BOXES[0.6], atol=0.03)


def test_smoothing_joins_grains():
    sensitivity = np.zeros((40, 40), np.float32)
    sensitivity[10:30:2, 10:30:2] = 1.0
    grainy, smooth = (
        Threshold(smoothing).read([sensitivity]).reshape(LEVELS, 4)[50] for smoothing in (0, 0.05)
    )
    assert grainy[2] - grainy[0] == pytest.approx(1 / 40)
    np.testing.assert_allclose(smooth, [0.25, 0.25, 0.75, 0.75], atol=0.06)
