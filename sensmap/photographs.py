"""Photographs to boxes, one by one: what the command ``sensmap`` does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import files, images
from sensmap.classifiers.class_names import ClassIndex
from sensmap.datasets import ExampleError
from sensmap.datasets._files import files_below, is_image
from sensmap.evaluation import illustrations
from sensmap.export import ServedModel
from sensmap.localizer import Localizer
from sensmap.report import localization, pictures, sheets


class Guess(NamedTuple):
    """A class and its box.

    Attributes:
        class_id: of the classifier.
        class_name: or None where the classifier has no names.
        score: the class score before softmax.
        box: ``(4,)`` float32 xyxy, relative.
        is_stand_in: whether the map said nothing, or nothing was cut out by it.
    """

    class_id: int
    class_name: str | None
    score: float
    box: np.ndarray
    is_stand_in: bool


class Finding(NamedTuple):
    """What is found in one image.

    Attributes:
        guesses: the class asked for, or the best ones, best first.
        map: of the first of them ``(h, w)`` float32, or None where it is not known.
        cut: what was cut out by that map, where the localizer cuts.
    """

    guesses: list[Guess]
    map: np.ndarray | None
    cut: localization.Cut | None = None


Localize = Callable[[np.ndarray], Finding]


def by_localizer(localizer: Localizer, class_name: str | None, top_k: int = 1) -> Localize:
    """Localizes by a classifier and what reads boxes off its maps.

    Args:
        localizer: the whole of it.
        class_name: a class id or name; None for the predicted classes.
        top_k: of how many predicted classes.
    """
    classifier = localizer.classifier
    wanted = None if class_name is None else classifier.class_id(class_name)

    def localize(pixels: np.ndarray) -> Finding:
        if wanted is None:
            found = localizer(pixels[None], top_k=top_k)
            class_ids, boxes = found.class_ids[0], found.boxes[0]
            stand_ins, heat = found.degenerate[0], found.maps[-1][0, 0]
        else:
            found = localizer(pixels[None], [wanted])
            class_ids, boxes = found.class_ids, found.boxes
            stand_ins, heat = found.degenerate, found.maps[-1][0]
        cut = illustrations.cut_by(localizer, found, pixels)
        scores = found.scores[0, class_ids]
        guesses = _guesses(classifier.class_names, class_ids, scores, boxes, stand_ins)
        return Finding(guesses, heat, cut)

    return localize


def by_saved_model(path: str, class_name: str | None) -> Localize:
    """Localizes by an export of `sensmap.export`.

    Args:
        path: of the export.
        class_name: a class id or name; None for the predicted classes, as many as it gives.
    """
    served = ServedModel(path)
    index = ClassIndex(served.num_classes, served.class_names)
    wanted = None if class_name is None else [index.find(class_name)]

    def localize(pixels: np.ndarray) -> Finding:
        found = served(pixels[None], wanted)
        of_image = (part[0] for part in (found.class_ids, found.class_scores, found.boxes))
        guesses = _guesses(served.class_names, *of_image, found.degenerate[0])
        return Finding(guesses, found.maps[-1][0, 0] if found.maps else None)

    return localize


def _guesses(names: Sequence[str] | None, *of_classes: np.ndarray) -> list[Guess]:
    return [
        Guess(int(class_id), names[class_id] if names else None, float(score), box, bool(stand_in))
        for class_id, score, box, stand_in in zip(*of_classes, strict=True)
    ]


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
    first, *others = (_described(guess, size) for guess in found.guesses)
    line = {"file": str(path), **first, "size": {"height": size[0], "width": size[1]}}
    return line | ({"next": others} if others else {})


def _described(guess: Guess, size: tuple[int, int]) -> dict:
    described = {
        "class_id": guess.class_id,
        "class": guess.class_name,
        "score": round(guess.score, 4),
        "box": [round(float(side), 5) for side in guess.box],
        "box_pixels": [
            round(float(side), 1) for side in box_geometry.xyxy_to_pixels(guess.box, size)[0]
        ],
    }
    return described | ({"box_is_stand_in": True} if guess.is_stand_in else {})


def _overlay(pixels: np.ndarray, found: Finding) -> np.ndarray:
    """Map and box; the way from the map to the segmentation; or the boxes of several classes."""
    boxes = np.array([guess.box for guess in found.guesses])
    if len(boxes) > 1:
        labels = [f"{rank} {_label(guess)}" for rank, guess in enumerate(found.guesses, 1)]
        return pictures.draw_labelled_boxes(pixels, boxes, labels)
    if found.map is not None and found.cut is not None:
        cut = found.cut
        return sheets.four_panels(pixels, found.map, cut.seeds, cut.mask, cut.box)
    picture = pixels if found.map is None else pictures.overlay(pixels, found.map)
    return pictures.draw_boxes(picture, boxes, pictures.PREDICTION)


def _label(guess: Guess) -> str:
    name = guess.class_name or f"class {guess.class_id}"
    return f"{illustrations.display_name(name)} {guess.score:.1f}"
