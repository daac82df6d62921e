"""Boxes chosen jointly: in each image the window that recurs in the others.

Tang, Joulin, Li & Fei-Fei 2014, "Co-localization in Real-World Images" (CVPR), the image-box model
of section 3. Each of the n images of a class offers its m top windows of the objectness measure;
x is 1 for the window chosen in an image and 0 for the others:

    minimise over x  xᵀ (L + μ A) x - λ xᵀ log p    where x sums to 1 over each image's windows

    L = 1 - D^-1/2 S D^-1/2     similarity: S = exp(-γ χ²) between windows of different images,
                                D its sums; windows that look alike should be chosen together
    A = Π (1 - X (Xᵀ Π X + nm κ 1)^-1 Xᵀ) Π     discriminability: what is left of x by the best
                                ridge regression from the windows' descriptors X; Π centres
    p                           the prior, the windows' objectness

With x anywhere from 0 to 1 it is a convex quadratic programme on a product of simplices (section
3.4), which the Frank-Wolfe algorithm solves (Joulin, Tang & Li 2014). The highest x of each image
is its window.

Windows are described by the words of dense SIFT and of LAB colours inside, each with a vocabulary
of the class. Departures: the colours; no spatial pyramid; A without its factor 1 / nm, beside
which L would be all; as much of the diagonal is moved to the linear term as leaves the programme
convex, for else many halves of choices are cheaper than any choice (see `tightened`); an image's
window gives way to one that is better beside those of the others (see `improved`); and a class of
more than 60 images is solved in parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from sensmap import images, objectness
from sensmap._opencv import cv2
from sensmap.colocalizers._base import CoLocalizer
from sensmap.datasets import Example, ExampleError
from sensmap.objectness import proposals
from sensmap.parallel import in_threads

# Images that are solved together at most; time and memory grow with the square.
_TOGETHER = 60
# Candidates may overlap more than proposals usually do, for the right one to be among them.
_OVERLAP = 0.6
# Pixels between the points that are described, and the patch around each.
_STEP, _PATCH = 6, 12
# Words of each vocabulary, and how many points it is made of.
_SIFT_WORDS, _COLOUR_WORDS, _POINTS = 100, 32, 4000
# γ, over the mean distance.
_SHARPNESS = 10.0
# κ of the ridge regression.
_RIDGE = 0.01
# Frank-Wolfe stops when a choice could be better by no more than this, an image.
_GAP, _ITERATIONS = 1e-3, 500


class Described(NamedTuple):
    """An image's candidates and what is seen at its points.

    Attributes:
        windows: the candidates, best first.
        inside: ``(m, P)`` bool, which points each of them holds.
        sift: ``(P, 128)`` uint8.
        colours: ``(P, 3)`` uint8, LAB.
    """

    windows: objectness.Windows
    inside: np.ndarray
    sift: np.ndarray
    colours: np.ndarray


class JointBoxes(CoLocalizer):
    """Chooses a box in each image of a class so that they look alike, and like objects.

    An image whose class has no other gets its top window. Images are read once, at a reduced
    size, and no classifier is needed.

    Args:
        windows: m, candidates an image.
        discriminability: μ.
        prior: λ. The paper's is lower; on the validation images of MSRC v2 the boxes are the better
            for more of it, and no better than the top windows alone.

    Raises:
        ValueError: for a number out of its range.

    >>> image = np.full((60, 90, 3), (40, 90, 40), np.uint8)
    >>> image[15:45, 30:60] = (230, 40, 40)
    >>> JointBoxes().boxes([Example("one", image), Example("two", image[:, ::-1])], [3, 3]).shape
    (2, 4)
    """

    title = "Joint boxes"

    def __init__(self, windows: int = 20, discriminability: float = 0.4, prior: float = 0.5):
        if windows < 1 or discriminability < 0 or prior < 0:
            raise ValueError(
                "windows must be at least 1, discriminability and prior at least 0; received "
                f"{windows}, {discriminability} and {prior}."
            )
        self.windows = windows
        self.discriminability = discriminability
        self.prior = prior

    def locate(
        self, classes: Sequence[Sequence[Example]], description: str
    ) -> Generator[np.ndarray]:
        """The boxes of the images of each class, ``(n, 4)`` xyxy."""
        in_order = [example for of_class in classes for example in of_class]
        described = in_threads(self._describe, in_order, description)
        for of_class in classes:
            parts = np.array_split(np.arange(len(of_class)), -(-len(of_class) // _TOGETHER))
            together = (list(itertools.islice(described, len(part))) for part in parts)
            yield np.stack(
                [
                    image.windows.boxes[choice]
                    for part in together
                    for image, choice in zip(part, self._choose(part), strict=True)
                ]
            )

    def _describe(self, example: Example) -> Described:
        try:
            image = proposals.reduced(images.load(example.image))
        except ExampleError as error:
            raise ExampleError(f"{example.id}: {error}") from None
        return describe(image, objectness.propose(image, self.windows, _OVERLAP))

    def _choose(self, described: Sequence[Described]) -> np.ndarray:
        """Which window of each image, ``(n,)``."""
        if len(described) == 1:
            return np.zeros(1, np.int64)
        histograms = np.concatenate(
            [
                words([each.inside for each in described], [of(each) for each in described], count)
                for of, count in (
                    (lambda each: np.sqrt(each.sift.astype(np.float32)), _SIFT_WORDS),
                    (lambda each: each.colours.astype(np.float32), _COLOUR_WORDS),
                )
            ],
            axis=1,
        )
        owners = np.repeat(np.arange(len(described)), [len(each.inside) for each in described])
        quadratic = laplacian(histograms, owners)
        # The square root of a histogram is to a dot product what χ² is to the histogram.
        quadratic += self.discriminability * unexplained(np.sqrt(histograms))
        scores = np.concatenate([each.windows.scores for each in described])
        linear = -self.prior * np.log(np.maximum(scores, 1e-6))
        x = minimise(*tightened(quadratic, linear, owners), owners)
        return improved(rounded(x, owners), quadratic, linear, owners)


# By the name of its module.
create = JointBoxes


def describe(image: np.ndarray, windows: objectness.Windows) -> Described:
    """What is seen at the points of a grid.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        windows: the candidates.
    """
    height, width = image.shape[:2]
    rows, columns = (
        np.linspace(0.5, size - 0.5, max(1, round(size / _STEP))) for size in (height, width)
    )
    x, y = (each.ravel() for each in np.meshgrid(columns, rows))
    points = [
        cv2.KeyPoint(float(at_x), float(at_y), float(_PATCH), 0.0)
        for at_x, at_y in zip(x, y, strict=True)
    ]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    _, sift = cv2.SIFT.create().compute(grey, points)
    lab = cv2.blur(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), (_STEP, _STEP))
    colours = lab[y.astype(np.int64), x.astype(np.int64)]
    x0, y0, x1, y1 = (windows.boxes * [width, height, width, height]).T[:, :, None]
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return Described(windows, inside, sift.astype(np.uint8), colours)


def words(inside: Sequence[np.ndarray], seen: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Histograms of words, with a vocabulary of what is seen in all these images.

    Args:
        inside: of each image ``(m, P)`` bool, which points each window holds.
        seen: of each image ``(P, F)`` float32, at its points.
        count: words at most.

    Returns:
        ``(windows, count)`` float32, each with the sum 1, or 0 for a window without points.
    """
    everything = np.concatenate(seen)
    sampled = everything[:: -(-len(everything) // _POINTS)]
    count = min(count, len(sampled))
    cv2.setRNGSeed(0)
    until = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 10, 1e-3)
    labels = np.zeros((len(sampled), 1), np.int32)  # to write to; not where it starts from
    _, _, means = cv2.kmeans(sampled, count, labels, until, 1, cv2.KMEANS_PP_CENTERS)
    vocabulary = np.asarray(means)
    found = []
    for holds, of_image in zip(inside, seen, strict=True):
        # |a - b|^2 but for |a|^2, which is the same for all words.
        nearest = ((vocabulary**2).sum(axis=1) - 2 * of_image @ vocabulary.T).argmin(axis=1)
        counts = holds.astype(np.float32) @ np.eye(count, dtype=np.float32)[nearest]
        found.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    return np.concatenate(found)


def laplacian(histograms: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """L: the normalised Laplacian of the similarity of windows of different images.

    Args:
        histograms: ``(N, B)``, non-negative.
        owners: ``(N,)``, the image of each window.
    """
    distances = np.stack(
        [
            (np.square(one - histograms) / np.maximum(one + histograms, 1e-9)).sum(axis=1)
            for one in histograms
        ]
    )
    other = owners[:, None] != owners
    similar = np.where(
        other, np.exp(-_SHARPNESS * distances / max(distances[other].mean(), 1e-9)), 0.0
    )
    roots = np.sqrt(similar.sum(axis=1))
    return np.eye(len(owners)) - similar / roots / roots[:, None]


def unexplained(design: np.ndarray) -> np.ndarray:
    """A: xᵀ A x is what the best ridge regression from ``(N, F)`` descriptors leaves of x."""
    centred = (design - design.mean(axis=0)).astype(np.float64)
    count, size = centred.shape
    scatter = centred.T @ centred + count * _RIDGE * np.eye(size)
    return np.eye(count) - 1 / count - centred @ np.linalg.solve(scatter, centred.T)


def tightened(
    quadratic: np.ndarray, linear: np.ndarray, owners: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Q - d 1 and c + d, with the highest d for which the programme is convex.

    At the corners of the simplices ``xᵀ x`` is the sum of x, so that nothing changes there. Only
    steps that add up to 0 over each simplex count, so d is Q's least eigenvalue among these.
    """
    same = (owners[:, None] == owners).astype(np.float64)
    within = np.eye(len(owners)) - same / same.sum(axis=1)
    # Other directions are lifted out of the way.
    of_steps = within @ quadratic @ within + np.abs(quadratic).sum(axis=1).max() * (
        np.eye(len(owners)) - within
    )
    least = eigh(of_steps, eigvals_only=True, subset_by_index=[0, 0])[0]
    return quadratic - least * np.eye(len(owners)), linear + least


def minimise(quadratic: np.ndarray, linear: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The x of the least ``xᵀ Q x + cᵀ x`` on a product of simplices, by Frank-Wolfe.

    Args:
        quadratic: ``(N, N)``, Q, symmetric without negative eigenvalues.
        linear: ``(N,)``, c.
        owners: ``(N,)`` ascending, to which simplex each entry belongs.

    Returns:
        ``(N,)`` float64, not negative, with the sum 1 over each simplex.

    >>> minimise(np.eye(3), np.zeros(3), np.array([0, 0, 1])).round(2).tolist()
    [0.5, 0.5, 1.0]
    """
    _, starts, sizes = np.unique(owners, return_index=True, return_counts=True)
    x = np.repeat(1 / sizes, sizes)
    product = quadratic @ x
    for _ in range(_ITERATIONS):
        gradient = 2 * product + linear
        corner = np.zeros(len(x))
        corner[rounded(-gradient, owners) + starts] = 1
        step = corner - x
        slope = gradient @ step
        if -slope <= _GAP * len(starts):
            break
        change = quadratic @ step
        curvature = step @ change
        share = min(1.0, -slope / (2 * curvature)) if curvature > 0 else 1.0
        x = x + share * step
        product = product + share * change
    return x


def rounded(x: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The place of the highest entry of each simplex, counted within it; the first of several.

    >>> rounded(np.array([0.2, 0.8, 1.0]), np.array([0, 0, 1]))
    array([1, 0])
    """
    borders = np.flatnonzero(np.diff(owners)) + 1
    return np.array([part.argmax() for part in np.split(x, borders)])


def improved(
    choice: np.ndarray, quadratic: np.ndarray, linear: np.ndarray, owners: np.ndarray
) -> np.ndarray:
    """Changes a choice ``(n,)``, an image at a time, for as long as that lowers the programme.

    >>> distances = 1.0 - np.array([[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    >>> improved(np.array([0, 0]), distances, np.zeros(4), np.array([0, 0, 1, 1]))
    array([0, 1])
    """
    starts, sizes = np.unique(owners, return_index=True, return_counts=True)[1:]
    chosen = starts + choice
    changed = True
    while changed:
        changed = False
        for image, start in enumerate(starts):
            own = slice(start, start + sizes[image])
            others = np.delete(chosen, image)
            costs = quadratic.diagonal()[own] + linear[own]
            costs = costs + 2 * quadratic[own, others].sum(axis=1)
            best = costs.argmin()
            # More than rounding, or two equal ones would change places for ever.
            if costs[best] < costs[chosen[image] - start] - 1e-9:
                chosen[image] = start + best
                changed = True
    return chosen - starts
