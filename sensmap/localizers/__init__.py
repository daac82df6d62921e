"""Localizers: maps -> boxes; one a file.

A module ``sensmap/localizers/<name>.py`` offers ``create(**options)``, a scikit-learn estimator
with ``fit(maps, boxes)`` and ``predict(maps) -> (N, 4)`` valid xyxy boxes, and is then known by
its name. ``maps`` are what `sensmap.localizers.linear.BoxRegressor` takes.
"""

from sensmap.localizers._base import create

__all__ = ["create"]
