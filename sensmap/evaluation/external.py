"""Maps and boxes that other tools made, measured as sensmap's own.

Nobody gains by leaving an image out: one without a map, a map that is flat, or one without a box
counts as missed, and how many there are is said.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import images
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.evaluation import judges
from sensmap.evaluation.predictions import Predictions
from sensmap.feature_table import FeatureTable, Readings, table_row
from sensmap.localizers.threshold import Threshold
from sensmap.parallel import in_threads

# Stands for no box: it overlaps nothing by half.
_NOWHERE = box_geometry.make_valid(np.zeros((1, 4)))[0].astype(np.float32)

_COLUMNS = ("id", "x0", "y0", "x1", "y1")


def read_maps(folder: str | Path, dataset: Dataset) -> tuple[FeatureTable, list[str]]:
    """A table of what thresholds read off maps, ``FOLDER/<image id>.npy``.

    Args:
        folder: of NumPy files, each one ``(h, w)`` map of finite numbers, bright is object; its
            edges are those of the image, its size is any.
        dataset: the images and their boxes.

    Returns:
        A table, of which ``asked.of["threshold"]`` and ``judged`` are filled, and the ids of images
        without a map.

    Raises:
        FileNotFoundError: if there is no such folder, or no map of any image in it.
        ValueError: if a file is not such a map.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"There is no folder {folder} of maps.")
    began = time.perf_counter()
    rows, examples, skipped = _usable(dataset)
    reader = Threshold()
    missed = np.tile(_NOWHERE, reader.size // 4)

    def read(place: int) -> tuple[np.ndarray, dict[str, np.ndarray], bool]:
        example, size = examples[place], rows[place][3]
        found = _load_map(Path(folder) / f"{example.id}.npy")
        flat = found is None or found.max() == found.min()
        shifted = np.zeros((1, 1)) if found is None else found - found.min()
        judged = {name: judge(example, size, [shifted]) for name, judge in judges.JUDGES.items()}
        return missed if flat else reader.read([shifted]), judged, found is None

    answers = list(in_threads(read, range(len(examples)), "Maps"))
    absent = [rows[place][0] for place, (_, _, gone) in enumerate(answers) if gone]
    if len(absent) == len(rows):
        raise FileNotFoundError(
            f"{folder} holds no map of any of the {len(rows)} images; "
            f"that of the first would be {rows[0][0]}.npy."
        )
    readings = np.stack([each for each, _, _ in answers])
    table = _table(rows, {"threshold": readings}, skipped, began)
    table.judged = {
        name: np.stack([judged[name] for _, judged, _ in answers]) for name in judges.JUDGES
    }
    return table, absent


def read_boxes(path: str | Path, dataset: Dataset) -> tuple[FeatureTable, Predictions, list[str]]:
    """A table of the images, and the box of each from a file.

    Args:
        path: JSON lines with ``id`` and ``box``, ``[x0, y0, x1, y1]`` relative to the image,
            half-open, or ``box_pixels``, the same in pixels of the original image; or CSV with
            the columns ``id,x0,y0,x1,y1`` in such pixels.
        dataset: the images and their boxes.

    Returns:
        The table, the boxes, and the ids of images without one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a line that is no box, an id that stands twice, or no box of any image.
    """
    began = time.perf_counter()
    rows, _, skipped = _usable(dataset)
    found = dict(_lines(path))
    boxes = np.tile(_NOWHERE, (len(rows), 1))
    absent = []
    for place, (name, _, _, size, _) in enumerate(rows):
        if name not in found:
            absent.append(name)
            continue
        given, in_pixels = found[name]
        relative = box_geometry.pixels_to_xyxy(given, size) if in_pixels else given[None]
        boxes[place] = box_geometry.make_valid(box_geometry.clip(relative))[0]
    if len(absent) == len(rows):
        raise ValueError(
            f"{path} holds no box of any of the {len(rows)} images, of which the first is "
            f"{rows[0][0]!r}; the first of the file is {next(iter(found), None)!r}."
        )
    table = _table(rows, {}, skipped, began)
    return table, Predictions(Path(path).name, boxes), absent


def _usable(dataset: Dataset) -> tuple[list[tuple], list[Example], list[tuple[str, str]]]:
    """Table rows and examples of the images whose annotation can be read, and the others."""
    rows, examples, skipped = [], [], []
    for position, example_id in enumerate(dataset.ids):
        try:
            example = dataset[position]
            size = example.size or images.load(example.image).shape[:2]
        except ExampleError as error:
            skipped.append((example_id, str(error)))
            continue
        rows.append(table_row(example, size))
        examples.append(example)
    if not rows:
        raise ValueError(f"No image of {dataset.name} could be used ({skipped[:1]}).")
    return rows, examples, skipped


def _table(
    rows: list[tuple], of: dict[str, np.ndarray], skipped: list[tuple[str, str]], began: float
) -> FeatureTable:
    count = len(rows)
    nobody = np.full(count, -1, np.int32)
    nothing = np.zeros((count, 0), np.float32)
    none_of = {name: each[:, None][:, :0] for name, each in of.items()}
    asked = Readings(nobody, np.zeros(count, np.float32), nothing, of)
    guessed = Readings(nobody[:, None][:, :0], nothing, nothing[:, None][:, :0], none_of)
    return FeatureTable.of(rows, asked, guessed, np.zeros(count, bool), skipped, began)


def _load_map(path: Path) -> np.ndarray | None:
    if not path.is_file():
        return None
    try:
        found = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy's readers raise many kinds on a damaged file
        raise ValueError(f"{path} is not a NumPy file, or is damaged: {error}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or not found.size:
        raise ValueError(f"{path}: a map is an array (h, w); received {np.shape(found)}.")
    if found.dtype.kind not in "fiub" or not np.isfinite(found).all():
        raise ValueError(f"{path}: a map holds finite numbers; this one does not.")
    return found.astype(np.float64)


def _lines(path: str | Path) -> Iterator[tuple[str, tuple[np.ndarray, bool]]]:
    """Image ids with their boxes, and whether these are in pixels."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path} of boxes.")
    read: Callable[..., Any] = _csv_lines if Path(path).suffix.lower() == ".csv" else _json_lines
    seen: set[str] = set()
    with open(path, encoding="utf-8", newline="") as file:
        for number, name, corners, in_pixels in read(path, file):
            where = f"{path}, line {number}"
            box = np.array(corners, np.float64) if len(corners) == 4 else np.full(4, np.nan)
            if not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
                raise ValueError(
                    f"{where}: a box is x0, y0, x1, y1 with x0 < x1 and y0 < y1; "
                    f"received {list(corners)}."
                )
            if name in seen:
                raise ValueError(f"{where}: the image {name!r} has a second box; it can have one.")
            seen.add(name)
            yield name, (box, in_pixels)


def _json_lines(path: str | Path, file) -> Iterator[tuple[int, str, list, bool]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            in_pixels = "box" not in entry
            corners = entry["box_pixels" if in_pixels else "box"]
            yield number, str(entry["id"]), [float(side) for side in corners], in_pixels
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path}, line {number}: expected JSON with id and box or box_pixels ({error!r})."
            ) from error


def _csv_lines(path: str | Path, file) -> Iterator[tuple[int, str, list, bool]]:
    reader = csv.DictReader(file)
    if not set(_COLUMNS) <= set(reader.fieldnames or ()):
        raise ValueError(
            f"{path} needs the columns {','.join(_COLUMNS)}; it has {reader.fieldnames}."
        )
    for entry in reader:
        try:
            yield reader.line_num, entry["id"], [float(entry[side]) for side in _COLUMNS[1:]], True
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
