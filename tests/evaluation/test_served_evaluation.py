"""The boxes of an export are those of the library."""

import numpy as np
import pytest
from made_tables import extract

from sensmap.evaluation import predictions
from sensmap.evaluation import served as served_evaluation


@pytest.mark.parametrize("class_of", ["truth", "predicted", "7"])
@pytest.mark.parametrize("batch_size", [3, 32])
def test_served_boxes_are_those_of_the_library(localizer, served, mixed, class_of, batch_size):
    expected = extract(localizer, mixed, class_of)
    boxes = predictions.predict(expected, localizer).boxes
    table, found = served_evaluation.predict(served, mixed, class_of, batch_size)
    np.testing.assert_allclose(found.boxes, boxes, atol=1e-5)
    assert table.ids == expected.ids
    assert len(table) == (5 if class_of == "truth" else 6)
    for column in ("class_ids", "labels", "sizes"):
        np.testing.assert_array_equal(getattr(table, column), getattr(expected, column))
    for truth, wanted in zip(table.truths, expected.truths, strict=True):
        np.testing.assert_array_equal(truth, wanted)
    # The broken image takes nobody of its batch with it.
    assert dict(table.skipped) == dict(expected.skipped)
    assert mixed.ids[2] in dict(table.skipped)
    assert table.sizes[table.ids.index(mixed.ids[3])].tolist() == [64, 192]


def test_nothing_that_can_be_served(served, mixed):
    with pytest.raises(ValueError, match="No image of mixed could be used"):
        served_evaluation.predict(served, mixed.select([2]), "truth", 4)
