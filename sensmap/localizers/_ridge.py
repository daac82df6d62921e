"""Ridge regression on images that memory does not hold: from sums, which add up in any order.

All that the regression of `sensmap.localizers.linear` needs of features z and boxes y are, with
S the sums of products about the means,

    n,  mean(z),  mean(y),  S_zz = Σ (z - mean)(z - mean)ᵀ,  S_zy,  S_yy

for with D the diagonal of the features' deviations and λ the penalty the normal equations are

    (D⁻¹ S_zz D⁻¹ + λ I) Wᵀ = D⁻¹ S_zy

(Hoerl & Kennard 1970), and one eigendecomposition solves them for every λ. The sums are kept apart
for K folds: the others' are what is learned from, and a fold's own give its squared error,

    Σ |y - W D⁻¹ (z - m) - b|² = tr(S_yy - 2 C S_zy + C S_zz Cᵀ) + n |mean error|²,  C = W D⁻¹

so that the penalty is cross-validated without seeing an image again. An image's fold is decided by
its id alone: neither order, nor batches, nor who saw it matter.

Sums are merged about their own means (Chan, Golub & LeVeque 1983): Σ z zᵀ - n m mᵀ would lose all
its digits where means are large beside deviations. They are float64 sums, so another order gives
another last digit: relative to the deviations, 1e-12 for means of their size, and
1e-16 |mean| / deviation times a few tens beyond.

Normal equations square the condition: what features say along a direction that has less than
about 1e-16 F of their largest variance is lost. Where the penalty does not outweigh such a
direction either, nothing is learned from it, so that a vanishing penalty gives the shortest
solution, and not rounding divided by rounding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import blas, eigh

from sensmap.localizers._base import store, stored, valid_boxes

_SIDES = 4
# Rows that are held in float64 at once: enough for BLAS to be at its full speed.
_ROWS = 2048


class Table(Protocol):
    """What is used of a `sensmap.feature_table.FeatureTable`, or of a shard of a stored one."""

    ids: list[str]
    truths: list[np.ndarray]

    @property
    def features(self) -> np.ndarray: ...


class Ridge(NamedTuple):
    """A ridge regression on F standardised features.

    Attributes:
        coef: ``(4, F)`` float64, for standardised features.
        intercept: ``(4,)`` float64.
        mean, scale: ``(F,)`` float64, of the features.
        penalty: the chosen one.
        errors: ``(P,)`` float64, for each penalty the mean squared error of a box's side on the
            images of the folds left out; NaN where all images are in one fold.
    """

    coef: np.ndarray
    intercept: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    penalty: float
    errors: np.ndarray


class RidgeStatistics:
    """What a ridge regression from features to boxes needs of the images, by folds.

    Takes ``8 folds (size + 4)²`` bytes, however many images are added. Each batch, too, costs time
    in proportion to that: let it be hundreds of images or more.

    Args:
        size: F, how many features an image has.
        folds: K, into how many parts the images are divided for cross-validation.

    >>> rng = np.random.default_rng(0)
    >>> z, ids = rng.normal(size=(200, 3)), [f"image{i}" for i in range(200)]
    >>> one, other = RidgeStatistics(3), RidgeStatistics(3)
    >>> one.update(z[:90], 0.5 + 0.1 * z[:90, [0, 1, 2, 0]], ids[:90])
    >>> other.update(z[90:], 0.5 + 0.1 * z[90:, [0, 1, 2, 0]], ids[90:])
    >>> one.merge(other)
    >>> found = fit(one, [0.1, 10.0])
    >>> found.penalty, np.abs(found.coef / found.scale).round(2).tolist()
    (0.1, [[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1], [0.1, 0.0, 0.0]])
    """

    def __init__(self, size: int, folds: int = 5):
        if size < 1 or folds < 2:
            raise ValueError(
                "Statistics need a feature or more, and two folds or more; "
                f"received {size} features and {folds} folds."
            )
        self.size = size
        self._folds = [_Moments(size) for _ in range(folds)]

    @property
    def images(self) -> int:
        """How many images were added."""
        return sum(fold.count for fold in self._folds)

    def update(self, features: ArrayLike, boxes: ArrayLike, ids: Sequence[str]) -> None:
        """Adds images, each with its one box; all of them, or none if something is wrong.

        Args:
            features: ``(N, F)``, finite.
            boxes: ``(N, 4)`` xyxy, finite.
            ids: of the images. Rows with the same id are in the same fold.

        Raises:
            ValueError: for other shapes, or numbers that are not finite.
        """
        z, y = np.asarray(features), np.asarray(boxes)
        if z.shape != (len(ids), self.size) or y.shape != (len(ids), _SIDES):
            raise ValueError(
                f"Expected {self.size} features and 4 sides of a box for each of {len(ids)} ids; "
                f"received features {z.shape} and boxes {y.shape}."
            )
        for array, name in ((z, "features"), (y, "boxes")):
            if not np.isfinite(array).all():
                raise ValueError(f"The {name} hold NaN or infinity; expected finite numbers.")
        places = np.array([fold_of(each, len(self._folds)) for each in ids], np.int64)
        for place, fold in enumerate(self._folds):
            mine = np.flatnonzero(places == place)
            for start in range(0, len(mine), _ROWS):
                rows = mine[start : start + _ROWS]
                fold.add(z[rows], y[rows])

    def update_table(self, table: Table) -> None:
        """Adds the images of a table that have exactly one valid box; there may be none.

        Args:
            table: such as `sensmap.feature_table.FeatureTable`, or a part of one.
        """
        valid = valid_boxes(table.truths, len(table.ids))
        rows = [row for row, boxes in enumerate(valid) if len(boxes) == 1]
        boxes = np.reshape([valid[row] for row in rows], (-1, _SIDES))
        self.update(table.features[rows], boxes, [table.ids[row] for row in rows])

    def merge(self, other: RidgeStatistics) -> None:
        """Adds what another instance was given; no image may be in both.

        Raises:
            ValueError: if the other has another number of features or folds.
        """
        if (self.size, len(self._folds)) != (other.size, len(other._folds)):
            raise ValueError(
                f"These are statistics of {self.size} features in {len(self._folds)} folds; "
                f"{other.size} features in {len(other._folds)} folds cannot be merged with them."
            )
        for fold, theirs in zip(self._folds, other._folds, strict=True):
            fold.merge(theirs)

    def parts(self) -> list[tuple[_Moments, _Moments]]:
        """For each fold that has images and leaves some to the others: these, and its own."""
        return [
            (_merged([each for each in self._folds if each is not fold]), fold)
            for fold in self._folds
            if 0 < fold.count < self.images
        ]

    def total(self) -> _Moments:
        """All folds together."""
        return _merged(self._folds)

    def save(self, path: str | Path) -> None:
        """Writes the statistics: NumPy arrays, no pickle; whole or not at all."""
        names = ("count", "mean", "products", "largest")
        store(path, {name: [getattr(each, name) for each in self._folds] for name in names})

    @classmethod
    def load(cls, path: str | Path) -> RidgeStatistics:
        """Reads what `save` wrote; it goes on as if it had not been written.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it holds no statistics, or is damaged.
        """
        arrays = stored(path, "set of statistics")
        try:
            folds, size = arrays["largest"].shape
            width = size + _SIDES
            wanted = {"count": (), "mean": (width,), "products": (width, width), "largest": (size,)}
            for key, shape in wanted.items():
                if arrays[key].shape != (folds, *shape):
                    raise ValueError(f"{key!r} has the shape {arrays[key].shape}")
                if not np.isfinite(arrays[key]).all():
                    raise ValueError(f"{key!r} holds NaN or infinity")
            squares = np.diagonal(arrays["products"], axis1=1, axis2=2)
            if min(arrays["count"].min(), arrays["largest"].min(), squares.min()) < 0:
                raise ValueError("it holds negative counts or squares")
            found = cls(size, folds)
            for place, fold in enumerate(found._folds):
                fold.count = int(arrays["count"][place])
                fold.mean = arrays["mean"][place].astype(np.float64)
                fold.products = arrays["products"][place].astype(np.float64, order="F")
                fold.largest = arrays["largest"][place].astype(np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not a set of statistics, or is damaged: {error}"
            ) from error
        return found


def fit(statistics: RidgeStatistics, penalties: Sequence[float]) -> Ridge:
    """The ridge regression with the penalty of the least error on folds left out.

    Everything is learned anew without each fold, means and scales too: what scikit-learn's
    ``StandardScaler`` and ``Ridge`` in a pipeline learn. Every image's error counts alike, however
    many are in its fold. A fold without images has no part in it.

    Args:
        statistics: of the images to learn from.
        penalties: P positive ones to choose from; of equal ones in error, the first.

    Raises:
        ValueError: for fewer than two images; for no penalties or some that are not positive; for
            several to choose from while all images are in one fold.
    """
    chosen_from = checked(penalties)
    if statistics.images < 2:
        raise ValueError(
            "A regression needs two images with one box each; "
            f"these are statistics of {statistics.images}."
        )
    parts = statistics.parts()
    if not parts and len(chosen_from) > 1:
        raise ValueError(
            f"All {statistics.images} images are in one fold, so that no penalty can be chosen; "
            "add images, or give one penalty."
        )
    errors = np.full(len(chosen_from), np.nan)
    if parts:
        squares = [_squared_errors(others, own, chosen_from) for others, own in parts]
        errors = np.sum(squares, axis=0) / (_SIDES * statistics.images)
    best = int(np.argmin(errors))
    total = statistics.total()
    scale, coef = _solve(total, chosen_from[best : best + 1])
    mean = total.mean
    return Ridge(
        coef=np.ascontiguousarray(coef[:, 0].T),
        intercept=mean[-_SIDES:].copy(),
        mean=mean[:-_SIDES].copy(),
        scale=scale,
        penalty=float(chosen_from[best]),
        errors=errors,
    )


def checked(penalties: Sequence[float]) -> np.ndarray:
    """Penalties that can be chosen from, ``(P,)`` float64.

    Raises:
        ValueError: for anything but a sequence of positive numbers, one or more.

    >>> checked([1, 0.5]).tolist()
    [1.0, 0.5]
    """
    is_row = isinstance(penalties, Sequence | np.ndarray) and len(penalties) > 0
    if not is_row or not all(isinstance(each, Real) and 0 < each < np.inf for each in penalties):
        raise ValueError(
            f"Penalties must be positive numbers; received {penalties!r}, expected a list of them, "
            "such as [0.1, 10.0]."
        )
    return np.array(penalties, np.float64)


def scales(deviation: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """What features are divided by: their deviations, but for constant features 1.

    A feature that is constant but for float32's rounding tells nothing: divided by its deviation,
    it would be noise in the fit and enormous for an image where it is not.

    Args:
        deviation: ``(F,)`` float64.
        largest: ``(F,)``, the largest absolute value of each.

    >>> scales(np.array([2.0, 1e-8]), np.array([5.0, 0.3])).tolist()
    [2.0, 1.0]
    """
    return np.where(deviation > 1e-6 * largest, deviation, 1.0)


def fold_of(name: str, folds: int) -> int:
    """The fold of the image with that id: the same in every process, whatever else there is.

    >>> [fold_of(f"image{i}", 3) for i in range(6)]
    [0, 2, 1, 1, 2, 2]
    """
    digest = hashlib.sha256(str(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") % folds


class _Moments:
    """Of the rows (z, y), ``(F + 4,)``: count, means, and sums of products about the means.

    Attributes:
        count: how many rows.
        mean: ``(F + 4,)`` float64.
        products: ``(F + 4, F + 4)`` float64 in Fortran's order, as BLAS adds to it in place; below
            the diagonal and on it only.
        largest: ``(F,)`` float64, the largest absolute value of each feature.
    """

    def __init__(self, size: int):
        self.count = 0
        self.mean = np.zeros(size + _SIDES)
        self.products = np.zeros((size + _SIDES, size + _SIDES), order="F")
        self.largest = np.zeros(size)

    def add(self, features: np.ndarray, boxes: np.ndarray) -> None:
        count = len(features)
        rows = np.empty((count + 1, len(self.mean)))
        rows[:count, :-_SIDES], rows[:count, -_SIDES:] = features, boxes
        np.maximum(self.largest, np.abs(features).max(axis=0), out=self.largest)
        mean = rows[:count].mean(axis=0)
        rows[:count] -= mean
        rows[count] = self._between(count, mean)
        self._add_products(rows)

    def merge(self, other: _Moments) -> None:
        if other.count:
            np.maximum(self.largest, other.largest, out=self.largest)
            self.products += other.products
            self._add_products(self._between(other.count, other.mean)[None])

    def _between(self, count: int, mean: np.ndarray) -> np.ndarray:
        """Takes over count and mean of other rows; the row whose products the two means add."""
        together = self.count + count
        apart = mean - self.mean
        row = np.sqrt(self.count * (count / together)) * apart
        self.mean += (count / together) * apart
        self.count = together
        return row

    def _add_products(self, rows: np.ndarray) -> None:
        self.products = blas.dsyrk(1.0, rows.T, beta=1.0, c=self.products, lower=1, overwrite_c=1)

    def whole(self) -> np.ndarray:
        """The products above the diagonal, too."""
        both = np.tril(self.products)
        both += np.tril(both, -1).T
        return both


def _merged(folds: Sequence[_Moments]) -> _Moments:
    # Merged anew rather than taken off the total, whose last digits would be the fold's.
    found = _Moments(len(folds[0].largest))
    for fold in folds:
        found.merge(fold)
    return found


def _solve(moments: _Moments, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features' scales ``(F,)``, and the coefficients ``(F, P, 4)`` for each penalty."""
    products = moments.whole()
    deviation = np.sqrt(np.diagonal(products)[:-_SIDES] / moments.count)
    scale = scales(deviation, moments.largest)
    with_boxes = products[:-_SIDES, -_SIDES:] / scale[:, None]
    gram = products[:-_SIDES, :-_SIDES] / scale / scale[:, None]
    values, vectors = eigh(gram, overwrite_a=True, driver="evd")
    along = vectors.T @ with_boxes
    weights = np.maximum(values, 0.0)[:, None] + penalties
    # What eigenvalues are known to; a weight below is rounding, and dividing by it would be wild.
    known = weights > np.finfo(np.float64).eps * len(values) * values[-1]
    shares = np.divide(1.0, weights, out=np.zeros_like(weights), where=known)
    solutions = vectors @ (shares[:, :, None] * along[:, None]).reshape(len(scale), -1)
    return scale, solutions.reshape(len(scale), len(penalties), _SIDES)


def _squared_errors(others: _Moments, own: _Moments, penalties: np.ndarray) -> np.ndarray:
    """Sum of squared errors on a fold of what was learned on the others, ``(P,)``."""
    scale, coef = _solve(others, penalties)
    slopes = coef / scale[:, None, None]
    products, apart = own.whole(), own.mean - others.mean
    inner, across = products[:-_SIDES, :-_SIDES], products[:-_SIDES, -_SIDES:]
    images = (inner @ slopes.reshape(len(scale), -1)).reshape(slopes.shape)
    spread = (
        np.diagonal(products)[-_SIDES:]
        - 2 * np.einsum("fps,fs->ps", slopes, across)
        + np.einsum("fps,fps->ps", slopes, images)
    )
    bias = apart[-_SIDES:] - np.einsum("f,fps->ps", apart[:-_SIDES], slopes)
    # A fit without error leaves a difference of equal numbers, whose sign is rounding's.
    return (np.maximum(spread, 0.0) + own.count * np.square(bias)).sum(axis=1)
