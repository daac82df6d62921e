"""What is to be done, in words and numbers: every process builds the same things from it.

Classifiers, data sets and compiled graphs do not go from machine to machine; a description that
JSON can hold does. Each process loads what it describes once, whichever of its threads asks first,
and refuses to work with a classifier, ids and classes of images, or versions other than those of
who described it; pixels are not compared.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sensmap import classifiers, compute, localizers, maps
from sensmap.classifiers import Preprocessing
from sensmap.dataset_parts import open_dataset
from sensmap.feature_store import Plan, manifest
from sensmap.pipeline import TRUTH, Extractor

_FIRST = threading.RLock()


class StoreJob(NamedTuple):
    """A feature store that is to be made.

    Attributes:
        folder: of the store.
        classifier: the arguments of `sensmap.classifiers.load`; its source under ``"source"``, the
            preprocessing by its name or as of `Preprocessing.to_config`.
        dataset: the arguments of `sensmap.dataset_parts.open_dataset`.
        maps: ``"name"`` and options of the map method.
        features: a module of `sensmap.features`, or None.
        readers: by their names the options of localizers that read maps on the host.
        top_k, class_of, shard_size, batch_size: as of `sensmap.feature_store.Plan`.
        versions: of what computes the features, where the job was described; others are refused.
        strategy, jit_compile: as of `sensmap.compute`.
    """

    folder: str
    classifier: Mapping[str, Any]
    dataset: Mapping[str, Any]
    maps: Mapping[str, Any]
    features: str | None = "quantiles"
    readers: Mapping[str, Mapping[str, Any]] = {}
    top_k: int = 0
    class_of: str | int = TRUTH
    shard_size: int = 1024
    batch_size: int = 32
    versions: Mapping[str, str] = {}
    strategy: str = "none"
    jit_compile: bool = False

    @property
    def text(self) -> str:
        """The job in one line of JSON; `StoreJob.of` reads it."""
        return json.dumps(self._asdict(), sort_keys=True)

    @classmethod
    def of(cls, text: str) -> StoreJob:
        """The job of that `text`."""
        return cls(**json.loads(text))

    def plan(self) -> Plan:
        """The store by what is described; the same one at each call in a process.

        Raises:
            ValueError, OSError: for what cannot be loaded, and as of `sensmap.feature_store.Plan`.
        """
        with _FIRST:
            return _plan(self.text)

    def joined(self) -> Plan:
        """The store by what is described, for a process that takes part in making it.

        Raises:
            ValueError: if it was begun with another classifier, other settings, or images of other
                ids or classes, or this process has other versions; with each difference.
        """
        with _FIRST:
            return _joined(self.text)


class Job(NamedTuple):
    """A regression to fit to the images of one store and to measure on those of another.

    Attributes:
        output: the folder of the run.
        fitted: of the images to fit on.
        measured: of the images to measure on.
        regression: options of `sensmap.localizers.linear`.
        record: what the artefacts record besides; JSON can hold it.
    """

    output: str
    fitted: StoreJob
    measured: StoreJob
    regression: Mapping[str, Any] = {}
    record: Mapping[str, Any] = {}

    @property
    def localizer(self) -> Path:
        """The folder of the fitted localizer."""
        return Path(self.output) / "localizer"

    @property
    def result(self) -> Path:
        """The file of the result."""
        return Path(self.output) / "result.json"

    def fit_made_from(self) -> dict[str, Any]:
        """All that the localizer depends on, as JSON gives it back."""
        regression = json.loads(json.dumps(self.regression))
        return {**self.fitted.plan().described, "regression": regression}

    def made_from(self) -> dict[str, Any]:
        """All that the result depends on, as JSON gives it back."""
        return {"fitted": self.fit_made_from(), "measured": self.measured.plan().described}


@functools.lru_cache(maxsize=2)
def _extractor(text: str) -> Extractor:
    """By what stores of different images have in common, so that it is loaded and traced once."""
    job = StoreJob.of(text)
    given = dict(job.classifier)
    if isinstance(given.get("preprocessing"), Mapping):
        given["preprocessing"] = Preprocessing.from_config(given["preprocessing"])
    if given.get("input_size"):
        given["input_size"] = tuple(given["input_size"])
    strategy = compute.strategy(job.strategy)
    with strategy.scope() if strategy else contextlib.nullcontext():
        classifier = classifiers.load(given.pop("source"), **given)
    options = dict(job.maps)
    method = maps.create(options.pop("name"), classifier, **options)
    readers = {name: localizers.create(name, **each) for name, each in job.readers.items()}
    return Extractor(
        *(method, job.features, readers, job.top_k), strategy=strategy, jit_compile=job.jit_compile
    )


@functools.lru_cache(maxsize=4)
def _plan(text: str) -> Plan:
    job = StoreJob.of(text)
    extractor = _extractor(job._replace(folder="", dataset={}).text)
    dataset = open_dataset(**job.dataset)
    return Plan(job.folder, extractor, dataset, job.class_of, job.shard_size, job.batch_size)


@functools.lru_cache(maxsize=4)
def _joined(text: str) -> Plan:
    here, there = manifest.versions(), StoreJob.of(text).versions
    differing = [
        f"{name} {here.get(name, 'absent')} here, {version} there"
        for name, version in there.items()
        if here.get(name) != version
    ]
    if differing:
        raise ValueError(
            f"This worker has other versions than who began the run ({'; '.join(differing)}); "
            "install the same."
        )
    plan = _plan(text)
    plan.check()
    return plan
