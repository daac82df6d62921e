r"""Trains a classifier on image labels alone.

    python -m train.classifier --dataset=digits --split=train --preprocessing=tf \
        --output=runs/digits/classifier

For images with several classes, a fully convolutional network that starts from a classifier's
features, with images of random sizes (Shimoda & Yanai 2016, section 3.1):

    python -m train.classifier --task=multilabel --architecture=VGG16 --weights=imagenet \
        --dataset=voc --root=VOC2012 --split=trainaug --part=train --output=runs/voc/classifier

On several GPUs --strategy=mirrored shares each batch out, and --mixed_precision=bfloat16 computes
in 16 bits; the classifier is one of float32 all the same. Images that do not fit into memory are
decoded in each epoch.

With --part=train it is measured on --part=validation, which training.json tells. Writes a folder
that every --classifier takes: model.keras (class scores before softmax), classifier.json
(preprocessing, class names, ...) and training.json (settings, accuracy).
"""

from collections.abc import Sequence

from absl import flags

from sensmap import binaries
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_dataset()
shared.define_output()
shared.define_compute()
flags.DEFINE_enum(
    "task", "single_label", ["single_label", "multilabel"], "how many classes an image has"
)
flags.DEFINE_string(
    "architecture",
    "small_cnn",
    "small_cnn, or the name of a keras.applications model; for multilabel also a classifier's "
    "file or folder to start from",
)
flags.DEFINE_string(
    "weights", None, "for keras.applications: 'imagenet' (downloads them), or a weights file"
)
flags.DEFINE_string("preprocessing", None, "tf, torch, caffe or none; known for keras.applications")
flags.DEFINE_list("input_size", ["64", "64"], "height,width of the network's input")
flags.DEFINE_list("sizes", ["300", "700"], "multilabel: least and greatest side while training")
flags.DEFINE_integer("hidden", 0, "multilabel: channels before the class scores", lower_bound=0)
flags.DEFINE_bool("evidence", True, "multilabel: a map of evidence for each class")
flags.DEFINE_enum("pooling", "average", ["average", "max"], "multilabel: of the score maps")
flags.DEFINE_string("trained_from", None, "multilabel: the first layer that is trained")
flags.DEFINE_integer("epochs", 8, "passes over the images", lower_bound=1)
flags.DEFINE_integer("batch_size", 64, "images a step", lower_bound=1)
flags.DEFINE_float("learning_rate", 2e-3, "of the first step; then a cosine decay", lower_bound=0.0)


MULTILABEL_FLAGS = ("sizes", "hidden", "evidence", "pooling", "trained_from")


def run(_: Sequence[str]) -> None:
    shared.require("dataset", "output")
    multilabel = FLAGS.task == "multilabel"
    if not multilabel:
        shared.refuse("it is of --task=multilabel", *MULTILABEL_FLAGS)
    from sensmap import compute, files
    from sensmap.classifiers import loading, training

    data = shared.dataset()
    make = _multilabel if multilabel else _single_label
    model, preprocessing, sizes = make(len(data.classes))
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        classifier, history = training.train(
            model,
            data,
            preprocessing,
            epochs=FLAGS.epochs,
            batch_size=FLAGS.batch_size,
            learning_rate=FLAGS.learning_rate,
            seed=FLAGS.seed,
            multilabel=multilabel,
            strategy=compute.strategy(FLAGS.strategy),
            mixed_precision=FLAGS.mixed_precision,
            jit_compile=FLAGS.jit_compile,
            **sizes,
        )
        loading.write_into(classifier, work)
        record = {
            "configuration": binaries.configuration(__name__),
            "versions": binaries.versions(),
            **history,
            "validation": _validated(classifier),
        }
        files.write_json(work / "training.json", record)
    for name, reason in history["skipped"]:
        binaries.warn(f"skipped {name}: {reason}")
    print(
        f"{FLAGS.output}: trained on {history['images']} images of {len(data.classes)} classes, "
        f"training accuracy {100 * history['accuracy'][-1]:.1f}%."
    )
    if record["validation"]:
        found = record["validation"]
        name = "mean_average_precision" if multilabel else "top1"
        title = "mAP" if multilabel else "accuracy"
        print(f"Validation part: {title} {found[name]:.1f}% on {found['images']} images.")


def _single_label(num_classes):
    from sensmap.classifiers import training

    made = training.architecture(
        FLAGS.architecture,
        shared.input_size(),
        num_classes,
        FLAGS.preprocessing,
        FLAGS.weights,
        FLAGS.seed,
    )
    return *made, {}


def _multilabel(num_classes):
    """The model, its preprocessing, and the sizes of images: in the middle it works best."""
    from sensmap.classifiers import training

    low, high = shared.whole_numbers("sizes", 2)
    if low > high:
        raise ValueError(f"--sizes are the least and the greatest side; received {FLAGS.sizes}.")
    middle = (low + high) // 2
    size = (middle, middle) if FLAGS["input_size"].using_default_value else shared.input_size()
    made = training.multilabel_architecture(
        FLAGS.architecture,
        num_classes,
        FLAGS.preprocessing,
        FLAGS.weights,
        FLAGS.hidden,
        FLAGS.evidence,
        FLAGS.pooling,
        FLAGS.trained_from,
        FLAGS.seed,
    )
    return *made, {"sizes": (low, high), "input_size": size}


def _validated(classifier):
    """How right it is about the images of the validation part, if the training left them out."""
    if FLAGS.part != "train":
        return None
    from sensmap import pipeline

    data = shared.dataset("validation")
    if classifier.multilabel:
        return pipeline.average_precision(classifier, data)
    check = pipeline.sanity_check(classifier, data, len(data))
    return check and check.result()


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()
