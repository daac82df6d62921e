"""From a derivative's channels to one map, worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from sensmap.maps import _reduce

# One image, a row of two positions, two channels.
DERIVATIVE = tf.constant([[[[3.0, -4.0], [1.0, 0.0]]]])
ACTIVATION = tf.constant([[[[2.0, 1.0], [-5.0, 7.0]]]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max", [4.0, 1.0]),
        ("mean", [3.5, 0.5]),
        ("l2", [5.0, 1.0]),
        ("activation", [2.0, 5.0]),  # |3 * 2 - 4 * 1|, |1 * -5|
    ],
)
def test_reductions(name, expected):
    reduced = _reduce.REDUCTIONS[name](DERIVATIVE, ACTIVATION)
    assert reduced.shape == (1, 1, 2)
    np.testing.assert_allclose(reduced[0, 0], expected, rtol=1e-6)


def test_the_names_are_checked():
    assert all(_reduce.check(name) == name for name in _reduce.REDUCTIONS)
    with pytest.raises(ValueError, match="no reduction over channels 'sum'; choose one of max, "):
        _reduce.check("sum")


@pytest.mark.parametrize("name", sorted(_reduce.REDUCTIONS))
def test_few_channels_and_many_are_reduced_alike(name):
    padding = [[0, 0], [0, 0], [0, 0], [0, 6]]
    few = _reduce.REDUCTIONS[name](DERIVATIVE, ACTIVATION)
    many = _reduce.REDUCTIONS[name](tf.pad(DERIVATIVE, padding), tf.pad(ACTIVATION, padding))
    np.testing.assert_allclose(many * (4 if name == "mean" else 1), few, rtol=1e-6)
