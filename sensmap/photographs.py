"""Photographs to boxes, one by one: what the command ``sensmap`` does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import files, images, maps, ready_made
from sensmap.classifiers import Classifier
from sensmap.classifiers.class_names import ClassIndex
from sensmap.datasets import ExampleError
from sensmap.datasets._files import files_below, is_image
from sensmap.export import ServedModel
from sensmap.localizer import Localizer
from sensmap.report import pictures


class Finding(NamedTuple):
    """What is found in one image.

    Attributes:
        class_id: of the classifier.
        class_name: or None where the classifier has no names.
        score: the class score before softmax.
        box: ``(4,)`` float32 xyxy, relative.
        map: ``(h, w)`` float32, or None where it is not known.
        says_nothing: whether the map was NaN or zero, so that the box is an average one.
    """

    class_id: int
    class_name: str | None
    score: float
    box: np.ndarray
    map: np.ndarray | None
    says_nothing: bool


Localize = Callable[[np.ndarray], Finding]


def by_localizer(
    classifier: Classifier,
    folder: str | None,
    layers: Sequence[str],
    class_name: str | None,
) -> Localize:
    """Localizes by a classifier with a fitted regressor, or else the ready-made one.

    Args:
        classifier: whose maps are made.
        folder: of a fitted localizer; None for the ready-made regressor.
        layers: where the ready-made regressor's maps are taken.
        class_name: a class id or name; None for the predicted class.
    """
    if folder is not None:
        localizer = Localizer.load(folder, classifier)
    else:
        method = maps.create("gradient", classifier, layers=layers)
        localizer = Localizer(method, ready_made.regressor(method))
    wanted = None if class_name is None else [classifier.class_id(class_name)]

    def localize(pixels: np.ndarray) -> Finding:
        found = localizer(pixels[None], wanted)
        class_id = int(found.class_ids[0])
        return Finding(
            class_id,
            classifier.class_names[class_id] if classifier.class_names else None,
            float(found.scores[0, class_id]),
            found.boxes[0],
            found.maps[-1][0],
            bool(found.degenerate[0]),
        )

    return localize


def by_saved_model(path: str, class_name: str | None) -> Localize:
    """Localizes by an export of `sensmap.export`.

    Args:
        path: of the export.
        class_name: a class id or name; None for the predicted class.
    """
    served = ServedModel(path)
    index = ClassIndex(served.num_classes, served.class_names)
    wanted = None if class_name is None else [index.find(class_name)]

    def localize(pixels: np.ndarray) -> Finding:
        found = served(pixels[None], wanted)
        class_id = int(found.class_ids[0, 0])
        return Finding(
            class_id,
            served.class_names[class_id] if served.class_names else None,
            float(found.class_scores[0, 0]),
            found.boxes[0, 0],
            found.maps[-1][0, 0] if found.maps else None,
            bool(found.degenerate[0, 0]),
        )

    return localize


def image_files(arguments: Sequence[str]) -> Iterator[Path]:
    """The images that these files and folders name; folders with all below them, sorted."""
    for argument in arguments:
        if not argument:  # which would stand for the folder that one is in
            raise ValueError("The name of an image is empty.")
        path = Path(argument)
        if path.is_dir():
            yield from (path / name for name in sorted(files_below(path)) if is_image(name))
        else:
            yield path


def run(
    paths: Sequence[Path],
    localize: Localize,
    write: Callable[[str], object],
    overlays: str | None = None,
    overwrite: bool = False,
) -> list[tuple[Path, str]]:
    """Localizes in each image and writes a line of JSON for it.

    Args:
        paths: the image files.
        localize: what gives the box.
        write: takes each line.
        overlays: a folder to make, for a picture of map and box for each image; or None.
        overwrite: replace that folder if it exists.

    Returns:
        The images that could not be used, and why.
    """
    failed: list[tuple[Path, str]] = []
    making = files.output_folder(overlays, overwrite) if overlays else contextlib.nullcontext()
    with making as work:
        for number, path in enumerate(paths):
            try:
                pixels = images.load(path)
            except ExampleError as error:
                failed.append((path, str(error)))
                continue
            found = localize(pixels)
            write(json.dumps(_line(path, found, pixels.shape[:2]), allow_nan=False) + "\n")
            if work is not None:
                # Numbered, for files of the same name may come from several folders; and no
                # longer than file systems take.
                name = f"{number:04d}_{path.stem[:40]}.jpg"
                files.write_bytes(work / name, pictures.encode_jpeg(_overlay(pixels, found)))
    return failed


def _line(path: Path, found: Finding, size: tuple[int, int]) -> dict:
    line = {
        "file": str(path),
        "class_id": found.class_id,
        "class": found.class_name,
        "score": round(found.score, 4),
        "box": [round(float(side), 5) for side in found.box],
        "box_pixels": [round(float(side), 1) for side in _pixels(found.box, size)],
        "size": {"height": size[0], "width": size[1]},
    }
    return line | ({"map_says_nothing": True} if found.says_nothing else {})


def _pixels(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return box_geometry.xyxy_to_pixels(box, size)[0]


def _overlay(pixels: np.ndarray, found: Finding) -> np.ndarray:
    picture = pixels if found.map is None else pictures.overlay(pixels, found.map)
    return pictures.draw_boxes(picture, found.box[None], pictures.PREDICTION)
