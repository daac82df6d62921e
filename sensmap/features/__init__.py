"""Features: maps -> the numbers that a box is regressed from; one a file.

A module ``sensmap/features/<name>.py`` offers ``compute(maps: tf.Tensor) -> tf.Tensor``, from
``(N, h, w)`` float32 non-negative maps to ``(N, F)`` float32, in TensorFlow operations alone: the
same function runs on the device behind the backward pass and inside the servable. It is then
known as ``--features=<name>``.
"""

from sensmap.features._base import compute, compute_by_class, is_degenerate

__all__ = ["compute", "compute_by_class", "is_degenerate"]
