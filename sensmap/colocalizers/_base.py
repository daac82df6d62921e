"""What co-localizers share: how they are found, and which images belong together."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sensmap import boxes as box_geometry
from sensmap import registry
from sensmap.datasets import Example


def create(name: str, **options) -> Any:
    """The co-localizer of that name.

    Args:
        name: a module of `sensmap.colocalizers`, such as ``"ddt"``.
        **options: what it takes; ``classifier`` where it needs one.

    Raises:
        ValueError: for an unknown name or option, or a missing or needless classifier.
    """
    make = registry.find("sensmap.colocalizers", name).create
    if make.needs_classifier and options.get("classifier") is None:
        raise ValueError(f"The co-localizer {name!r} reads images by a classifier; give one.")
    known = list(inspect.signature(make).parameters)
    if unknown := sorted(set(options) - set(known)):
        taken = [each for each in known if each != "classifier"]
        raise ValueError(
            f"The co-localizer {name!r} has no option {unknown[0]!r}; "
            f"it takes {', '.join(taken) or 'none'}."
        )
    return make(**options)


class CoLocalizer:
    """Base of the co-localizers; a subclass gives `locate`."""

    title: str
    needs_classifier = False

    def boxes(
        self, examples: Sequence[Example], labels: ArrayLike, description: str | None = None
    ) -> np.ndarray:
        """A box for each example.

        Args:
            examples: the images; ids must be unique.
            labels: ``(N,)`` whole numbers, the class of each; below 0 for a class of its own.
            description: what the progress bar says; the title by default.

        Returns:
            ``(N, 4)`` float32 xyxy, relative, valid.

        Raises:
            ExampleError: for an image that cannot be read, with its id.
            ValueError: if the labels do not fit, or an id stands twice.
        """
        classes = by_class(examples, labels)
        in_order = [[examples[position] for position in members] for members in classes]
        found = np.zeros((len(examples), 4), np.float32)
        with contextlib.closing(self.locate(in_order, description or self.title)) as located:
            for members, boxes in zip(classes, located, strict=True):
                found[members] = boxes
        return box_geometry.make_valid(found)

    def locate(
        self, classes: Sequence[Sequence[Example]], description: str
    ) -> Generator[np.ndarray]:
        """The boxes of the images of each class, ``(n, 4)`` xyxy."""
        raise TypeError(f"{type(self).__name__} is a co-localizer without `locate`.")


def needs_classifier(name: str) -> bool:
    """Whether the co-localizer of that name reads images by a classifier.

    >>> needs_classifier("ddt")
    True
    """
    return registry.find("sensmap.colocalizers", name).create.needs_classifier


def by_class(examples: Sequence[Example], labels: ArrayLike) -> list[np.ndarray]:
    """The positions of the examples of each class, sorted by their ids.

    Args:
        examples: the images; ids must be unique.
        labels: ``(N,)`` whole numbers, the class of each; below 0 for a class of its own.

    Returns:
        For each class ``(n,)`` int64, the class with the first id first: whatever order the
        examples are in, a co-localizer that goes by this one adds the same numbers in the same
        order, and gives the same bytes.

    Raises:
        ValueError: if the counts differ, labels are no whole numbers, or an id stands twice.

    >>> examples = [Example(each, b"") for each in "dbca"]
    >>> [each.tolist() for each in by_class(examples, [7, -1, 7, -1])]
    [[3], [1], [2, 0]]
    """
    of = np.asarray(labels)
    if of.shape != (len(examples),) or (of.size and of.dtype.kind not in "iu"):
        raise ValueError(
            f"Labels must be {len(examples)} whole numbers, one an image; "
            f"received the shape {of.shape} and type {of.dtype}."
        )
    groups: dict[Any, list[int]] = {}
    before = None
    for position in sorted(range(len(examples)), key=lambda position: examples[position].id):
        name, label = examples[position].id, int(of[position])
        if name == before:
            raise ValueError(f"The image id {name!r} stands twice; ids must be unique.")
        before = name
        groups.setdefault(name if label < 0 else label, []).append(position)
    return [np.array(members, np.int64) for members in groups.values()]
