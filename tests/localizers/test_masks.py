"""Masks and their boxes, by hand and against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from sensmap.localizers import _masks

MASKS = arrays.arrays(
    bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_the_largest_component_and_its_box_are_scipys(mask):
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    found, box = _masks.largest_component(mask), _masks.largest_box(mask)
    if not count:
        assert not found.any()
        assert box.tolist() == [0, 0, 1, 1]
        return
    sizes = ndimage.sum_labels(mask, labels, range(1, count + 1))
    assert found.sum() == sizes.max()
    assert len(np.unique(labels[found])) == 1
    height, width = mask.shape
    rows, columns = np.nonzero(found)
    expected = [columns.min() / width, rows.min() / height]
    expected += [(columns.max() + 1) / width, (rows.max() + 1) / height]
    np.testing.assert_allclose(box, expected, atol=1e-7)


def test_diagonal_neighbours_are_connected():
    assert _masks.largest_component(np.eye(4, dtype=bool)).sum() == 4


def test_of_equally_large_components_the_first_is_taken():
    mask = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
    assert np.argwhere(_masks.largest_component(mask)).tolist() == [[0, 2]]


def test_each_layer_weighs_the_same():
    peak, other = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32)
    peak[0, 0], other[1, 3] = 1e-20, 5e8
    expected = np.zeros((2, 4))
    expected[0, 0] = expected[1, 3] = 0.5
    np.testing.assert_allclose(_masks.merged([peak, other], (2, 4)), expected, atol=1e-7)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf], ids=["zero", "NaN", "infinity"])
def test_a_layer_that_says_nothing_silences_the_map(value):
    maps = [np.ones((3, 3), np.float32), np.full((2, 2), value, np.float32)]
    assert not _masks.merged(maps, (3, 3)).any()


def test_a_mask_is_resized_by_the_nearest_pixel():
    mask = np.array([[1, 0], [0, 1]], bool)
    np.testing.assert_array_equal(_masks.resized(mask, (4, 6)), np.kron(mask, np.ones((2, 3))) > 0)
