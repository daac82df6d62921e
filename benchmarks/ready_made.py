r"""Fits the ready-made regressor, and measures it on a classifier that was left out of its fit.

    python -m benchmarks.ready_made [--write]

Five folds over the images of `ilsvrc2012_val_1300`: coefficients fitted with one classifier's maps
of four folds are applied to the other classifier's maps of the fifth, as they are and adapted by
that classifier's own unlabelled maps of the four; beside them the fit with its own maps. With
--write the coefficients that come with the package are fitted, with both classifiers' maps of all
images that have exactly one box.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("shared", str(Path(__file__).parents[2] / "shared"), "the real data")
flags.DEFINE_bool("write", False, "write the coefficients into the package")
flags.DEFINE_integer("seed", 0, "of the folds")

CLASSIFIERS = {
    "SqueezeNet 1.1": ("squeezenet1_1_imagenet.keras", "torch"),
    "MobileNetV2": ("mobilenet_v2_imagenet.keras", "tf"),
}


def features_by_kind(classifier, data) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The features of the pixels' map and of one inner layer's for each stride."""
    from sensmap import maps, ready_made
    from sensmap.maps import _layers
    from sensmap.pipeline import Extractor

    inner = _layers.one_per_resolution(classifier.model, classifier.input_size)
    method = maps.create("gradient", classifier, layers=("pixels", *inner))
    shapes = method.compiled.get_concrete_function().structured_outputs.maps
    table = Extractor(method).extract(data)
    by_kind: dict[str, np.ndarray] = {}
    for place, (layer, each) in enumerate(zip(method.layers, shapes, strict=True)):
        stride = classifier.input_size[0] / each.shape[1]
        kind = ready_made.kind_of(layer, stride)
        if kind != "pixels" and not 0.7 < stride / int(kind.removeprefix("stride")) < 1.4:
            continue  # a stride without coefficients of its own
        part = slice(place * 152, (place + 1) * 152)
        by_kind[kind] = table.features[:, part]
    return by_kind, table.truths


def run(_: Sequence[str]) -> None:
    from sensmap import classifiers, datasets, files, ready_made, splits
    from sensmap.localizer import baselines
    from sensmap.localizers.linear import BoxRegressor
    from sensmap.metrics.corloc import CorLoc

    shared = Path(FLAGS.shared)
    root = shared / "data/ilsvrc2012_val_1300"
    data = datasets.load("ilsvrc", str(root), "val")
    made = {}
    for name, (file, mode) in CLASSIFIERS.items():
        classifier = classifiers.load(
            shared / "models" / file, mode, class_names=root / "LOC_synset_mapping.txt"
        )
        made[name], truths = features_by_kind(classifier, data)
    kinds = [
        kind
        for kind in ("pixels", "stride4", "stride8", "stride16")
        if all(kind in each for each in made.values())
    ]
    folds = splits.folds(len(data), 5, FLAGS.seed)
    print(f"{'maps':<24}{'applied to':<16}{'own fit':>8}{'as it is':>10}{'adapted':>10}")
    settings = [(kind,) for kind in kinds] + [tuple(kinds[1:]), ("stride8", "stride16")]
    for setting in settings:
        for name in CLASSIFIERS:
            other = next(each for each in CLASSIFIERS if each != name)
            scores = {"own": CorLoc(), "as it is": CorLoc(), "adapted": CorLoc()}
            for train, test in folds:
                boxes = [truths[i] for i in train]
                own, foreign = (
                    ready_made.average(
                        [BoxRegressor().fit(made[each][kind][train], boxes) for kind in setting]
                    )
                    for each in (name, other)
                )
                design = np.concatenate([made[name][kind] for kind in setting], axis=1)
                adapted = ready_made.adapt(foreign, design[train])
                for key, each in zip(scores, (own, foreign, adapted), strict=True):
                    scores[key].update(each.predict(design[test]), [truths[i] for i in test])
            values = "".join(f"{each.result()['corloc']:>10.1f}" for each in scores.values())
            print(f"{'+'.join(setting):<24}{name:<14}{values}", flush=True)
    if FLAGS.write:
        files.write_json(ready_made.FOLDER / "baselines.json", baselines(truths))
        for kind in kinds:
            both = np.concatenate([each[kind] for each in made.values()])
            regressor = BoxRegressor().fit(both, truths * len(made))
            regressor.save(ready_made.FOLDER / f"{kind}.npz")
            print(f"{kind}: fitted on {regressor.images_} maps, penalty {regressor.penalty_:g}")


if __name__ == "__main__":
    app.run(run)
