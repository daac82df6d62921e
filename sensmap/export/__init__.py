"""SavedModels for TensorFlow Serving: writing them, and running one without Keras."""

from sensmap.export.saved_model import export_saved_model
from sensmap.export.served import Served, ServedModel

__all__ = ["Served", "ServedModel", "export_saved_model"]
