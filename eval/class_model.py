r"""Shows what a classifier holds to be typical of its classes.

    python -m eval.class_model --classifier=model.keras --preprocessing=torch \
        --class_names=names.txt --classes=goose,ostrich,12 --output=runs/classes

--random=20 draws classes by --seed; --objective=score,posterior shows both side by side.
--parametrisation, --jitter and --blur are later work than the paper; sensmap/class_model.py says
whose. Writes report.html, result.json, grid.png and one PNG an image.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from sensmap import binaries
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_output()
flags.DEFINE_list("classes", [], "class ids, WordNet ids or names")
flags.DEFINE_integer("random", 0, "so many classes besides, drawn by --seed", lower_bound=0)
flags.DEFINE_list("objective", ["score"], "what is climbed: score, posterior, or both")
flags.DEFINE_float("penalty", 0.05, "lambda, what contrast costs; above 0")
flags.DEFINE_integer("steps", 100, "of gradient ascent, 1 or more")
flags.DEFINE_float("step_size", 0.1, "of the first step, up to 1; later ones are smaller")
flags.DEFINE_string("parametrisation", "pixels", "pixels, fourier or multiresolution")
flags.DEFINE_integer("jitter", 0, "shift the image by up to so many pixels in each step")
flags.DEFINE_float("blur", 0.0, "blur the image after each step; standard deviation in pixels")
flags.DEFINE_integer("seed", 0, "of everything random", lower_bound=0, upper_bound=2**32 - 1)
flags.DEFINE_integer("batch_size", 16, "classes at once", lower_bound=1)


def run(_: Sequence[str]) -> None:
    shared.require("classifier", "output")
    if not FLAGS.classes and not FLAGS.random:
        raise ValueError("Give --classes, or how many to draw with --random.")
    from sensmap import files
    from sensmap.evaluation.illustrations import display_name
    from sensmap.report import class_models

    # The folder first: that it cannot be made should not be found out after all the work.
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        classifier = shared.classifier()
        class_ids = _class_ids(classifier)
        visualisers = _visualisers(classifier)
        found = {
            each.objective: each(class_ids, batch_size=FLAGS.batch_size) for each in visualisers
        }

        def name_of(class_id: int) -> str:
            names = classifier.class_names
            return display_name(names[class_id]) if names else f"class {class_id}"

        result = {
            "title": "Class models",
            "classifier": classifier.source,
            "settings": [each.config for each in visualisers],
            "classifier_config": classifier.config,
            "configuration": binaries.configuration(__name__),
            "versions": binaries.versions(),
        }
        text = class_models.write(work, found, name_of, result)
    print(f"\n{text}\n\n{FLAGS.output}/report.html")


def _class_ids(classifier) -> list[int]:
    """Those of --classes, each once, and then as many others as --random says."""
    import numpy as np

    named = list(dict.fromkeys(classifier.class_id(each) for each in FLAGS.classes))
    others = np.setdiff1d(np.arange(classifier.num_classes), named)
    if FLAGS.random > len(others):
        raise ValueError(
            f"--random={FLAGS.random} asks for more classes than the {len(others)} that are left."
        )
    drawn = np.random.default_rng(FLAGS.seed).choice(others, FLAGS.random, replace=False)
    return [*named, *drawn.tolist()]


def _visualisers(classifier) -> list:
    """One for each objective, in their order."""
    from sensmap.class_model import ClassVisualiser

    if not FLAGS.objective or len(set(FLAGS.objective)) != len(FLAGS.objective):
        raise ValueError(f"--objective takes objectives, each once; received {FLAGS.objective}.")
    names = ("penalty", "steps", "step_size", "parametrisation", "jitter", "blur", "seed")
    settings: dict[str, Any] = {name: FLAGS[name].value for name in names}
    return [ClassVisualiser(classifier, objective, **settings) for objective in FLAGS.objective]


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()
