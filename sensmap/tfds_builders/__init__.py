"""Data sets for TensorFlow Datasets that it lacks; importing this registers them.

>>> import sensmap.tfds_builders
>>> import tensorflow_datasets as tfds
>>> tfds.builder_cls("ilsvrc2012_cls_loc").__name__
'Ilsvrc2012ClsLoc'
"""

from sensmap.tfds_builders.ilsvrc2012_cls_loc import Ilsvrc2012ClsLoc

__all__ = ["Ilsvrc2012ClsLoc"]
