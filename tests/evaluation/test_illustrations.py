"""Images for the report."""

import numpy as np
import pytest
from made_tables import LEFT, RIGHT, a_dataset, a_table, extract

from sensmap import localizers
from sensmap.evaluation import illustrations, predictions
from sensmap.evaluation.predictions import Predictions
from sensmap.localizer import Localizer


def test_shown_pictures_are_drawn_by_the_seed():
    table = a_table([LEFT] * 30, labels=[1] * 30)
    dataset, boxes = a_dataset(table), np.float32([[0, 0, 1, 1]] * 30)

    def brightness(seed, count=5):
        shown = illustrations.drawn(dataset, table, Predictions("", boxes), None, count, seed)
        return [int(each.image[0, 0, 0]) for each in shown]

    assert brightness(0) == brightness(0) != brightness(1)
    assert len(set(brightness(0))) == 5
    assert brightness(0) == sorted(brightness(0))
    assert brightness(0, count=99) == list(range(30))
    assert brightness(0, count=0) == []


def test_a_picture_goes_with_its_own_box_and_truth():
    table = a_table([LEFT, RIGHT, []], labels=[0, 1, -1])
    boxes = np.float32([LEFT, LEFT, LEFT])
    shown = illustrations.drawn(a_dataset(table), table, Predictions("", boxes), None, 3, 0)
    assert [int(each.image[0, 0, 0]) for each in shown] == [0, 1, 2]
    assert [each.caption for each in shown] == ["cat", "dog", "image2"]
    assert [each.iou for each in shown] == [1.0, 0.0, None]
    assert [each.map for each in shown] == [None] * 3
    np.testing.assert_array_equal(shown[1].truth, [RIGHT])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("n01440764 tench, Tinca tinca", "tench"),  # WordNet
        ("Bengal", "Bengal"),  # plain
        ("n01440764", "n01440764"),  # nothing but the id
        ("n1 road, sign", "n1 road"),  # no WordNet id
        ("tabby cat", "tabby cat"),  # of two words
        ("", ""),
    ],
)
def test_display_name(name, shown):
    assert illustrations.display_name(name) == shown


def test_pictures_with_maps(localizer, mixed):
    table = extract(localizer, mixed, "truth")
    predicted = predictions.predict(table, localizer)
    shown = illustrations.drawn(mixed, table, predicted, localizer, 2, seed=0)
    for each in shown:
        assert each.map.shape == (32, 32)
        assert each.map.max() > 0


@pytest.mark.parametrize(("name", "has_seeds"), [("graphcut", True), ("dense_crf", False)])
def test_pictures_with_cuts(localizer, mixed, name, has_seeds):
    cutting = Localizer(localizer.method, localizers.create(name))
    table = extract(cutting, mixed, "truth")
    predicted = predictions.predict(table, cutting)
    (shown,) = illustrations.drawn(mixed, table, predicted, cutting, 1, seed=0)
    assert (shown.cut.seeds is not None) == has_seeds
    assert shown.cut.mask.dtype == bool
    np.testing.assert_allclose(shown.cut.box, shown.predicted, atol=1e-6)
