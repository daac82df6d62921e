"""PASCAL VOC annotation files, which ILSVRC and many tools write too.

The convention of the corners differs between those who write them (VOC counts pixels from one,
ILSVRC from zero), so the numbers stay as they are here and each source names its conversion.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from defusedxml import ElementTree

from sensmap.datasets._base import ExampleError, usable_boxes
from sensmap.datasets._image_header import Header, turned

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What one XML file says.

    Attributes:
        filename: the image that it names, which is often wrong; "" if none.
        size: ``(height, width)`` in pixels, or None where it is missing or zero.
        names: class name of each object.
        corners: ``(n, 4)`` float64 pixels, ``xmin, ymin, xmax, ymax`` as in the file.
        difficult: ``(n,)`` bool.
    """

    filename: str
    size: tuple[int, int] | None
    names: tuple[str, ...]
    corners: np.ndarray
    difficult: np.ndarray


def read(path: Path) -> Annotation:
    """Reads an annotation; XML that defines entities is refused.

    Raises:
        ExampleError: if the file is missing, malformed or lacks what an object needs.
    """
    try:
        root = ElementTree.parse(str(path)).getroot()
    except FileNotFoundError:
        raise ExampleError(f"{path}: there is no such annotation.") from None
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise ExampleError(f"{path}: the XML cannot be read: {error}") from None
    objects = root.findall("object")  # direct children only: the parts of a person are not objects
    names = tuple((item.findtext("name") or "").strip() for item in objects)
    if "" in names:
        raise ExampleError(f"{path}: object {names.index('') + 1} has no name.")
    corners = [
        [_number(path, item.findtext(f"bndbox/{corner}"), corner) for corner in _CORNERS]
        for item in objects
    ]
    height, width = (_side(root.findtext(f"size/{side}")) for side in ("height", "width"))
    return Annotation(
        filename=(root.findtext("filename") or "").strip(),
        size=(height, width) if height > 0 and width > 0 else None,
        names=names,
        corners=np.array(corners, np.float64).reshape(-1, 4),
        difficult=np.array([(i.findtext("difficult") or "").strip() == "1" for i in objects], bool),
    )


def place(
    annotation: Annotation, labels: np.ndarray, header: Header, to_xyxy: Callable[..., np.ndarray]
) -> dict:
    """Boxes relative to the upright image: the fields ``boxes, box_labels, size, dropped``.

    Boxes refer to the image in the size that the XML states, whatever the file's size is now
    (ILSVRC is often handed on shrunk); the file's own size counts only where the XML states none.
    Where the stated size is that of the raster before the turn by 90 degrees that EXIF asks for,
    the boxes were drawn on the unturned raster and are turned with it.

    Args:
        annotation: what the XML says.
        labels: ``(n,)`` class id of each object.
        header: of the image file.
        to_xyxy: the file's convention, such as `sensmap.boxes.voc_to_xyxy`.
    """
    size = annotation.size or header.size
    boxes, kept, dropped = usable_boxes(
        annotation.corners, labels, functools.partial(to_xyxy, size=size)
    )
    if size != header.size and size == header.stored_size:
        boxes, size = turned(boxes, header.orientation), header.size
    return {"boxes": boxes, "box_labels": kept, "size": size, "dropped": dropped}


def _number(path: Path, text: str | None, corner: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise ExampleError(f"{path}: a box's {corner} must be a number; found {text!r}.") from None


def _side(text: str | None) -> int:
    """A stated side in pixels; 0 where it makes no sense."""
    try:
        return int(float(text or ""))
    except (ValueError, OverflowError):
        return 0
