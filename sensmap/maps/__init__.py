"""Map methods: (images, class ids) -> maps of what the class scores rest on; one a file.

A module ``sensmap/maps/<name>.py`` offers ``create(classifier, **options) -> MapMethod`` and is
then known as ``--maps=<name>``.
"""

from sensmap.maps._base import PREDICTED, MapMethod, Sensitivity, create
from sensmap.maps._layers import PIXELS

__all__ = ["PIXELS", "PREDICTED", "MapMethod", "Sensitivity", "create"]
