r"""Does a regressor fitted on 64x64 thumbnails find objects elsewhere?

  python -m benchmarks.tiny_imagenet

Fitted on the 10,000 training images of Tiny ImageNet, upsampled to the classifier's input;
evaluated on the 3,000 of its validation part and on 1,300 images of ILSVRC 2012, which other
boxes describe. The class is given. Beside it the constant boxes of the same training images.
"""

from __future__ import annotations

from absl import flags

from benchmarks import _common
from sensmap import localizers, maps
from sensmap.maps import PIXELS
from sensmap.metrics.corloc import CorLoc
from sensmap.pipeline import Extractor
from sensmap.report.tables import Column, number, with_interval

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)

SETTINGS = (
    ("quantiles, pixels, max", PIXELS, "max"),
    ("quantiles, auto layers, l2", "auto", "l2"),
)


def main() -> None:
    network = _common.classifier(_CLASSIFIER.value)
    train = _common.tiny_imagenet("train")
    tests = {"tiny": _common.tiny_imagenet("val"), "ilsvrc": _common.ilsvrc()}
    rows: list[dict] = []
    for setting, layers, reduction in SETTINGS:
        extractor = Extractor(maps.create("gradient", network, layers=layers, reduction=reduction))
        fitted_on = extractor.extract(train, description="train")
        tables = {name: extractor.extract(data, description=name) for name, data in tests.items()}
        fits = [(setting, "linear")]
        if not rows:
            fits = [("mean box", "mean_box"), ("centred box", "centred_box"), *fits]
        for title, name in fits:
            model = localizers.create(name).fit(fitted_on.features, fitted_on.truths)
            row: dict = {"setting": title}
            for test, table in tables.items():
                metric = CorLoc()
                metric.update(model.predict(table.features), table.truths)
                row[test] = metric.result() | {"by_class": None, "skipped": len(table.skipped)}
            rows.append(row)
    for row in rows:
        for test in tests:
            constant = max(each[test]["corloc"] for each in rows[:2])
            row[test]["above_constant"] = row[test]["corloc"] - constant
    _common.report(rows, COLUMNS, classifier=_CLASSIFIER.value)


def _columns(test: str, title: str) -> tuple[Column, ...]:
    return (
        Column(title, lambda row: with_interval(row[test]["corloc"], row[test]["interval"])),
        Column("gain", lambda row: number(row[test]["above_constant"])),
        Column("mean IoU", lambda row: number(row[test]["mean_iou"], 3)),
    )


COLUMNS = (
    Column("Boxes from", lambda row: row["setting"], is_number=False),
    *_columns("tiny", "Tiny ImageNet val, CorLoc (%)"),
    *_columns("ilsvrc", "ILSVRC val, CorLoc (%)"),
)


if __name__ == "__main__":
    _common.run(main)
