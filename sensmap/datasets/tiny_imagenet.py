"""Tiny ImageNet: 200 classes, 64x64 pixels, one box an image (Stanford CS231n).

The original layout::

    wnids.txt                            the 200 WordNet ids
    words.txt                            <wnid> TAB names, for all of WordNet
    train/<wnid>/images/*.JPEG
    train/<wnid>/<wnid>_boxes.txt        <file> TAB x0 y0 x1 y1
    val/images/*.JPEG
    val/val_annotations.txt              <file> TAB <wnid> TAB x0 y0 x1 y1

Boxes are zero-based pixel corners that belong to the box (`sensmap.boxes.inclusive_to_xyxy`).
The test part has no public annotations and is not read.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from sensmap import boxes
from sensmap.datasets._base import Dataset, Example, ExampleError, usable_boxes
from sensmap.datasets._files import given_root, lines_of
from sensmap.datasets._image_header import read_header

SOURCE = "tiny_imagenet"


def load(root: str | None, split: str | None = None) -> Dataset:
    """Opens Tiny ImageNet.

    Args:
        root: the folder ``tiny-imagenet-200``.
        split: ``"train"`` (the default) or ``"val"``.

    Returns:
        A data set whose classes are the WordNet ids, sorted, each with its names:
        ``"n01443537 goldfish, Carassius auratus"``.

    Raises:
        FileNotFoundError: if the folder lacks a file of the layout above.
        ValueError: for an unknown split.
    """
    folder = given_root(root, SOURCE, "the folder tiny-imagenet-200")
    split = split or "train"
    if split not in ("train", "val"):
        raise ValueError(f"{SOURCE} has no split {split!r}; choose train or val.")
    wnids = sorted(lines_of(folder / "wnids.txt", SOURCE, "the 200 WordNet ids"))
    words = dict(
        line.split("\t", 1)
        for line in lines_of(folder / "words.txt", SOURCE, "the names of WordNet ids")
        if "\t" in line
    )
    images, rows = (_train if split == "train" else _val)(folder, wnids)
    label_of = {wnid: label for label, wnid in enumerate(wnids)}

    def read(position: int) -> Example:
        wnid, *corners = rows[position]
        path = folder / images[position]
        if wnid not in label_of:
            raise ExampleError(f"{path}: its class {wnid!r} is not in wnids.txt.")
        try:
            numbers = np.array([corners], np.float64).reshape(1, 4)
        except ValueError:
            raise ExampleError(
                f"{path}: its box must be four numbers; found {' '.join(corners)!r}."
            ) from None
        size = read_header(path).size
        placed, labels, dropped = usable_boxes(
            numbers,
            np.array([label_of[wnid]]),
            functools.partial(boxes.inclusive_to_xyxy, size=size),
        )
        return Example(
            id=path.stem,
            image=path,
            labels=(label_of[wnid],),
            boxes=placed,
            box_labels=labels,
            size=size,
            dropped=dropped,
        )

    classes = [f"{wnid} {words[wnid]}" if wnid in words else wnid for wnid in wnids]
    return Dataset(f"{SOURCE} {split}", classes, [Path(image).stem for image in images], read)


def _train(folder: Path, wnids: list[str]) -> tuple[list[str], list[list[str]]]:
    """Each image's path below the folder, and its row ``wnid, x0, y0, x1, y1``."""
    images, rows = [], []
    for wnid in wnids:
        table = folder / "train" / wnid / f"{wnid}_boxes.txt"
        for line in lines_of(table, SOURCE, "a line with a box for each image"):
            image, *corners = line.split("\t")
            images.append(f"train/{wnid}/images/{image}")
            rows.append([wnid, *corners])
    return images, rows


def _val(folder: Path, wnids: list[str]) -> tuple[list[str], list[list[str]]]:
    table = folder / "val" / "val_annotations.txt"
    lines = lines_of(table, SOURCE, "a line with a class and a box for each image")
    fields = [line.split("\t") for line in lines]
    return [f"val/images/{row[0]}" for row in fields], [row[1:] or [""] for row in fields]
