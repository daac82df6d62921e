"""Data sets by what is said of them in words and numbers, whole or a part of a random split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensmap import datasets, splits
from sensmap.datasets import Dataset

PARTS = ("train", "validation", "test")


def open_dataset(
    name: str,
    root: str | None = None,
    split: str | None = None,
    options: Mapping[str, Any] | None = None,
    part: str = "all",
    fractions: Sequence[float] = (0.75, 0.125, 0.125),
    seed: int = 0,
) -> Dataset:
    """A data set, or a part of a random split of it.

    Args:
        name, root, split: as of `sensmap.datasets.load`.
        options: what that data set takes besides.
        part: ``"all"``, or one of `PARTS`.
        fractions, seed: of the parts, as of `sensmap.splits.split`.

    Raises:
        ValueError, FileNotFoundError: as of `sensmap.datasets.load`.

    >>> len(open_dataset("digits", options={"count": 16}, part="train"))
    12
    """
    options = options or {}
    try:
        found = datasets.load(name, root, split, **options)
    except TypeError as error:
        given = ", ".join(f"{key}={value}" for key, value in options.items())
        raise ValueError(f"{name} cannot use the options {given} ({error}).") from error
    if part == "all":
        return found
    parts = splits.split(len(found), tuple(fractions), seed)
    return found.select(parts[PARTS.index(part)])
