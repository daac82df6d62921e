"""The two constant boxes, by hand."""

import numpy as np
import pytest

from sensmap.localizers.centred_box import CentredBox
from sensmap.localizers.mean_box import MeanBox

# Sizes 0.2 x 0.4 and 0.4 x 0.8; the last two are left out.
BOXES = [[[0.1, 0.2, 0.3, 0.6]], [[0.5, 0.0, 0.9, 0.8]], [], [[0, 0, 1, 1], [0, 0, 0.5, 0.5]]]
MAPS = np.zeros((4, 5))


@pytest.mark.parametrize(
    ("localizer", "expected"),
    [
        (MeanBox(), [0.3, 0.1, 0.6, 0.7]),
        (CentredBox(), [0.35, 0.2, 0.65, 0.8]),
    ],
)
def test_constant_boxes(localizer, expected):
    found = localizer.fit(MAPS, BOXES).predict(np.zeros((2, 7)))
    np.testing.assert_allclose(localizer.box_, expected, atol=1e-6)
    np.testing.assert_allclose(found, [expected] * 2, atol=1e-6)
    assert found.dtype == np.float32
