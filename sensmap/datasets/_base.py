"""What every source of images yields, and how a source is found by its name."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import registry

# An image is named by its file, or held: encoded (bytes) or decoded (uint8, (H, W, 3), RGB).
ImageSource = Path | bytes | np.ndarray


class ExampleError(ValueError):
    """An example whose image or annotation cannot be used: skipped, counted and named."""


@dataclasses.dataclass(frozen=True)
class Example:
    """One image and what is known about it.

    Attributes:
        id: unique within the data set.
        image: the file, the encoded bytes or the decoded pixels; `sensmap.images.load` reads all.
        labels: class ids of the image, indices into the data set's ``classes``; may be empty.
        boxes: ``(n, 4)`` float32 xyxy, relative to the original image. Always valid boxes;
            what a file says beyond the image's border is cut off.
        box_labels: ``(n,)`` int32, the class id of each box.
        size: ``(height, width)`` of the original image in pixels, or None where only decoding
            the image would tell.
        mask: file of the segmentation mask, or None.
        dropped: what the annotation says but cannot be used (a box that is inverted, empty or
            outside the image), and why: lines for a person. The rest of the example stands.
    """

    id: str
    image: ImageSource
    labels: tuple[int, ...] = ()
    boxes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 4), np.float32))
    box_labels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
    size: tuple[int, int] | None = None
    mask: Path | None = None
    dropped: tuple[str, ...] = ()

    def boxes_of(self, label: int) -> np.ndarray:
        """The boxes of one class, ``(k, 4)`` float32 xyxy."""
        return self.boxes[self.box_labels == label]


class Dataset:
    """A sequence of examples that are read one by one, when they are asked for.

    Args:
        name: what to call it in reports.
        classes: the class names; an example's labels are indices into it. A WordNet id, where
            there is one, is the first word of the name (``"n01440764 tench, Tinca tinca"``).
        ids: the id of each example; ids must be unique, so that no image is in two parts.
        read: gives the example at a position, or raises `ExampleError`; called each time the
            example is asked for, from one thread, mostly in ascending order.
        skipped: what the source holds but cannot be used, and why: lines for a person.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        ids: Sequence[str],
        read: Callable[[int], Example],
        skipped: Sequence[str] = (),
    ):
        if len(set(ids)) != len(ids):
            seen: set[str] = set()
            twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise ValueError(f"{name}: the image id {twice!r} stands twice; ids must be unique.")
        self.name = name
        self.classes = tuple(classes)
        self.ids = tuple(ids)
        self.skipped = tuple(skipped)
        self._read = read

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> Example:
        return self._read(range(len(self.ids))[position])

    def __iter__(self) -> Iterator[Example]:
        # A map, not a generator: after an ExampleError the next call goes on with the next one.
        return map(self._read, range(len(self.ids)))

    def select(self, positions: Sequence[int] | np.ndarray) -> Dataset:
        """The data set of the examples at these positions, in this order."""
        chosen = [range(len(self.ids))[int(position)] for position in positions]
        return Dataset(
            self.name,
            self.classes,
            [self.ids[position] for position in chosen],
            lambda position: self._read(chosen[position]),
            self.skipped,
        )


def usable_boxes(
    corners: np.ndarray, labels: np.ndarray, to_xyxy: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Converts a file's boxes, cuts them off at the border and leaves out those without area.

    Args:
        corners: ``(n, 4)`` numbers as they stand in the file.
        labels: ``(n,)`` class id of each.
        to_xyxy: from the file's convention to relative xyxy.

    Returns:
        ``(k, 4)`` float32 xyxy, ``(k,)`` int32 class ids, and a line for each box left out.

    >>> corners = np.array([[0, 0, 5, 20], [8, 0, 2, 10]])
    >>> boxes, labels, dropped = usable_boxes(corners, np.array([3, 4]), lambda c: c / 10)
    >>> boxes.tolist(), labels.tolist(), dropped
    ([[0.0, 0.0, 0.5, 1.0]], [3], ('box (8, 0, 2, 10) is empty, inverted or outside the image',))
    """
    with np.errstate(over="ignore"):  # numbers beyond float32 become inf, which is not valid
        boxes = box_geometry.as_boxes(to_xyxy(corners))
    keep = box_geometry.is_valid(boxes)
    dropped = tuple(
        f"box ({', '.join(f'{value:g}' for value in box)}) is empty, inverted or outside the image"
        for box in corners[~keep]
    )
    return box_geometry.clip(boxes[keep]), np.asarray(labels, np.int32)[keep], dropped


def load(name: str, root: str | None = None, split: str | None = None, **options) -> Dataset:
    """Opens a data set by its name.

    Args:
        name: a module of `sensmap.datasets`, or ``tfds:<builder name>``.
        root: the folder (or file) that holds it; None for embedded ones.
        split: the part, by the data set's own names, where it has parts; None for its default.
        **options: what this source takes besides.

    Raises:
        ValueError: for an unknown name, or what the source finds wrong.
        FileNotFoundError: where ``root`` lacks what the source needs.

    >>> digits = load("digits", split="train", count=4)
    >>> digits[0].boxes.shape
    (1, 4)
    """
    name, _, builder = name.partition(":")
    if builder:
        options["builder"] = builder
    source = registry.find("sensmap.datasets", name).load
    known = list(inspect.signature(source).parameters)[2:]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"The data set {name!r} has no option {unknown[0]!r}; "
            f"it takes {', '.join(known) or 'none'}."
        )
    return source(root, split, **options)
