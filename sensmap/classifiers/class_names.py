"""What classes are called, and which classes of a data set a classifier knows."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sensmap import files

_WORDNET_ID = re.compile(r"n\d{8}")


def read(path: str | os.PathLike) -> tuple[str, ...]:
    """Reads a file of class names, in the order of the classes.

    Args:
        path: text with one class a line (``n01440764 tench, Tinca tinca``, or plain names), or
            ``.json`` with a list of such names.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is not such a file.
    """
    if Path(path).suffix.lower() == ".json":
        names = files.read_json(path)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{path}: class names in JSON must be one list of strings.")
    else:
        try:
            names = Path(path).read_text("utf-8-sig").rstrip().splitlines()
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: there is no such file of class names.") from None
        except (IsADirectoryError, UnicodeDecodeError):
            raise ValueError(f"{path}: class names must be a text in UTF-8.") from None
    names = [name.strip() for name in names]
    if not names or not all(names):
        line = names.index("") + 1 if names else 1
        raise ValueError(f"{path}: entry {line} holds no class name; each must hold one.")
    return tuple(names)


def class_key(name: str) -> str:
    """What makes two names the same class: the WordNet id in front, or else the whole name.

    >>> class_key("n01440764 tench, Tinca tinca"), class_key("Tabby Cat")
    ('n01440764', 'tabby cat')
    """
    words = name.split(maxsplit=1)
    if words and _WORDNET_ID.fullmatch(words[0]):
        return words[0]
    return " ".join(name.split()).lower()


def match_classes(dataset_classes: Sequence[str], classifier) -> np.ndarray:
    """Finds the classes of a data set among those of a classifier, by `class_key`.

    A name that two classes of the classifier share (ImageNet's two cranes, without their ids)
    matches neither, unless both lists are the same from end to end. Without names, the classes
    of a classifier are taken to be those of the data set if there are as many.

    Args:
        dataset_classes: the class names of the data set.
        classifier: what has ``class_names`` (or None) and ``num_classes``.

    Returns:
        ``(len(dataset_classes),)`` int32: the classifier's class ids, -1 for the unknown.

    Raises:
        ValueError: if no class matches, or there are no names and the counts differ.
    """
    count = len(dataset_classes)
    if classifier.class_names is None:
        if count == classifier.num_classes:
            return np.arange(count, dtype=np.int32)
        raise ValueError(
            f"The classifier has {classifier.num_classes} classes without names, the data set "
            f"has {count}: give the classifier's class names, so that they can be matched."
        )
    wanted = [class_key(name) for name in dataset_classes]
    known = [class_key(name) for name in classifier.class_names]
    if wanted == known:
        return np.arange(count, dtype=np.int32)
    ids: dict[str, int] = {}
    for number, key in enumerate(known):
        ids[key] = -1 if key in ids else number
    matched = np.array([ids.get(key, -1) for key in wanted], np.int32)
    if not (matched >= 0).any():
        raise ValueError(
            "The classifier knows no class of the data set. The data set's classes are like "
            f"{_examples(dataset_classes)}; the classifier's are like "
            f"{_examples(classifier.class_names)}."
        )
    return matched


class ClassIndex:
    """Finds a class by its number or by any of its names.

    Args:
        num_classes: how many classes there are.
        names: their names, or None. Of ``n01440764 tench, Tinca tinca`` the whole, the id, and
            each of the names between commas are understood, in any case of letters.

    >>> fish = ClassIndex(2, ["n01440764 tench, Tinca tinca", "n01443537 goldfish"])
    >>> fish.find("tench"), fish.find("N01443537"), fish.find(1), fish.find("0")
    (0, 1, 1, 0)
    """

    def __init__(self, num_classes: int, names: Sequence[str] | None):
        self._num_classes = num_classes
        self._has_names = names is not None
        self._ids: dict[str, list[int]] = {}
        for number, name in enumerate(names or ()):
            for alias in sorted(_aliases(name)):
                self._ids.setdefault(alias, []).append(number)

    def find(self, name_or_id: str | int) -> int:
        """The class id.

        Raises:
            ValueError: for a number out of range, a name that is unknown or that several
                classes share.
        """
        if isinstance(name_or_id, str):
            name = " ".join(name_or_id.split()).lower()
            found = self._ids.get(name, [])
            if len(found) == 1:
                return found[0]
            if found:
                raise ValueError(
                    f"Several classes are called {name_or_id!r}: {', '.join(map(str, found))}; "
                    "give the number, or the WordNet id."
                )
            if not re.fullmatch(r"-?\d+", name):
                raise ValueError(self._unknown(name_or_id, name))
            name_or_id = int(name)
        elif isinstance(name_or_id, bool) or not isinstance(name_or_id, int | np.integer):
            raise TypeError(f"A class is a number or a name; received {name_or_id!r}.")
        if not 0 <= name_or_id < self._num_classes:
            raise ValueError(
                f"There is no class {name_or_id}: the classifier has {self._num_classes} "
                f"classes, 0 to {self._num_classes - 1}."
            )
        return int(name_or_id)

    def _unknown(self, given: str, name: str) -> str:
        if not self._has_names:
            return (
                f"There is no class {given!r}: the classifier has no class names; give a number, "
                f"0 to {self._num_classes - 1}, or load it with class names."
            )
        close = difflib.get_close_matches(name, self._ids, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else "."
        return f"The classifier has no class {given!r}{hint}"


def _aliases(name: str) -> set[str]:
    plain = " ".join(name.split()).lower()
    aliases = {plain}
    if _WORDNET_ID.match(plain):
        wordnet_id, _, plain = plain.partition(" ")
        aliases |= {wordnet_id, plain}
    aliases |= {alias.strip() for alias in plain.split(",")}
    return aliases - {""}


def _examples(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:3])
