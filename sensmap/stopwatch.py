"""Where the time goes, stage by stage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Adds up the seconds of each stage.

    Attributes:
        seconds: by the name of a stage, in the order in which they first began.

    >>> watch = Stopwatch()
    >>> with watch.stage("maps"):
    ...     pass
    >>> list(watch.seconds)
    ['maps']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what is done inside to a stage."""
        self.seconds.setdefault(name, 0.0)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began
