"""The pooled map as features, by hand."""

import numpy as np

from sensmap.features import pooled


def test_a_small_map_is_its_square_root_over_the_sum():
    maps = np.array([[[0.0, 1.0], [4.0, 9.0]]], np.float32)
    np.testing.assert_allclose(pooled.compute(maps), [[0, 1 / 6, 2 / 6, 3 / 6]], rtol=1e-6)


def test_a_large_map_is_pooled_by_means():
    # 64 x 96 in cells of 2 x 3; the square root is taken before the mean.
    maps = np.zeros((1, 64, 96), np.float32)
    maps[0, 0, 0] = 36.0  # a sixth of its cell: 6 / 6 = 1
    maps[0, 62:, 93:] = 9.0  # a whole cell: 3
    found = pooled.compute(maps).numpy().reshape(32, 32)
    expected = np.zeros((32, 32))
    expected[0, 0], expected[31, 31] = 1 / 4, 3 / 4
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_the_sides_are_pooled_each_for_itself():
    maps = np.random.default_rng(0).gamma(0.5, size=(2, 7, 64)).astype(np.float32)
    found = pooled.compute(maps)
    roots = np.sqrt(maps).reshape(2, 7, 32, 2).mean(axis=3).reshape(2, -1)
    np.testing.assert_allclose(found, roots / roots.sum(axis=1, keepdims=True), rtol=1e-5)


def test_a_side_that_is_no_multiple_of_the_grid():
    maps = np.ones((1, 50, 33), np.float32)
    found = pooled.compute(maps)
    assert found.shape == (1, 1024)
    np.testing.assert_allclose(found, 1 / 1024, rtol=1e-5)
    np.testing.assert_allclose(found.numpy().sum(), 1, rtol=1e-5)
