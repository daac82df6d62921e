"""The field against the authors' implementation, sums over all pairs of pixels, and by hand."""

import numpy as np
import pytest
from scipy.special import softmax

from sensmap._permutohedral import Permutohedral
from sensmap.dense_crf import DenseCRF


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "goldens" / "dense_crf.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def scene(labels, height=24, width=31, seed=0):
    """Energies, and an image of two colours with noise."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 12, (height, width, 3), np.uint8)
    image[:, width // 2 :] += 150
    return rng.gamma(1.0, size=(labels, height, width)), image


@pytest.mark.parametrize("steps", [1, 5, 10])
def test_it_is_the_authors_field(golden, steps):
    field = DenseCRF(3.0, 3.0, 60.0, 10.0, 5.0, steps)
    found = field.infer(golden["unary"], golden["image"])
    expected = golden[f"q{steps}"]
    assert found.dtype == np.float32
    # Equal but for rounding: the same vertices and the same tie-breaks.
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found.argmax(axis=0) == expected.argmax(axis=0)).mean() >= 0.9999


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_the_lattice_filters_by_a_gaussian(dimensions):
    rng = np.random.default_rng(0)
    # Dense, so that vertices exist wherever a blur passes.
    points = rng.uniform(0, 2.5, (dimensions, 3000))
    values = rng.uniform(0, 1, (3000, 2)).astype(np.float32)
    values[:, 1] += points[0] > 1.2
    squares = np.square(points[:, :, None] - points[:, None]).sum(axis=0)
    gaussian = np.exp(-squares / 2)
    exact = gaussian @ values / gaussian.sum(axis=1, keepdims=True)
    lattice = Permutohedral(points)
    ones = lattice.filter(np.ones(3000, np.float32))
    found = lattice.filter(values) / ones[:, None]
    # The lattice's kernel is only nearly a Gaussian; at the step of height 1 that shows most.
    assert np.abs(found - exact).max() < 0.09
    assert np.corrcoef(found[:, 1], exact[:, 1])[0, 1] > 0.995


def test_the_kernels_deviation_is_1():
    # Of one point it depends on where in its simplex the point lies, hence the mean over many.
    line = np.linspace(-6, 6, 241)
    grid = np.stack(np.meshgrid(line, line)).reshape(2, -1)
    inner = np.flatnonzero((np.abs(grid) < 1.5).all(axis=0))
    sources = np.random.default_rng(0).choice(inner, 200, replace=False)
    impulses = np.zeros((grid.shape[1], 200), np.float32)
    impulses[sources, np.arange(200)] = 1
    responses = Permutohedral(grid).filter(impulses)
    squares = np.square(grid[:, :, None] - grid[:, None, sources])
    variances = (squares * responses).sum(axis=1) / responses.sum(axis=0)
    np.testing.assert_allclose(variances.mean(axis=1), 1.0, atol=0.02)


def test_a_point_alone_by_hand():
    # On a corner a of a triangle a, b, c. Along ab b takes 1/2 of a, along bc c takes 1/4, and
    # along ca a takes 1/8 in return; the constant is 1 / (1 + 2^-2).
    lattice = Permutohedral(np.zeros((2, 1)))
    assert lattice.filter(np.array([5.0], np.float32)).tolist() == [5.0 * 1.125 / 1.25]


def test_one_step_is_the_sum_over_all_pairs():
    unary, image = scene(3, 9, 11)
    field = DenseCRF(2.0, 1.5, 4.0, 60.0, 2.0, steps=1)
    height, width = image.shape[:2]
    places = np.stack(np.mgrid[:height, :width]).reshape(2, -1).astype(float)
    colours = image.reshape(-1, 3).T.astype(float)
    total = -unary.reshape(3, -1)
    for weight, features in (
        (1.5, places / 2.0),
        (2.0, np.concatenate([places / 4.0, colours / 60.0])),
    ):
        squares = np.square(features[:, :, None] - features[:, None]).sum(axis=0)
        kernel = np.exp(-squares / 2)
        roots = np.sqrt(kernel.sum(axis=1))
        total = total + weight * softmax(-unary.reshape(3, -1), axis=0) @ (
            kernel / np.outer(roots, roots)
        )
    expected = softmax(total, axis=0).reshape(unary.shape)
    # A tiny image is all border, where the lattice has no vertices to blur over.
    np.testing.assert_allclose(field.infer(unary, image), expected, atol=0.06)


@pytest.mark.parametrize(
    "field",
    [DenseCRF(steps=0), DenseCRF(gaussian_weight=0.0, bilateral_weight=0.0)],
    ids=["no steps", "no weights"],
)
def test_without_edges_the_marginals_are_the_softmax(field):
    unary, image = scene(4)
    found = field.infer(unary, image)
    np.testing.assert_allclose(found, softmax(-unary, axis=0), atol=1e-6)


@pytest.mark.parametrize("labels", [1, 2, 3, 21])
def test_marginals_are_distributions(labels):
    unary, image = scene(labels)
    found = DenseCRF().infer(unary, image)
    assert found.shape == unary.shape
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)


def test_labels_have_no_order():
    unary, image = scene(5)
    order = [3, 0, 4, 2, 1]
    found = DenseCRF().infer(unary, image)
    np.testing.assert_allclose(DenseCRF().infer(unary[order], image), found[order], atol=1e-5)


def test_labels_are_filtered_together_as_they_are_alone():
    _, image = scene(1)
    lattice = Permutohedral(image.reshape(-1, 3).T / 40.0)
    values = np.random.default_rng(1).normal(size=(image[..., 0].size, 7)).astype(np.float32)
    alone = [lattice.filter(np.ascontiguousarray(column)) for column in values.T]
    np.testing.assert_allclose(lattice.filter(values), np.stack(alone, axis=1), atol=1e-5)


def test_what_all_labels_have_does_not_count():
    unary, image = scene(3)
    shift = np.random.default_rng(2).normal(size=image.shape[:2]) * 50
    found = DenseCRF().infer(unary + shift, image)
    np.testing.assert_allclose(found, DenseCRF().infer(unary, image), atol=1e-4)


def test_two_labels_of_many_are_the_field_of_two():
    # A label that is out of the question takes no part.
    unary, image = scene(2)
    never = np.full((3, *image.shape[:2]), 1e4)
    found = DenseCRF().infer(np.concatenate([unary, never]), image)
    np.testing.assert_allclose(found[:2], DenseCRF().infer(unary, image), atol=1e-5)
    assert not found[2:].any()


def test_colours_draw_the_border():
    unary = np.full((2, 30, 40), np.log(2))
    unary[0, :, 0] = unary[1, :, -1] = 0.1
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 12:] = 120
    found = DenseCRF().infer(unary, image).argmax(axis=0)
    assert not found[:, :12].any()
    assert found[:, 12:].all()


def test_energies_of_any_height_stay_finite():
    unary, image = scene(2)
    found = DenseCRF().infer(unary * 1e6, image)
    assert np.isfinite(found).all()
    expected = softmax(-unary * 1e6, axis=0)  # beyond what the edges weigh, but for near ties
    assert np.abs(found - expected).max() < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)], ids=str)
def test_tiny_images(shape):
    unary, image = scene(3, *shape)
    np.testing.assert_allclose(DenseCRF().infer(unary, image).sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("unary", "image", "message"),
    [
        ((2, 5, 6), np.zeros((5, 6), np.uint8), r"\(H, W, 3\) uint8 RGB; received uint8\(5, 6\)"),
        ((2, 5, 6), np.zeros((5, 6, 3)), r"received float64\(5, 6, 3\)"),
        ((2, 0, 6), np.zeros((0, 6, 3), np.uint8), r"received uint8\(0, 6, 3\)"),
        ((2, 6, 5), np.zeros((5, 6, 3), np.uint8), r"\(L, 5, 6\); received \(2, 6, 5\)"),
        ((5, 6), np.zeros((5, 6, 3), np.uint8), r"received \(5, 6\)"),
        ((0, 5, 6), np.zeros((5, 6, 3), np.uint8), r"received \(0, 5, 6\)"),
    ],
)
def test_shapes_that_do_not_fit(unary, image, message):
    with pytest.raises(ValueError, match=message):
        DenseCRF().infer(np.zeros(unary), image)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_energies_that_are_no_numbers(value):
    unary, image = scene(2)
    unary[0, 3, 4] = value
    with pytest.raises(ValueError, match="must be finite; give probabilities a floor"):
        DenseCRF().infer(unary, image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gaussian_xy": 0.0}, "must be above 0; received 0.0, 80.0, 10.0"),
        ({"bilateral_rgb": np.nan}, "must be above 0; received 3.0, 80.0, nan"),
        ({"bilateral_weight": -1.0}, "0 or above; received 3.0, -1.0"),
        ({"gaussian_weight": np.inf}, "0 or above; received inf, 3.0"),
        ({"steps": -1}, "steps must be 0 or above; received -1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        DenseCRF(**options)


def test_points_too_far_apart():
    unary, image = scene(2)
    with pytest.raises(ValueError, match=r"too far apart .* larger standard deviations"):
        DenseCRF(bilateral_xy=1e-3, bilateral_rgb=1e-3).infer(unary, image)
