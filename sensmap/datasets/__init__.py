"""Labelled images with boxes: one source a file, all yielding the same `Example`.

A module ``sensmap/datasets/<name>.py`` offers

    ``load(root: str | None, split: str | None = None, **options) -> Dataset``

and is then known as ``--dataset=<name>``. ``tfds:<builder>`` names a TensorFlow Datasets builder.
"""

from sensmap.datasets._base import Dataset, Example, ExampleError, ImageSource, load

__all__ = ["Dataset", "Example", "ExampleError", "ImageSource", "load"]
