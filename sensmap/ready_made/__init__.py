"""A box regressor for classifiers that nobody has any boxes for.

Where the marginal quantiles of a sensitivity map lie says much the same about the object's box
whichever network the map is of. So coefficients that were fitted once, with other classifiers,
come with the package: 152 features x 4 sides a map. One set is for maps of the pixels, and one
for inner layers' maps of each stride (input pixels to a cell); of several maps the boxes are
averaged, which is a linear regression again:

    box = 1/L * sum over the L maps of  W_s (z - mean_s) / scale_s + b_s

``benchmarks/ready_made.py`` fits them, and measures them on a classifier left out of the fit.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np

from sensmap import files
from sensmap.localizers.linear import BoxRegressor
from sensmap.maps import PIXELS, MapMethod

FOLDER = Path(__file__).parent
# Fewer unlabelled images say too little about the mean and scale of the features.
MIN_IMAGES = 30


def regressor(method: MapMethod) -> BoxRegressor:
    """The ready-made regressor for the maps of a method.

    Args:
        method: the map method ``gradient`` with the reduction ``max``, any layers.

    Raises:
        ValueError: for maps of another kind.
    """
    if (method.config["name"], method.config.get("reduction")) != ("gradient", "max"):
        raise ValueError(
            "The ready-made regressor is for gradient maps with the reduction max; received "
            f"{method.config}. Fit one with train/box_regressor.py instead."
        )
    found = method.compiled.get_concrete_function().structured_outputs.maps
    height = method.classifier.input_size[0]
    kinds = [
        kind_of(layer, height / each.shape[1])
        for layer, each in zip(method.layers, found, strict=True)
    ]
    return average([BoxRegressor.load(FOLDER / f"{kind}.npz") for kind in kinds])


def kind_of(layer: str, stride: float) -> str:
    """Which set of coefficients a map takes: ``pixels``, or that of the nearest stride there is.

    >>> kind_of("pixels", 1), kind_of("conv5", 17.2), kind_of("conv1", 2)
    ('pixels', 'stride16', 'stride4')
    """
    if layer == PIXELS:
        return PIXELS
    return f"stride{min((4, 8, 16), key=lambda known: abs(np.log2(stride / known)))}"


def average(regressors: list[BoxRegressor]) -> BoxRegressor:
    """One regressor on the features side by side that predicts the mean of the boxes."""
    combined = BoxRegressor("quantiles")
    combined.mean_ = np.concatenate([each.mean_ for each in regressors])
    combined.scale_ = np.concatenate([each.scale_ for each in regressors])
    combined.coef_ = np.concatenate([each.coef_ for each in regressors], 1) / len(regressors)
    combined.intercept_ = np.mean([each.intercept_ for each in regressors], axis=0)
    combined.penalty_ = regressors[0].penalty_
    combined.images_ = regressors[0].images_
    return combined


def adapt(ready: BoxRegressor, features: np.ndarray) -> BoxRegressor:
    """Standardises by a classifier's own, unlabelled statistics.

    The networks' maps differ in how concentrated they are, and this takes much of the
    difference away.

    Args:
        ready: what `regressor` gave.
        features: ``(N, F)`` features of at least `MIN_IMAGES` images, no boxes needed.

    Raises:
        ValueError: for fewer images.
    """
    if len(features) < MIN_IMAGES:
        raise ValueError(
            f"To adapt the ready-made regressor takes {MIN_IMAGES} images; received "
            f"{len(features)}."
        )
    adapted = copy.copy(ready)
    adapted.mean_ = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    adapted.scale_ = np.where(deviation > 1e-6, deviation, ready.scale_)
    return adapted


def baselines() -> dict[str, list[float]]:
    """The constant boxes of the images that the coefficients were fitted on."""
    return files.read_json(FOLDER / "baselines.json")
