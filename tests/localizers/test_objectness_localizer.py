"""The top window as a localizer: what the image says, whatever the maps do."""

import numpy as np
import pytest

from sensmap import objectness
from sensmap.localizers.objectness import TopWindow

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (30, 40, 3), np.uint8), np.zeros((25, 25, 3), np.uint8)]
IMAGES[1][5:15, 5:20] = (250, 200, 30)


def test_it_is_the_top_window_and_its_pixels():
    found = TopWindow().predict(np.ones((2, 4, 4)), IMAGES)
    masks = TopWindow().masks(np.ones((2, 4, 4)), IMAGES)
    for box, mask, image in zip(found, masks, IMAGES, strict=True):
        np.testing.assert_array_equal(box, objectness.propose(image, 1).boxes[0])
        height, width = image.shape[:2]
        x0, y0, x1, y1 = np.rint(box * [width, height, width, height]).astype(int)
        expected = np.zeros((height, width), bool)
        expected[y0:y1, x0:x1] = True
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan], ids=["zero", "flat", "NaN"])
def test_maps_do_not_matter(value):
    localizer = TopWindow()
    maps = RNG.random((2, 4, 4))
    readings = localizer.readings(np.full((2, 8, 8), value), IMAGES)
    np.testing.assert_array_equal(readings, localizer.readings(maps, IMAGES))
    assert localizer.stand_ins(readings) == ["", ""]


def test_it_needs_images():
    with pytest.raises(ValueError, match=r"TopWindow needs the images: predict\(maps, images="):
        TopWindow().predict(np.ones((2, 4, 4)))


def test_it_needs_no_fit():
    assert not TopWindow().__sklearn_tags__().requires_fit
