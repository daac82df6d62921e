"""The same work for many things, in threads, with progress and in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Given = TypeVar("Given")
Found = TypeVar("Found")


def in_threads(
    work: Callable[[Given], Found], given: Sequence[Given], description: str
) -> Iterator[Found]:
    """What some work gives for each of many things, in their order.

    Args:
        work: what threads do side by side; worth it where it is OpenCV, NumPy or waiting.
        given: what it is done for.
        description: what the progress bar says.

    >>> list(in_threads(abs, [-1, 2], "Sizes"))
    [1, 2]
    """
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        yield from tqdm(
            workers.map(work, given), total=len(given), desc=description, unit="image", disable=None
        )
