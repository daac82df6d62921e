r"""Boxes of the objects in photographs.

    sensmap photo.jpg --classifier=model.keras --preprocessing=torch

Writes one line of JSON an image to standard output: file, class, score, box relative and in
pixels. Without --localizer the ready-made regressor turns maps into boxes, which needs no boxed
images; --localizer takes a folder that train/box_regressor.py wrote, or the name of one that
learns nothing: --localizer=graphcut segments the object. --saved_model takes an export.
--overlays draws what was found: map and box, with graphcut the way from the map to the
segmentation, with --top_k the boxes of the best classes.
"""

import sys
from collections.abc import Sequence

from absl import flags

from sensmap import binaries
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_maps()
flags.DEFINE_string("localizer", None, "a folder that train/box_regressor.py wrote, or graphcut")
flags.DEFINE_string("saved_model", None, "an export; takes the place of --classifier")
flags.DEFINE_string("class", None, "a class id or name; by default the class predicted")
flags.DEFINE_integer("top_k", 1, "boxes of how many predicted classes", lower_bound=1)
flags.DEFINE_string("overlays", None, "a folder for pictures of map and box, one an image")
flags.DEFINE_bool("overwrite", False, "replace the folder of overlays if it exists")


def run(arguments: Sequence[str]) -> None:
    if not arguments[1:]:
        raise ValueError("Name images or folders of images: sensmap photo.jpg --classifier=...")
    if FLAGS.saved_model:
        holds = "--saved_model holds the classifier and the localizer"
        shared.refuse(holds, *shared.CLASSIFIER_FLAGS, *shared.MAP_FLAGS, "localizer", "top_k")
    else:
        shared.require("classifier")
    if FLAGS["class"].value is not None:
        shared.refuse("--class asks for one class", "top_k")
    if not FLAGS.localizer:
        shared.refuse("the ready-made regressor is for quantiles", "features", "localizer_option")
    from sensmap import photographs

    paths = list(photographs.image_files(arguments[1:]))
    if not paths:
        raise ValueError(f"There is no image in {', '.join(arguments[1:])}.")
    wanted = FLAGS["class"].value
    if FLAGS.saved_model:
        localize = photographs.by_saved_model(FLAGS.saved_model, wanted)
    else:
        localize = photographs.by_localizer(_localizer(), wanted, FLAGS.top_k)
    failed = photographs.run(paths, localize, sys.stdout.write, FLAGS.overlays, FLAGS.overwrite)
    for _, reason in failed:
        binaries.warn(reason)
    if failed:
        raise ValueError(f"{len(failed)} of {len(paths)} images could not be used.")


def _localizer():
    from sensmap import ready_made
    from sensmap.localizer import Localizer

    classifier = shared.classifier()
    if FLAGS.localizer:
        return shared.localizers(classifier, FLAGS.localizer)[0]
    FLAGS["layers"].value = FLAGS.layers or ["auto"]
    method = shared.map_method(classifier)
    return Localizer(method, ready_made.regressor(method))


def main() -> None:
    binaries.run(run, takes_arguments=True)


if __name__ == "__main__":
    main()
