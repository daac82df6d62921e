r"""The whole table: baselines, CAM, Grad-CAM, gradients, GraphCut and regressions by all protocols.

  python -m benchmarks.localization_table --classifier=mobilenet_v2 --output=FILE.json

1,300 images of ILSVRC 2012, the class given for CorLoc and MaxBoxAcc, five guesses for the
localization errors. What is fitted (constant boxes, thresholds, regressions) is fitted on the
other folds of five; MaxBoxAcc's thresholds are the best on the scored images, as its protocol has
it, and stand beside those that are transferred. DDT is there with the network's last feature map
and with a finer one, which was chosen on photographs of pets. --outcomes writes every image's
outcome, which `eval/compare.py` takes.
"""

from __future__ import annotations

import time

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import colocalizers, files, localizers, maps, outcomes
from sensmap.evaluation import baselines, predictions, record, scores
from sensmap.localizer import Localizer, map_title
from sensmap.report import measures, tables

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "mobilenet_v2", list(_common.CLASSIFIERS), "Whose maps."
)
_LIMIT = flags.DEFINE_integer("limit", None, "Only so many images, evenly spaced.", lower_bound=10)
_TABLE = flags.DEFINE_string("table", None, "Markdown file to write the whole table to.")
_OUTCOMES = flags.DEFINE_string("outcomes", None, "JSON lines file of every image's outcomes.")

FOLDS = 5
GUESSES = 5

# Map methods with their options, and what reads boxes off each.
METHODS = (
    ("cam", {}, ("threshold",)),
    ("grad_cam", {}, ("threshold",)),
    ("gradient", {}, ("threshold", "graphcut", "linear")),
    ("gradient", {"layers": "auto", "reduction": "l2"}, ("linear",)),
)
# Finer feature maps for DDT, the best of each network's on the photographs of pets.
FINER = {"squeezenet1_1": "concatenate_6", "mobilenet_v2": "block_13_expand_relu"}


def main() -> None:
    network, data = _common.classifier(_CLASSIFIER.value), _common.ilsvrc()
    if _LIMIT.value:
        data = data.select(np.linspace(0, len(data) - 1, _LIMIT.value).astype(int))
    found = []
    for name, options, readers in METHODS:
        method = maps.create(name, network, **options)
        estimators = [localizers.create(reader) for reader in readers]
        extractor = predictions.extractor_for(method, estimators, GUESSES)
        table = extractor.extract(data, description=map_title(method))
        for fitted, boxes in predictions.cross_validate(table, estimators, FOLDS, seed=0):
            localizer = Localizer(method, fitted)
            named = boxes._replace(method=localizer.title)
            found.append(predictions.timed(named, localizer, data))
    compared = baselines.constant(baselines.CONSTANT, table, FOLDS, seed=0)
    compared += baselines.from_images(baselines.names(), table, data, network)
    finer = colocalizers.create("ddt", classifier=network, layer=FINER[_CLASSIFIER.value])
    began = time.perf_counter()
    boxes = finer.boxes([data[place] for place in range(len(data))], table.labels)
    seconds = (time.perf_counter() - began) / len(data)
    title = f"DDT ({FINER[_CLASSIFIER.value]})"
    compared.append(baselines.as_baseline(title, boxes, table, seconds))
    methods = [*compared, *found]
    class_ids = predictions.class_ids(table, data, network)
    rows = scores.score(methods, table, data, class_ids)
    if _TABLE.value:
        whole = tables.as_markdown(measures.localization_table(rows))
        files.write_text(_TABLE.value, f"{whole}\n")
    if _OUTCOMES.value:
        outcomes.write(_OUTCOMES.value, record.outcomes_of(table, methods, class_ids))
    _common.report(rows, COLUMNS, classifier=_CLASSIFIER.value, images=len(table))


def _column(title: str, key: str, interval: str = "") -> tables.Column:
    return tables.Column(
        title,
        lambda row: (
            tables.with_interval(row.get(key), row.get(interval))
            if interval
            else tables.number(row.get(key))
        ),
    )


COLUMNS = (
    tables.Column("Boxes from", lambda row: row["method"], is_number=False),
    _column("CorLoc (%) [95%]", "corloc", "interval"),
    _column("MaxBoxAcc", "max_box_acc", "max_box_acc_interval"),
    _column("transferred", "max_box_acc_transferred"),
    _column("MaxBoxAccV2", "max_box_acc_v2", "max_box_acc_v2_interval"),
    _column("transferred", "max_box_acc_v2_transferred"),
    _column("top-1 error", "top1_error", "top1_interval"),
    _column("top-5 error", "top5_error", "top5_interval"),
    tables.Column("ms", lambda row: tables.number(1000 * row.get("seconds_per_image", 0.0))),
)


if __name__ == "__main__":
    _common.run(main)
