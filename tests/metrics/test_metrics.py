"""What every metric owes, whatever it measures."""

import json

import pytest

from sensmap import registry

METRICS = registry.names("sensmap.metrics")
# What a metric cannot be made without.
ARGUMENTS = {"mean_iou": {"classes": ["cat", "dog"]}}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_without_images_has_a_result_fit_for_json(name):
    result = _make(name).result()
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize("name", METRICS)
def test_merging_nothing_changes_nothing(name):
    metric = _make(name)
    before = json.dumps(metric.result())
    metric.merge(_make(name))
    assert json.dumps(metric.result()) == before
    assert callable(metric.update)


def _make(name):
    return registry.find("sensmap.metrics", name).Metric(**ARGUMENTS.get(name, {}))
