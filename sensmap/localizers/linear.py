"""The box regressor: linear regression from a map's features to the four sides of a box.

Ebrahimpour & Noelle, section 2: with z the features of an image's sensitivity map,

    (x0, y0, x1, y1) = W (z - mean) / scale + b

fitted by least squares. Departures: a ridge penalty, chosen by leave-one-out cross-validation
inside the training images, and standardised features, for there may be more features than images;
and the result is always made a valid box (`sensmap.boxes.make_valid`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import RidgeCV
from sklearn.utils.validation import check_is_fitted

from sensmap import boxes as box_geometry
from sensmap.localizers import _ridge
from sensmap.localizers._base import layers_of, store, stored, targets
from sensmap.localizers._ridge import RidgeStatistics

PENALTIES = tuple(10.0**k for k in np.arange(-1, 5.5, 0.5))

_ARRAYS = ("mean_", "scale_", "coef_", "intercept_")


class BoxRegressor(RegressorMixin, BaseEstimator):
    """Ridge regression from maps to boxes.

    Args:
        features: a module of `sensmap.features`; what maps are turned into.
        penalties: the ridge penalties to choose from.

    Attributes:
        coef_: ``(4, F)`` float64, for standardised features; intercept_: ``(4,)`` float64.
        mean_, scale_: ``(F,)`` float64, of the training features.
        penalty_: the chosen penalty.
        images_: how many images it was fitted on, those with exactly one valid box.

    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> boxes = [0.2, 0.2, 0.7, 0.8] + 0.05 * X[:, [0, 1, 0, 1]]
    >>> BoxRegressor().fit(X, boxes).predict(np.zeros((1, 3))).round(1)
    array([[0.2, 0.2, 0.7, 0.8]], dtype=float32)
    """

    title = "Linear regression"
    in_graph = True

    def __init__(self, features: str = "quantiles", penalties: Sequence[float] = PENALTIES):
        self.features = features
        self.penalties = penalties

    def check_penalties(self) -> None:
        """Sees that there is something to choose from, before images are read.

        Raises:
            ValueError: if the penalties are not positive numbers.
        """
        _ridge.checked(self.penalties)

    def fit(self, maps, boxes, images=None) -> BoxRegressor:
        """Fits the regression.

        Args:
            maps: ``(N, h, w)`` maps; or a list of such arrays, one a layer; or ``(N, F)``
                features, already computed.
            boxes: ``(N, 4)`` xyxy, or for each image its ``(n, 4)`` boxes. Images without
                exactly one valid box are left out.
            images: not needed; all localizers take them.

        Raises:
            ValueError: for fewer than two images to learn from, features that are not finite, or
                penalties that are not positive numbers.
        """
        self.check_penalties()
        design = self._design(maps)
        positions, chosen = targets(boxes, len(design))
        design = design[positions]
        if len(design) < 2:
            raise ValueError("A regression needs two images with one box each; received one.")
        self.images_ = len(design)
        self.mean_ = design.mean(axis=0)
        self.scale_ = _ridge.scales(design.std(axis=0), np.abs(design).max(axis=0))
        ridge = RidgeCV(list(self.penalties)).fit((design - self.mean_) / self.scale_, chosen)
        self.coef_, self.intercept_ = ridge.coef_, ridge.intercept_
        self.penalty_ = float(ridge.alpha_)
        return self

    def fit_statistics(self, statistics: RidgeStatistics) -> BoxRegressor:
        """Fits the regression to images that memory does not hold, by what they add up to.

        As `fit`, but for the penalty, which is chosen by cross-validation over the statistics'
        folds: leaving out single images would take the images.

        Args:
            statistics: of the features that ``features`` names, and the boxes.

        Raises:
            ValueError: for fewer than two images, or all in one fold; for penalties that are not
                positive numbers.

        >>> X = np.random.default_rng(0).normal(size=(50, 3))
        >>> statistics = RidgeStatistics(3)
        >>> for start in (0, 20, 40):  # as they come, from a stream or from shards
        ...     z = X[start : start + 20]
        ...     names = [f"image{i}" for i in range(start, start + len(z))]
        ...     statistics.update(z, [0.2, 0.2, 0.7, 0.8] + 0.05 * z[:, [0, 1, 0, 1]], names)
        >>> BoxRegressor().fit_statistics(statistics).predict(np.zeros((1, 3))).round(1)
        array([[0.2, 0.2, 0.7, 0.8]], dtype=float32)
        """
        found = _ridge.fit(statistics, self.penalties)
        self.images_ = statistics.images
        self.mean_, self.scale_ = found.mean, found.scale
        self.coef_, self.intercept_ = found.coef, found.intercept
        self.penalty_ = found.penalty
        return self

    def predict(self, maps, images=None) -> np.ndarray:
        """Boxes from maps or features, as given to `fit`.

        Returns:
            ``(N, 4)`` float32 xyxy, valid and inside the image.
        """
        check_is_fitted(self, "coef_")
        design = self._design(maps)
        if design.shape[1] != len(self.mean_):
            raise ValueError(
                f"This regressor was fitted on {len(self.mean_)} features; "
                f"received {design.shape[1]}."
            )
        raw = ((design - self.mean_) / self.scale_) @ self.coef_.T + self.intercept_
        return box_geometry.make_valid(raw).astype(np.float32)

    def _design(self, maps) -> np.ndarray:
        layers = layers_of(maps)
        if layers[0].ndim == 2:
            if not np.isfinite(layers[0]).all():
                raise ValueError("The features hold NaN or infinity; expected finite numbers.")
            return layers[0].astype(np.float64)
        from sensmap import features  # TensorFlow is needed for maps only

        return features.compute(self.features, layers).numpy().astype(np.float64)

    def save(self, path: str | Path) -> None:
        """Writes the fitted regressor: NumPy arrays, no pickle; whole or not at all."""
        check_is_fitted(self, "coef_")
        store(
            path,
            {name.rstrip("_"): getattr(self, name) for name in _ARRAYS}
            | {
                "features": self.features,
                "penalties": self.penalties,
                "penalty": self.penalty_,
                "images": self.images_,
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> BoxRegressor:
        """Reads what `save` wrote; it predicts the same bytes.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a regressor.
        """
        arrays = stored(path, "box regressor")
        try:
            regressor = cls(str(arrays["features"]), tuple(arrays["penalties"].tolist()))
            for name in _ARRAYS:
                setattr(regressor, name, arrays[name.rstrip("_")])
            regressor.penalty_ = float(arrays["penalty"])
            regressor.images_ = int(arrays["images"])
            count = len(regressor.mean_)
            shapes = [getattr(regressor, name).shape for name in _ARRAYS]
            if shapes != [(count,), (count,), (4, count), (4,)]:
                raise ValueError(f"its arrays have the shapes {shapes}")
            if not all(np.isfinite(getattr(regressor, name)).all() for name in _ARRAYS):
                raise ValueError("its arrays hold NaN or infinity")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a box regressor, or is damaged: {error}") from error
        return regressor


def create(**options) -> BoxRegressor:
    """`BoxRegressor` by the name of its module."""
    return BoxRegressor(**options)
