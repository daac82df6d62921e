"""The map methods on real classifiers."""

import numpy as np
import pytest

from sensmap import maps, registry

# As few passes as the method can do with.
FEWEST = {"smooth_grad": {"samples": 2}, "integrated_gradients": {"steps": 2}}
CASES = [
    *[("squeezenet", name) for name in registry.names("sensmap.maps")],
    # What depends on the network most: its rectifiers have a maximum, its head is another.
    *[("mobilenet", name) for name in ("cam", "deconvnet", "guided", "layer_sensitivity")],
]


@pytest.mark.parametrize(("network", "name"), CASES)
def test_the_maps_of_a_photograph(request, golden, network, name):
    method = maps.create(name, request.getfixturevalue(network), **FEWEST.get(name, {}))
    found = method(golden["images"][:1])
    assert found.class_ids.tolist() == found.scores.argmax(axis=1).tolist()
    for each in found.maps:
        assert each.shape[0] == 1
        assert np.isfinite(each).all()
        assert each.min() >= 0
        assert each.std() > 0
