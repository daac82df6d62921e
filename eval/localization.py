r"""Measures localizers: CorLoc beside the constant boxes, with a report.

    python -m eval.localization --classifier=runs/digits/classifier \
        --localizer=runs/digits/localizer --dataset=digits --split=test --part=all \
        --output=runs/digits/evaluation

What is measured is one of
    --localizer=A,B   folders of train/box_regressor.py (a row each; the report is on the last)
    --folds=5         a regression fitted on the other folds, for a few hundred boxed images
    --ready_made      the coefficients that come with sensmap; the images' boxes only score
    --saved_model=M   an export of train/export_saved_model.py
Writes report.html, result.json, table.md, boxes.jsonl (a line an image) and boxes.png.
"""

from collections.abc import Sequence

from absl import flags

from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset(part="test")
shared.define_maps()
shared.define_batch()
shared.define_output()
flags.DEFINE_list("localizer", [], "folders that train/box_regressor.py wrote")
flags.DEFINE_integer("folds", 0, "cross-validate with so many folds instead", lower_bound=0)
flags.DEFINE_bool("ready_made", False, "measure the ready-made regressor instead")
flags.DEFINE_string("saved_model", None, "measure an exported model instead")
flags.DEFINE_integer("pictures", 24, "images shown in the report", lower_bound=0)


def run(_: Sequence[str]) -> None:
    shared.require("dataset", "output")
    ways = [FLAGS.localizer, FLAGS.folds, FLAGS.ready_made, FLAGS.saved_model]
    if sum(map(bool, ways)) != 1:
        raise ValueError("Give one of --localizer, --folds, --ready_made and --saved_model.")
    if FLAGS.saved_model:
        holds = "--saved_model holds the classifier and the localizer"
        shared.refuse(holds, *shared.CLASSIFIER_FLAGS, *shared.MAP_FLAGS)
    if FLAGS.localizer:
        shared.refuse("it is recorded in the folder of --localizer", *shared.MAP_FLAGS)
    if FLAGS.ready_made:
        shared.refuse("the ready-made regressor is for quantiles", "features")
    from sensmap import evaluation, files

    # The folder first: that it cannot be made should not be found out after an hour of work.
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        data = shared.dataset()
        if FLAGS.saved_model:
            accuracy, method = None, None
            table, predictions = _predict_served(data)
        else:
            shared.require("classifier")
            classifier = shared.classifier()
            accuracy = shared.report_sanity(classifier, data)
            table, predictions, method = _predict(classifier, data)
        shared.report_skipped(table)
        boxes = predictions[-1].boxes
        shown = evaluation.shown_pictures(data, table, boxes, method, FLAGS.pictures, FLAGS.seed)
        result = {
            "title": f"Localization on {data.name}",
            "dataset": data.name,
            "rows": evaluation.score(predictions, table, data),
            "sanity": accuracy,
            "skipped": [{"id": name, "reason": reason} for name, reason in table.skipped],
            "dropped": [{"id": name, "reason": reason} for name, reason in table.dropped],
            "counts": {
                "images": len(table),
                "degenerate maps": table.degenerate,
                "boxes left out": len(table.dropped),
            },
            "seconds": {"maps": table.seconds},
            "data": shared.data_record(data, table),
            "configuration": shared.configuration(__name__),
            "versions": shared.versions(),
        }
        text = evaluation.write(work, result, shown, table, boxes)
    print(f"\n{text}\n\n{FLAGS.output}/report.html")


def _predict(classifier, data):
    from sensmap import evaluation, ready_made
    from sensmap.localizer import Localizer
    from sensmap.pipeline import Extractor

    if FLAGS.folds or FLAGS.ready_made:
        method = shared.map_method(classifier)
        table = Extractor(method, FLAGS.features).extract(data, FLAGS.class_of, FLAGS.batch_size)
        if FLAGS.folds:
            found = evaluation.cross_validate(table, FLAGS.features, FLAGS.folds, FLAGS.seed)
            return table, found, method
        boxes = ready_made.regressor(method).predict(table.features)
        found = evaluation.constant_boxes(ready_made.baselines(), len(table))
        return table, [*found, evaluation.Predictions("Ready-made regression", boxes)], method
    found = []
    for folder in FLAGS.localizer:
        localizer = Localizer.load(folder, classifier)
        evaluation.refuse_fitted(localizer.config, data)
        table, boxes = evaluation.predict(localizer, data, FLAGS.class_of, FLAGS.batch_size)
        if not found:
            found = evaluation.constant_boxes(localizer.config.get("baselines", {}), len(table))
        found.append(evaluation.Predictions(localizer.title, boxes))
    return table, found, localizer.method


def _predict_served(data):
    from sensmap import evaluation
    from sensmap.export import ServedModel

    served = ServedModel(FLAGS.saved_model)
    evaluation.refuse_fitted(served.config, data)
    table, boxes = evaluation.predict_served(served, data, FLAGS.class_of, FLAGS.batch_size)
    found = evaluation.constant_boxes(served.config.get("baselines", {}), len(table))
    return table, [*found, evaluation.Predictions("SavedModel", boxes)]


def main() -> None:
    shared.run(run)


if __name__ == "__main__":
    main()
