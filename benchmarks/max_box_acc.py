"""MaxBoxAcc: time of a map's sweep over all thresholds, and whether every count is right.

    OMP_NUM_THREADS=1 python -m benchmarks.max_box_acc

The maps are class activation maps (7x7) and gradient maps (32x32) of 200 photographs. Ours is
timed by turns with the plain sweep of Choe et al., 1,000 thresholds a map, spelt out below, and the
images that are right at each threshold and IoU are counted by both, and compared.
"""

from __future__ import annotations

import json
import statistics

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import protocols
from sensmap._opencv import cv2
from sensmap.metrics import _score_maps, _threshold_sweep
from sensmap.report import tables

_MAPS = flags.DEFINE_integer("maps", 200, "How many maps of each kind, at most 200.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is timed.")

IOUS = (0.3, 0.5, 0.7)
THRESHOLDS = np.arange(0, 1, 0.001)

COLUMNS = (
    tables.Column("Maps", lambda row: row["maps"]),
    tables.Column("Contours", lambda row: row["contours"]),
    tables.Column("ms a map", lambda row: tables.number(row["ms"], 2)),
    tables.Column("Best round", lambda row: tables.number(row["best_ms"], 2)),
    tables.Column("Plain sweep", lambda row: tables.number(row["plain_ms"], 1)),
    tables.Column("Times as fast", lambda row: tables.number(row["gain"], 1)),
    tables.Column("Counts that agree", lambda row: f"{row['agreeing']:,} of {row['counts']:,}"),
)


def ours(score_map: np.ndarray, truths: np.ndarray, contours: str) -> np.ndarray:
    """``(1000,)`` the best IoU at every threshold."""
    scores = _score_maps.normalize(score_map)
    by_level = _threshold_sweep.best_ious(scores, truths, contours)
    return by_level[_threshold_sweep.LEVEL_OF_THRESHOLD]


def plain(score_map: np.ndarray, truths: np.ndarray, contours: str) -> np.ndarray:
    """The same, threshold by threshold."""
    scores = cv2.resize(score_map, (224, 224), interpolation=cv2.INTER_CUBIC)
    scores = (scores - scores.min()) / (scores - scores.min()).max()
    values = (scores * 255).astype(np.uint8)
    boxes, counts = [], []
    for threshold in THRESHOLDS:
        level = int(threshold * values.max())
        _, mask = cv2.threshold(values, level, 255, cv2.THRESH_BINARY)
        outlines, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        if contours == "single" and outlines:
            outlines = [max(outlines, key=cv2.contourArea)]
        for outline in outlines:
            x, y, width, height = cv2.boundingRect(outline)
            boxes.append((x, y, min(x + width, 223), min(y + height, 223)))
        if not outlines:
            boxes.append((0, 0, 0, 0))
        counts.append(max(len(outlines), 1))
    overlaps = protocols.inclusive_iou(np.array(boxes), truths).max(axis=1)
    starts = np.cumsum([0, *counts[:-1]])
    return np.maximum.reduceat(overlaps, starts)


def right(swept: list[np.ndarray]) -> np.ndarray:
    """``(3, 1000)`` how many images are right at each IoU and threshold."""
    return np.stack([(np.stack(swept) >= iou).sum(axis=0) for iou in IOUS])


def row(kind: str, contours: str, maps: np.ndarray, truths: list[np.ndarray]) -> dict:
    found: dict[str, list[np.ndarray]] = {}

    def task(name, sweep):
        def run():
            found[name] = [sweep(*each, contours) for each in zip(maps, truths, strict=True)]

        return run

    seconds = _common.alternate(
        {"ours": task("ours", ours), "plain": task("plain", plain)}, _ROUNDS.value
    )
    ms = {name: 1000 * statistics.median(each) / len(maps) for name, each in seconds.items()}
    agree = right(found["ours"]) == right(found["plain"])
    return {
        "maps": kind,
        "contours": contours,
        "ms": ms["ours"],
        "best_ms": 1000 * min(seconds["ours"]) / len(maps),
        "plain_ms": ms["plain"],
        "gain": _common.ratio(seconds["plain"], seconds["ours"]),
        "agreeing": int(agree.sum()),
        "counts": agree.size,
        "equal": bool(np.array_equal(found["ours"], found["plain"])),
    }


def run() -> None:
    cv2.setNumThreads(1)
    with np.load(_common.shared("goldens", "max_box_acc_maps.npz"), allow_pickle=False) as arrays:
        ids = arrays["ids"][: _MAPS.value]
        maps = {kind: arrays[kind][: _MAPS.value] for kind in ("cam", "gradient")}
    text = _common.shared("goldens", "max_box_acc_expected.json").read_text(encoding="utf-8")
    boxes = json.loads(text)["gt_boxes_224"]
    truths = [np.array(boxes[name]) for name in ids]
    rows = [
        row(kind, contours, maps[kind], truths)
        for kind in maps
        for contours in _threshold_sweep.CONTOURS
    ]
    _common.report(rows, COLUMNS, images=len(ids))


if __name__ == "__main__":
    _common.run(run)
