r"""Trains a classifier on image labels alone.

    python -m train.classifier --dataset=digits --split=train --preprocessing=tf \
        --output=runs/digits/classifier

Writes a folder that every --classifier takes: model.keras (class scores before softmax),
classifier.json (preprocessing, class names, ...) and training.json (settings, accuracy).
"""

from collections.abc import Sequence

from absl import flags

from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_dataset()
shared.define_output()
flags.DEFINE_string(
    "architecture", "small_cnn", "small_cnn, or the name of a keras.applications model"
)
flags.DEFINE_string(
    "weights", None, "for keras.applications: 'imagenet' (downloads them), or a weights file"
)
flags.DEFINE_string("preprocessing", None, "tf, torch, caffe or none; known for keras.applications")
flags.DEFINE_list("input_size", ["64", "64"], "height,width of the network's input")
flags.DEFINE_integer("epochs", 8, "passes over the images", lower_bound=1)
flags.DEFINE_integer("batch_size", 64, "images a step", lower_bound=1)
flags.DEFINE_float("learning_rate", 2e-3, "of the first step; then a cosine decay", lower_bound=0.0)


def run(_: Sequence[str]) -> None:
    shared.require("dataset", "output")
    from sensmap import files
    from sensmap.classifiers import loading, training

    data = shared.dataset()
    model, preprocessing = training.architecture(
        FLAGS.architecture,
        shared.input_size(),
        len(data.classes),
        FLAGS.preprocessing,
        FLAGS.weights,
        FLAGS.seed,
    )
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        classifier, history = training.train(
            model,
            data,
            preprocessing,
            epochs=FLAGS.epochs,
            batch_size=FLAGS.batch_size,
            learning_rate=FLAGS.learning_rate,
            seed=FLAGS.seed,
        )
        loading.write_into(classifier, work)
        configuration = shared.configuration(__name__)
        record = {"configuration": configuration, "versions": shared.versions(), **history}
        files.write_json(work / "training.json", record)
    for name, reason in history["skipped"]:
        shared.warn(f"skipped {name}: {reason}")
    print(
        f"{FLAGS.output}: trained on {history['images']} images of {len(data.classes)} classes, "
        f"training accuracy {100 * history['accuracy'][-1]:.1f}%."
    )


def main() -> None:
    shared.run(run)


if __name__ == "__main__":
    main()
