"""One writer at a time, told by a lock that the kernel gives back when its process dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

# It stays, empty: were it removed, two processes could each hold a lock of that name.
FILE = "lock"


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder while the block runs.

    Args:
        folder: which exists.

    Raises:
        BlockingIOError: if another process holds it, in one line.
    """
    descriptor = os.open(folder / FILE, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"{folder}: another process is writing this feature store; "
                "wait until it has ended, or choose another folder."
            ) from None
        yield
    finally:
        os.close(descriptor)
