r"""Measures localizers: CorLoc and localization error beside the constant boxes, with a report.

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
--top_k=5 adds boxes of the five classes with the highest scores and ILSVRC's localization error;
the procedure of Simonyan et al. 2013, section 3.2, is
    --localizer=graphcut --maps=ten_crop --top_k=5
Writes report.html, result.json, table.md, boxes.jsonl (a line an image) and boxes.png.
"""

from collections.abc import Sequence

from absl import flags

from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset(part="test")
shared.define_maps(several=True)
shared.define_batch()
shared.define_output()
flags.DEFINE_list(
    "localizer", [], "folders that train/box_regressor.py wrote, or names of localizers"
)
flags.DEFINE_integer("folds", 0, "cross-validate with so many folds instead", lower_bound=0)
flags.DEFINE_bool("ready_made", False, "measure the ready-made regressor instead")
flags.DEFINE_string("saved_model", None, "measure an exported model instead")
flags.DEFINE_integer(
    "top_k", 0, "boxes of so many best classes too: 5 for ILSVRC's", lower_bound=0, upper_bound=5
)
flags.DEFINE_integer("pictures", 24, "images shown in the report", lower_bound=0)


def run(_: Sequence[str]) -> None:
    shared.require("dataset", "output")
    ways = [FLAGS.folds or FLAGS.localizer, FLAGS.ready_made, FLAGS.saved_model]
    if sum(map(bool, ways)) != 1:
        raise ValueError("Give one of --localizer, --folds, --ready_made and --saved_model.")
    if FLAGS.saved_model:
        holds = "--saved_model holds the classifier and the localizer"
        shared.refuse(holds, *shared.CLASSIFIER_FLAGS, *shared.MAP_FLAGS, "top_k")
    if FLAGS.ready_made:
        shared.refuse("the ready-made regressor is for quantiles", "features", "localizer_option")
    from sensmap import evaluation, files

    # The folder first: that it cannot be made should not be found out after an hour of work.
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        data = shared.dataset()
        if FLAGS.saved_model:
            from sensmap.export import ServedModel

            network, accuracy, localizer = ServedModel(FLAGS.saved_model), None, None
            table, predictions = _predict_served(network, data)
        else:
            shared.require("classifier")
            network = shared.classifier()
            accuracy = shared.report_sanity(network, data)
            table, predictions, localizer = _predict(network, data)
        shared.report_skipped(table)
        last = predictions[-1]
        shown = evaluation.shown_pictures(data, table, last, localizer, FLAGS.pictures, FLAGS.seed)
        result = {
            "title": f"Localization on {data.name}",
            "dataset": data.name,
            "rows": evaluation.score(predictions, table, data, evaluation.known(data, network)),
            "sanity": accuracy,
            "skipped": [{"id": name, "reason": reason} for name, reason in table.skipped],
            "dropped": [{"id": name, "reason": reason} for name, reason in table.dropped],
            "counts": {
                "images": len(table),
                "degenerate maps": table.degenerate,
                "boxes left out": len(table.dropped),
                **{f"stand-in boxes: {why}": count for why, count in last.stand_ins.items()},
            },
            "seconds": {"maps": table.seconds},
            "data": shared.data_record(data, table),
            "configuration": shared.configuration(__name__),
            "versions": shared.versions(),
        }
        text = evaluation.write(work, result, shown, table, last)
    print(f"\n{text}\n\n{FLAGS.output}/report.html")


def _predict(classifier, data):
    """The last table, the predictions of all methods, and the last localizer."""
    from sensmap import evaluation, ready_made
    from sensmap.localizer import Localizer

    if FLAGS.folds:
        return _predict_folds(classifier, data)
    if FLAGS.ready_made:
        method = shared.map_method(classifier)
        localizers = [Localizer(method, ready_made.regressor(method))]
    else:
        localizers = [
            each for given in FLAGS.localizer for each in shared.localizers(classifier, given)
        ]
    found: list = []
    for localizer in localizers:
        evaluation.refuse_fitted(localizer.config, data)
        extractor = evaluation.extractor_for(localizer.method, [localizer.estimator], FLAGS.top_k)
        table = extractor.extract(data, FLAGS.class_of, FLAGS.batch_size)
        if not found:
            recorded = localizer.config.get("baselines", ready_made.baselines())
            found = evaluation.constant_boxes(recorded, table)
        predicted = evaluation.predict(table, localizer)
        if FLAGS.ready_made:
            predicted = predicted._replace(method="Ready-made regression")
        found.append(evaluation.timed(predicted, localizer, data))
    return table, found, localizer


def _predict_folds(classifier, data):
    from sensmap import evaluation, localizers
    from sensmap.localizer import Localizer, map_title

    estimators = shared.estimators(FLAGS.localizer or ["linear"])
    found: list = []
    for method in shared.map_methods(classifier):
        extractor = evaluation.extractor_for(method, estimators, FLAGS.top_k)
        name = map_title(method)
        table = extractor.extract(data, FLAGS.class_of, FLAGS.batch_size, description=name)
        if not found:
            constant = [localizers.create(name) for name in evaluation.BASELINES]
            fitted = evaluation.cross_validate(table, constant, FLAGS.folds, FLAGS.seed)
            found = [predicted for _, predicted in fitted]
        for fit, predicted in evaluation.cross_validate(table, estimators, FLAGS.folds, FLAGS.seed):
            localizer = Localizer(method, fit)
            named = predicted._replace(method=localizer.title, maps=name, localizer=fit.title)
            found.append(evaluation.timed(named, localizer, data))
    return table, found, localizer


def _predict_served(served, data):
    from sensmap import evaluation

    evaluation.refuse_fitted(served.config, data)
    table, predicted = evaluation.predict_served(served, data, FLAGS.class_of, FLAGS.batch_size)
    constant = evaluation.constant_boxes(served.config.get("baselines", {}), table)
    return table, [*constant, predicted]


def main() -> None:
    shared.run(run)


if __name__ == "__main__":
    main()
