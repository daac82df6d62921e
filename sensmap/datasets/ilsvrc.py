"""ImageNet's localization task, ILSVRC CLS-LOC, in the layout of its Kaggle archive::

    LOC_synset_mapping.txt                            <wnid> <names>, a line a class
    LOC_train_solution.csv, LOC_val_solution.csv      ImageId,PredictionString
    ILSVRC/Data/CLS-LOC/train/<wnid>/*.JPEG           and .../val/*.JPEG
    ILSVRC/Annotations/CLS-LOC/train/<wnid>/*.xml     and .../val/*.xml

Boxes come from the XML files or from the solution CSV, whose ``PredictionString`` is
``<wnid> x0 y0 x1 y1`` once for each box. Their corners are zero-based pixels that belong to the
box (`sensmap.boxes.inclusive_to_xyxy`): the smallest is 0 and the largest the width less one,
though the XML is PASCAL VOC's in all else. They are pixels of the image in the size that the XML
states, also where the JPEGs at hand were shrunk. The CSV states no size; where there is no XML
either it is the JPEG's own, which is wrong for shrunk ones.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sensmap import boxes
from sensmap.datasets import _voc_xml
from sensmap.datasets._base import Dataset, Example, ExampleError
from sensmap.datasets._files import given_root, is_image, lines_of, required
from sensmap.datasets._image_header import read_header

SOURCE = "ilsvrc"
SPLITS = ("val", "train")


def load(
    root: str | None,
    split: str | None = None,
    annotations: str | None = None,
    boxed: bool = False,
) -> Dataset:
    """Opens ILSVRC CLS-LOC.

    Args:
        root: the folder of the layout above.
        split: ``"train"`` or ``"val"``; by default ``"val"``, or ``"train"`` where only that
            is there.
        annotations: ``"xml"`` or ``"csv"``; by default XML where there is some.
        boxed: leave out images that no annotation names; only a part of ``train`` has boxes.

    Returns:
        A data set whose classes are the lines of ``LOC_synset_mapping.txt``. A training image's
        label is its folder, a validation image's that of its boxes. A training image without an
        annotation has no boxes.

    Raises:
        FileNotFoundError: if the folder lacks a part of the layout above.
        ValueError: for an unknown split or kind of annotation.
    """
    folder = given_root(root, SOURCE, "the folder of ILSVRC CLS-LOC in Kaggle's layout")
    data = folder / "ILSVRC" / "Data" / "CLS-LOC"
    split = split or next((name for name in SPLITS if (data / name).is_dir()), SPLITS[0])
    if split not in SPLITS:
        raise ValueError(f"{SOURCE} has no split {split!r}; choose train or val.")
    if annotations not in (None, "xml", "csv"):
        raise ValueError(f"{SOURCE} reads annotations as 'xml' or 'csv'; received {annotations!r}.")
    classes = lines_of(folder / "LOC_synset_mapping.txt", SOURCE, "'<wnid> <names>' a line")
    label_of = {line.split()[0]: label for label, line in enumerate(classes)}
    data = required(data / split, SOURCE, "the JPEGs")
    xml = folder / "ILSVRC" / "Annotations" / "CLS-LOC" / split
    solution = folder / f"LOC_{split}_solution.csv"
    if annotations is None:
        annotations = "csv" if solution.exists() and not xml.is_dir() else "xml"
    images = sorted(_names(data, is_image))
    if annotations == "xml":
        required(xml, SOURCE, "an XML file for each annotated image")
        find: Callable[[str], _voc_xml.Annotation | None] = _xml_finder(xml)
        annotated = {os.path.splitext(name)[0] for name in _names(xml, _is_xml)} if boxed else set()
    else:
        rows = _solution(solution)
        find = _csv_finder(rows, xml)
        annotated = {name for name in map(_key, images) if os.path.basename(name) in rows}
    if boxed:
        images = [name for name in images if _key(name) in annotated]
    ids = [os.path.basename(_key(name)) for name in images]

    def read(position: int) -> Example:
        path = data / images[position]
        found = find(_key(images[position]))
        if found is None and split == "val":
            raise ExampleError(f"{path}: no annotation ({annotations}) says what it shows.")
        if found is None:
            return Example(ids[position], path, (_label(path, path.parent.name),))
        labels = np.array([_label(path, name) for name in found.names], np.int32)
        own = (_label(path, path.parent.name),) if split == "train" else sorted(set(labels))
        return Example(
            id=ids[position],
            image=path,
            labels=tuple(int(label) for label in own),
            **_voc_xml.place(found, labels, read_header(path), boxes.inclusive_to_xyxy),
        )

    def _label(path: Path, wnid: str) -> int:
        if wnid not in label_of:
            raise ExampleError(f"{path}: its class {wnid!r} is not in LOC_synset_mapping.txt.")
        return label_of[wnid]

    return Dataset(f"{SOURCE} {split}", classes, ids, read)


def _key(image: str) -> str:
    """``n01440764/n01440764_18.JPEG`` without its suffix: the annotation's place, too."""
    return os.path.splitext(image)[0]


def _is_xml(name: str) -> bool:
    return name.endswith(".xml")


def _names(folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Files in the folder and in its folders of classes, relative to it; quick for millions."""
    names = []
    for entry in os.scandir(folder):
        if entry.is_dir():
            names += [f"{entry.name}/{name}" for name in os.listdir(entry.path) if wanted(name)]
        elif wanted(entry.name):
            names.append(entry.name)
    return names


def _xml_finder(xml: Path) -> Callable[[str], _voc_xml.Annotation | None]:
    def find(key: str) -> _voc_xml.Annotation | None:
        path = xml / f"{key}.xml"
        return _voc_xml.read(path) if path.exists() else None

    return find


def _csv_finder(rows: dict[str, str], xml: Path) -> Callable[[str], _voc_xml.Annotation | None]:
    def find(key: str) -> _voc_xml.Annotation | None:
        name = os.path.basename(key)
        if name not in rows:
            return None
        fields = rows[name].split()
        try:
            numbers = [
                [float(field) for field in fields[start + 1 : start + 5]]
                for start in range(0, len(fields), 5)
            ]
            corners = np.array(numbers, np.float64).reshape(len(fields) // 5, 4)
        except ValueError:
            raise ExampleError(
                f"{name}: its row must be '<wnid> x0 y0 x1 y1 ...'; found {rows[name]!r}."
            ) from None
        path = xml / f"{key}.xml"
        size = _voc_xml.read(path).size if path.exists() else None
        return _voc_xml.Annotation(
            "", size, tuple(fields[::5]), corners, np.zeros(len(corners), bool)
        )

    return find


def _solution(path: Path) -> dict[str, str]:
    """``PredictionString`` by ``ImageId``; boxes are parsed when they are asked for."""
    required(path, SOURCE, "the boxes ('ImageId,PredictionString')")
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if header != ["ImageId", "PredictionString"]:
            raise ValueError(
                f"{SOURCE}: {path} must begin with ImageId,PredictionString; "
                f"found {','.join(header)!r}."
            )
        return {row[0]: row[1] for row in reader if len(row) == 2}
