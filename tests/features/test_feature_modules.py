"""What every kind of feature owes, and maps that say nothing."""

import numpy as np
import pytest
import tensorflow as tf

from sensmap import features, registry

RNG = np.random.default_rng(0)
MAPS = RNG.gamma(0.5, size=(5, 8, 12)).astype(np.float32)


@pytest.fixture(params=registry.names("sensmap.features"))
def name(request):
    return request.param


@pytest.fixture
def compute(name):
    return lambda *maps: features.compute(name, maps).numpy()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 12), (32, 32), (33, 40)])
@pytest.mark.parametrize("count", [1, 3])
def test_what_features_are(compute, size, count):
    found = compute(RNG.gamma(0.5, size=(count, *size)).astype(np.float32))
    assert found.dtype == np.float32
    assert found.ndim == 2
    assert len(found) == count
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1 + 1e-6).all()


def test_an_images_features_do_not_depend_on_the_batch(compute):
    together = compute(MAPS)
    for place, found in enumerate(together):
        np.testing.assert_allclose(compute(MAPS[place : place + 1])[0], found, rtol=1e-5)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 2.0, 1e20])
def test_the_scale_of_a_map_does_not_matter(compute, factor):
    scaled = MAPS * np.float32(factor)
    np.testing.assert_allclose(compute(scaled), compute(MAPS), rtol=1e-4, atol=1e-5)


def test_features_of_several_layers_stand_side_by_side(compute):
    coarse = RNG.gamma(0.5, size=(5, 4, 4)).astype(np.float32)
    one, other = compute(MAPS), compute(coarse)
    np.testing.assert_array_equal(compute(MAPS, coarse), np.concatenate([one, other], axis=1))
    np.testing.assert_array_equal(compute(coarse, MAPS), np.concatenate([other, one], axis=1))


def test_features_in_a_graph_of_any_batch_size(name, compute):
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 12], tf.float32)], autograph=False)
    def traced(maps):
        return features.compute(name, [maps])

    for count in (1, 5):
        np.testing.assert_allclose(traced(MAPS[:count]), compute(MAPS[:count]), rtol=1e-5)
    assert traced.get_concrete_function().structured_outputs.shape[1] == compute(MAPS).shape[1]


@pytest.mark.parametrize(
    "value",
    [np.nan, np.inf, 0.0],
)
def test_a_map_that_says_nothing_counts_as_uniform(compute, value):
    maps = MAPS[:3].copy()
    if value == 0:
        maps[1] = 0
    else:
        maps[1, 2, 3] = value
    found = compute(maps)
    np.testing.assert_allclose(found[1], compute(np.ones((1, 8, 12), np.float32))[0], rtol=1e-6)
    np.testing.assert_allclose(found[[0, 2]], compute(MAPS[[0, 2]]), rtol=1e-6)
    assert features.is_degenerate(maps).numpy().tolist() == [False, True, False]


def test_one_layer_that_says_nothing_leaves_the_others(compute):
    found = compute(MAPS, np.zeros((5, 4, 4), np.float32))
    count = compute(MAPS).shape[1]
    np.testing.assert_allclose(found[:, :count], compute(MAPS), rtol=1e-6)
    np.testing.assert_allclose(found[:, count:], compute(np.ones((5, 4, 4), np.float32)))


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ([[[0.0, 0.0]]], [True]),
        ([[[0.0, 1e-30]]], [False]),  # tiny, but not nothing
        ([[[np.nan, 1.0]], [[1.0, 1.0]]], [True, False]),
        ([[[-np.inf, np.inf]]], [True]),
        ([[[3e38, 3e38]]], [True]),  # its sum is beyond float32
        (np.zeros((0, 2, 2)), []),
    ],
    ids=["zero", "tiny", "NaN", "infinite", "huge", "no maps"],
)
def test_which_maps_say_nothing(maps, expected):
    assert features.is_degenerate(tf.constant(maps, tf.float32)).numpy().tolist() == expected


def test_an_unknown_kind_is_answered_with_the_list():
    with pytest.raises(ValueError, match=r"no 'median' among the features; .* pooled, quantiles"):
        features.compute("median", [MAPS])
