"""Accuracy counted by hand, and when it warns."""

import math

import numpy as np
import pytest

from sensmap.classifiers.sanity import SanityCheck, accuracy, true_class_ranks

SCORES = np.array(
    [
        [9, 8, 7, 6, 5, 4, 3],  # true class 0: first
        [9, 8, 7, 6, 5, 4, 3],  # true class 4: fifth
        [9, 8, 7, 6, 5, 4, 3],  # true class 5: sixth
        [1, 1, 1, 1, 1, 1, 1],  # all alike: last
        [9, np.nan, 0, 0, 0, 0, 0],  # the true class has no score: last
        [np.nan, 9, 0, 0, 0, 0, 0],  # another class has none: behind it
    ]
)
LABELS = np.array([0, 4, 5, 3, 1, 1])


def test_ranks():
    assert true_class_ranks(SCORES, LABELS).tolist() == [0, 4, 5, 6, 6, 1]


def test_accuracy():
    top1, top5 = accuracy(SCORES, LABELS)
    assert top1 == pytest.approx(100 / 6)
    assert top5 == pytest.approx(300 / 6)


def test_unknown_classes_do_not_count():
    assert accuracy(SCORES, [0, -1, -1, -1, -1, -1]) == (100.0, 100.0)
    assert all(math.isnan(value) for value in accuracy(SCORES, [-1] * 6))
    assert all(math.isnan(value) for value in accuracy(np.zeros((0, 7)), np.zeros(0, int)))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros(3), [0, 1, 2], r"\(N, C\) and labels \(N,\)"),
        (np.zeros((3, 2)), [0, 1], r"received \(3, 2\) and \(2,\)"),
        (np.zeros((2, 2)), [0, 2], "no class 2: the scores are of 2 classes"),
    ],
)
def test_refused(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        true_class_ranks(scores, labels)


def test_stream_of_batches_equals_one():
    whole, first, second = SanityCheck(), SanityCheck(), SanityCheck()
    labels = np.array([0, 4, -1, 3, 1, 1])
    whole.update(SCORES, labels)
    first.update(SCORES[:2], labels[:2])
    second.update(SCORES[2:], labels[2:])
    first.merge(second)
    assert first.result() == whole.result()
    assert whole.result() == {
        "top1": 20.0,
        "top5": pytest.approx(60.0),
        "images": 5,
        "images_of_unknown_class": 1,
    }


def test_nothing_seen():
    check = SanityCheck()
    assert check.result()["top1"] is None
    assert check.warning() is None
    other = SanityCheck()
    other.update(SCORES, LABELS)
    check.merge(other)
    assert check.result() == other.result()
    assert check.warning() == other.warning()


@pytest.mark.parametrize(
    ("right", "count", "num_classes", "warns"),
    [
        (0, 1, 10, True),
        # 100 images, 10 classes: 10 expected, standard deviation 3, so up to 19 is guessing.
        (19, 100, 10, True),
        (20, 100, 10, False),
        # 100 images, 1,000 classes: 0.1 + 3 * 0.316 = 1.05.
        (1, 100, 1000, True),
        (2, 100, 1000, False),
        (50, 100, 2, True),
    ],
)
def test_warning(right, count, num_classes, warns):
    scores = np.zeros((count, num_classes))
    labels = np.zeros(count, int)
    scores[:right, 0] = 1
    check = SanityCheck()
    check.update(scores, labels)
    warning = check.warning()
    assert (warning is not None) == warns
    if warns:
        assert f"right for {right} of {count} images" in warning
        assert "\n" not in warning
