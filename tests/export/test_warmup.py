"""Warm-up records, read as TensorFlow Serving reads them."""

import builtins

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from sensmap.export import warmup
from sensmap.export.servable import SIGNATURES, Servable


def test_one_record_a_signature_that_the_signature_takes(localizer, tmp_path):
    messages = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    servable = Servable(localizer)
    assert warmup.write(tmp_path, "birds", servable.signatures, (24, 32))
    records = tf.data.TFRecordDataset(str(tmp_path / "tf_serving_warmup_requests"))
    requests = [
        messages.PredictionLog.FromString(record.numpy()).predict_log.request for record in records
    ]
    assert [request.model_spec.signature_name for request in requests] == list(SIGNATURES)
    assert {request.model_spec.name for request in requests} == {"birds"}
    for request in requests:
        signature = servable.signatures[request.model_spec.signature_name]
        arrays = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        found = signature(*(tf.constant(arrays[spec.name]) for spec in signature.input_signature))
        assert found["boxes"].shape == (1, 1, 4)
        np.testing.assert_array_equal(found["boxes_pixels"], found["boxes"] * [32, 24, 32, 24])


def test_without_the_messages_a_line_says_so(localizer, tmp_path, monkeypatch):
    actual, lines = builtins.__import__, []

    def without_serving(name, *arguments, **keywords):
        if name.startswith("tensorflow_serving"):
            raise ImportError(name)
        return actual(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_serving)
    monkeypatch.setattr(logging, "warning", lines.append)
    assert not warmup.write(tmp_path, "birds", Servable(localizer).signatures, (24, 32))
    assert len(lines) == 1
    assert 'pip install "sensmap[serving]"' in lines[0]
    assert list(tmp_path.iterdir()) == []
