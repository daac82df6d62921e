"""Cluttered digits: the same bytes again, disjoint sources, tight boxes, a hard centre box."""

import numpy as np
import pytest

from sensmap import boxes
from sensmap.datasets import digits, load


@pytest.fixture(scope="module")
def examples():
    return list(load("digits", split="train", count=400))


def test_an_example(examples):
    example = examples[7]
    assert example.image.shape == (64, 64, 3)
    assert example.image.dtype == np.uint8
    assert example.boxes.shape == (1, 4)
    assert example.boxes.dtype == np.float32
    assert example.box_labels.tolist() == list(example.labels)
    assert example.size == (64, 64)


def test_all_classes_sizes_and_places_occur(examples):
    pixels = np.concatenate([example.boxes for example in examples]) * 64
    assert np.array_equal(pixels, np.round(pixels))
    heights = pixels[:, 3] - pixels[:, 1]
    assert 14 <= heights.min() <= 18
    assert 46 <= heights.max() <= 50
    assert pixels.min() == 0
    assert pixels.max() == 64
    assert {example.labels[0] for example in examples} == set(range(10))


def test_no_constant_centre_box_does_well(examples):
    """At most 15 % CorLoc, whatever the box's size."""
    truth = np.concatenate([example.boxes for example in examples])
    for width in np.linspace(0.2, 0.7, 6):
        for height in np.linspace(0.3, 0.8, 6):
            overlap = boxes.iou(boxes.centred_box(width, height), truth)[0]
            assert np.mean(overlap >= 0.5) <= 0.15


def test_the_box_is_tight_about_the_digit(monkeypatch):
    """Without fragments and texture, the box is that of all pixels that differ."""
    monkeypatch.setattr(digits, "_background", lambda rng: np.zeros((64, 64, 3), np.float32))
    monkeypatch.setattr(digits, "_window", lambda rng, opacity, side: np.zeros((1, 1), np.float32))
    for example in load("digits", split="test", count=40):
        rows, columns = np.nonzero(example.image.max(axis=2) > 48)
        tight = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 64
        assert example.boxes[0].tolist() == tight.tolist()


def test_fragments_are_clearly_smaller_than_the_digit(monkeypatch):
    shapes = []
    paint = digits._paint

    def record(rng, image, opacity):
        shapes.append(opacity.shape)
        return paint(rng, image, opacity)

    monkeypatch.setattr(digits, "_paint", record)
    for example in load("digits", split="test", count=40):
        *fragments, (height, _) = shapes
        assert 4 <= len(fragments) <= 8
        assert max(max(shape) for shape in fragments) <= 0.45 * height
        assert example.boxes[0][3] - example.boxes[0][1] == height / 64
        shapes.clear()


def test_the_same_bytes_for_the_same_seed_in_any_order():
    first, again = (load("digits", split="fit", count=5, seed=3) for _ in range(2))
    other = load("digits", split="fit", count=5, seed=4)
    assert first[4].image.tobytes() == again[4].image.tobytes()
    assert first[0].image.tobytes() == next(iter(again)).image.tobytes()
    assert first[0].image.tobytes() != other[0].image.tobytes()
    assert not set(first.ids) & set(other.ids)


def test_more_images_leave_the_first_ones_as_they_are():
    few, many = (load("digits", count=count) for count in (2, 20))
    assert few[1].image.tobytes() == many[1].image.tobytes()


def test_no_handwritten_digit_is_in_two_splits():
    strokes = [digits._sources(split)[0] for split in digits.COUNTS]
    assert sum(map(len, strokes)) == 1797
    seen = [{stroke.tobytes() for stroke in part} for part in strokes]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"root": "/data"}, "leave out the root"),
        ({"split": "val"}, "choose one of train, fit, test"),
        ({"count": 0}, "count of 1 or more"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load("digits", **arguments)
