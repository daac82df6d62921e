"""From pixels of 0 to 255 to what a network was trained with: ``y = (x - mean) * scale``.

One formula covers every mode of `keras.applications`; it is recorded with every artefact, so
that training, evaluation and serving cannot disagree.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Per-channel mean and scale, ``y = (x - mean) * scale``, after an optional swap to BGR.

    Args:
        mean: three numbers on the scale of 0 to 255, in the network's order of channels; or
            one for all channels.
        scale: three factors, or one for all channels; not zero.
        bgr: whether the network takes blue first; the swap comes before mean and scale.

    >>> Preprocessing(mean=127.5, scale=1 / 127.5) == Preprocessing.of("tf")
    True
    >>> Preprocessing.of("tf")(np.array([[0.0, 127.5, 255.0]], np.float32)).tolist()
    [[-1.0, 0.0, 1.0]]
    """

    mean: tuple[float, ...] | float = 0.0
    scale: tuple[float, ...] | float = 1.0
    bgr: bool = False

    def __post_init__(self):
        object.__setattr__(self, "mean", _three("mean", self.mean))
        object.__setattr__(self, "scale", _three("scale", self.scale))
        object.__setattr__(self, "bgr", bool(self.bgr))
        if not np.all(self.scale):
            raise ValueError(f"A preprocessing scale must not be 0; received {self.scale}.")

    @classmethod
    def of(cls, mode: str) -> Preprocessing:
        """The preprocessing that Keras calls by this name.

        Args:
            mode: ``"tf"`` (-1 to 1), ``"torch"`` (0 to 1, then the mean and deviation of
                ImageNet), ``"caffe"`` (BGR minus ImageNet's mean), or ``"none"`` (0 to 255 as
                they are).

        Raises:
            ValueError: for another name, with the list of those that exist.
        """
        if mode not in MODES:
            raise ValueError(
                f"There is no preprocessing mode {mode!r}; choose one of {', '.join(MODES)}, "
                "or give a mean and a scale."
            )
        return MODES[mode]

    def __call__(self, images):
        """Applies it.

        Args:
            images: float32 array or tensor ``(..., 3)``, RGB, 0 to 255.

        Returns:
            The network's input, of the same shape and kind.
        """
        if self.bgr:
            images = images[..., ::-1]
        return (images - np.array(self.mean, np.float32)) * np.array(self.scale, np.float32)

    def to_config(self) -> dict[str, Any]:
        """What `from_config` makes the same preprocessing of; JSON can hold it."""
        return {
            "mean": np.ravel(self.mean).tolist(),
            "scale": np.ravel(self.scale).tolist(),
            "bgr": self.bgr,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preprocessing:
        """The preprocessing that `to_config` described.

        >>> caffe = Preprocessing.of("caffe")
        >>> Preprocessing.from_config(caffe.to_config()) == caffe
        True
        """
        if not isinstance(config, Mapping) or set(config) != {"mean", "scale", "bgr"}:
            raise ValueError(
                f"A recorded preprocessing holds mean, scale and bgr; received {config!r}."
            )
        return cls(config["mean"], config["scale"], config["bgr"])


def _three(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    try:
        numbers = [float(number) for number in np.ravel(value)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ValueError(
            f"A preprocessing {name} must be one finite number or three, one a channel; "
            f"received {value!r}."
        )
    return tuple(numbers)


MODES = {
    "tf": Preprocessing(127.5, 1 / 127.5),
    "torch": Preprocessing(
        tuple(255 * mean for mean in _TORCH_MEAN),
        tuple(1 / (255 * deviation) for deviation in _TORCH_DEVIATION),
    ),
    "caffe": Preprocessing((103.939, 116.779, 123.68), 1.0, bgr=True),
    "none": Preprocessing(),
}
