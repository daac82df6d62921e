"""Warm-up records: requests that TensorFlow Serving runs before it says that a model is ready.

The first request to each signature makes TensorFlow optimise its graph, which takes seconds; so
somebody's first request should not be that. The messages are TensorFlow Serving's own, from the
package ``tensorflow-serving-api``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

FILE = "tf_serving_warmup_requests"


def write(folder: Path, model_name: str, signatures: dict, input_size: tuple[int, int]) -> bool:
    """Writes one request of one image for each signature.

    Args:
        folder: the ``assets.extra`` of an export.
        model_name: under which the model is served.
        signatures: a `tf.function` by each signature's name.
        input_size: ``(height, width)`` of the image, in pixels.

    Returns:
        False, after a line in the log, where ``tensorflow-serving-api`` is not installed.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        logging.warning(
            "The export has no warm-up records, so the first request to it will be slow: "
            'tensorflow-serving-api is not installed (pip install "sensmap[serving]").'
        )
        return False
    noise = np.random.default_rng(0).integers(0, 256, (*input_size, 3), np.uint8)
    values = {
        "image_bytes": tf.io.encode_jpeg(noise)[None],
        "images": tf.constant(noise)[None],
        "class_id": tf.constant([0]),
    }
    with tf.io.TFRecordWriter(os.fspath(folder / FILE)) as records:
        for name, function in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = name
            for spec in function.input_signature:
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(values[spec.name]))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            records.write(record.SerializeToString())
    return True
