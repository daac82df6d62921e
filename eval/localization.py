r"""Measures localizers by the field's protocols, beside the baselines, with a report.

    python -m eval.localization --classifier=runs/digits/classifier \
        --localizer=runs/digits/localizer --dataset=digits --split=test --part=all \
        --output=runs/digits/evaluation

What is measured is one of
    --localizer=A,B   folders of train/box_regressor.py, or names of localizers that learn
                      nothing (graphcut); a row each; the report is on the last
    --folds=5         localizers by name (linear), each fitted on the other folds, for a few
                      hundred boxed images; with --maps=A,B each on each map method
    --ready_made      the coefficients that come with sensmap; the images' boxes only score
    --saved_model=M   an export of train/export_saved_model.py
    --scoremaps=DIR   maps of another tool, DIR/<image id>.npy; its boxes by a threshold fitted on
                      the other folds
    --boxes=FILE      boxes of another tool, JSON lines or CSV
--top_k=5 adds boxes of the five classes with the highest scores and ILSVRC's localization error;
the procedure of Simonyan et al. 2013, section 3.2, is
    --localizer=graphcut --maps=ten_crop --top_k=5
--learning_curve=1,2,5,10,all, with --folds, adds the CorLoc of fits on so many boxes a class.
--baselines names what is compared with: constant boxes are free, the top objectness box and
co-localization take a part of a second an image.
Writes report.html, report.md, result.json, table.md, boxes.jsonl (a line an image), outcomes.jsonl
(every method's, for eval/compare.py) and boxes.png.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from sensmap import binaries
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset(part="test")
shared.define_maps(several=True)
shared.define_batch()
shared.define_compute()
shared.define_output()
flags.DEFINE_list(
    "localizer", [], "folders that train/box_regressor.py wrote, or names of localizers"
)
flags.DEFINE_integer("folds", 0, "cross-validate with so many folds instead", lower_bound=0)
flags.DEFINE_bool("ready_made", False, "measure the ready-made regressor instead")
flags.DEFINE_string("saved_model", None, "measure an exported model instead")
flags.DEFINE_string("scoremaps", None, "measure maps of another tool instead: a folder of .npy")
flags.DEFINE_string("boxes", None, "measure boxes of another tool instead: a .jsonl or .csv file")
flags.DEFINE_integer(
    "top_k", 0, "boxes of so many best classes too: 5 for ILSVRC's", lower_bound=0, upper_bound=5
)
flags.DEFINE_list("baselines", ["all"], "what is compared with: all, or some by name")
flags.DEFINE_list("learning_curve", [], "with --folds: numbers of boxes a class to fit on, or all")
flags.DEFINE_integer("pictures", 24, "images drawn at random for the report", lower_bound=0)
flags.DEFINE_integer("worst", 4, "images of each kind of error in the report", lower_bound=0)

# Of constant boxes and of thresholds where --folds does not say.
_FOLDS = 5


class Measured(NamedTuple):
    """What was measured: the images, every method's boxes, and what the report needs besides."""

    table: Any
    methods: list
    localizer: Any = None
    network: Any = None
    accuracy: Any = None
    curve: Sequence = ()
    fitted_on: Sequence = ()
    missing: Sequence = ()


