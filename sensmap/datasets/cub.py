"""Caltech-UCSD Birds 200-2011: 11,788 images of 200 species, one box an image::

    images.txt               <image number> <path below images/>
    image_class_labels.txt   <image number> <class number>
    bounding_boxes.txt       <image number> <x> <y> <width> <height>
    train_test_split.txt     <image number> <1 for train, 0 for test>
    classes.txt              <class number> <class name>
    images/<class name>/*.jpg

Boxes are a corner with width and height in pixels, possibly with fractions, the corner counted
from zero (`sensmap.boxes.xywh_to_xyxy`), of the image as it is displayed.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from sensmap import boxes
from sensmap.datasets._base import Dataset, Example, ExampleError, usable_boxes
from sensmap.datasets._files import given_root, lines_of
from sensmap.datasets._image_header import read_header

SOURCE = "cub"
_SPLITS = {"train": "1", "test": "0"}


def load(root: str | None, split: str | None = None) -> Dataset:
    """Opens CUB-200-2011.

    Args:
        root: the folder ``CUB_200_2011``.
        split: ``"train"`` or ``"test"``, the official parts; all images by default.

    Returns:
        A data set whose classes are those of ``classes.txt``, such as
        ``"001.Black_footed_Albatross"``; class number 1 has label 0.

    Raises:
        FileNotFoundError: if the folder lacks a file of the layout above.
        ValueError: for an unknown split.
    """
    folder = given_root(root, SOURCE, "the folder CUB_200_2011")
    if split not in (None, *_SPLITS):
        raise ValueError(f"{SOURCE} has no split {split!r}; choose train or test, or none for all.")
    names = _table(folder, "classes.txt", "the class names")
    images = _table(folder, "images.txt", "the images' paths")
    class_of = _table(folder, "image_class_labels.txt", "the images' classes")
    corners = _table(folder, "bounding_boxes.txt", "the images' boxes")
    numbers = list(images)
    if split is not None:
        part = _table(folder, "train_test_split.txt", "the official split")
        numbers = [number for number in numbers if part.get(number) == _SPLITS[split]]
    label_of = {number: label for label, number in enumerate(names)}

    def read(position: int) -> Example:
        number = numbers[position]
        path = folder / "images" / images[number]
        if class_of.get(number) not in label_of:
            raise ExampleError(f"{path}: image {number} has no class that classes.txt names.")
        label = label_of[class_of[number]]
        try:
            box = np.array([corners.get(number, "").split()], np.float64).reshape(1, 4)
        except ValueError:
            raise ExampleError(
                f"{path}: image {number} must have a box 'x y width height' in "
                f"bounding_boxes.txt; found {corners.get(number, '')!r}."
            ) from None
        size = read_header(path).size
        placed, labels, dropped = usable_boxes(
            box, np.array([label]), functools.partial(boxes.xywh_to_xyxy, size=size)
        )
        return Example(
            id=images[number],
            image=path,
            labels=(label,),
            boxes=placed,
            box_labels=labels,
            size=size,
            dropped=dropped,
        )

    ids = [images[number] for number in numbers]
    return Dataset(f"{SOURCE} {split or 'all'}", list(names.values()), ids, read)


def _table(folder: Path, name: str, holding: str) -> dict[str, str]:
    """The first field of each line, and the rest of it."""
    fields = (line.partition(" ") for line in lines_of(folder / name, SOURCE, holding))
    return {number: rest.strip() for number, _, rest in fields}
