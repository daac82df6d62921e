"""The work of a run in pieces, each for one shard: what every engine puts together.

    made = make_shard(store, n)          for each shard of each store
    learned = Learned, over the shards of the images to fit on: `add`, `merge` in any order
    fitted = fit(job, learned)           the localizer's folder
    measured = Measured, over the shards of the images to measure on: `score`, `merge` in any order
    record(job, measured)                result.json and table.md

Pieces pass on no images, maps or features, but sums, and what grows with the images: the ids and
boxes to fit on, and the ids, labels and IoUs of those to measure on, some hundred bytes an image.
They do so as bytes without pickle.
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sensmap import feature_store, files, splits
from sensmap.engines.job import Job, StoreJob
from sensmap.evaluation import baselines as constant
from sensmap.evaluation import predictions
from sensmap.feature_store import building
from sensmap.localizer import LOCALIZER_FILE, Localizer, baselines, map_title, read_config
from sensmap.localizers.linear import BoxRegressor, RidgeStatistics
from sensmap.metrics.corloc import CorLoc
from sensmap.report import measures, tables

# What the regression is compared with: the boxes that are learned from the same boxes.
_BASELINES = ("centred_box", "mean_box")


def make_shard(store: StoreJob, number: int) -> int:
    """Makes a shard, or takes it over if it is there and undamaged; gives its number."""
    plan = store.joined()
    if not plan.is_whole(number):
        plan.make(number)
    return number


class Learned:
    """What a fit needs of some shards: sums of their features, and their ids and boxes.

    Attributes:
        statistics: of the features and boxes; None as long as there is no shard.
        images: by the number of a shard the ids of its images, and their boxes.
    """

    def __init__(self) -> None:
        self.statistics: RidgeStatistics | None = None
        self.images: dict[int, tuple[list[str], list[list[list[float]]]]] = {}

    def add(self, store: StoreJob, number: int) -> None:
        """Adds a shard that was made."""
        found = feature_store.open(store.folder)
        if self.statistics is None:
            self.statistics = RidgeStatistics(found.manifest["numbers"]["features"])
        table = found.shard(number)
        self.statistics.update_table(table)
        self.images[number] = (table.ids, [each.tolist() for each in table.truths])

    def merge(self, other: Learned) -> None:
        """Adds what another has added.

        Raises:
            ValueError: if a shard is in both.
        """
        _refuse_twice(self.images, other.images)
        if other.statistics is None:
            return
        if self.statistics is None:
            self.statistics = RidgeStatistics(other.statistics.size)
        self.statistics.merge(other.statistics)
        self.images |= other.images

    def to_bytes(self) -> bytes:
        """All of it; `from_bytes` reads it."""
        sums = b"" if self.statistics is None else _saved(self.statistics)
        return _packed([[number, *each] for number, each in self.images.items()], sums)

    @classmethod
    def from_bytes(cls, data: bytes) -> Learned:
        """What `to_bytes` gave."""
        images, sums = _unpacked(data)
        found = cls()
        found.statistics = _loaded(RidgeStatistics, sums) if sums else None
        found.images = {number: (ids, truths) for number, ids, truths in images}
        return found


class Fitted(NamedTuple):
    """What boxes are predicted by.

    Attributes:
        regressor: the fitted one.
        baselines: constant boxes by their names.
    """

    regressor: BoxRegressor
    baselines: Mapping[str, list[float]]

    def to_bytes(self) -> bytes:
        """All of it; `from_bytes` reads it."""
        return _packed(dict(self.baselines), _saved(self.regressor))

    @classmethod
    def from_bytes(cls, data: bytes) -> Fitted:
        """What `to_bytes` gave."""
        boxes, regressor = _unpacked(data)
        return cls(_loaded(BoxRegressor, regressor), boxes)

    @classmethod
    def from_folder(cls, folder: Path) -> Fitted:
        """Of a localizer that was fitted before."""
        return cls(BoxRegressor.load(folder / LOCALIZER_FILE), read_config(folder)["baselines"])


def fit(job: Job, learned: Learned) -> Fitted:
    """Fits the regression, and writes it as a folder that every --localizer takes.

    Raises:
        ValueError: if no image could be used, or none has one box.
    """
    plan = job.fitted.joined()
    regressor = BoxRegressor(features=str(job.fitted.features), **job.regression)
    in_order = [learned.images[number] for number in sorted(learned.images)]
    ids = [name for names, _ in in_order for name in names]
    truths = [np.reshape(each, (-1, 4)).astype(np.float32) for _, of in in_order for each in of]
    if not ids:
        building.refuse_empty(feature_store.open(job.fitted.folder))
    regressor.fit_statistics(learned.statistics)  # type: ignore[arg-type]  # of a shard or more
    found = Fitted(regressor, baselines(truths))
    config = {
        "data": {
            "dataset": plan.dataset.name,
            "images": len(ids),
            "ids_sha256": splits.ids_sha256(ids),
            "ids": ids,
        },
        "fitted_on_boxes_of": regressor.images_,
        "baselines": found.baselines,
        "made_from": job.fit_made_from(),
        **job.record,
    }
    # A runner may run this piece again after it ended: it writes the same once more.
    Localizer(plan.extractor.method, regressor, config).save(job.localizer, overwrite=True)
    return found


class Measured:
    """What was measured on some shards.

    Attributes:
        metrics: by the name of a method its CorLoc.
        shards: by the number of a shard what there is to say about its images.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, CorLoc] = {}
        self.shards: dict[int, dict[str, Any]] = {}

    @classmethod
    def score(cls, job: Job, fitted: Fitted, number: int) -> Measured:
        """What is measured on one shard."""
        plan = job.measured.joined()
        table = feature_store.open(job.measured.folder).shard(number)
        boxes = {
            each.method: each.boxes
            for each in constant.recorded(_BASELINES, fitted.baselines, table)
        }
        boxes[_title(job, fitted.regressor)] = fitted.regressor.predict(table.features)
        found = cls()
        labelled = bool((table.labels >= 0).all())
        for name, predicted in boxes.items():
            found.metrics[name] = CorLoc(plan.dataset.classes)
            found.metrics[name].update(predicted, table.truths, table.labels if labelled else None)
        found.shards[number] = {
            "ids": table.ids,
            "labelled": labelled,
            "skipped": [{"id": name, "reason": reason} for name, reason in table.skipped],
            "dropped": [{"id": name, "reason": reason} for name, reason in table.dropped],
            "degenerate": table.degenerate,
        }
        return found

    def merge(self, other: Measured) -> None:
        """Adds what was measured on other shards.

        Raises:
            ValueError: if a shard is in both.
        """
        _refuse_twice(self.shards, other.shards)
        for name, metric in other.metrics.items():
            self.metrics.setdefault(name, CorLoc(metric.classes)).merge(metric)
        self.shards |= other.shards

    def to_bytes(self) -> bytes:
        """All of it; `from_bytes` reads it."""
        metrics = {name: metric.state() for name, metric in self.metrics.items()}
        return _packed([metrics, list(self.shards.items())], b"")

    @classmethod
    def from_bytes(cls, data: bytes) -> Measured:
        """What `to_bytes` gave."""
        (metrics, shards), _ = _unpacked(data)
        found = cls()
        found.metrics = {name: CorLoc.from_state(state) for name, state in metrics.items()}
        found.shards = dict(shards)
        return found


