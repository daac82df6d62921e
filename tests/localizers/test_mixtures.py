"""Mixtures of known colours, and densities against SciPy's."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from sensmap._opencv import cv2
from sensmap.localizers._mixtures import _NOISE, Mixture, fit


def colours_of(means, spread=6.0, each=400, seed=0):
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(mean, spread, (each, 3)) for mean in means]
    return rng.permutation(np.concatenate(drawn)).clip(0, 255).round().astype(np.uint8)


def test_clusters_that_lie_apart_are_the_components():
    means = [[30, 40, 200], [200, 60, 40], [120, 220, 120]]
    mixture = fit(colours_of(means), 3, seed=0)
    order = np.lexsort(mixture.means.T[::-1])
    np.testing.assert_allclose(mixture.means[order], sorted(means), atol=1)
    np.testing.assert_allclose(mixture.weights, 1 / 3, atol=1e-12)
    for covariance in mixture.covariances:
        np.testing.assert_allclose(covariance, (36 + _NOISE) * np.eye(3), atol=8)


def test_one_component_is_the_moments():
    colours = colours_of([[100, 100, 100]], 20)
    mixture = fit(colours, 1, seed=0)
    np.testing.assert_allclose(mixture.means[0], colours.mean(axis=0))
    expected = np.cov(colours.T.astype(float), ddof=0) + _NOISE * np.eye(3)
    np.testing.assert_allclose(mixture.covariances[0], expected)


def test_the_density_is_scipys():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(4, 3, 3)) * 10
    covariances = roots @ roots.transpose(0, 2, 1) + np.eye(3)
    mixture = Mixture(rng.dirichlet(np.ones(4)), rng.uniform(0, 255, (4, 3)), covariances)
    colours = rng.uniform(0, 255, (50, 3))
    expected = logsumexp(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(colours)
            for w, m, c in zip(*mixture, strict=True)
        ],
        axis=0,
    )
    np.testing.assert_allclose(mixture.log_density(colours), expected, rtol=1e-10)


@pytest.mark.parametrize("each", [1, 7])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_colours_than_components(count, each):
    colours = np.repeat(np.arange(count)[:, None] * [80, 40, 10], each, axis=0)
    mixture = fit(colours.astype(np.uint8), 5, seed=0)
    assert len(mixture.weights) == count
    np.testing.assert_allclose(
        mixture.covariances, np.broadcast_to(_NOISE * np.eye(3), (count, 3, 3))
    )


def test_the_seed_alone_decides():
    colours = colours_of(np.random.default_rng(0).uniform(0, 255, (9, 3)), 30)
    first = fit(colours, 5, seed=1)
    cv2.setRNGSeed(99)
    again, other = fit(colours, 5, seed=1), fit(colours, 5, seed=2)
    assert [part.tobytes() for part in first] == [part.tobytes() for part in again]
    assert first.means.tobytes() != other.means.tobytes()
