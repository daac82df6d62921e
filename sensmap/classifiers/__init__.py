"""Any Keras image classifier as a function from images to class scores before softmax."""

from sensmap.classifiers.classifier import Classifier
from sensmap.classifiers.loading import load, save
from sensmap.classifiers.preprocessing import Preprocessing

__all__ = ["Classifier", "Preprocessing", "load", "save"]
