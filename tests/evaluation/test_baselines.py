"""What localizers are compared with."""

import numpy as np
import pytest
from made_tables import LEFT, RIGHT, a_dataset, a_table

from sensmap import boxes as box_geometry
from sensmap.evaluation import baselines


def test_recorded_boxes():
    recorded = {"centred_box": [0.25, 0.25, 0.75, 0.75], "mean_box": LEFT}
    table = a_table([LEFT] * 3, guessed=[4, 2])
    centred, mean, full = baselines.recorded(baselines.names(), recorded, table)
    assert [each.method for each in (centred, mean, full)] == [
        "Constant centre box",
        "Mean training box",
        "Full image",
    ]
    assert centred.boxes.tolist() == [[0.25, 0.25, 0.75, 0.75]] * 3
    assert mean.boxes.tolist() == [LEFT] * 3
    assert full.boxes.tolist() == [[0, 0, 1, 1]] * 3
    # Whatever class is guessed the box is the same.
    assert mean.guesses.tolist() == [[LEFT] * 2] * 3
    assert mean.baseline
    assert baselines.recorded(["mean_box"], {}, table) == []


def test_constant_boxes_are_learned_from_the_other_folds():
    table = a_table([LEFT, RIGHT, LEFT, RIGHT])
    (mean,) = baselines.constant(["mean_box", "objectness"], table, 4, seed=0)
    others = np.array([[LEFT, RIGHT, RIGHT], [LEFT, LEFT, RIGHT]] * 2).mean(axis=1)
    np.testing.assert_allclose(mean.boxes, others, atol=1e-6)
    assert mean.baseline


def test_boxes_from_images_come_in_the_order_of_the_table():
    # The data set's order is another; its images are as bright as their position in the table.
    table = a_table([LEFT] * 4, labels=[0, 0, 1, 1], guessed=[1])
    for found in baselines.from_images(("mean_box", "objectness"), table, a_dataset(table)):
        assert found.method == "Top objectness box"
        assert box_geometry.is_valid(found.boxes).all()
        assert found.boxes.shape == (4, 4)
        assert found.guesses.shape == (4, 1, 4)
        assert found.seconds_per_image > 0


def test_what_needs_a_classifier_is_left_out_without_one():
    table = a_table([LEFT] * 2)
    assert baselines.from_images(["ddt"], table, a_dataset(table)) == []


def test_names():
    assert baselines.chosen(["all"]) == baselines.names()
    assert baselines.chosen(["ddt", "mean_box"]) == ("ddt", "mean_box")
    with pytest.raises(ValueError, match="no baseline 'luck'; there are centred_box, mean_box"):
        baselines.chosen(["mean_box", "luck"])
