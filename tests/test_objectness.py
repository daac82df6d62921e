"""The objectness measure: each cue by hand, and what the windows owe."""

import numpy as np
import pytest

from sensmap import boxes as box_geometry
from sensmap import datasets, images, objectness
from sensmap._opencv import cv2
from sensmap.objectness import cues, parameters, superpixels

WHOLE = [0, 0, 1, 1]


def windows(*corners):
    return np.array(corners, np.int64)


def disc(radius=50, x=100, y=75):
    """A red disc on plain green, 150 by 200."""
    rows, columns = np.mgrid[:150, :200]
    image = np.full((150, 200, 3), (40, 90, 40), np.uint8)
    image[(columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < radius**2] = (230, 40, 40)
    return image, np.array([x - radius, y - radius, x + radius, y + radius]) / [200, 150, 200, 150]


# --- The cues ---


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((0, 0, 4, 6), 1),  # is the left superpixel
        ((0, 0, 10, 6), 1),  # is both
        ((1, 0, 4, 6), 1 - 6 / 18),  # cuts 6 pixels off the left one, of which it holds 18
        ((0, 0, 1, 6), 0),  # holds the smaller part of the left one
        ((3, 0, 7, 6), 1 - (6 + 18) / 24),  # holds 6 of 24, and 18 of 36
    ],
)
def test_superpixels_straddling(window, expected):
    segments = np.zeros((6, 10), np.int32)
    segments[:, 4:] = 1
    found = cues.straddling(segments, windows(window))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_colour_contrast():
    image = np.full((40, 40, 3), (0, 0, 255), np.uint8)
    image[10:30, 10:30] = (255, 255, 0)
    corners = windows(
        (10, 10, 30, 30),  # all yellow in all blue
        (0, 0, 5, 40),  # blue in blue
        (0, 0, 40, 40),  # nothing around it
        (10, 10, 30, 20),  # yellow; the ring is half of each
    )
    found = cues.contrast(image, corners, 0.5)
    # The ring of the last adds 5 columns and 2 or 3 rows a side: 30x14 or 16 pixels less 200.
    ring = 30 * 14 - 200
    yellow = 20 * 2 / ring
    # chi-square of (1, 0) and (y, 1 - y): ((1 - y)^2 / (1 + y) + (1 - y)) / 2
    last = ((1 - yellow) ** 2 / (1 + yellow) + 1 - yellow) / 2
    np.testing.assert_allclose(found, [1, 0, 0, last], atol=1e-6)


def test_edge_density():
    edges = np.zeros((20, 20), bool)
    edges[5, 5:15] = True  # the upper border of the first window
    edges[10, 10] = True  # its middle
    found = cues.edge_density(edges, windows((5, 5, 15, 15), (0, 0, 4, 4)), 0.4)
    np.testing.assert_allclose(found, [10 / 40, 0])


def test_saliency_lies_on_the_one_thing_there_is():
    rng = np.random.default_rng(0)
    image = rng.integers(90, 100, (64, 64, 3)).astype(np.uint8)
    image[20:36, 36:52] = (250, 30, 30)
    inside, beside = cues.saliency(
        image, windows((32, 16, 56, 40), (4, 16, 28, 40)), [1.0] * len(cues.SCALES)
    )
    assert inside > 5 * beside


def test_saliency_by_hand():
    # With a threshold of 0 all is salient: the whole map's share, times a density of 1.
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    all_of_it, *halves = cues.saliency_at(
        image, windows((0, 0, 48, 32), (0, 0, 24, 32), (24, 0, 48, 32)), 16, 0.0
    )
    assert all_of_it == pytest.approx(1, abs=1e-5)
    assert sum(halves) == pytest.approx(1, abs=1e-5)


def test_location_counts_the_images_in_which_a_window_covers_an_object():
    boxes = [[WHOLE], [[0, 0, 0.5, 1], [0, 0, 0.4, 1]], [[0, 0, 0.1, 0.1]]]
    found = cues.location([WHOLE, [0, 0, 0.5, 1], [0.5, 0, 1, 1]], boxes)
    # IoU with the boxes' best: 1, 0.5, 0.01; 0.5, 1, 0.02; 0.5, 0, 0. And half an image of four.
    np.testing.assert_allclose(found, [2.5 / 4, 2.5 / 4, 1.5 / 4])


def test_location_is_what_the_overlaps_say():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.5, (60, 2))
    drawn = np.concatenate([low, low + rng.uniform(0.1, 0.5, (60, 2))], axis=1)
    several = [drawn[:5], drawn[5:6], drawn[6:10]]
    covers = [(box_geometry.iou(drawn, each) >= 0.5).any(axis=1) for each in several]
    expected = (np.sum(covers, axis=0) + 0.5) / 4
    np.testing.assert_allclose(cues.location(drawn, several), expected)


# --- Superpixels ---


def test_plain_areas_are_superpixels():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 20:] = (200, 30, 30)
    image[20:, 40:] = (30, 30, 200)
    found = superpixels.superpixels(image, 6.0)
    # The borders are a little blurred; the areas' middles are not.
    assert len({found[20, 8], found[8, 40], found[32, 52]}) == 3
    assert (found[4:36, 4:16] == found[20, 8]).all()
    assert (found[24:36, 44:56] == found[32, 52]).all()


