"""Objectness: how likely a window is to hold an object, of whatever class.

Alexe, Deselaers & Ferrari 2012, "Measuring the Objectness of Image Windows" (PAMI). Five numbers
say of a window w what sets objects off from their surroundings (sections 2.1 to 2.5):

    MS  multi-scale saliency: the salient pixels inside and how dense they lie
    CC  colour contrast: chi-square distance of the colours inside and in a ring around
    ED  edge density: edge pixels in the window's inner ring over the ring's length
    SS  superpixels straddling: 1 - sum over superpixels s of min(|s \\ w|, |s ∩ w|) / |w|
    LS  location and size: the share of training images in which w covers an object

Naive Bayes puts them together (section 4.1), with the likelihoods of the first four for windows
that cover an object (IoU of 0.5 or more) and windows that do not, which come with the package:

    p(object) / p(background) = LS / (1 - LS) * prod (p(cue | object) / p(cue | background))^v

Departures from the paper. The windows are all those with corners on a lattice, and none are
sampled. LS is no Gaussian density of the corners but the probability itself, with "covers" as the
kernel, and takes the prior's place. Likelihoods are told apart by the windows' size, for all cues
grow or shrink with it, and would say together once more that objects are large; they count
with one exponent v, fitted too, for the cues are less independent than naive Bayes has it, and are
interpolated between the middles of their histograms' bins, so that windows seldom tie. All scales
of MS score a window, each as shares of its map's sum, and the highest counts. Superpixels are
merged in rounds (see `superpixels`). Images are worked at a reduced size.

``benchmarks/objectness.py`` fits the numbers, and measures the top window.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sensmap import boxes as box_geometry
from sensmap import files
from sensmap._opencv import cv2

CUES = ("saliency", "contrast", "edges", "straddling")
PARAMETERS = Path(__file__).parent / "objectness_parameters.json"

# A window covers an object from this IoU on.
COVERS = 0.5
# Pixels of the longer side that images are worked at, at most; the paper's are about 500.
_SIDE = 192
# Corners lie on a lattice of so many steps a side; small windows on one twice as fine.
_STEPS = 16
# A window's longer side over its shorter one, in pixels, at most.
_LONGEST = 4.0
# The sides of the saliency maps, in pixels.
SCALES = (16, 24, 32, 48, 64)
# Levels of L, a and b in colour histograms.
_LEVELS = (4, 8, 8)
# So many windows go on to the cues that take longer.
_SHORTLIST = 4000


class Windows(NamedTuple):
    """Windows of an image, best first.

    Attributes:
        boxes: ``(M, 4)`` float32 xyxy, relative.
        scores: ``(M,)`` float64, the probability of an object.
    """

    boxes: np.ndarray
    scores: np.ndarray


class Likelihood(NamedTuple):
    """What a cue's value says: histograms over bins of the value, for windows of several sizes.

    Attributes:
        areas: ``(A,)`` ascending, the sizes' middles, as shares of the image.
        middles: ``(A, B)`` ascending, the middles of each size's bins.
        of_object: ``(A, B)``, the shares of the windows that cover an object.
        of_background: ``(A, B)``, the shares of the others.
    """

    areas: Sequence[float]
    middles: Sequence[Sequence[float]]
    of_object: Sequence[Sequence[float]]
    of_background: Sequence[Sequence[float]]

    def log_ratio(self, values: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """Log of the likelihood of an object over that of background.

        Args:
            values: ``(M,)``, of the cue.
            areas: ``(M,)``, of the windows.

        >>> one = Likelihood([0.5], [[0.0, 1.0]], [[0.5, 0.5]], [[0.5, 0.25]])
        >>> one.log_ratio(np.array([0.0, 1.0]), np.array([0.5, 0.5])).round(2)
        array([0.  , 0.69])
        """
        of_size = np.array(
            [
                np.interp(values, middles, np.log(np.divide(of_object, of_background)))
                for middles, of_object, of_background in zip(*self[1:], strict=True)
            ]
        )
        place = np.interp(np.log(areas), np.log(self.areas), np.arange(len(self.areas)))
        low = place.astype(np.int64)
        high = np.minimum(low + 1, len(of_size) - 1)
        each = np.arange(len(values))
        return of_size[low, each] + (place - low) * (of_size[high, each] - of_size[low, each])


@dataclasses.dataclass(frozen=True)
class Parameters:
    """What is learned from images with boxes.

    Attributes:
        saliency: for each scale the threshold on its saliency map, in multiples of the mean.
        contrast: the share of its width and height that a window's surroundings add.
        edges: the share of its width and height that a window's inner ring takes.
        straddling: k of `superpixels`.
        weight: v, how much the cues' log ratios count.
        boxes: of each training image its boxes, ``[x0, y0, x1, y1]``, relative.
        likelihoods: of each cue, by name.
    """

    saliency: Sequence[float]
    contrast: float
    edges: float
    straddling: float
    weight: float
    boxes: Sequence[Sequence[Sequence[float]]]
    likelihoods: dict[str, Likelihood]


@functools.cache
def parameters() -> Parameters:
    """Those that come with the package."""
    found = files.read_json(PARAMETERS)
    found["likelihoods"] = {cue: Likelihood(**each) for cue, each in found["likelihoods"].items()}
    return Parameters(**found)


def propose(image: np.ndarray, count: int = 100, overlap: float = 0.5) -> Windows:
    """The windows that most likely hold an object.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        count: how many windows at most.
        overlap: no two windows have a higher IoU than this: of two the better one stays.

    Raises:
        ValueError: for what is not an image, or numbers out of their range.

    >>> image = np.full((60, 90, 3), (40, 90, 40), np.uint8)
    >>> image[10:50, 15:75] = (230, 40, 40)
    >>> found = propose(image, count=1)
    >>> bool(box_geometry.iou(found.boxes, [1 / 6, 1 / 6, 5 / 6, 5 / 6])[0, 0] > 0.7)
    True
    """
    if count < 1 or not 0 < overlap <= 1:
        raise ValueError(
            "count must be at least 1 and overlap above 0, at most 1; received "
            f"{count} and {overlap}."
        )
    small = reduced(image)
    usable = aspect_allows(small.shape[:2])
    windows = lattice()[usable]
    located = _lattice_location()[usable]
    total = np.log(located / (1 - located)) + _evidence(small, windows, ("saliency", "edges"))
    # The other cues take longer, and are left to windows with some hope.
    kept = np.argsort(-total, kind="stable")[:_SHORTLIST]
    windows = windows[kept]
    total = total[kept] + _evidence(small, windows, ("contrast", "straddling"))
    order = np.argsort(-total, kind="stable")
    probabilities = 1 / (1 + np.exp(-total[order]))
    return suppress(Windows(windows[order].astype(np.float32), probabilities), count, overlap)


def _evidence(image: np.ndarray, windows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    learned = parameters()
    areas = box_geometry.area(windows)
    found = cues(image, windows, learned, names)
    ratios = [learned.likelihoods[name].log_ratio(found[name], areas) for name in names]
    return learned.weight * np.sum(ratios, axis=0)


@functools.cache
def _lattice_location() -> np.ndarray:
    """LS of each window of the lattice, which is the same in all images."""
    return location(lattice(), parameters().boxes)


def cues(
    image: np.ndarray, windows: np.ndarray, learned: Parameters, names: Sequence[str] = CUES
) -> dict[str, np.ndarray]:
    """The cues of these names, ``(M,)`` each.

    Args:
        image: ``(h, w, 3)`` uint8 RGB, of the size to work at.
        windows: ``(M, 4)`` xyxy, relative.
        learned: the cues' own parameters; likelihoods are not used.
        names: of `CUES`.
    """
    at = corners(windows, image.shape[:2])
    compute = {
        "saliency": lambda: saliency(image, at, learned.saliency),
        "contrast": lambda: contrast(image, at, learned.contrast),
        "edges": lambda: edge_density(edgels(image), at, learned.edges),
        "straddling": lambda: straddling(superpixels(image, learned.straddling), at),
    }
    return {name: compute[name]() for name in names}


def reduced(image: np.ndarray) -> np.ndarray:
    """The image at the size that it is worked at.

    Raises:
        ValueError: for what is not an image.
    """
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.shape[2:] != (3,)
        or 0 in image.shape
    ):
        raise ValueError(
            "Objectness takes images as (H, W, 3) uint8 RGB arrays; received "
            f"{getattr(image, 'dtype', type(image).__name__)}{np.shape(image)}."
        )
    share = min(1.0, _SIDE / max(image.shape[:2]))
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@functools.cache
def lattice() -> np.ndarray:
    """The windows that are looked at: ``(M, 4)`` float64 xyxy, relative.

    >>> lattice()[0].tolist()
    [0.0, 0.0, 0.125, 0.125]
    """
    found = np.concatenate([_windows(_STEPS, 2, _STEPS), _windows(2 * _STEPS, 2, 4)])
    found.flags.writeable = False
    return found


def _windows(steps: int, shortest: int, longest: int) -> np.ndarray:
    intervals = [
        (low / steps, high / steps)
        for low, high in itertools.combinations(range(steps + 1), 2)
        if shortest <= high - low <= longest
    ]
    pairs = itertools.product(intervals, intervals)
    return np.array([(x0, y0, x1, y1) for (y0, y1), (x0, x1) in pairs])


def aspect_allows(size: tuple[int, int]) -> np.ndarray:
    """Which windows of the lattice are not too long in an image of that size: ``(M,)`` bool; the
    whole image always is one of them."""
    sides = lattice()[:, 2:] - lattice()[:, :2]
    ratios = sides[:, 0] * size[1] / (sides[:, 1] * size[0])
    return (np.abs(np.log(ratios)) <= np.log(_LONGEST)) | (sides == 1).all(axis=1)


def suppress(windows: Windows, count: int, overlap: float) -> Windows:
    """The best windows of which no two overlap by more, at most so many.

    >>> boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 0.2, 0.2]], np.float32)
    >>> suppress(Windows(boxes, np.array([0.9, 0.8, 0.7])), 5, 0.5).scores.tolist()
    [0.9, 0.7]
    """
    left = np.arange(len(windows.boxes))
    chosen: list[int] = []
    while len(left) and len(chosen) < count:
        chosen.append(left[0])
        overlaps = box_geometry.iou(windows.boxes[left[0]], windows.boxes[left[1:]])[0]
        left = left[1:][overlaps <= overlap]
    return Windows(windows.boxes[chosen], windows.scores[chosen])


# --- The cues. Windows are ``(M, 4)`` integer corners in pixels, half-open. ---


def saliency(image: np.ndarray, windows: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """MS, section 2.1: the salient share of the map inside, times the salient share of pixels.

        MS(w) = max over scales of  sum over p in w with I(p) >= t of I(p)
                                    * |{p in w : I(p) >= t}| / |w|

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        windows: ``(M, 4)`` corners.
        thresholds: for each scale t, in multiples of the mean of I; I is a spectral residual
            (Hou & Zhang 2007) with the sum 1, added up over the colour channels.
    """
    best = np.zeros(len(windows))
    for side, threshold in zip(SCALES, thresholds, strict=True):
        best = np.maximum(best, saliency_at(image, windows, side, threshold))
    return best


def saliency_at(image: np.ndarray, windows: np.ndarray, side: int, threshold: float) -> np.ndarray:
    """`saliency` at one scale."""
    channels = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64)
    spectrum = np.fft.fft2(channels, axes=(0, 1))
    log = np.log(np.abs(spectrum) + 1e-3)
    residual = np.exp(log - cv2.blur(log, (3, 3)) + 1j * np.angle(spectrum))
    values = (np.abs(np.fft.ifft2(residual, axes=(0, 1))) ** 2).sum(axis=2)
    values = cv2.GaussianBlur(values, (0, 0), 1.5)
    values = cv2.resize(values, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    total = values.sum()
    if not total > 0:
        return np.zeros(len(windows))
    salient = values >= threshold * values.mean()
    inside = sums(np.where(salient, values / total, 0.0), windows)
    return inside * sums(salient, windows) / _areas(windows)


def contrast(image: np.ndarray, windows: np.ndarray, margin: float) -> np.ndarray:
    """CC, section 2.2: how the colours inside differ from those in a ring around.

    The chi-square distance ``sum (a - b)^2 / (a + b) / 2`` of LAB histograms of 4x8x8 bins, each
    with the sum 1; 0 where there is no ring.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        windows: ``(M, 4)`` corners.
        margin: the share of its width and height that the ring adds to a window, half on each
            side.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.int64)
    codes = lab[..., 0] * _LEVELS[0] // 256
    for channel in (1, 2):
        # Photographs use the middle half of a and b.
        centred = np.clip((lab[..., channel] - 64) * 2, 0, 255)
        codes = codes * _LEVELS[channel] + centred * _LEVELS[channel] // 256
    _, bins = np.unique(codes, return_inverse=True)
    counts = bins.reshape(image.shape[:2])
    integral = _integral(counts[..., None] == np.arange(counts.max() + 1))
    inside = _inside(integral, windows)
    ring = _inside(integral, _grown(windows, margin, image.shape[:2])) - inside
    around = ring.sum(axis=1)
    a, b = inside / _areas(windows)[:, None], ring / np.maximum(around, 1)[:, None]
    # Of shares, (a - b)^2 / (a + b) is a + b - 4 a b / (a + b).
    both = a * b / np.maximum(a + b, 1e-12)
    return np.where(around > 0, 1 - 2 * both.sum(axis=1), 0.0)


