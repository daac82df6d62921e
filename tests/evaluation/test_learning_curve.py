"""CorLoc by the number of boxes that a localizer was fitted on."""

import numpy as np
import pytest
from made_tables import LEFT, RIGHT, a_table

from sensmap import localizers
from sensmap.evaluation import learning_curve


def curve(table, counts, name="linear", folds=5):
    return learning_curve.measure(table, localizers.create(name), name, counts, folds, seed=0)


def noisy_table(count=120):
    """Boxes that features tell, among many that tell nothing; two classes by turns."""
    random = np.random.default_rng(0)
    features = random.normal(size=(count, 12)).astype(np.float32)
    low = 0.4 + 0.1 * features[:, :2].clip(-3, 3)
    truths = np.concatenate([low, low + 0.2], axis=1)
    return a_table(truths, features, labels=np.arange(count) % 2)


def test_more_boxes_are_better():
    few, some, most = curve(noisy_table(), ["1", "2", "all"])
    assert few["corloc"] < some["corloc"] < most["corloc"]
    assert [row["boxes_per_class"] for row in (few, some, most)] == [1, 2, "all"]
    # Two classes; of 120 images 96 are in the other folds.
    assert [row["images"] for row in (few, some, most)] == [2, 4, 96]
    assert [row["repeats"] for row in (few, some, most)] == [learning_curve.REPEATS] * 2 + [1]
    for row in (few, some, most):
        assert row["interval"][0] <= row["corloc"] <= row["interval"][1]
    assert curve(noisy_table(), ["1"]) == [few]


def test_by_hand():
    # The mean of any of these boxes is LEFT; of the four others none is learned from or found.
    truths = [[LEFT]] * 8 + [[RIGHT, RIGHT], [RIGHT, RIGHT], [], []]
    (row,) = curve(a_table(truths), ["2"], "mean_box", folds=2)
    assert row["corloc"] == 80.0  # images without a box are not scored
    assert row["images"] == 2


def test_all_is_what_cross_validation_gives():
    from sensmap.evaluation.predictions import cross_validate
    from sensmap.metrics.corloc import CorLoc

    table = noisy_table()
    ((_, found),) = cross_validate(table, [localizers.create("linear")], 5, seed=0)
    metric = CorLoc()
    metric.update(found.boxes, table.truths)
    (row,) = curve(table, ["all"])
    assert row["corloc"] == pytest.approx(metric.result()["corloc"])


@pytest.mark.parametrize("word", ["0", "-1", "2.5", "many", ""])
def test_words_that_are_no_numbers(word):
    with pytest.raises(ValueError, match=f"or 'all'; received {word!r}"):
        learning_curve.counts_of(["1", word])


def test_one_image_is_too_few_for_a_regression():
    table = noisy_table()
    table.labels[:] = 0
    one, two = curve(table, ["1", "2"])
    assert (one["corloc"], one["interval"], one["images"]) == (None, None, 1)
    assert two["corloc"] > 0


def test_images_without_boxes():
    with pytest.raises(ValueError, match="none has exactly one valid box"):
        curve(a_table([[]] * 10), ["all"])
