"""Parts of data sets are those of the split, and what a data set cannot use is one line."""

import pytest

from sensmap import splits
from sensmap.dataset_parts import PARTS, open_dataset


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_parts_of_a_data_set(part):
    found = open_dataset("digits", options={"count": 16}, part=part, seed=3)
    places = splits.split(16, seed=3)[PARTS.index(part)]
    assert list(found.ids) == [f"train-0-{place:06d}" for place in places]


def test_options_that_a_data_set_cannot_use():
    with pytest.raises(ValueError, match="digits cannot use the options count=ten"):
        open_dataset("digits", options={"count": "ten"})