def run(_: Sequence[str]) -> None:
    shared.require("dataset", "output")
    _check()
    from sensmap import analysis, files, stopwatch
    from sensmap.evaluation import illustrations, predictions, record, scores

    # The folder first: that it cannot be made should not be found out after an hour of work.
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        watch = stopwatch.Stopwatch()
        data = shared.dataset()
        found = _measure(data, watch)
        table, methods = found.table, found.methods
        last = methods[-1]
        binaries.report_skipped(table)
        if found.missing:
            binaries.warn(f"{len(found.missing)} images have none and count as missed")
        labels = predictions.class_ids(table, data, found.network)
        with watch.stage("measures"):
            rows = scores.score(methods, table, data, labels, FLAGS.seed)
            named = None if labels is None else last.named(labels)
            failures = analysis.analyse(last.boxes, table.truths, table.ids, named, FLAGS.worst)
        with watch.stage("pictures"):
            pictured = (data, table, last, found.localizer)
            shown = illustrations.drawn(*pictured, FLAGS.pictures, FLAGS.seed)
            worst = illustrations.worst(*pictured, failures)
        result = {
            "title": f"Localization on {data.name}",
            "dataset": data.name,
            "rows": rows,
            "analysis": failures,
            "learning_curve": list(found.curve),
            "sanity": found.accuracy,
            "skipped": [{"id": name, "reason": reason} for name, reason in table.skipped],
            "dropped": [{"id": name, "reason": reason} for name, reason in table.dropped],
            "missing": list(found.missing),
            "counts": {
                "images": len(table),
                "degenerate maps": table.degenerate,
                "boxes left out": len(table.dropped),
                "images without a map or box": len(found.missing),
                **{f"stand-in boxes: {why}": count for why, count in last.stand_ins.items()},
            },
            "seconds": watch.seconds,
            "data": binaries.data_record(data, table),
            "fitted_on": list(found.fitted_on),
            "configuration": binaries.configuration(__name__),
            "versions": binaries.versions(),
        }
        text = record.write(work, result, table, methods, labels, shown, worst)
    print(f"\n{text}\n\n{FLAGS.output}/report.html")


def _check() -> None:
    """Refuses flags that contradict each other, before any work."""
    ways = ("ready_made", "saved_model", "scoremaps", "boxes")
    others = [bool(FLAGS[way].value) for way in ways]
    own = FLAGS.localizer or (FLAGS.folds and not (FLAGS.scoremaps or FLAGS.boxes))
    if sum([bool(own), *others]) != 1:
        raise ValueError(
            "Give one of --localizer, --folds, --ready_made, --saved_model, --scoremaps and "
            "--boxes."
        )
    if FLAGS.saved_model:
        holds = "--saved_model holds the classifier and the localizer"
        shared.refuse(holds, *shared.CLASSIFIER_FLAGS, *shared.MAP_FLAGS, "top_k")
        shared.refuse(holds, *shared.COMPUTE_FLAGS)
    if FLAGS.ready_made:
        shared.refuse("the ready-made regressor is for quantiles", "features", "localizer_option")
    if FLAGS.scoremaps or FLAGS.boxes:
        given_maps = "maps or boxes come from another tool"
        shared.refuse(given_maps, *shared.CLASSIFIER_FLAGS, *shared.MAP_FLAGS, "top_k", "class_of")
        shared.refuse(given_maps, *shared.COMPUTE_FLAGS)
    elif not FLAGS.saved_model:
        shared.require("classifier")
    if FLAGS.learning_curve and not FLAGS.folds:
        raise ValueError("--learning_curve fits on parts of the other folds, so it needs --folds.")
    from sensmap.evaluation import baselines, learning_curve

    learning_curve.counts_of(FLAGS.learning_curve)
    baselines.chosen(FLAGS.baselines)


def _measure(data, watch) -> Measured:
    if FLAGS.saved_model:
        return _measure_served(data, watch)
    if FLAGS.scoremaps or FLAGS.boxes:
        return _measure_external(data, watch)
    classifier = shared.classifier()
    with watch.stage("check of the classifier"):
        accuracy = binaries.report_sanity(classifier, data)
    way = _measure_folds if FLAGS.folds else _measure_fitted
    return way(classifier, data, watch)._replace(network=classifier, accuracy=accuracy)


def _measure_fitted(classifier, data, watch) -> Measured:
    """By localizers that are fitted, or need no fit."""
    from sensmap import ready_made
    from sensmap.evaluation import baselines, predictions
    from sensmap.localizer import Localizer

    if FLAGS.ready_made:
        method = shared.map_method(classifier)
        localizers = [Localizer(method, ready_made.regressor(method))]
    else:
        localizers = [
            each for given in FLAGS.localizer for each in shared.localizers(classifier, given)
        ]
    found: list = []
    for localizer in localizers:
        predictions.refuse_fitted(localizer.config, data)
        estimators = [localizer.estimator]
        extractor = predictions.extractor_for(localizer.method, estimators, FLAGS.top_k)
        extractor = shared.computed(extractor)
        with watch.stage("maps and what is read off them"):
            table = extractor.extract(data, FLAGS.class_of, FLAGS.batch_size)
        predicted = predictions.predict(table, localizer)
        if FLAGS.ready_made:
            predicted = predicted._replace(method="Ready-made regression")
        found.append(predictions.timed(predicted, localizer, data))
    recorded = localizers[0].config.get("baselines", ready_made.baselines())
    with watch.stage("baselines"):
        chosen = baselines.chosen(FLAGS.baselines)
        constant = baselines.recorded(chosen, recorded, table)
        others = baselines.from_images(chosen, table, data, classifier)
    fitted_on = [
        predictions.fit_record(each.title, *map(each.config["data"].get, ("dataset", "ids")))
        for each in localizers
        if each.config.get("fitted_on_boxes_of")
    ]
    return Measured(table, [*constant, *others, *found], localizer, fitted_on=fitted_on)


