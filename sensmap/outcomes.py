"""What an evaluation found for each image, so that two runs can be compared image by image.

A JSON lines file, one line an image:

    {"id": "a", "truths": [[0.1, 0.2, 0.7, 0.9]], "methods": {"GraphCut": {"box": [0.1, 0.2, 0.6,
    0.9], "iou": 0.83, "top1": true, "top5": true}}}

Boxes are xyxy, relative. ``iou`` is null exactly where the image has no true box, so that it
cannot be scored; ``top1`` and ``top5``, whether class and box are right among the first one or five
guesses, are null there too, and everywhere for a method without such guesses. Every line has the
same methods.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import files

# What the file is called in the folder of an evaluation.
FILE = "outcomes.jsonl"

_OF_IMAGE = ("id", "truths", "methods")
_OF_METHOD = ("box", "iou", "top1", "top5")
_GUESSES = ("top1", "top5")


@dataclasses.dataclass(frozen=True, eq=False)
class MethodOutcomes:
    """What one method found.

    Attributes:
        boxes: ``(N, 4)`` float32 xyxy, relative.
        ious: ``(N,)`` float64 of 0 to 1, with the true box that fits best; NaN without one.
        top1: ``(N,)`` bool, whether the first guess has the right class and box; False for an
            image without a true box; None for a method without guesses.
        top5: the same of any of five guesses; None for a method with fewer.
    """

    boxes: np.ndarray
    ious: np.ndarray
    top1: np.ndarray | None = None
    top5: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Outcomes:
    """What the methods of one run found, image by image.

    Attributes:
        ids: of the images; each once.
        truths: for each image its ``(n, 4)`` float32 true boxes, xyxy, relative, valid.
        methods: by their names, in the order of the run.

    Raises:
        ValueError: if these do not fit together, in one line.

    >>> found = MethodOutcomes(np.array([[0, 0, 0.5, 1]], np.float32), np.array([0.5]))
    >>> Outcomes(("a",), (np.array([[0, 0, 1, 1]], np.float32),), {"half": found}).scored
    array([ True])
    """

    ids: tuple[str, ...]
    truths: tuple[np.ndarray, ...]
    methods: Mapping[str, MethodOutcomes]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in self.ids:
            if not isinstance(name, str) or not name:
                raise ValueError(f"An id is a word; received {name!r}.")
            if name in seen:
                raise ValueError(f"The image {name!r} stands twice; ids must be unique.")
            seen.add(name)
        count = len(self.ids)
        if not count or not self.methods or len(self.truths) != count:
            raise ValueError(
                "Outcomes are of one image or more, with true boxes for each, by one method or "
                f"more; received {count} ids, {len(self.truths)} sets of true boxes and "
                f"{len(self.methods)} methods."
            )
        for name, truth in zip(self.ids, self.truths, strict=True):
            if len(box_geometry.as_boxes(truth)) and not _inside(truth):
                raise ValueError(f"The image {name!r} has a true box that is not a valid one.")
        for method, found in self.methods.items():
            _check(method, found, self.scored)

    @property
    def scored(self) -> np.ndarray:
        """``(N,)`` bool, the images with a true box."""
        return np.array([len(truth) > 0 for truth in self.truths], bool)


def write(path: str | os.PathLike, outcomes: Outcomes) -> None:
    """Writes a JSON lines file, whole or not at all; `read` gives the same numbers again.

    Raises:
        OSError: if it cannot be written, in one line.

    >>> import tempfile
    >>> found = MethodOutcomes(np.array([[0, 0, 0.3, 1]], np.float32), np.array([np.nan]))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write(Path(place, FILE), Outcomes(("a",), (np.zeros((0, 4)),), {"third": found}))
    ...     print(Path(place, FILE).read_text(), end="")
    ...     read(Path(place, FILE)).ids
    {"id": "a", "truths": [], "methods": {"third": {"box": [0.0, 0.0, 0.3, 1.0], "iou": null,
    "top1": null, "top5": null}}}
    ('a',)
    """
    scored = outcomes.scored
    lines = []
    for place, name in enumerate(outcomes.ids):
        of_methods = {}
        for method, found in outcomes.methods.items():
            guesses = (getattr(found, each) for each in _GUESSES)
            of_methods[method] = {
                "box": _sides(found.boxes[place]),
                "iou": float(found.ious[place]) if scored[place] else None,
                **{
                    key: bool(each[place]) if each is not None and scored[place] else None
                    for key, each in zip(_GUESSES, guesses, strict=True)
                },
            }
        truths = [_sides(box) for box in outcomes.truths[place]]
        lines.append(json.dumps({"id": name, "truths": truths, "methods": of_methods}))
    files.write_text(path, "\n".join(lines) + "\n")


def read(path: str | os.PathLike) -> Outcomes:
    """Reads what `write` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for anything else than such lines, with the number of the first one that is
            not.
    """
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file of outcomes.") from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise ValueError(f"{path}: outcomes are a text in UTF-8, one line an image.") from None
    if not text.strip():
        raise ValueError(f"{path}: holds no image.")
    rows: list[dict] = []
    seen: set[str] = set()
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        try:
            row = _parsed(line)
            if row["id"] in seen:
                raise ValueError(f"the image {row['id']!r} stands twice")
            seen.add(row["id"])
            if rows and list(row["methods"]) != list(rows[0]["methods"]):
                raise ValueError(
                    f"its methods are {_listed(row['methods'])}, those of the first line "
                    f"{_listed(rows[0]['methods'])}"
                )
        except (ValueError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else f"not valid JSON ({error})"
            raise ValueError(f"{path}, line {number}: {reason}.") from None
        rows.append(row)
    scored = np.array([len(row["truths"]) > 0 for row in rows], bool)
    methods = {}
    for method in rows[0]["methods"]:
        found = [row["methods"][method] for row in rows]
        methods[method] = MethodOutcomes(
            np.array([each["box"] for each in found], np.float32),
            np.array([np.nan if each["iou"] is None else each["iou"] for each in found]),
            *(
                _column(path, method, key, [each[key] for each in found], scored)
                for key in _GUESSES
            ),
        )
    truths = tuple(box_geometry.as_boxes(row["truths"]) for row in rows)
    try:
        return Outcomes(tuple(row["id"] for row in rows), truths, methods)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _check(method: str, found: MethodOutcomes, scored: np.ndarray) -> None:
    """Refuses what cannot be the outcomes of a method on these images."""
    count = len(scored)
    if np.shape(found.boxes) != (count, 4) or not np.isfinite(found.boxes).all():
        raise ValueError(
            f"The method {method!r} has one box of four finite numbers for each of {count} "
            f"images; received the shape {np.shape(found.boxes)}, or other numbers."
        )
    ious = np.asarray(found.ious, np.float64)
    fits = ious.shape == (count,) and (np.isnan(ious) != scored).all()
    if not fits or not ((ious[scored] >= 0) & (ious[scored] <= 1)).all():
        raise ValueError(
            f"The method {method!r} has an IoU of 0 to 1 for each image with a true box, and NaN "
            "for each without; received others."
        )
    for key in _GUESSES:
        of_images = getattr(found, key)
        if of_images is None:
            continue
        if np.shape(of_images) != (count,) or np.asarray(of_images).dtype != bool:
            raise ValueError(
                f"{key} of the method {method!r} is {count} times true or false, or None; "
                f"received {np.shape(of_images)} of the type {np.asarray(of_images).dtype}."
            )
        if np.asarray(of_images)[~scored].any():
            raise ValueError(
                f"{key} of the method {method!r} is true for an image without a true box."
            )


def _parsed(line: str) -> dict:
    """One line, if it is of this form; `Outcomes` checks the numbers."""
    row = json.loads(line, parse_constant=_refuse_constant, object_pairs_hook=_once)
    _check_keys(row, _OF_IMAGE, "a line")
    if not isinstance(row["id"], str) or not row["id"]:
        raise ValueError(f"an id is a word; received {row['id']!r}")
    truths, methods = row["truths"], row["methods"]
    if not isinstance(truths, list) or not all(_is_box(box) and _inside(box) for box in truths):
        raise ValueError(
            "truths are a list of boxes [x0, y0, x1, y1] of 0 to 1, with an area; "
            f"received {_shortened(truths)}"
        )
    if not isinstance(methods, dict) or not methods:
        raise ValueError(f"methods are one or more by their names; received {_shortened(methods)}")
    for method, found in methods.items():
        _check_keys(found, _OF_METHOD, f"the method {method!r}")
        if not _is_box(found["box"]):
            raise ValueError(
                f"the box of {method!r} is four numbers; received {_shortened(found['box'])}"
            )
        iou = found["iou"]
        if (iou is None) != (not truths) or not (
            iou is None or (_is_number(iou) and 0 <= iou <= 1)
        ):
            raise ValueError(
                f"the iou of {method!r} is a number from 0 to 1, or null without a true box; "
                f"received {_shortened(iou)} with {len(truths)} true boxes"
            )
        for key in _GUESSES:
            if not (found[key] is None or isinstance(found[key], bool)):
                raise ValueError(
                    f"{key} of {method!r} is true, false or null; received {_shortened(found[key])}"
                )
            if found[key] and not truths:
                raise ValueError(f"{key} of {method!r} is true without a true box")
    return row


def _column(
    path: str | os.PathLike, method: str, key: str, found: Sequence, scored: np.ndarray
) -> np.ndarray | None:
    """Of all images, or None where the method has no such guesses."""
    given = [each for each, keep in zip(found, scored, strict=True) if keep]
    if all(each is None for each in given):
        return None
    if any(each is None for each in given):
        raise ValueError(
            f"{path}: {key} of {method!r} is null for some images with a true box and not for "
            "others; it is for all or for none."
        )
    return np.array([bool(each) for each in found])


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ; Python would quietly keep the last of the same."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in names if names.count(key) > 1)!r} stands twice")
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _check_keys(value: Any, keys: Sequence[str], what: str) -> None:
    if not isinstance(value, dict) or set(value) != set(keys):
        raise ValueError(
            f"{what} is a JSON object of {', '.join(keys)}; received "
            f"{_listed(value) if isinstance(value, dict) else _shortened(value)}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _inside(boxes: Any) -> bool:
    """Whether all are boxes within the image with an area."""
    sides = box_geometry.as_boxes(boxes)
    return bool(box_geometry.is_valid(sides).all() and ((sides >= 0) & (sides <= 1)).all())


def _sides(box: np.ndarray) -> list[float]:
    """As short as float32 can be told apart: 0.3 and not 0.30000001192092896."""
    return [float(str(side)) for side in np.asarray(box, np.float32)]


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed(names: Mapping) -> str:
    return ", ".join(map(repr, names)) or "nothing"
