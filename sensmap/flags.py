"""Flags that the binaries share, and what they mean; a binary's own flags stand in the binary."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from sensmap import registry
from sensmap.binaries import warn

FLAGS = flags.FLAGS
# The flags defined here are those of the binary that asks for them: its --help shows them.
flags.disclaim_key_flags()

_CLASSIFIER = (
    "a classifier's folder (from train/classifier.py), a .keras or .h5 file, or the name of a "
    "keras.applications model"
)


# What a fitted localizer and an export have recorded, and must not be told again.
MAP_FLAGS = ("maps", "layers", "reduction", "map_option", "features", "localizer_option")
CLASSIFIER_FLAGS = (
    *("classifier", "weights", "preprocessing", "mean", "scale"),
    *("class_names", "class_offset", "input_size"),
)
COMPUTE_FLAGS = ("strategy", "mixed_precision", "jit_compile")


def define_classifier() -> None:
    """--classifier and how it is to be read; their names are `CLASSIFIER_FLAGS`."""
    flags.DEFINE_string("classifier", None, _CLASSIFIER)
    flags.DEFINE_string(
        "weights", None, "for keras.applications: 'imagenet' (downloads them), or a weights file"
    )
    flags.DEFINE_string(
        "preprocessing", None, "tf, torch, caffe or none: what the classifier was trained with"
    )
    flags.DEFINE_list("mean", None, "instead: channel means; input = (pixel - mean) * scale")
    flags.DEFINE_list("scale", None, "with --mean: channel scales, such as 0.0078431")
    flags.DEFINE_string("class_names", None, "a file of class names, one a line, or a JSON list")
    flags.DEFINE_integer(
        "class_offset", 0, "outputs before the first class (background)", lower_bound=0
    )
    flags.DEFINE_list("input_size", None, "height,width for classifiers of any input size")


def define_dataset(split: str | None = None, part: str = "all") -> None:
    """--dataset, where it is, and which part of it is meant."""
    flags.DEFINE_string(
        "dataset",
        None,
        f"one of {', '.join(registry.names('sensmap.datasets'))}; tfds:NAME for a TFDS set",
    )
    flags.DEFINE_string("root", None, "the folder or file that holds the data set")
    flags.DEFINE_string("split", split, "a part by the data set's own names (train, val, ...)")
    flags.DEFINE_multi_string(
        "dataset_option", [], "what the data set takes besides, as KEY=VALUE (count=1000)"
    )
    flags.DEFINE_enum(
        "part",
        part,
        ["all", "train", "validation", "test"],
        "which part of a random split of these images is used; the parts of one seed are disjoint",
    )
    flags.DEFINE_list("fractions", ["0.75", "0.125", "0.125"], "of train, validation and test")
    flags.DEFINE_integer("seed", 0, "of everything random", lower_bound=0, upper_bound=2**32 - 1)


def define_maps(several: bool = False) -> None:
    """Which maps are made, and how boxes are read off them; names are in `MAP_FLAGS`.

    Args:
        several: whether --maps takes a list.
    """
    names = registry.names("sensmap.maps")
    if several:
        flags.DEFINE_list("maps", ["gradient"], f"map methods: {', '.join(names)}")
    else:
        flags.DEFINE_enum("maps", "gradient", names, "the map method")
    flags.DEFINE_list(
        "layers", None, "where maps are taken: pixels, layer names, or auto (a few layers)"
    )
    flags.DEFINE_string("reduction", None, "over channels: max, mean, l2 or activation")
    flags.DEFINE_multi_string(
        "map_option", [], "what the map method takes besides, as KEY=VALUE (samples=50)"
    )
    flags.DEFINE_enum(
        "features", "quantiles", registry.names("sensmap.features"), "what a box is regressed from"
    )
    flags.DEFINE_multi_string(
        "localizer_option", [], "what the localizer takes besides, as KEY=VALUE (components=3)"
    )


def define_batch() -> None:
    """--batch_size and --class_of."""
    flags.DEFINE_integer("batch_size", 32, "images at once", lower_bound=1)
    flags.DEFINE_string(
        "class_of", "truth", "the class of a map: truth, predicted, or a class id or name"
    )


def define_compute() -> None:
    """--strategy, --mixed_precision and --jit_compile; their names are `COMPUTE_FLAGS`."""
    flags.DEFINE_enum(
        "strategy",
        "none",
        ["none", "mirrored"],
        "mirrored: each batch is shared out to all GPUs of the machine",
    )
    define_precision()
    flags.DEFINE_bool(
        "jit_compile", False, "by XLA; on CPUs slower for networks with depthwise convolutions"
    )


def define_precision() -> None:
    """--mixed_precision alone, for what is computed image by image."""
    flags.DEFINE_enum(
        "mixed_precision",
        "none",
        ["none", "float16", "bfloat16"],
        "what layers compute in; weights and class scores stay float32",
    )


def define_output() -> None:
    """--output and --overwrite."""
    flags.DEFINE_string("output", None, "the folder to write; it appears whole or not at all")
    flags.DEFINE_bool("overwrite", False, "replace the output folder if it exists")


def require(*names: str) -> None:
    """Refuses a run without these flags; in the binary's ``main``, so that --help works."""
    for name in names:
        if FLAGS[name].value in (None, []):
            raise ValueError(f"--{name} is needed: {FLAGS[name].help}.")