def _measure_folds(classifier, data, watch) -> Measured:
    """By localizers that are fitted on the other folds."""
    from sensmap.evaluation import learning_curve, predictions
    from sensmap.localizer import Localizer, map_title

    estimators = shared.estimators(FLAGS.localizer or ["linear"])
    found: list = []
    curve: list = []
    for method in shared.map_methods(classifier):
        extractor = shared.computed(predictions.extractor_for(method, estimators, FLAGS.top_k))
        name = map_title(method)
        with watch.stage("maps and what is read off them"):
            table = extractor.extract(data, FLAGS.class_of, FLAGS.batch_size, description=name)
        with watch.stage("fit and prediction"):
            fits = predictions.cross_validate(table, estimators, FLAGS.folds, FLAGS.seed)
        for fit, predicted in fits:
            localizer = Localizer(method, fit)
            named = predicted._replace(method=localizer.title, maps=name, localizer=fit.title)
            found.append(predictions.timed(named, localizer, data))
            with watch.stage("learning curve"):
                curve += learning_curve.measure(
                    table, fit, localizer.title, FLAGS.learning_curve, FLAGS.folds, FLAGS.seed
                )
    compared = _compared_with(data, table, classifier, FLAGS.folds, watch)
    fitted_on = predictions.folds_record(data, table, FLAGS.folds, FLAGS.seed)
    return Measured(table, [*compared, *found], localizer, curve=curve, fitted_on=fitted_on)


def _measure_served(data, watch) -> Measured:
    """By an exported model."""
    from sensmap.evaluation import baselines, predictions, served
    from sensmap.export import ServedModel

    model = ServedModel(FLAGS.saved_model)
    predictions.refuse_fitted(model.config, data)
    with watch.stage("served model"):
        table, predicted = served.predict(model, data, FLAGS.class_of, FLAGS.batch_size)
    with watch.stage("baselines"):
        chosen, recorded = baselines.chosen(FLAGS.baselines), model.config.get("baselines", {})
        constant = baselines.recorded(chosen, recorded, table)
        others = baselines.from_images(chosen, table, data)
    return Measured(table, [*constant, *others, predicted], network=model)


def _measure_external(data, watch) -> Measured:
    """Of maps or boxes that another tool made."""
    from sensmap.evaluation import external, predictions

    folds = FLAGS.folds or _FOLDS
    if FLAGS.boxes:
        table, predicted, missing = external.read_boxes(FLAGS.boxes, data)
    else:
        with watch.stage("thresholds of the maps"):
            table, missing = external.read_maps(FLAGS.scoremaps, data)
        (threshold,) = shared.estimators(["threshold"])
        ((_, predicted),) = predictions.cross_validate(table, [threshold], folds, FLAGS.seed)
        predicted = predicted._replace(method=f"Threshold ({Path(FLAGS.scoremaps).name})")
    compared = _compared_with(data, table, None, folds, watch)
    fitted_on = predictions.folds_record(data, table, folds, FLAGS.seed)
    return Measured(table, [*compared, predicted], fitted_on=fitted_on, missing=missing)


def _compared_with(data, table, classifier, folds, watch) -> list:
    from sensmap.evaluation import baselines

    with watch.stage("baselines"):
        chosen = baselines.chosen(FLAGS.baselines)
        constant = baselines.constant(chosen, table, folds, FLAGS.seed)
        return constant + baselines.from_images(chosen, table, data, classifier)


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()
