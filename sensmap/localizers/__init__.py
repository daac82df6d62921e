"""Localizers: maps -> boxes; one a file.

A module ``sensmap/localizers/<name>.py`` offers ``create(**options)``, a scikit-learn estimator,
and is then known by its name. Each has ``fit(maps, boxes, images=None)`` and
``predict(maps, images=None) -> (N, 4)`` valid xyxy boxes, a ``title`` for tables, and ``save``
and ``load`` where there is more to it than a constant. ``maps`` are ``(N, h, w)`` arrays, one a
layer, or what was read off them: with ``in_graph`` the features of `sensmap.features`, which are
computed on the device, without it the numbers that the localizer's own ``read`` gives.
"""

from sensmap.localizers._base import create

__all__ = ["create"]
