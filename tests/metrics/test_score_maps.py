"""Score maps as the metrics take them."""

import numpy as np
import pytest

from sensmap.metrics import _score_maps


def test_normalize_resizes_and_scales():
    scores = _score_maps.normalize(np.array([[1, 2], [3, 4]], np.float32))
    assert (scores.shape, scores.dtype) == ((224, 224), np.float64)
    assert (scores.min(), scores.max()) == (0, 1)
    assert (scores == _score_maps.normalize(np.array([[1.0, 2.0], [3.0, 4.0]]))).all()
    assert not _score_maps.normalize(np.full((3, 3), 7.0)).any()


@pytest.mark.parametrize(
    ("score_map", "message"),
    [
        ([[0.0, np.nan]], "must be finite; received nan"),
        ([[0.0, -np.inf]], "must be finite; received -inf"),
        ([0.0, 1.0], r"shape \(h, w\); received the shape \(2,\)"),
        (np.zeros((0, 3)), r"received the shape \(0, 3\)"),
        ([["a"]], "real numbers"),
        ([[1j]], "type complex128"),
    ],
)
def test_normalize_refuses_what_is_no_map(score_map, message):
    with pytest.raises(ValueError, match=message):
        _score_maps.normalize(score_map)