def refuse(reason: str, *names: str) -> None:
    """Refuses flags that would be without effect, so that nobody believes that they had one."""
    for name in names:
        if name in FLAGS and not FLAGS[name].using_default_value:
            raise ValueError(f"--{name} must be left out: {reason}.")


def classifier(mixed_precision: str | None = None):
    """The classifier that the flags describe.

    Args:
        mixed_precision: in place of that of --mixed_precision.
    """
    from sensmap import classifiers

    options = classifier_options()
    if mixed_precision is not None:
        options["mixed_precision"] = mixed_precision
    strategy = _strategy()
    with strategy.scope() if strategy else contextlib.nullcontext():
        return classifiers.load(FLAGS.classifier, options.pop("preprocessing"), **options)


def classifier_options() -> dict[str, Any]:
    """What `sensmap.classifiers.load` takes besides --classifier."""
    from sensmap import classifiers

    preprocessing: Any = FLAGS.preprocessing
    if FLAGS.mean or FLAGS.scale:
        if FLAGS.preprocessing or not (FLAGS.mean and FLAGS.scale):
            raise ValueError("Give either --preprocessing, or both --mean and --scale.")
        mean, scale = (tuple(_numbers(name)) for name in ("mean", "scale"))
        preprocessing = classifiers.Preprocessing(mean, scale)
    return {
        "preprocessing": preprocessing,
        "weights": FLAGS.weights,
        "class_names": FLAGS.class_names,
        "class_offset": FLAGS.class_offset,
        "input_size": input_size() if FLAGS.input_size else None,
        "mixed_precision": FLAGS.mixed_precision if "mixed_precision" in FLAGS else "none",
    }


def computed(extractor):
    """An extractor, computed as --strategy and --jit_compile say."""
    return extractor.computed_by(_strategy(), FLAGS.jit_compile)


def _strategy():
    if "strategy" not in FLAGS:
        return None
    from sensmap import compute

    return compute.strategy(FLAGS.strategy)


def input_size() -> tuple[int, int]:
    """--input_size as (height, width) in pixels."""
    height, width = whole_numbers("input_size", 2)
    return height, width


def whole_numbers(name: str, count: int) -> list[int]:
    """The value of a flag that takes so many whole numbers above 0."""
    found = _numbers(name)
    if len(found) != count or any(number < 1 or number % 1 for number in found):
        raise ValueError(
            f"--{name} takes {count} whole numbers above 0 ({FLAGS[name].help}); received "
            f"{FLAGS[name].value}."
        )
    return [int(number) for number in found]


def dataset(part: str | None = None, split: str | None = None):
    """The data set that the flags describe, or the asked part of it.

    Args:
        part: in place of that of --part.
        split: in place of that of --split.
    """
    from sensmap.dataset_parts import open_dataset

    found = open_dataset(**dataset_options(part, split))
    for line in found.skipped:
        warn(f"{found.name}: {line}")
    return found


