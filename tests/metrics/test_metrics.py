"""What every metric owes, whatever it measures."""

import json

import pytest

from sensmap import registry

METRICS = registry.names("sensmap.metrics")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_without_images_has_a_result_fit_for_json(name):
    result = registry.find("sensmap.metrics", name).Metric().result()
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize("name", METRICS)
def test_merging_nothing_changes_nothing(name):
    metric_class = registry.find("sensmap.metrics", name).Metric
    metric = metric_class()
    before = json.dumps(metric.result())
    metric.merge(metric_class())
    assert json.dumps(metric.result()) == before
    assert callable(metric.update)
