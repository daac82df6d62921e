"""Marginal quantiles, by hand and by their properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sensmap.features import quantiles

Q = np.array(quantiles.QUANTILES)
MEDIAN = list(Q).index(0.5)


def compute(maps):
    """``(N, powers, 2, quantiles)``: along the width, along the height."""
    maps = np.asarray(maps, np.float32)
    return quantiles.compute(maps).numpy().reshape(-1, len(quantiles.POWERS), 2, len(Q))


def test_there_are_152():
    assert quantiles.SIZE == 4 * 2 * 19 == 152
    assert quantiles.compute(np.ones((3, 4, 5), np.float32)).shape == (3, 152)


def test_the_quantiles_are_symmetric():
    np.testing.assert_allclose(Q, 1 - Q[::-1], atol=1e-12)
    assert (np.diff(Q) > 0).all()


def test_of_a_uniform_map_they_are_the_quantiles_themselves():
    found = compute(np.ones((1, 4, 4)))
    np.testing.assert_allclose(found, np.broadcast_to(Q, found.shape), atol=1e-6)


def test_all_mass_in_one_column():
    # Column 2 of 4 spans 0.5 to 0.75; along the height the map is uniform.
    maps = np.zeros((1, 4, 4))
    maps[0, :, 2] = 3.0
    found = compute(maps)
    for power in range(4):
        np.testing.assert_allclose(found[0, power, 0], 0.5 + Q / 4, atol=1e-6)
        np.testing.assert_allclose(found[0, power, 1], Q, atol=1e-6)


def test_all_mass_in_one_pixel():
    maps = np.zeros((1, 4, 4))
    maps[0, 3, 0] = 1.0
    found = compute(maps)
    np.testing.assert_allclose(found[0, :, 0], np.tile(Q / 4, (4, 1)), atol=1e-6)
    np.testing.assert_allclose(found[0, :, 1], np.tile(0.75 + Q / 4, (4, 1)), atol=1e-6)


def test_two_columns_of_equal_mass():
    # Columns 0 and 3: half of the mass lies in 0 to 0.25, the other half in 0.75 to 1. Of all
    # positions between, where just half is reached, the lowest counts.
    maps = np.zeros((1, 4, 4))
    maps[0, :, [0, 3]] = 1.0
    expected = np.where(Q <= 0.5, Q / 2, 0.75 + (Q - 0.5) / 2)
    assert expected[MEDIAN] == 0.25
    np.testing.assert_allclose(compute(maps)[0, :, 0], np.tile(expected, (4, 1)), atol=1e-6)


def test_powers_shift_the_mass_to_the_peaks():
    # Columns 0 and 3 with the masses 4 and 1: of the powers 1/2, 1, 2, 3 column 0 holds 2/3,
    # 4/5, 16/17 and 64/65; the median lies at (1/2) / share of its quarter of the width.
    maps = np.zeros((1, 4, 4))
    maps[0, :, 0], maps[0, :, 3] = 1.0, 0.25
    medians = compute(maps)[0, :, 0, MEDIAN]
    np.testing.assert_allclose(medians, [3 / 16, 5 / 32, 17 / 128, 65 / 512], atol=1e-6)


def test_rows_and_columns_are_not_mixed_up():
    maps = np.zeros((1, 2, 8))
    maps[0, 1, 5] = 1.0
    found = compute(maps)[0, 1, :, MEDIAN]
    np.testing.assert_allclose(found, [5.5 / 8, 1.5 / 2], atol=1e-6)


def by_numpy(maps):
    """The inverse of the piecewise linear cumulative sum, in float64."""
    found = []
    for each in np.asarray(maps, np.float64):
        for power in quantiles.POWERS:
            for axis in (0, 1):
                cumulative = np.concatenate([[0.0], np.cumsum((each**power).sum(axis=axis))])
                edges = np.linspace(0, 1, len(cumulative))
                found.append(np.interp(Q, cumulative / cumulative[-1], edges))
    return np.reshape(found, (len(maps), len(quantiles.POWERS), 2, len(Q)))


@pytest.mark.parametrize("size", [(4, 4), (7, 13), (56, 31), (224, 224)])
def test_against_numpy(size):
    maps = np.random.default_rng(0).uniform(0.2, 1.0, (3, *size)).astype(np.float32)
    np.testing.assert_allclose(compute(maps), by_numpy(maps), atol=2e-5)


# Without zeros the cumulative sums rise strictly, so each quantile is one position.
MAPS = arrays.arrays(
    np.float32,
    st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9)),
    elements=st.floats(0.125, 1.0, width=32),
)
MAPS_WITH_ZEROS = arrays.arrays(
    np.float32,
    st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([0.0, 0.0, 1e-6, 0.5, 1.0]),
).filter(lambda maps: maps.max() == 1)


@given(maps=MAPS_WITH_ZEROS)
@settings(max_examples=50, deadline=None)
def test_they_lie_in_the_image_and_rise_with_q(maps):
    found = compute(maps)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (np.diff(found, axis=-1) >= -1e-6).all()


@given(maps=MAPS)
@settings(max_examples=50, deadline=None)
def test_of_the_mirrored_map_they_are_mirrored(maps):
    found = compute(maps)
    mirrored = found.copy()
    mirrored[:, :, 0] = 1 - found[:, :, 0, ::-1]
    np.testing.assert_allclose(compute(maps[:, :, ::-1]), mirrored, atol=1e-4)
    upside_down = found.copy()
    upside_down[:, :, 1] = 1 - found[:, :, 1, ::-1]
    np.testing.assert_allclose(compute(maps[:, ::-1]), upside_down, atol=1e-4)


@given(maps=MAPS)
@settings(max_examples=50, deadline=None)
def test_of_the_transposed_map_they_change_places(maps):
    turned = compute(np.swapaxes(maps, 1, 2))
    np.testing.assert_allclose(turned, compute(maps)[:, :, ::-1], atol=1e-5)


@given(maps=MAPS)
@settings(max_examples=30, deadline=None)
def test_they_do_not_depend_on_the_resolution(maps):
    # A pixel's mass is spread evenly over its area, so four equal ones are the same as one.
    finer = maps.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(compute(finer), compute(maps), atol=1e-5)