def edgels(image: np.ndarray) -> np.ndarray:
    """Canny's edge pixels, ``(h, w)`` bool."""
    return cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 60, 150) > 0


def edge_density(edges: np.ndarray, windows: np.ndarray, margin: float) -> np.ndarray:
    """ED, section 2.3: the edge pixels in a window's inner ring, over the ring's length.

    Args:
        edges: ``(h, w)`` bool.
        windows: ``(M, 4)`` corners.
        margin: the share of its width and height that the ring takes of a window, half on each
            side.
    """
    inner = _grown(windows, -margin, edges.shape)
    length = 2 * (windows[:, 2:] - windows[:, :2]).sum(axis=1)
    integral = _integral(edges[..., None])
    return (_inside(integral, windows) - _inside(integral, inner))[:, 0] / length


def straddling(segments: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """SS, section 2.4: 1 less the share of a window that belongs to superpixels it cuts through.

    Args:
        segments: ``(h, w)`` int, the number of each pixel's superpixel, from 0.
        windows: ``(M, 4)`` corners.

    >>> segments = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    >>> straddling(segments, np.array([[0, 0, 2, 2], [0, 0, 3, 2], [0, 0, 1, 2]])).round(2)
    array([1.  , 0.67, 0.  ])
    """
    sizes = np.bincount(segments.ravel())
    inside = _inside(_integral(segments[..., None] == np.arange(len(sizes))), windows)
    return 1 - np.minimum(inside, sizes - inside).sum(axis=1) / _areas(windows)


def location(windows: ArrayLike, boxes: Sequence[ArrayLike]) -> np.ndarray:
    """LS, after section 2.5: the share of training images in which a window covers an object, with
    one image more in which it half does, so that nothing is certain.

    Args:
        windows: ``(M, 4)`` xyxy, relative.
        boxes: of each training image ``(n, 4)``, relative.

    >>> location([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], [[[0, 0, 1, 0.5]]]).tolist()
    [0.75, 0.75]
    """
    x0, y0, x1, y1 = box_geometry.as_boxes(windows).T.copy()
    areas = (x1 - x0) * (y1 - y0)
    covered = np.full(len(areas), 0.5)
    for of_image in boxes:
        covers = np.zeros(len(areas), bool)
        for low_x, low_y, high_x, high_y in box_geometry.as_boxes(of_image):
            width = np.minimum(x1, high_x) - np.maximum(x0, low_x)
            height = np.minimum(y1, high_y) - np.maximum(y0, low_y)
            both = areas + (high_x - low_x) * (high_y - low_y)
            # IoU >= t without a division: there are 17 million pairs.
            covers |= (1 + COVERS) * np.maximum(width, 0) * height >= COVERS * both
        covered += covers
    return covered / (len(boxes) + 1)


def superpixels(image: np.ndarray, scale: float, smallest: int = 40) -> np.ndarray:
    """Felzenszwalb & Huttenlocher's segmentation (IJCV 2004), merged in rounds.

    Two regions A and B merge over the lightest edge between them, w the distance of its colours,
    where ``w <= min(Int(A) + k / |A|, Int(B) + k / |B|)``, with Int a region's heaviest edge so
    far. In each round every region looks at its own lightest edge, as in Boruvka's algorithm, so
    that a round is a few array operations and there are about ten. The original looks at all
    edges by their weights, one by one; here a region may have to decide about an edge while its
    neighbour has lighter ones left.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        scale: k; the higher, the larger the regions.
        smallest: regions of fewer pixels are merged with the most similar neighbour.

    Returns:
        ``(h, w)`` int32, from 0.
    """
    # Heaviest first, so that of several writes to a region's place the lightest edge's stays.
    first, second, weights = _pixel_edges(cv2.GaussianBlur(image, (0, 0), 0.5).astype(np.float32))
    count = image.shape[0] * image.shape[1]
    labels, sizes, heaviest = np.arange(count), np.ones(count, np.int64), np.zeros(count)
    a, b, left = first, second, weights
    while len(left):
        lightest = _lightest(a, b, len(sizes))
        limit = heaviest + scale / sizes
        # Nothing changes any more for a region whose lightest edge is too heavy for itself.
        closed = np.where(lightest >= 0, left[lightest], 0) > limit
        keep = ~(closed[a] | closed[b])
        chosen = np.unique(lightest[lightest >= 0])
        chosen = chosen[left[chosen] <= np.minimum(limit[a[chosen]], limit[b[chosen]])]
        if len(chosen):
            new = _joined(a[chosen], b[chosen], len(sizes))
            before = heaviest
            labels, sizes = new[labels], np.bincount(new, sizes).astype(np.int64)
            heaviest = np.zeros(len(sizes))
            np.maximum.at(heaviest, new, before)
            np.maximum.at(heaviest, new[a[chosen]], left[chosen])
            a, b = new[a], new[b]
            keep &= a != b
        a, b, left = a[keep], b[keep], left[keep]
    a, b = labels[first], labels[second]
    while (small := sizes < smallest).any() and len(sizes) > 1:
        between = a != b
        a, b = a[between], b[between]
        chosen = np.unique(_lightest(a, b, len(sizes))[small])
        new = _joined(a[chosen], b[chosen], len(sizes))
        labels, sizes = new[labels], np.bincount(new, sizes).astype(np.int64)
        a, b = new[a], new[b]
    return labels.reshape(image.shape[:2]).astype(np.int32)


def _pixel_edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The edges between the eight neighbours: two pixels each and their colours' distance,
    heaviest first."""
    height, width = image.shape[:2]
    at = np.arange(height * width, dtype=np.int32).reshape(height, width)
    whole, later, earlier = slice(None), slice(1, None), slice(None, -1)
    shifts = [
        ((whole, earlier), (whole, later)),
        ((earlier, whole), (later, whole)),
        ((earlier, earlier), (later, later)),
        ((earlier, later), (later, earlier)),
    ]
    first = np.concatenate([at[one].ravel() for one, _ in shifts])
    second = np.concatenate([at[other].ravel() for _, other in shifts])
    weights = np.concatenate(
        [np.square(image[one] - image[other]).sum(axis=2).ravel() for one, other in shifts]
    )
    order = np.argsort(-weights, kind="stable")
    return first[order], second[order], np.sqrt(weights[order])


def _lightest(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The place of each region's lightest edge, the last of its own; -1 without any."""
    found = np.full((2, count), -1)
    places = np.arange(len(a))
    found[0, a] = places
    found[1, b] = places
    return found.max(axis=0)


def _joined(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The new number of each region when these edges join them."""
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


# --- Sums over windows ---


def sums(values: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The sum of ``(h, w)`` values inside each window, ``(M,)``."""
    return _inside(_integral(values[..., None]), windows)[:, 0]


def _integral(values: np.ndarray) -> np.ndarray:
    """``(h + 1, w + 1, B)`` float32 sums over all that is above and to the left; a sum of ones
    over an image of this size is exact."""
    height, width, depth = values.shape
    found = np.zeros((height + 1, width + 1, depth), np.float32)
    np.cumsum(values, axis=0, dtype=np.float32, out=found[1:, 1:])
    np.cumsum(found[1:, 1:], axis=1, out=found[1:, 1:])
    return found


def _inside(integral: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The sums ``(M, B)`` inside windows."""
    width = integral.shape[1]
    rows = integral.reshape(-1, integral.shape[2])
    x0, y0, x1, y1 = windows.T
    found = rows[y1 * width + x1]
    found -= rows[y0 * width + x1]
    found -= rows[y1 * width + x0]
    found += rows[y0 * width + x0]
    return found


def _areas(windows: np.ndarray) -> np.ndarray:
    return np.prod(windows[:, 2:] - windows[:, :2], axis=1)


def corners(windows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Relative windows as pixel corners, a pixel wide at least."""
    height, width = size
    found = np.rint(windows * [width, height, width, height]).astype(np.int64)
    found[:, :2] = np.minimum(found[:, :2], [width - 1, height - 1])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    return found


def _grown(windows: np.ndarray, share: float, size: tuple[int, int]) -> np.ndarray:
    """Windows with a share of their width and height more, within the image; or less, if it is
    negative: a pixel on each side at least."""
    sides = windows[:, 2:] - windows[:, :2]
    each = np.rint(np.abs(share) / 2 * sides).astype(np.int64)
    each = np.maximum(each, 1) * (1 if share > 0 else -1)
    each = np.maximum(each, -(sides // 2))
    low = np.maximum(windows[:, :2] - each, 0)
    high = np.minimum(windows[:, 2:] + each, [size[1], size[0]])
    return np.concatenate([low, np.maximum(high, low)], axis=1)
