"""A folder of images without boxes: one folder a class, or all images flat without labels.

::

    <root>/<class name>/**/*.jpg     each folder is a class, also an empty one, sorted by name
    <root>/*.jpg                     no folders: images without labels
"""

from __future__ import annotations

from pathlib import Path

from sensmap.datasets._base import Dataset, Example
from sensmap.datasets._files import files_below, given_root, is_image, required

SOURCE = "image_folder"


def load(root: str | None, split: str | None = None) -> Dataset:
    """Opens a folder of images.

    Args:
        root: the folder.
        split: a folder inside it to read instead, such as ``"train"``; its folders are then
            the classes.

    Returns:
        A data set without boxes. Files that are not images by their names, and images that lie
        beside the folders of classes, are named in ``skipped``.

    Raises:
        FileNotFoundError: if there is no such folder, or no image in it.
    """
    folder = given_root(root, SOURCE, "a folder of images, or of one folder a class")
    if split is not None:
        folder = required(folder / split, SOURCE, f"the images of the split {split!r}")
    if not folder.is_dir():
        raise FileNotFoundError(f"{SOURCE}: {folder} is a file; expected a folder of images.")
    files = list(files_below(folder))
    images = [name for name in files if is_image(name)]
    skipped = [f"{name}: not an image by its name" for name in files if not is_image(name)]
    classes = sorted(path.name for path in folder.iterdir() if _is_class(path))
    if not any("/" in name for name in images):
        classes = []
    if classes:
        skipped += [f"{name}: lies in no class's folder" for name in images if "/" not in name]
        images = [name for name in images if "/" in name]
    if not images:
        raise FileNotFoundError(f"{SOURCE}: there is no image in {folder} or its folders.")
    label_of = {name: label for label, name in enumerate(classes)}

    def read(position: int) -> Example:
        name = images[position]
        labels = (label_of[name.split("/")[0]],) if classes else ()
        return Example(id=name, image=folder / name, labels=labels)

    return Dataset(f"{SOURCE} {folder.name}", classes, images, read, skipped)


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")
