"""Options that are numbers."""

import json

import numpy as np
import pytest

from sensmap.maps import _numbers


@pytest.mark.parametrize("value", [3, np.int64(3), 1000])
def test_whole_numbers(value):
    assert json.loads(json.dumps(_numbers.whole("steps", value, 3))) == value


@pytest.mark.parametrize("value", [2, -3, 3.0, 3.5, True, "3", None, [3], float("nan")])
def test_what_is_no_whole_number_of_three_or_more(value):
    with pytest.raises(ValueError, match=r"^steps is a whole number, 3 or more; received "):
        _numbers.whole("steps", value, 3)


@pytest.mark.parametrize("value", [0.5, 1, 0.75, np.float64(0.6)])
def test_numbers_of_a_range(value):
    assert json.loads(json.dumps(_numbers.between("crop", value, 0.5, 1))) == value


@pytest.mark.parametrize("value", [0.4, 1.1, True, "0.6", None, float("nan"), float("inf")])
def test_what_is_no_number_of_the_range(value):
    with pytest.raises(ValueError, match=r"^crop is a number from 0\.5 to 1; received "):
        _numbers.between("crop", value, 0.5, 1)
