"""The classifiers of `keras.applications`, and the preprocessing that each was trained with."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from sensmap import files
from sensmap.classifiers.keras_errors import reason
from sensmap.classifiers.preprocessing import Preprocessing

# By the start of the name. "none" stands for models that scale pixels of 0 to 255 themselves.
_MODES = {
    "ConvNeXt": "none",
    "DenseNet": "torch",
    "EfficientNet": "none",
    "Inception": "tf",
    "MobileNet": "tf",
    "MobileNetV3": "none",
    "NASNet": "tf",
    "ResNet": "caffe",
    "VGG": "caffe",
    "Xception": "tf",
}


def names() -> tuple[str, ...]:
    """The names of the classifiers that Keras has, sorted.

    >>> "MobileNetV2" in names()
    True
    """
    return tuple(
        name
        for name, value in sorted(vars(keras.applications).items())
        if callable(value) and any(name.startswith(start) for start in _MODES)
    )


def find(name: str) -> str | None:
    """The name as Keras spells it, or None.

    >>> find("mobilenetv2")
    'MobileNetV2'
    """
    return next((known for known in names() if known.lower() == name.lower()), None)


def preprocessing(name: str) -> Preprocessing:
    """What an application was trained with.

    >>> preprocessing("ResNet50V2") == Preprocessing.of("tf")
    True
    """
    if name.startswith("ResNet") and name.endswith("V2"):
        return Preprocessing.of("tf")
    start = max((start for start in _MODES if name.startswith(start)), key=len)
    return Preprocessing.of(_MODES[start])


def build(
    name: str,
    weights: str | os.PathLike | None,
    num_outputs: int,
    input_size: tuple[int, int] | None,
) -> keras.Model:
    """Builds an application, its outputs before softmax.

    Args:
        name: as Keras spells it.
        weights: ``"imagenet"`` (which Keras downloads, unless it has before), a file of
            weights, or None for random ones.
        num_outputs: the number of classes, those of the background too.
        input_size: ``(height, width)``, or None for the application's own.

    Raises:
        ValueError: if the application cannot be built like that, in one line.
    """
    return _make(
        name,
        weights,
        classes=num_outputs,
        input_shape=None if input_size is None else (*input_size, 3),
        classifier_activation=None,
    )


def backbone(
    name: str, weights: str | os.PathLike | None, input_size: tuple[int, int]
) -> keras.Model:
    """An application without its last layers, ending in global average pooling.

    Args and errors as of `build`.
    """
    return _make(name, weights, include_top=False, pooling="avg", input_shape=(*input_size, 3))


def _make(name: str, weights: str | os.PathLike | None, **options) -> keras.Model:
    if weights not in (None, "imagenet"):
        if not Path(weights).is_file():
            raise FileNotFoundError(f"{weights}: there is no such file of weights.")
        weights = str(weights)
    try:
        return getattr(keras.applications, name)(weights=weights, **options)
    except Exception as error:  # Keras raises many kinds, for files and for downloads
        raise ValueError(
            f"{name} cannot be built with weights {weights}: {reason(error)}"
        ) from error


def imagenet_names() -> tuple[str, ...] | None:
    """ImageNet's class names, if Keras has its file of them at hand; never from the network."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    index = home / "models" / "imagenet_class_index.json"
    if not index.is_file():
        return None
    entries = files.read_json(index)
    return tuple(
        f"{wordnet_id} {name.replace('_', ' ')}"
        for wordnet_id, name in (entries[str(number)] for number in range(len(entries)))
    )
