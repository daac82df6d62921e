"""What a store was made from, and how: all that the numbers in it depend on."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from sensmap import files, splits
from sensmap.datasets import Dataset
from sensmap.pipeline import Extractor

FILE = "manifest.json"
FORMAT = 1


def describe(
    extractor: Extractor, dataset: Dataset, class_of: str | int, shard_size: int, batch_size: int
) -> dict[str, Any]:
    """What must be the same for a run to go on with a store; as JSON gives it back."""
    classes = hashlib.sha256("\n".join(dataset.classes).encode()).hexdigest()
    return json.loads(
        json.dumps(
            {
                "format": FORMAT,
                "data": {
                    "name": dataset.name,
                    "images": len(dataset),
                    "ids_sha256": splits.ids_sha256(dataset.ids),
                    "classes_sha256": classes,
                },
                "class_of": str(class_of),
                "top_k": extractor.top_k,
                "classifier": extractor.method.classifier.config,
                "maps": extractor.method.config,
                "features": extractor.feature_name,
                "readers": {name: each.get_params() for name, each in extractor.readers.items()},
                "batch_size": batch_size,
                "shard_size": shard_size,
                "shards": -(-len(dataset) // shard_size),
                # XLA rounds otherwise.
                **({"jit_compile": True} if extractor.jit_compile else {}),
            }
        )
    )


def information(extractor: Extractor) -> dict[str, Any]:
    """What is recorded besides: how many numbers a class has in a row, and the versions.

    It takes the trace of the extractor's graph.
    """
    table = extractor.compiled.get_concrete_function().structured_outputs[2]
    sizes = {name: each.size for name, each in extractor.readers.items()}
    return {"numbers": {"features": table.shape[2], "readings": sizes}, "versions": versions()}


def versions() -> dict[str, str]:
    """Of what computes the features."""
    found = {"tensorflow": tf.__version__, "numpy": np.__version__}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["sensmap"] = importlib.metadata.version("sensmap")
    return found


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """What of two descriptions differs, key by key; where a classifier's file lies does not count.

    >>> differences({"maps": {"name": "cam"}, "top_k": 0}, {"maps": {"name": "cam"}, "top_k": 5})
    ['top_k: stored 0, given 5']
    """
    old, new = _counted(stored), _counted(given)
    return [
        f"{key}: stored {old.get(key, 'nothing')}, given {new.get(key, 'nothing')}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]


def identity(stored: Mapping[str, Any]) -> str:
    """A short hash of what `differences` compares, by which a shard says whose it is.

    >>> identity({"top_k": 0, "versions": {"numpy": "2.0"}}) == identity({"top_k": 0})
    True
    """
    text = json.dumps(_counted(stored), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a store.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or of another format.
    """
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no feature store in {folder}: it has no {FILE}. train/features.py makes one."
        )
    found = files.read_json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"{path} does not describe a feature store of format {FORMAT}.")
    return found


def _counted(described: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers depend on, but for versions, which may be put together."""
    told = ("numbers.", "versions.", "classifier.source")
    return {key: each for key, each in _leaves(described) if not key.startswith(told)}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, each in value.items():
        if isinstance(each, Mapping):
            found += _leaves(each, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", each))
    return found
