r"""Boxes of the objects in photographs.

    sensmap photo.jpg --classifier=model.keras --preprocessing=torch

Writes one line of JSON an image to standard output: file, class, score, box relative and in
pixels. Without --localizer the ready-made regressor turns maps into boxes, which needs no boxed
images; --localizer takes one that train/box_regressor.py fitted, --saved_model an export.
"""

import sys
from collections.abc import Sequence

from absl import flags

from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
flags.DEFINE_string("localizer", None, "a folder that train/box_regressor.py wrote")
flags.DEFINE_string("saved_model", None, "an export; takes the place of --classifier")
flags.DEFINE_list("layers", ["auto"], "of the ready-made regressor: pixels, auto, or layer names")
flags.DEFINE_string("class", None, "a class id or name; by default the class predicted")
flags.DEFINE_string("overlays", None, "a folder for pictures of map and box, one an image")
flags.DEFINE_bool("overwrite", False, "replace the folder of overlays if it exists")


def run(arguments: Sequence[str]) -> None:
    if not arguments[1:]:
        raise ValueError("Name images or folders of images: sensmap photo.jpg --classifier=...")
    if FLAGS.saved_model:
        holds = "--saved_model holds the classifier and the localizer"
        shared.refuse(holds, *shared.CLASSIFIER_FLAGS, "localizer", "layers")
    else:
        shared.require("classifier")
    if FLAGS.localizer:
        shared.refuse("--localizer was fitted on the maps of certain layers", "layers")
    from sensmap import photographs

    paths = list(photographs.image_files(arguments[1:]))
    if not paths:
        raise ValueError(f"There is no image in {', '.join(arguments[1:])}.")
    if FLAGS.saved_model:
        localize = photographs.by_saved_model(FLAGS.saved_model, FLAGS["class"].value)
    else:
        localize = photographs.by_localizer(
            shared.classifier(), FLAGS.localizer, tuple(FLAGS.layers), FLAGS["class"].value
        )
    failed = photographs.run(paths, localize, sys.stdout.write, FLAGS.overlays, FLAGS.overwrite)
    for _, reason in failed:
        shared.warn(reason)
    if failed:
        raise ValueError(f"{len(failed)} of {len(paths)} images could not be used.")


def main() -> None:
    shared.run(run, takes_arguments=True)


if __name__ == "__main__":
    main()
