"""Finds what can be chosen by name: a package's modules are its choices.

``sensmap/maps/gradient.py`` is the map method ``gradient``; adding a file adds a choice, in every
binary and in the contract tests. What a module must offer stands in its package's docstring.
"""

from __future__ import annotations

import importlib.util
import pkgutil
from types import ModuleType


def names(package: str) -> tuple[str, ...]:
    """The names that can be chosen in a package, sorted; modules with a leading underscore
    are helpers and not choices.

    >>> "corloc" in names("sensmap.metrics")
    True
    """
    # Found without importing the package, so that a binary's --help need not start TensorFlow.
    spec = importlib.util.find_spec(package)
    path = spec.submodule_search_locations if spec else None
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(path) if module.name[0] != "_")
    )


def find(package: str, name: str) -> ModuleType:
    """The module of that name in a package.

    Args:
        package: dotted name of the package, such as ``"sensmap.maps"``.
        name: the choice, such as ``"gradient"``.

    Raises:
        ValueError: for an unknown name, with the list of those that exist.

    >>> find("sensmap.metrics", "corloc").__name__
    'sensmap.metrics.corloc'
    """
    known = names(package)
    if name not in known:
        kind = package.rpartition(".")[2]
        raise ValueError(
            f"There is no {name!r} among the {kind}; choose one of {', '.join(known)}."
        )
    return importlib.import_module(f"{package}.{name}")
