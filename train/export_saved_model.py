r"""Exports a localizer as a SavedModel for TensorFlow Serving.

    python -m train.export_saved_model --classifier=runs/digits/classifier \
        --localizer=runs/digits/localizer --output=runs/digits/serving

Writes OUTPUT/NAME/VERSION, which holds decoding, preprocessing, classifier, gradient, features
and regression in one graph, and the server's configuration beside it.
"""

from collections.abc import Sequence

from absl import flags

from sensmap import binaries
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_output()
flags.DEFINE_string("localizer", None, "the folder that train/box_regressor.py wrote")
flags.DEFINE_string("name", "sensmap", "what the model is called in requests")
flags.DEFINE_integer("model_version", 1, "the version folder", lower_bound=1)
flags.DEFINE_integer("top_k", 1, "boxes of how many predicted classes", lower_bound=1)
flags.DEFINE_bool("with_map", False, "return the sensitivity maps too")


def run(_: Sequence[str]) -> None:
    shared.require("classifier", "localizer", "output")
    from sensmap.export import export_saved_model
    from sensmap.localizer import Localizer

    localizer = Localizer.load(FLAGS.localizer, shared.classifier())
    path = export_saved_model(
        localizer,
        FLAGS.output,
        version=FLAGS.model_version,
        top_k=FLAGS.top_k,
        with_map=FLAGS.with_map,
        name=FLAGS.name,
        overwrite=FLAGS.overwrite,
    )
    print(f"{path}: a SavedModel of {localizer.classifier.num_classes} classes.")


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()
