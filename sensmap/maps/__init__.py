"""Map methods: (images, class ids) -> maps of what the class scores rest on; one a file.

A module ``sensmap/maps/<name>.py`` offers ``create(classifier, **options) -> MapMethod`` and is
then known as ``--maps=<name>``.
"""

from sensmap.maps._base import (
    MEMORY_BUDGET,
    PREDICTED,
    Choice,
    MapMethod,
    Sensitivity,
    check_top_k,
    create,
    given,
    given_and_top,
    option_names,
    top,
)
from sensmap.maps._layers import PIXELS

__all__ = [
    "MEMORY_BUDGET",
    "PIXELS",
    "PREDICTED",
    "Choice",
    "MapMethod",
    "Sensitivity",
    "check_top_k",
    "create",
    "given",
    "given_and_top",
    "option_names",
    "top",
]
