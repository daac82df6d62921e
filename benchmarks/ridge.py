r"""Regressions on more images than memory holds: time, memory, and whether scikit-learn agrees.

  python -m benchmarks.ridge

Adds as many made-up images as ILSVRC 2012 has with one box, each of the features of eight layers,
to the statistics of a box regressor, and fits it. They are made block by block, as they would come
from a stream or from shards; that time does not count. On the first thousands, which do fit into
memory, scikit-learn then fits the same with the same folds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sensmap.localizers import _ridge
from sensmap.localizers.linear import BoxRegressor
from sensmap.report.tables import Column, number

_IMAGES = flags.DEFINE_integer("images", 225_687, "How many images.")
_FEATURES = flags.DEFINE_integer("features", 1216, "How many features each has.")
_BATCHES = flags.DEFINE_list("batches", ["4096", "512"], "How many images are added at once.")

# What scikit-learn is compared on.
_COMPARED = 6000
_PENALTIES = (0.1, 100.0, 1e5)


def main() -> None:
    from benchmarks import _common

    rows = []
    for batch in _BATCHES.value:
        settings = [str(_IMAGES.value), str(_FEATURES.value), batch]
        code = (
            "import json, sys; from benchmarks import ridge; "
            "print(json.dumps(ridge.measure(*map(int, sys.argv[1:]))))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *settings], stdout=subprocess.PIPE, cwd=_common.REPOSITORY
        )
        if done.returncode:
            sys.exit(done.returncode)  # it has said why
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    _common.report(rows, COLUMNS)


def measure(images: int, size: int, batch: int) -> dict[str, float]:
    """Time and peak of this process, which should be a new one."""
    imports = peak()
    statistics, adding = _ridge.RidgeStatistics(size), 0.0
    for table in tables(images, size, batch):
        began = time.perf_counter()
        statistics.update_table(table)
        adding += time.perf_counter() - began
    began = time.perf_counter()
    regressor = BoxRegressor().fit_statistics(statistics)
    fitting = time.perf_counter() - began
    return {
        "images": statistics.images,
        "features": size,
        "batch": batch,
        "adding": adding,
        "fitting": fitting,
        "seconds": adding + fitting,
        "penalty": regressor.penalty_,
        "imports": imports,
        "megabytes": peak(),
        **compare(size, batch),
    }


def compare(size: int, batch: int) -> dict[str, float]:
    """The largest differences from scikit-learn: of coefficients, over the largest one, and of
    the penalties' errors, relative."""
    shards = list(tables(_COMPARED, size, batch))
    statistics = _ridge.RidgeStatistics(size)
    for shard in shards:
        statistics.update_table(shard)
    z = np.concatenate([shard.features for shard in shards]).astype(np.float64)
    boxes = np.concatenate([truth for shard in shards for truth in shard.truths]).astype(float)
    folds = PredefinedSplit([_ridge.fold_of(name, 5) for shard in shards for name in shard.ids])
    errors = []
    for penalty in _PENALTIES:
        pipeline = make_pipeline(StandardScaler(), Ridge(penalty))
        errors.append(np.square(cross_val_predict(pipeline, z, boxes, cv=folds) - boxes).mean())
    found = _ridge.fit(statistics, _PENALTIES)
    expected = make_pipeline(StandardScaler(), Ridge(found.penalty)).fit(z, boxes)[-1].coef_
    return {
        "coefficients_off": float(np.abs(found.coef - expected).max() / np.abs(expected).max()),
        "errors_off": float(np.abs(found.errors / errors - 1).max()),
    }


def tables(images: int, size: int, batch: int) -> Iterator[types.SimpleNamespace]:
    """Correlated float32 features of means beside their deviations, and boxes that a part of
    them tells of."""
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(64, size)).astype(np.float32)
    means = rng.uniform(-5, 5, size).astype(np.float32)
    for start in range(0, images, batch):
        count = min(batch, images - start)
        hidden = rng.standard_normal((count, 64), np.float32)
        features = rng.standard_normal((count, size), np.float32)
        features += hidden @ ways
        features += means
        boxes = [0.2, 0.2, 0.8, 0.8] + 0.04 * hidden[:, :4] + 0.03 * rng.normal(size=(count, 4))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 0.01)
        yield types.SimpleNamespace(
            ids=[f"made/{place}" for place in range(start, start + count)],
            truths=list(np.clip(boxes, 0.0, 1.0).astype(np.float32)[:, None]),
            features=features,
        )


def peak() -> float:
    """The most memory that this process has held, in MB (resident set)."""
    # Not getrusage, for which a process has held what the one that started it held then.
    status = Path("/proc/self/status").read_text("ascii")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024


COLUMNS = (
    Column("Images", lambda row: number(row["images"], 0)),
    Column("features", lambda row: number(row["features"], 0)),
    Column("at once", lambda row: number(row["batch"], 0)),
    Column("seconds", lambda row: number(row["seconds"])),
    Column("of them to fit", lambda row: number(row["fitting"])),
    Column("peak memory (MB)", lambda row: number(row["megabytes"], 0)),
    Column("of it imports", lambda row: number(row["imports"], 0)),
    Column("coefficients off by", lambda row: f"{row['coefficients_off']:.0e}"),
    Column("errors off by", lambda row: f"{row['errors_off']:.0e}"),
)


if __name__ == "__main__":
    # Here, for it imports TensorFlow, which the processes that are measured need not hold.
    from benchmarks import _common

    _common.run(main)