def test_superpixels_are_numbered_connected_and_large_enough():
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3)).astype(np.uint8)
    found = superpixels.superpixels(image, 12.0, smallest=25)
    sizes = np.bincount(found.ravel())
    assert sizes.min() >= 25
    for label in range(len(sizes)):
        count, _ = cv2.connectedComponents((found == label).astype(np.uint8))
        assert count == 2  # the background, and one part


def test_a_higher_scale_has_fewer_superpixels():
    image = np.random.default_rng(1).integers(100, 130, (40, 40, 3)).astype(np.uint8)
    counts = [superpixels.superpixels(image, scale, 4).max() + 1 for scale in (1.0, 20.0, 1e4)]
    assert counts[0] > counts[1] >= counts[2] == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 1)])
def test_an_image_of_few_pixels_is_one_superpixel(size):
    found = superpixels.superpixels(np.zeros((*size, 3), np.uint8), 6.0)
    np.testing.assert_array_equal(found, np.zeros(size))


# --- Likelihoods ---


def test_likelihoods_are_interpolated_between_values_and_sizes():
    twice = parameters.Likelihood(
        [0.1, 0.4], [[0, 1], [0, 2]], [[0.5, 0.5], [0.8, 0.2]], [[0.5, 0.5], [0.2, 0.8]]
    )
    values, areas = np.array([0.5, 0, 2, 1, 0]), np.array([0.05, 0.4, 0.9, 0.4, 0.2])
    expected = [0, np.log(4), -np.log(4), 0, np.log(4) / 2]  # 0.2 is halfway, by logarithms
    np.testing.assert_allclose(twice.log_ratio(values, areas), expected, atol=1e-12)


def test_what_comes_with_the_package_is_whole():
    learned = parameters.parameters()
    assert set(learned.likelihoods) == set(cues.CUES)
    assert len(learned.saliency) == len(cues.SCALES)
    for likelihood in learned.likelihoods.values():
        assert (np.diff(likelihood.areas) > 0).all()
        of_size = zip(
            likelihood.middles, likelihood.of_object, likelihood.of_background, strict=True
        )
        for middles, *shares in of_size:
            assert (np.diff(middles) > 0).all()
            np.testing.assert_allclose(np.sum(shares, axis=1), 1, atol=1e-4)
            assert (np.array(shares) > 0).all()


# --- Windows ---


@pytest.mark.parametrize(("x", "y"), [(100, 75), (80, 75), (120, 90), (70, 70)])
def test_the_top_window_finds_a_disc(x, y):
    image, truth = disc(x=x, y=y)
    found = objectness.propose(image, 5)
    assert box_geometry.iou(found.boxes[0], truth)[0, 0] > 0.6


def test_windows_are_valid_sorted_apart_and_the_same_again():
    image = np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8)
    found = objectness.propose(image, 12, overlap=0.4)
    assert found.boxes.shape == (12, 4)
    assert found.boxes.dtype == np.float32
    assert box_geometry.is_valid(found.boxes).all()
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores > 0) & (found.scores < 1)).all()
    overlaps = box_geometry.iou(found.boxes, found.boxes) - np.eye(12)
    assert overlaps.max() <= 0.4
    again = objectness.propose(image, 12, overlap=0.4)
    assert again.boxes.tobytes() == found.boxes.tobytes()
    assert again.scores.tobytes() == found.scores.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (300, 2), (7, 5)])
def test_odd_sizes_have_windows(size):
    found = objectness.propose(np.full((*size, 3), 9, np.uint8), 3)
    assert len(found.boxes) >= 1
    assert box_geometry.is_valid(found.boxes).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3)), r"\(H, W, 3\) uint8 RGB arrays; received float64\(4, 4, 3\)"),
        (np.zeros((4, 4), np.uint8), r"received uint8\(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"received uint8\(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"received uint8\(0, 4, 3\)"),
        ("photo.jpg", r"received str\(\)"),
    ],
)
def test_what_is_no_image(image, message):
    with pytest.raises(ValueError, match=message):
        objectness.propose(image)


@pytest.mark.parametrize(("count", "overlap"), [(0, 0.5), (5, 0.0), (5, 1.5), (5, float("nan"))])
def test_numbers_out_of_their_range(count, overlap):
    with pytest.raises(ValueError, match="count must be at least 1 and overlap above 0, at most 1"):
        objectness.propose(np.zeros((4, 4, 3), np.uint8), count, overlap)


def test_photographs_that_nothing_was_fitted_on(shared):
    pets = datasets.load("voc", str(shared / "data" / "pets3"), "val")
    hits = {"top": 0, "ten": 0}
    for place in range(0, len(pets), 12):
        example = pets[place]
        found = objectness.propose(images.load(example.image), 10)
        overlaps = box_geometry.iou(found.boxes, example.boxes).max(axis=1)
        hits["top"] += overlaps[0] >= 0.5
        hits["ten"] += overlaps.max() >= 0.5
    assert hits["top"] >= 6  # of 10
    assert hits["ten"] >= 8
