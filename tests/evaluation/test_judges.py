"""What is said of maps themselves."""

import numpy as np
import pytest

from sensmap import masks
from sensmap.datasets import Example
from sensmap.evaluation import judges
from sensmap.metrics import pxap
from sensmap.metrics.max_box_acc import sweep

SIZE = (100, 200)
LEFT = np.float32([[0, 0, 0.5, 1]])
SMALL = np.float32([[0, 0, 0.25, 0.5]])  # an eighth of the image


def example(boxes=LEFT, labels=(0,), box_labels=None, mask=None):
    box_labels = np.zeros(len(boxes), np.int32) if box_labels is None else np.int32(box_labels)
    return Example("image", b"", labels, boxes, box_labels, SIZE, mask)


def bright(x, y, shape=(10, 20)):
    found = np.zeros(shape, np.float32)
    found[y, x] = 1
    return found


def test_the_sweep_is_the_metric_s():
    heat = np.zeros((10, 20))
    heat[:, :9] = 1
    found = judges.sweep(example(), SIZE, [heat])
    np.testing.assert_array_equal(found, sweep(heat, LEFT, SIZE))
    assert found.max() > 0.8
    assert np.isnan(judges.sweep(example(np.zeros((0, 4), np.float32)), SIZE, [heat])).all()


def test_layers_are_one_map_each_over_its_maximum():
    left, right = bright(2, 5), 9 * bright(17, 5)
    both = judges.sweep(example(), SIZE, [left, right])
    np.testing.assert_array_equal(both, judges.sweep(example(), SIZE, [left + right / 9]))
    # A map that is not finite says nothing, and neither do its neighbours.
    nothing = judges.sweep(example(), SIZE, [np.full((10, 20), np.nan), left])
    np.testing.assert_array_equal(nothing, judges.sweep(example(), SIZE, [np.zeros((10, 20))]))


@pytest.mark.parametrize(
    ("at", "boxes", "labels", "expected"),
    [
        ((3, 5), LEFT, (0,), [1, 0]),  # on the object
        ((19, 5), LEFT, (0,), [0, 0]),  # at the other end of the image
        ((2, 2), SMALL, (0, 1), [1, 1]),  # small, and not alone
        ((2, 2), SMALL, (0,), [1, 0]),  # small, but alone
        ((3, 5), LEFT, (0, 1), [1, 0]),  # not alone, but large
    ],
)
def test_the_pointing_game(at, boxes, labels, expected):
    found = judges.point(example(boxes, labels), SIZE, [bright(*at)])
    assert found.tolist() == expected


def test_the_pointing_game_without_an_object():
    found = judges.point(example(np.zeros((0, 4), np.float32)), SIZE, [bright(0, 0)])
    assert np.isnan(found[0])


def test_pixels_on_and_off_the_object_of_the_image_s_class(tmp_path):
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :100] = 2  # the second class
    mask[:, 100:110] = masks.IGNORE
    mask[:, 150:] = 1  # another class
    masks.save(tmp_path / "mask.png", mask)
    heat = (mask == 2).astype(np.float64)
    found = judges.pixels(example(labels=(1,), mask=tmp_path / "mask.png"), SIZE, [heat])
    assert pxap.average_precision(found) == pytest.approx(1, abs=0.02)
    other = judges.pixels(example(labels=(0,), mask=tmp_path / "mask.png"), SIZE, [heat])
    assert pxap.average_precision(other) < 0.5
    assert not judges.pixels(example(), SIZE, [heat]).any()
