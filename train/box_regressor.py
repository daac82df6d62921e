r"""Fits the regression from sensitivity maps to boxes.

    python -m train.box_regressor --classifier=runs/digits/classifier \
        --dataset=digits --split=fit --layers=auto --output=runs/digits/localizer

Writes a folder that every --localizer takes: regressor.npz and config.json (settings, versions,
the classifier it belongs to, the images it was fitted on). With --ready_made no boxes are needed:
the coefficients that come with sensmap are adapted to the classifier by unlabelled images.
"""

from collections.abc import Sequence

from absl import flags

from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset(part="train")
shared.define_maps()
shared.define_batch()
shared.define_output()
flags.DEFINE_bool(
    "ready_made", False, "adapt the ready-made regressor to unlabelled images instead of fitting"
)


def run(_: Sequence[str]) -> None:
    shared.require("classifier", "dataset", "output")
    if FLAGS.ready_made:
        shared.refuse("the ready-made regressor is for quantiles", "features")
    from sensmap import files, ready_made
    from sensmap.localizer import Localizer, baselines
    from sensmap.localizers.linear import BoxRegressor
    from sensmap.pipeline import Extractor

    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        classifier = shared.classifier()
        data = shared.dataset()
        accuracy = shared.report_sanity(classifier, data)
        method = shared.map_method(classifier)
        table = Extractor(method, FLAGS.features).extract(data, FLAGS.class_of, FLAGS.batch_size)
        shared.report_skipped(table)
        if FLAGS.ready_made:
            regressor = ready_made.adapt(ready_made.regressor(method), table.features)
        else:
            regressor = BoxRegressor(FLAGS.features).fit(table.features, table.truths)
        config = {
            "data": shared.data_record(data, table),
            "penalty": regressor.penalty_,
            "fitted_on_boxes_of": 0 if FLAGS.ready_made else regressor.images_,
            "baselines": ready_made.baselines() if FLAGS.ready_made else baselines(table.truths),
            "sanity": accuracy,
            "configuration": shared.configuration(__name__),
            "versions": shared.versions(),
        }
        Localizer(method, regressor, config).write_into(work)
    used = f"adapted to {len(table)}" if FLAGS.ready_made else f"fitted on {regressor.images_}"
    print(
        f"{FLAGS.output}: {used} images, {table.features.shape[1]} features of "
        f"{', '.join(method.layers)}, penalty {regressor.penalty_:g}."
    )


def main() -> None:
    shared.run(run)


if __name__ == "__main__":
    main()
