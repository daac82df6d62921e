"""A table of boxes: ``path,x0,y0,x1,y1,label``, one row a box.

* ``path`` is relative to the table's folder, or absolute. Rows of one image may stand anywhere.
* ``x0, y0, x1, y1`` are half-open pixel corners (`sensmap.boxes.pixels_to_xyxy`), possibly with
  fractions, of the image as it is displayed: a box over a whole image of 640x480 pixels is
  ``0,0,640,480``. All four may be empty: the image has the label and no box.
* ``label`` is the class's name. Only where there is no box it may be empty: no label either.
* A first row that reads ``path,x0,y0,x1,y1,label`` is taken for the header, which may be missing.

The classes are the labels that occur: sorted as numbers if all are whole numbers, or else as text.
A row that is wrong is left out and named by its line in ``skipped``; a box without an area inside
the image is left out and named in its example's ``dropped``.
"""

from __future__ import annotations

import csv
import functools
import os
from pathlib import Path

import numpy as np

from sensmap import boxes
from sensmap.datasets._base import Dataset, Example, usable_boxes
from sensmap.datasets._files import given_root
from sensmap.datasets._image_header import read_header

SOURCE = "csv"
COLUMNS = ("path", "x0", "y0", "x1", "y1", "label")

# A row: the corners, or none, and the label, or "".
_Row = tuple[tuple[float, ...], str]


def load(root: str | None, split: str | None = None) -> Dataset:
    """Opens a table of boxes.

    Args:
        root: the CSV file, in UTF-8.
        split: None; the table has no parts (`sensmap.splits` makes some).

    Returns:
        A data set whose ids are the paths as the table states them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a split, or if no row is usable, with what is wrong with the first.
    """
    path = given_root(root, SOURCE, f"a CSV file with the columns {','.join(COLUMNS)}")
    if path.is_dir():
        raise FileNotFoundError(f"{SOURCE}: {path} is a folder; pass the CSV file in it.")
    if split is not None:
        raise ValueError(f"{SOURCE}: a table has no split {split!r}; leave it out.")
    rows, skipped = _rows(path)
    if not rows:
        raise ValueError(
            f"{SOURCE}: {path} has no usable row; expected {','.join(COLUMNS)}"
            + (f"; {skipped[0]}." if skipped else ".")
        )
    classes = _sorted({label for image in rows.values() for _, label in image if label})
    label_of = {name: label for label, name in enumerate(classes)}
    ids = list(rows)

    def read(position: int) -> Example:
        image = path.parent / ids[position]
        mine = rows[ids[position]]
        boxed = [(corners, label_of[label]) for corners, label in mine if corners]
        size = read_header(image).size
        placed, labels, dropped = usable_boxes(
            np.array([corners for corners, _ in boxed], np.float64).reshape(-1, 4),
            np.array([label for _, label in boxed], np.int32),
            functools.partial(boxes.pixels_to_xyxy, size=size),
        )
        return Example(
            id=ids[position],
            image=image,
            labels=tuple(sorted({label_of[label] for _, label in mine if label})),
            boxes=placed,
            box_labels=labels,
            size=size,
            dropped=dropped,
        )

    return Dataset(f"{SOURCE} {path.stem}", classes, ids, read, skipped)


def _rows(path: Path) -> tuple[dict[str, list[_Row]], list[str]]:
    """Rows by image, and a line for each row that is wrong."""
    rows: dict[str, list[_Row]] = {}
    spelling: dict[str, str] = {}  # one image is one example, however its path is written
    skipped = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for fields in reader:
                fields = [field.strip() for field in fields]
                header = reader.line_num == 1 and tuple(map(str.lower, fields)) == COLUMNS
                if header or not any(fields):
                    continue
                try:
                    row = _parse(fields)
                except ValueError as error:
                    skipped.append(f"line {reader.line_num}: {error}")
                    continue
                name = spelling.setdefault(os.path.normpath(fields[0]), fields[0])
                rows.setdefault(name, []).append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{SOURCE}: {path} is not a CSV file in UTF-8: {error}.") from None
    return rows, skipped


def _parse(fields: list[str]) -> _Row:
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} fields where {','.join(COLUMNS)} are expected")
    path, *texts, label = fields
    if not path:
        raise ValueError("the path is empty")
    if not any(texts):
        return (), label
    if not label:
        raise ValueError("a box needs a label")
    return tuple(
        _number(column, text) for column, text in zip(COLUMNS[1:], texts, strict=False)
    ), label


def _number(column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{column} must be a number; found {text!r}") from None


def _sorted(labels: set[str]) -> list[str]:
    """In the order of numbers if all are whole numbers, so that 10 comes behind 9."""
    try:
        return sorted(labels, key=lambda label: (int(label), label))
    except ValueError:
        return sorted(labels)
