r"""Fits the ready-made regressor, and measures it on a classifier that was left out of its fit.

  python -m benchmarks.ready_made [--write]

Five folds over the images of `ilsvrc2012_val_1300`: coefficients fitted with one classifier's maps
of four folds are applied to the other classifier's maps of the fifth, as they are and adapted by
that classifier's own unlabelled maps of the four; beside them the fit with its own maps. With
--write the coefficients that come with the package are fitted, with both classifiers' maps of all
images that have exactly one box.
"""

from __future__ import annotations

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import files, maps, ready_made, splits
from sensmap.features import quantiles
from sensmap.localizer import baselines
from sensmap.localizers.linear import BoxRegressor
from sensmap.maps import PIXELS
from sensmap.metrics.corloc import CorLoc
from sensmap.pipeline import Extractor
from sensmap.report.tables import Column, number

_WRITE = flags.DEFINE_bool("write", False, "Write the coefficients into the package.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the folds.")

KINDS = ("pixels", "stride4", "stride8", "stride16")
SETTINGS = (*((kind,) for kind in KINDS), KINDS[1:])


def features_by_kind(network, data) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The features of a classifier's maps for each of `KINDS`, and the true boxes."""
    method = maps.create("gradient", network, layers=(PIXELS, "auto"))
    found = method.compiled.get_concrete_function().structured_outputs.maps
    table = Extractor(method).extract(data)
    by_kind: dict[str, np.ndarray] = {}
    for place, (layer, each) in enumerate(zip(method.layers, found, strict=True)):
        stride = network.input_size[0] / each.shape[1]
        kind = ready_made.kind_of(layer, stride)
        # Strides of 2 and 32, which not every network has, take the nearest coefficients.
        if kind == PIXELS or 0.7 < stride / int(kind.removeprefix("stride")) < 1.4:
            part = slice(place * quantiles.SIZE, (place + 1) * quantiles.SIZE)
            by_kind[kind] = table.features[:, part]
    return by_kind, table.truths


def main() -> None:
    data = _common.ilsvrc()
    made = {}
    for name in _common.CLASSIFIERS:
        made[name], truths = features_by_kind(_common.classifier(name), data)
    rows = [
        measure(made, truths, name, setting) for setting in SETTINGS for name in _common.CLASSIFIERS
    ]
    _common.report(rows, COLUMNS, seed=_SEED.value)
    if _WRITE.value:
        for kind in KINDS:
            both = np.concatenate([each[kind] for each in made.values()])
            regressor = BoxRegressor().fit(both, truths * len(made))
            regressor.save(ready_made.FOLDER / f"{kind}.npz")
            print(f"{kind}: fitted on {regressor.images_} maps, penalty {regressor.penalty_:g}")
        files.write_json(ready_made.FOLDER / "baselines.json", baselines(truths))


def measure(made: dict, truths: list[np.ndarray], name: str, setting: tuple[str, ...]) -> dict:
    """CorLoc on one classifier's maps of its own fit, and of the other classifier's."""
    other = next(each for each in made if each != name)
    design = np.concatenate([made[name][kind] for kind in setting], axis=1)
    scores = {"own": CorLoc(), "as_it_is": CorLoc(), "adapted": CorLoc()}
    for train, test in splits.folds(len(truths), 5, _SEED.value):
        boxes = [truths[position] for position in train]
        own, foreign = (
            ready_made.average(
                [BoxRegressor().fit(made[each][kind][train], boxes) for kind in setting]
            )
            for each in (name, other)
        )
        adapted = ready_made.adapt(foreign, design[train])
        for score, each in zip(scores.values(), (own, foreign, adapted), strict=True):
            score.update(each.predict(design[test]), [truths[position] for position in test])
    found = {key: score.result()["corloc"] for key, score in scores.items()}
    return {"maps": " + ".join(setting), "classifier": name, **found}


COLUMNS = (
    Column("Maps", lambda row: row["maps"], is_number=False),
    Column("applied to", lambda row: row["classifier"], is_number=False),
    Column("own fit", lambda row: number(row["own"])),
    Column("as it is", lambda row: number(row["as_it_is"])),
    Column("adapted", lambda row: number(row["adapted"])),
)


if __name__ == "__main__":
    _common.run(main)