def record(job: Job, measured: Measured) -> dict[str, Any]:
    """Writes result.json and table.md; gives the result.

    Raises:
        ValueError: if no image could be used.
    """
    if not any(each["ids"] for each in measured.shards.values()):
        building.refuse_empty(feature_store.open(job.measured.folder))
    method = job.measured.joined().extractor.method
    regressor = Fitted.from_folder(job.localizer).regressor
    labelled = all(each["labelled"] for each in measured.shards.values())
    rows = []
    of_fitted = {"maps": map_title(method), "localizer": regressor.title}
    for title, metric in measured.metrics.items():
        row = {"method": title, **metric.result()}
        if not labelled:
            row["by_class"] = []
        is_fitted = title == _title(job, regressor)
        rows.append(row | (of_fitted if is_fitted else {"group": "baseline"}))
    in_order = [measured.shards[number] for number in sorted(measured.shards)]
    ids, skipped, dropped = (
        [each for of in in_order for each in of[key]] for key in ("ids", "skipped", "dropped")
    )
    of_fit = read_config(job.localizer)["data"]
    name = job.measured.plan().dataset.name
    result = {
        "title": f"Localization on {name}",
        "dataset": name,
        "rows": rows,
        "skipped": skipped,
        "dropped": dropped,
        "counts": {
            "images": len(ids),
            "degenerate maps": sum(each["degenerate"] for each in in_order),
            "boxes left out": len(dropped),
        },
        "data": {
            "dataset": name,
            "images": len(ids),
            "ids_sha256": splits.ids_sha256(ids),
            "ids": ids,
        },
        "fitted_on": [predictions.fit_record(rows[-1]["method"], of_fit["dataset"], of_fit["ids"])],
        "made_from": job.made_from(),
        **job.record,
    }
    tabled = [measures.localization_table(rows)]
    if labelled:
        tabled.append(measures.class_table(rows[-1]["by_class"]))
    # The result last: where it is, all is.
    text = "\n\n".join(map(tables.as_markdown, tabled)) + "\n"
    files.write_text(Path(job.output) / "table.md", text)
    files.write_json(job.result, result)
    return result


def _title(job: Job, regressor: BoxRegressor) -> str:
    return f"{regressor.title} ({map_title(job.measured.joined().extractor.method)})"


def _refuse_twice(shards: Mapping[int, Any], others: Mapping[int, Any]) -> None:
    if both := sorted(shards.keys() & others.keys()):
        raise ValueError(f"Parts of a run have the shard {both[0]} twice; merge each shard once.")


def _saved(fitted: RidgeStatistics | BoxRegressor) -> bytes:
    """The file that it writes."""
    with tempfile.TemporaryDirectory() as place:
        fitted.save(Path(place, "saved.npz"))
        return Path(place, "saved.npz").read_bytes()


def _loaded(kind: Any, data: bytes) -> Any:
    """What has written that file."""
    with tempfile.TemporaryDirectory() as place:
        Path(place, "saved.npz").write_bytes(data)
        return kind.load(Path(place, "saved.npz"))


def _packed(described: Any, data: bytes) -> bytes:
    """What JSON can hold, and what it cannot, in one piece."""
    text = json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text + data


def _unpacked(packed: bytes) -> tuple[Any, bytes]:
    (length,) = struct.unpack_from("<Q", packed)
    return json.loads(packed[8 : 8 + length]), packed[8 + length :]
