"""What the soak of an export judges by: growth of memory, right and wrong answers."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import _exports
from sensmap import images
from sensmap.datasets import ExampleError


def run_of(sizes):
    return list(enumerate(sizes))


def test_memory_that_stays_has_not_grown_whatever_single_samples_do():
    sizes = [50] * 20 + [100] * 200
    sizes[20], sizes[215] = 400, 900  # what a call held for a moment
    found = _exports.memory(run_of(sizes), warm_up=20)
    assert found == (100, 100, 900)
    assert found.growth == 0


def test_memory_that_leaks_has_grown():
    sizes = [1000 + second for second in range(200)]
    found = _exports.memory(run_of(sizes), warm_up=100)
    # 100 samples are left: tenths around 1,104.5 and 1,194.5.
    assert found.growth == pytest.approx(1194.5 / 1104.5 - 1)


def test_memory_needs_samples_after_the_warm_up():
    with pytest.raises(ValueError, match=r"warm-up of 60 s; run for longer"):
        _exports.memory(run_of([1] * 30), warm_up=60)


def answer():
    boxes = np.array([[[0.1, 0.2, 0.5, 0.9]], [[0.0, 0.0, 1.0, 1.0]], [[0.3, 0.3, 0.6, 0.6]]])
    return {
        "class_ids": np.array([[7], [8], [9]]),
        "class_scores": np.array([[12.5], [3.0], [-0.5]]),
        "boxes": boxes,
        "boxes_pixels": 4000 * boxes,
        "degenerate": np.array([[False], [True], [False]]),
    }


def test_rounding_is_no_wrong_answer():
    found = answer()
    found["class_scores"][0] += 1e-4  # of 12.5
    found["boxes"][2, 0, 1] -= 4e-6
    found["boxes_pixels"][2, 0, 1] -= 0.016
    wrong, largest = _exports.differences(found, answer())
    assert not wrong.any()
    assert largest == {"boxes": pytest.approx(4e-6), "class_scores": pytest.approx(8e-6)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_ids", 6),
        ("class_scores", 3.001),
        ("class_scores", np.nan),
        ("boxes", 1e-3),
        ("boxes", np.inf),
        ("boxes_pixels", 5.0),
        ("degenerate", False),
    ],
)
def test_one_wrong_number_is_one_wrong_answer(name, value):
    found = answer()
    found[name].reshape(3, -1)[1, 0] = value
    wrong, _ = _exports.differences(found, answer())
    assert wrong.tolist() == [False, True, False]


def test_answers_for_other_images_than_asked_are_all_wrong():
    found = {name: values[:2] for name, values in answer().items()}
    wrong, _ = _exports.differences(found, answer())
    assert wrong.tolist() == [True] * 3


def test_what_is_broken_cannot_be_read():
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    jpeg = tf.io.encode_jpeg(noise).numpy()
    assert images.load(jpeg).shape == (40, 60, 3)
    for data in _exports.broken(jpeg).values():
        with pytest.raises(ExampleError):
            images.load(data)
