r"""Measures segmentations: mean IoU of the masks and CorLoc of their boxes, with a report.

    python -m eval.segmentation --classifier=runs/voc/classifier --dataset=voc --root=VOC2012 \
        --split=val --dataset_option=image_set=Segmentation --part=all --maps=dcsm \
        --fit_background=train --output=runs/voc/segmentation

The maps of an image's classes compete with each other and with the background, whose weight is
--background, or is chosen by --fit_background on another split; a fully connected CRF then draws
the masks to the image's borders (sensmap/segmentation.py says whose method this is). The classes
are those that the classifier sees; --classes_of=truth takes the image's labels instead.
Compared with masks that are all background, and with an object in the middle of every image.
Writes masks/<id>.png (class indices, with VOC's palette), images.jsonl (each image's own mean IoU
and foreground IoU), report.html, report.md, result.json and table.md.
"""

from collections.abc import Sequence

from absl import flags

from sensmap import binaries
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset(part="test")
shared.define_maps()
shared.define_precision()
shared.define_output()
flags.DEFINE_enum(
    "classes_of",
    "predicted",
    ["predicted", "truth"],
    "the classes that are looked for in an image: those that the classifier sees, or its labels",
)
flags.DEFINE_float("background", 1.0, "the weight of the background's score; above 0")
flags.DEFINE_string(
    "fit_background", None, "choose it by the mean IoU on 100 images of this other split"
)
flags.DEFINE_bool("crf", True, "refine the masks by a fully connected CRF")
flags.DEFINE_multi_string(
    "crf_option", [], "of the CRF, as KEY=VALUE (bilateral_xy=50); see sensmap/dense_crf.py"
)
flags.DEFINE_integer("pictures", 24, "images drawn at random for the report", lower_bound=0)
flags.DEFINE_integer("worst", 4, "images of each kind of error in the report", lower_bound=0)


def run(_: Sequence[str]) -> None:
    shared.require("classifier", "dataset", "output")
    shared.refuse("masks are read off the maps themselves", "features", "localizer_option")
    if FLAGS.fit_background is not None:
        shared.refuse("--fit_background chooses it", "background")
    if not FLAGS.crf:
        shared.refuse("there is no CRF with --nocrf", "crf_option")
    import json

    from sensmap import files, masks, segmentation_analysis, segmentation_evaluation, stopwatch
    from sensmap.report import segmentation as report
    from sensmap.segmentation import Segmenter

    crf = _crf() if FLAGS.crf else None
    # The folder first: that it cannot be made should not be found out after an hour of work.
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        watch = stopwatch.Stopwatch()
        data = shared.dataset()
        classifier = shared.classifier()
        if unknown := segmentation_evaluation.unknown_classes(data, classifier):
            binaries.warn(f"the classifier does not know, and cannot find: {', '.join(unknown)}")
        method = shared.map_method(classifier)
        background = _background(method, data, watch)
        segmenter = Segmenter(method, background["weight"], crf)

        def keep(name, mask):
            masks.save(work / "masks" / f"{name}.png", mask)

        found = segmentation_evaluation.evaluate(
            segmenter, data, FLAGS.classes_of, keep, background["ellipse"]
        )
        binaries.report_skipped(found)
        failures = segmentation_analysis.analyse(
            found.confusions[found.rows[-1]["method"]],
            found.scored,
            len(found) - len(found.scored),
            FLAGS.worst,
        )
        with watch.stage("pictures"):
            shown = segmentation_evaluation.shown_pictures(
                segmenter,
                data,
                found,
                FLAGS.classes_of,
                _unsubtracted(method),
                FLAGS.pictures,
                FLAGS.seed,
            )
            worst = segmentation_evaluation.worst_pictures(
                segmenter, data, failures, FLAGS.classes_of
            )
        lines = [json.dumps(each) for each in segmentation_evaluation.image_lines(found)]
        files.write_text(work / "images.jsonl", "".join(f"{line}\n" for line in lines))
        result = {
            "title": f"Segmentation of {data.name}",
            "dataset": data.name,
            "maps": method.config,
            "rows": found.rows,
            "analysis": failures,
            "background": background,
            "skipped": [{"id": name, "reason": reason} for name, reason in found.skipped],
            "dropped": [{"id": name, "reason": reason} for name, reason in found.dropped],
            "counts": {
                "images": len(found),
                "degenerate maps": found.degenerate,
                "boxes left out": len(found.dropped),
                **found.classes,
            },
            "seconds": _seconds(watch.seconds, found.seconds),
            "data": binaries.data_record(data, found),
            "classifier": classifier.config,
            "configuration": binaries.configuration(__name__),
            "versions": binaries.versions(),
        }
        text = report.write(work, result, shown, worst)
    print(f"\n{text}\n\n{FLAGS.output}/report.html")


def _seconds(own: dict[str, float], of_masks: dict[str, float]) -> dict[str, float]:
    """Of all stages, those of the masks before the pictures of them."""
    before = {name: own[name] for name in own if name != "pictures"}
    return {**before, **of_masks, "pictures": own["pictures"]}


def _background(method, data, watch) -> dict:
    """Its weight, how that was chosen, and how large a centred object is."""
    from sensmap import segmentation_evaluation

    if FLAGS.fit_background is None:
        return {"weight": FLAGS.background, "ellipse": segmentation_evaluation.ELLIPSE}
    other = shared.dataset(part="all", split=FLAGS.fit_background)
    with watch.stage("weight of the background"):
        fitted = segmentation_evaluation.fit_background(
            method, other, FLAGS.classes_of, data.ids, FLAGS.seed
        )
    print(f"Background: weight {fitted.background:g}, chosen on {len(fitted)} of {other.name}.")
    chosen_on = binaries.data_record(other, fitted) | {
        "mean_iou": {f"{weight:g}": found for weight, found in fitted.mean_iou.items()}
    }
    return {"weight": fitted.background, "ellipse": fitted.ellipse, "chosen_on": chosen_on}


def _crf():
    import dataclasses

    from sensmap.dense_crf import DenseCRF

    options = shared.key_values("crf_option")
    defaults = {field.name: field.default for field in dataclasses.fields(DenseCRF)}
    for key, value in options.items():
        if key not in defaults:
            raise ValueError(
                f"--crf_option: the CRF has no option {key!r}; it takes {', '.join(defaults)}."
            )
        kinds = int if isinstance(defaults[key], int) else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            whole = "whole " if kinds is int else ""
            raise ValueError(f"--crf_option: {key} is a {whole}number; received {value!r}.")
    return DenseCRF(**options)


def _unsubtracted(method):
    """The same maps before those of other classes are subtracted, where that is done."""
    from sensmap import maps

    options = method.config
    if not options.get("subtraction"):
        return None
    return maps.create(options.pop("name"), method.classifier, **options | {"subtraction": 0.0})


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()
