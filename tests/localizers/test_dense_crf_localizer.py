"""Borders that colours draw, the probabilities by hand, and what stands in for a mask."""

import numpy as np
import pytest

from sensmap import dense_crf
from sensmap._opencv import cv2
from sensmap.localizers.dense_crf import DenseCRF


def scene(height, width, noise=6, seed=0):
    """A bright rectangle on dark, with noise, and a map that is a blur over it."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), (40, 80, 60), float)
    image[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = (170, 130, 90)
    image += rng.normal(size=image.shape) * noise
    sensitivity = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    return np.clip(image, 0, 255).astype(np.uint8), sensitivity


def test_the_colours_draw_the_border():
    image, sensitivity = scene(60, 80)
    found = DenseCRF().segment([sensitivity], image)
    assert found.stand_in == ""
    np.testing.assert_allclose(found.box, [0.25, 0.25, 0.75, 0.75], atol=0.02)
    truth = np.zeros((60, 80), bool)
    truth[15:45, 20:60] = True
    assert np.count_nonzero(found.mask & truth) / np.count_nonzero(found.mask | truth) > 0.95


def test_the_marginals_are_those_of_the_field_of_the_map():
    image, _ = scene(20, 30)
    sensitivity = np.linspace(2, 5, 600, dtype=np.float32).reshape(20, 30) ** 2
    options = {
        "gaussian_xy": 2.0,
        "gaussian_weight": 1.0,
        "bilateral_xy": 20.0,
        "bilateral_rgb": 30.0,
        "bilateral_weight": 2.0,
        "steps": 3,
    }
    localizer = DenseCRF(background=0.5, smoothing=0.0, **options)
    m = (sensitivity - 4) / 21
    odds = m / (0.5 * m.mean() / (1 - m.mean()) * (1 - m) + 1e-12)
    likely = np.clip(odds / (1 + odds), 0.01, 0.99)
    unary = -np.log(np.stack([likely, 1 - likely]))
    expected = dense_crf.DenseCRF(**options).infer(unary, image)[0]
    found = localizer.segment([sensitivity], image)
    np.testing.assert_allclose(found.marginal, expected, atol=1e-4)
    assert (found.mask <= (expected > 0.5)).all()


def test_without_edges_a_pixel_of_the_mean_is_undecided():
    sensitivity = np.array([[0, 2, 3, 3.9, 4.1, 5, 6, 8]] * 4, np.float32)  # of mean 4
    image = np.zeros((4, 8, 3), np.uint8)
    bare = {"gaussian_weight": 0.0, "bilateral_weight": 0.0, "smoothing": 0.0}
    found = DenseCRF(**bare).segment([sensitivity], image)
    np.testing.assert_array_equal(found.mask, sensitivity > 4)
    # Odds of 3 to 5 at most for 5 / 8: with a weight of 2 the background has it.
    found = DenseCRF(background=2.0, **bare).segment([sensitivity], image)
    np.testing.assert_array_equal(found.mask, sensitivity >= 6)


def test_the_backgrounds_weight_decides():
    image, sensitivity = scene(60, 80, noise=60)
    sizes = [
        np.count_nonzero(DenseCRF(background=weight).segment([sensitivity], image).mask)
        for weight in (0.3, 1.0, 3.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_grain_is_smoothed_away():
    image, sensitivity = scene(60, 80)
    grain = np.random.default_rng(1).random(sensitivity.shape) < 0.1
    grainy = np.where(grain, sensitivity, 0)
    boxes = [DenseCRF(smoothing=share).segment([grainy], image).box for share in (0.0, 0.02)]
    truth = [0.25, 0.25, 0.75, 0.75]
    assert np.abs(boxes[1] - truth).max() < 0.05 < np.abs(boxes[0] - truth).max()


def flat_map():
    return np.full((20, 30), 3.0), {}


def empty_foreground():
    # One pixel against all others, of its colour.
    sensitivity = np.zeros((20, 30), np.float32)
    sensitivity[5, 6] = 1
    return sensitivity, {"background": 100.0, "smoothing": 0.0}


@pytest.mark.parametrize(
    ("case", "reason", "box"),
    [
        (flat_map, "flat map", [0, 0, 1, 1]),
        (empty_foreground, "empty foreground", [6 / 30, 5 / 20, 7 / 30, 6 / 20]),
    ],
)
def test_stand_ins_are_defined_and_told(case, reason, box):
    sensitivity, options = case()
    image = np.full((20, 30, 3), 77, np.uint8)
    localizer = DenseCRF(**options)
    found = localizer.segment([sensitivity], image)
    assert found.stand_in == reason
    np.testing.assert_allclose(found.box, box, atol=1e-6)
    assert found.mask.any()
    readings = localizer.read([sensitivity], image)[None]
    assert localizer.stand_ins(readings) == [reason]
    np.testing.assert_allclose(localizer.predict(readings)[0], box, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)], ids=str)
def test_tiny_images(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    found = DenseCRF().predict(rng.gamma(0.5, size=(1, 8, 8)), [image])
    assert ((found >= 0) & (found <= 1)).all()


def test_masks_are_of_the_images_size_whatever_is_worked_at():
    image, sensitivity = scene(300, 400)
    localizer = DenseCRF(side=100)
    assert localizer.segment([sensitivity], image).mask.shape == (75, 100)
    [mask] = localizer.masks(cv2.resize(sensitivity, (50, 40))[None], [image])
    truth = np.zeros((300, 400), bool)
    truth[75:225, 100:300] = True
    assert np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth) > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"background": 0.0}, "must be above 0; received 0.0 and 250"),
        ({"side": 0}, "received 1.0 and 0"),
        ({"smoothing": -0.1}, "smoothing must be 0 or above; received -0.1"),
        ({"gaussian_xy": 0.0}, "must be above 0; received 0.0, 80.0, 10.0"),
        ({"steps": -1}, "steps must be 0 or above; received -1"),
    ],
)
def test_options_out_of_range(options, message):
    image, sensitivity = scene(8, 8)
    with pytest.raises(ValueError, match=message):
        DenseCRF(**options).segment([sensitivity], image)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "needs the images besides their maps"),
        ([np.zeros((8, 8, 3))], r"\(H, W, 3\) uint8 RGB arrays; received float64\(8, 8, 3\)"),
        ([np.zeros((8, 8), np.uint8)], r"received uint8\(8, 8\)"),
        (["photo.jpg"], r"received str\(\)"),
    ],
    ids=["none", "numbers", "grey", "a name"],
)
def test_images_that_are_none(images, message):
    with pytest.raises(ValueError, match=message):
        DenseCRF().predict(np.ones((1, 8, 8)), images)
