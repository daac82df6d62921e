"""Average precision by hand."""

import numpy as np
import pytest

from sensmap.metrics.average_precision import MeanAveragePrecision


def of(scores, labels):
    metric = MeanAveragePrecision()
    metric.update(scores, labels)
    return metric.result()


def test_by_hand():
    # Sorted by score: right, wrong, right, wrong, so precision 1 at recall 1/2, 2/3 at 1.
    result = of([[4.0], [3.0], [2.0], [1.0]], [[1], [0], [1], [0]])
    assert result["mean_average_precision"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert result["images"] == 4


def test_classes_that_no_image_has_do_not_count():
    result = of([[1.0, 5.0], [0.0, 7.0]], [[1, 0], [0, 0]])
    assert result["by_class"] == [100.0, None]
    assert result["mean_average_precision"] == 100.0


def test_order_and_merging_change_nothing():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(40, 5)), rng.integers(0, 2, (40, 5))
    whole = of(scores, labels)
    order = rng.permutation(40)
    first, second = MeanAveragePrecision(), MeanAveragePrecision()
    first.update(scores[order[:13]], labels[order[:13]])
    second.update(scores[order[13:]], labels[order[13:]])
    first.merge(second)
    assert first.result() == whole


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([[1.0, 2.0]], [[1]], r"received \(1, 2\) and \(1, 1\)"),
        ([1.0], [1], r"received \(1,\)"),
        ([[1.0]], [[2]], "labels are 0 and 1"),
        ([[np.nan, 0.0]], [[1, 0]], "NaN or infinite"),
        ([[1.0, 2.0, 3.0]], [[0, 1, 0]], "scores of 3 classes after some of 2"),
    ],
)
def test_what_does_not_fit(scores, labels, message):
    metric = MeanAveragePrecision()
    metric.update([[1.0, 0.0]], [[1, 0]])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        metric.update(scores, labels)
    assert metric.result() == before
