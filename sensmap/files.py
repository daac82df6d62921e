"""Outputs appear whole or not at all.

A file or folder is written beside its place under a temporary name, brought safely to the disk,
and then renamed, which the file system does at once. Whoever sees the name sees all of it; when
the disk fills or the program is stopped, nothing is left behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def output_folder(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """A folder to write into, which appears under its name when the block ends well.

    Args:
        path: the folder to make; parents are made as needed.
        overwrite: replace a folder that is there, as a whole.

    Yields:
        The temporary folder to write into, beside ``path``.

    Raises:
        FileExistsError: if something is there that must not be replaced; before anything is
            written.
        OSError: if it cannot be written, in one line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with output_folder(Path(place, "run")) as folder:
    ...         write_json(folder / "metrics.json", {"corloc": 70.5})
    ...     read_json(Path(place, "run", "metrics.json"))
    {'corloc': 70.5}
    """
    target = Path(os.path.abspath(path))
    if target.is_dir():
        if any(target.iterdir()) and not overwrite:
            raise FileExistsError(
                f"The output folder {path} exists and is not empty; "
                "choose another one, or allow it to be overwritten."
            )
    elif target.exists():
        raise FileExistsError(f"The output folder {path} cannot be made: a file is in its place.")
    work = _beside(target)
    try:
        with _one_line(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            work.mkdir()
        with _one_line(path, only=_DISK_FULL):  # other errors are the block's own
            yield work
        with _one_line(path):
            _sync_tree(work)
            _put_in_place(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file, whole or not at all; one that is there is replaced.

    Raises:
        OSError: if it cannot be written, in one line.
    """
    target = Path(os.path.abspath(path))
    if target.exists() and not target.is_file():
        raise FileExistsError(f"The file {path} cannot be written: a folder is in its place.")
    work = _beside(target)
    with _one_line(path):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(work, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(work, target)
            sync(target.parent)
        finally:
            work.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text in UTF-8 as `write_bytes` writes bytes."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes JSON for people and programs: indented, in the order given, numbers finite.

    Args:
        path: the file.
        value: what JSON can hold; NumPy numbers and arrays and paths are converted.

    Raises:
        ValueError: for NaN, infinity, or what JSON cannot hold; nothing is written.
        OSError: if it cannot be written, in one line.
    """
    try:
        text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be written as JSON: {error}") from error
    write_text(path, text + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is not JSON, with the place of the fault.
    """
    try:
        return json.loads(Path(path).read_text("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file.") from None
    except ValueError as error:  # faulty JSON and faulty UTF-8 alike
        raise ValueError(f"{path}: not a valid JSON file ({error}).") from None


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")


@contextlib.contextmanager
def _one_line(path: str | os.PathLike, only: tuple[int, ...] | None = None) -> Iterator[None]:
    """Says in one line what could not be written, why, and that nothing was."""
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        reason = error.strerror or str(error)
        raise OSError(f"{path}: cannot be written ({reason}); nothing was left behind.") from error


def _put_in_place(work: Path, target: Path) -> None:
    if target.exists():
        old = _beside(target)
        os.rename(target, old)
        try:
            os.rename(work, target)
        except OSError:
            os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(work, target)
    sync(target.parent)


def _sync_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


def sync(path: str | os.PathLike) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"there is no JSON for {type(value).__name__}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
