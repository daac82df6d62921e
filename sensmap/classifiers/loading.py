"""Classifiers from files, folders and Keras's applications, and back to a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from sensmap import compute, files
from sensmap.classifiers import applications, class_names
from sensmap.classifiers.classifier import Classifier
from sensmap.classifiers.keras_errors import reason
from sensmap.classifiers.preprocessing import MODES, Preprocessing

MODEL_FILE = "model.keras"
CONFIG_FILE = "classifier.json"


def load(
    source: str | os.PathLike | keras.Model,
    preprocessing: Preprocessing | str | None = None,
    *,
    weights: str | os.PathLike | None = None,
    class_names: str | os.PathLike | Sequence[str] | None = None,
    class_offset: int = 0,
    input_size: tuple[int, int] | None = None,
    mixed_precision: str = "none",
) -> Classifier:
    """Loads a classifier.

    Args:
        source: a folder that `save` wrote, which holds all the rest; a ``.keras`` or ``.h5``
            file, read in safe mode; the name of a `keras.applications` model, in any case of
            letters; or a Keras model.
        preprocessing: what the model was trained with, as a mode of Keras (``"tf"``,
            ``"torch"``, ``"caffe"``, ``"none"``) or with mean and scale. Needed for files and
            models; known for applications.
        weights: for applications: ``"imagenet"``, a file of weights, or None for random ones.
        class_names: a file of them (`sensmap.classifiers.class_names.read`), or the names.
        class_offset: how many outputs, from the first, stand for the background.
        input_size: ``(height, width)`` in pixels, for models of flexible size.
        mixed_precision: ``"float16"`` or ``"bfloat16"`` for layers to compute in; ``"none"`` to
            leave them as they are.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if it is not a classifier that can be used, or the arguments contradict what
            is known; in one line.
    """
    mode = Preprocessing.of(preprocessing) if isinstance(preprocessing, str) else preprocessing
    names = _names(class_names)
    precision = compute.check_precision(mixed_precision)
    if isinstance(source, keras.Model):
        _refuse_weights(weights, "a Keras model")
        mode = _required(mode, "a Keras model")
        return Classifier(source, mode, input_size, names, class_offset, mixed_precision=precision)
    application = applications.find(str(source))
    if application is not None and not Path(source).exists():
        return _load_application(
            application, mode, weights, names, class_offset, input_size, precision
        )
    _refuse_weights(weights, str(source))
    if Path(source).is_dir():
        return _load_folder(Path(source), mode, names, class_offset, input_size, precision)
    if not Path(source).is_file():
        raise FileNotFoundError(
            f"There is no classifier {str(source)!r}: neither a file or folder, nor one of "
            f"keras.applications: {', '.join(applications.names())}."
        )
    mode = _required(mode, str(source))
    name, model = Path(source).name, _read_model(source)
    return Classifier(model, mode, input_size, names, class_offset, name, mixed_precision=precision)


def save(classifier: Classifier, folder: str | os.PathLike, overwrite: bool = False) -> None:
    """Writes a classifier, as the scores before softmax, with all that `load` needs.

    Args:
        classifier: what to write.
        folder: the folder to make; it appears whole or not at all.
        overwrite: replace a folder that is there.

    Raises:
        OSError: if it exists or cannot be written.
    """
    with files.output_folder(folder, overwrite) as work:
        write_into(classifier, work)


def write_into(classifier: Classifier, work: Path) -> None:
    """Writes the files of `save` into a folder that is being made."""
    classifier.model.save(work / MODEL_FILE)
    names = classifier.class_names
    config = {**classifier.config, "class_names": names and list(names)}
    files.write_json(work / CONFIG_FILE, config)


def _load_application(
    name, mode, weights, names, class_offset, input_size, precision
) -> Classifier:
    own = applications.preprocessing(name)
    if weights == "imagenet":
        if mode is not None and mode != own:
            raise ValueError(
                f"{name} with ImageNet's weights was trained with {own}; received {mode}."
            )
        names = names if names is not None else applications.imagenet_names()
    num_outputs = 1000
    if weights != "imagenet" and names is not None:
        num_outputs = len(names) + class_offset
    model = applications.build(name, weights, num_outputs, input_size)
    # By its name only: an artefact does not tell how a machine's folders are called.
    source = f"keras.applications.{name}, weights {weights and Path(weights).name}"
    return Classifier(
        model, mode or own, input_size, names, class_offset, source, mixed_precision=precision
    )


def _load_folder(folder: Path, mode, names, class_offset, input_size, precision) -> Classifier:
    if not (folder / CONFIG_FILE).is_file():
        raise ValueError(
            f"{folder}: not a classifier's folder, for it has no {CONFIG_FILE}; give the "
            ".keras or .h5 file itself."
        )
    config = files.read_json(folder / CONFIG_FILE)
    try:
        recorded: dict[str, Any] = {
            "preprocessing": Preprocessing.from_config(config["preprocessing"]),
            "input_size": tuple(config["input_size"]),
            "class_names": config["class_names"] and tuple(config["class_names"]),
            "class_offset": int(config["class_offset"]),
            "multilabel": bool(config.get("multilabel", False)),
        }
        source, fingerprint = str(config["source"]), config["fingerprint"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / CONFIG_FILE}: damaged ({error!r}).") from error
    asked = {
        "preprocessing": mode,
        "input_size": input_size and tuple(input_size),
        "class_names": names and tuple(names),
        "class_offset": class_offset or None,
    }
    for key, value in asked.items():
        if value is not None and value != recorded[key]:
            raise ValueError(f"{folder}: recorded with another {key}; leave {key} out.")
    model = _read_model(folder / MODEL_FILE)
    classifier = Classifier(model, **recorded, source=source, mixed_precision=precision)
    if classifier.fingerprint != fingerprint:
        raise ValueError(
            f"{folder}: {MODEL_FILE} is not the model that {CONFIG_FILE} was written for."
        )
    return classifier


def _read_model(path: str | os.PathLike) -> keras.Model:
    """Reads a model in safe mode: code that hides in a file is never run."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    if Path(path).suffix not in (".keras", ".h5", ".hdf5"):
        raise ValueError(f"{path}: a classifier is a .keras or .h5 file, or a folder of sensmap.")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, HDF5, JSON and Keras raise many kinds
        raise ValueError(f"{path}: cannot be read as a Keras model: {_why(error)}") from error


def _why(error: Exception) -> str:
    message = str(error)
    if "safe_mode" in message or "unsafe_deserialization" in message:
        return "it holds a Lambda layer, which is code that could do anything; refused."
    if "No model config" in message:
        return (
            "it holds weights only; give them with weights= and the name of a "
            "keras.applications model."
        )
    return reason(error)


def _names(names: str | os.PathLike | Sequence[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    return class_names.read(names) if isinstance(names, str | os.PathLike) else tuple(names)


def _required(mode: Preprocessing | None, source: str) -> Preprocessing:
    if mode is None:
        raise ValueError(
            f"What preprocessing was {source} trained with? Give preprocessing= as one of "
            f"{', '.join(MODES)}, or with a mean and a scale."
        )
    return mode


def _refuse_weights(weights, source: str) -> None:
    if weights is not None:
        raise ValueError(f"weights goes with a keras.applications name, not with {source}.")