def dataset_options(part: str | None = None, split: str | None = None) -> dict[str, Any]:
    """What `sensmap.dataset_parts.open_dataset` takes, as of `dataset`."""
    part, fractions = part or FLAGS.part, _numbers("fractions")
    if part != "all" and len(fractions) != 3:
        raise ValueError(
            "--fractions takes three numbers, of train, validation and test; "
            f"received {FLAGS.fractions}."
        )
    return {
        "name": FLAGS.dataset,
        "root": FLAGS.root,
        "split": split or FLAGS.split,
        "options": key_values("dataset_option"),
        "part": part,
        "fractions": fractions,
        "seed": FLAGS.seed,
    }


def map_methods(of_classifier) -> list:
    """The map methods that the flags describe, in their order."""
    from sensmap import maps

    described = map_options()
    return [maps.create(name, of_classifier, **options) for name, options in described.items()]


def map_options() -> dict[str, dict[str, Any]]:
    """The names of the map methods that the flags describe, and what each takes."""
    from sensmap import maps

    names = FLAGS.maps if isinstance(FLAGS.maps, list) else [FLAGS.maps]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"--maps takes map methods, each once; received {FLAGS.maps}.")
    options = key_values("map_option")
    options |= {name: FLAGS[name].value for name in ("layers", "reduction")}
    options = {key: value for key, value in options.items() if value is not None}
    known = {name: maps.option_names(name) for name in names}
    for key in options:
        if not any(key in taken for taken in known.values()):
            raise ValueError(
                "; ".join(
                    f"the map method {name!r} has no option {key!r}, it takes "
                    f"{', '.join(taken) or 'none'}"
                    for name, taken in known.items()
                )
            )
    return {name: {key: options[key] for key in options if key in known[name]} for name in names}


def map_method(of_classifier):
    """The one map method that the flags describe."""
    return map_methods(of_classifier)[0]


def estimators(names: Sequence[str]) -> list:
    """Localizers by their names, with --features and --localizer_option, not fitted."""
    from sensmap import localizers

    options = key_values("localizer_option")
    found = []
    for name in names:
        estimator = localizers.create(name)
        known = estimator.get_params()
        if "features" in known:
            estimator.set_params(features=FLAGS.features)
        estimator.set_params(**{key: options[key] for key in options if key in known})
        found.append(estimator)
    for key in options:
        if not any(key in each.get_params() for each in found):
            taken = sorted({key for each in found for key in each.get_params()})
            raise ValueError(
                f"--localizer_option: {', '.join(names)} has no option {key!r}; "
                f"there is {', '.join(taken)}."
            )
    return found


def localizers(of_classifier, given: str) -> list:
    """Whole localizers: a folder's, or by its name one that needs no fit, on each of the maps."""
    from sensmap.localizer import Localizer

    if given not in registry.names("sensmap.localizers"):
        refuse("it is recorded in the folder of --localizer", *MAP_FLAGS)
        return [Localizer.load(given, of_classifier)]
    (estimator,) = estimators([given])
    if estimator.__sklearn_tags__().requires_fit:
        raise ValueError(
            f"The localizer {given!r} has to be fitted first, by train/box_regressor.py "
            f"--localizer={given}, whose folder --localizer takes."
        )
    return [Localizer(method, estimator) for method in map_methods(of_classifier)]


def key_values(name: str) -> dict[str, Any]:
    """A flag's KEY=VALUE pairs; values are Python literals, or else words."""
    options = {}
    for each in FLAGS[name].value or ():
        key, equals, value = each.partition("=")
        if not equals:
            raise ValueError(f"--{name} must be KEY=VALUE; received {each!r}.")
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value  # a plain word
    return options


def _numbers(name: str) -> list[float]:
    try:
        return [float(value) for value in FLAGS[name].value or ()]
    except ValueError:
        raise ValueError(
            f"--{name} takes numbers separated by commas; received {FLAGS[name].value}."
        ) from None
