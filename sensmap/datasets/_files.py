"""What the sources share about files: folders that must be there, images, lines of text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp"))


def given_root(root: str | os.PathLike | None, source: str, expected: str) -> Path:
    """The folder (or file) that holds a data set.

    Args:
        root: what the user gave.
        source: name of the source, for the message.
        expected: what should be there, for the message.

    Raises:
        FileNotFoundError: if nothing was given, or nothing is there.
    """
    if root is None:
        raise FileNotFoundError(f"{source}: no root was given; pass the path of {expected}.")
    path = Path(root).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{source}: there is no {path}; expected {expected}.")
    return path


def required(path: Path, source: str, holding: str) -> Path:
    """The path, which must exist; the message says what it should have held."""
    if not path.exists():
        raise FileNotFoundError(f"{source}: there is no {path}; expected {holding} there.")
    return path


def is_image(path: str | os.PathLike) -> bool:
    """Whether the name ends like an image's.

    >>> is_image("photo.JPEG"), is_image("photo.xml")
    (True, False)
    """
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def files_below(folder: Path) -> Iterator[str]:
    """Files in a folder and its subfolders, relative to it, with ``/``, in sorted order.

    Hidden files and folders (``.DS_Store``, ``.git``) are left out.
    """
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(parent).relative_to(folder)
        for name in sorted(name for name in files if not name.startswith(".")):
            yield (inside / name).as_posix()


def lines_of(path: Path, source: str, holding: str) -> list[str]:
    """The lines of a text file that must exist, without line ends and empty lines."""
    try:
        text = required(path, source, holding).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: {path} is not UTF-8 text: {error}.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
