"""A row of measures for each method."""

import json

import numpy as np
import pytest
from made_tables import LEFT, RIGHT, a_dataset, a_table

from sensmap.evaluation import scores
from sensmap.evaluation.predictions import Predictions


def test_a_row_of_scores_for_each_method():
    table = a_table([[LEFT], [LEFT], [RIGHT], []], labels=[0, 0, 1, 1])
    predictions = [
        Predictions("left", np.tile(np.float32(LEFT), (4, 1))),
        Predictions("whole", np.tile(np.float32([0, 0, 1, 1]), (4, 1))),  # IoU 0.5: found
    ]
    left, whole = scores.score(predictions, table, a_dataset(table))
    assert (left["method"], whole["method"]) == ("left", "whole")
    assert (left["corloc"], whole["corloc"]) == (pytest.approx(200 / 3), 100.0)
    assert whole["corloc_70"] == 0
    assert (left["images"], left["unscored"]) == (3, 1)
    assert [(row["class"], row["corloc"]) for row in left["by_class"]] == [("cat", 100), ("dog", 0)]
    json.dumps([left, whole], allow_nan=False)


def test_each_row_has_the_error_of_the_classes_that_it_guessed():
    table = a_table([[LEFT], [LEFT]], labels=[0, 1], guessed=[0])
    guesses = np.float32([[LEFT], [LEFT]])
    predictions = [
        Predictions("its own", np.float32([LEFT] * 2), guesses, np.array([[7], [8]])),
        Predictions("others", np.float32([LEFT] * 2), guesses, np.array([[7], [7]])),
        Predictions("none", np.float32([LEFT] * 2)),
    ]
    class_ids = np.array([7, 8])  # the classifier's of cat and dog
    rows = scores.score(predictions, table, a_dataset(table), class_ids)
    assert [row.get("top1_error") for row in rows] == [0.0, 50.0, None]
    rows = scores.score(predictions, table, a_dataset(table), None)
    assert not any("top1_error" in row for row in rows)


def test_without_labels_there_is_no_table_by_class():
    table = a_table([LEFT, LEFT], labels=[-1, 0])
    rows = scores.score([Predictions("left", np.float32([LEFT] * 2))], table, a_dataset(table))
    assert rows[0]["corloc"] == 100
    assert rows[0]["by_class"] == []
