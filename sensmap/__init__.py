"""Weakly supervised object localization: a classifier's sensitivity maps, read out as boxes.

The parts are the modules `classifiers`, `datasets`, `maps`, `features`, `localizers`, `metrics`,
`report` and `export`; the names that most programs need stand here too.
"""

import importlib
from typing import Any

# Looked up when asked for: TensorFlow takes seconds to start, and boxes alone do without.
_HOME = {
    "BoxRegressor": "sensmap.localizers.linear",
    "Extractor": "sensmap.pipeline",
    "Localizer": "sensmap.localizer",
    "ServedModel": "sensmap.export",
    "export_saved_model": "sensmap.export",
}

__all__ = ["BoxRegressor", "Extractor", "Localizer", "ServedModel", "export_saved_model"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sensmap' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
