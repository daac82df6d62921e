"""Measuring a segmenter on a data set of masks: mean IoU of its masks, CorLoc of their boxes.

Masks are in the data set's classes, 0 for the background and k + 1 for class k, like its own. What
the classifier sees besides, and the data set has no class for, is background there.

For CorLoc an image has one box: around the largest connected part of what the mask gives to the
first of the image's labels, and around the whole image where that is nothing.

Two masks that need no map are measured beside them: one that is all background, and one with the
first of the classes that are looked for in an ellipse in the middle. The ellipse covers what the
objects cover on average of the images that the background's weight was chosen on; where it was not
chosen, its axes are half of the image's sides.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from tqdm import tqdm

from sensmap import images, masks
from sensmap.classifiers.class_names import match_classes
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.feature_table import image_class
from sensmap.localizers._masks import largest_box
from sensmap.maps import MapMethod
from sensmap.metrics.corloc import CorLoc
from sensmap.metrics.mean_iou import MeanIoU
from sensmap.pipeline import PREDICTION, TRUTH
from sensmap.report.segmentation import ClassMap, Picture
from sensmap.segmentation import Segmentation, Segmenter, divide
from sensmap.segmentation_analysis import outcomes
from sensmap.stopwatch import Stopwatch

# Where the classes come from that are looked for in an image.
CLASSES_OF = (PREDICTION, TRUTH)

# The weights of the background that `fit_background` chooses from.
BACKGROUNDS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
# Images that are enough to choose a single number.
_FITTED_ON = 100

PLAIN, REFINED = "Without CRF", "With CRF"
EMPTY, CENTRED = "Background only", "Centred object"
_BASELINES = (EMPTY, CENTRED)

# The axes of the centred ellipse, as a share of the image's sides, where no other is known.
ELLIPSE = 0.5


@dataclasses.dataclass
class Evaluation:
    """What one pass over a data set has found.

    Attributes:
        rows: for the two masks that need no map (their ``group`` is "baseline"), and for those
            without and, where there is one, with the CRF: ``method``, what
            `sensmap.metrics.mean_iou` gives, ``localization``, what `sensmap.metrics.corloc`
            gives, and ``seconds_per_image``, the median from pixels to mask, None for baselines.
            JSON can hold it.
        ids: of the images that were segmented.
        scored: of those of them that have a pixel that counts.
        confusions: by ``method``, the pixels of each scored image, counted by
            `sensmap.metrics.mean_iou.confusion`.
        skipped: what could not be used, as (id, reason).
        dropped: boxes that were left out of usable images, as (id, reason).
        degenerate: how many maps said nothing (NaN or zero everywhere).
        classes: how many classes were looked for in images that show them and in others, and how
            many of those shown were not.
        seconds: by stage.
    """

    rows: list[dict[str, Any]]
    ids: list[str]
    scored: list[str]
    confusions: dict[str, list[np.ndarray]]
    skipped: list[tuple[str, str]]
    dropped: list[tuple[str, str]]
    degenerate: int
    classes: dict[str, int]
    seconds: dict[str, float]

    def __len__(self) -> int:
        return len(self.ids)


@dataclasses.dataclass
class FittedBackground:
    """Which weight of the background was chosen, and on what.

    Attributes:
        background: the weight.
        mean_iou: of every weight that was tried, in percent; None where nothing counts.
        ellipse: the axes of a centred ellipse of the mean area of an image's objects, as a share
            of the image's sides; `ELLIPSE` where nothing counts.
        ids: of the images.
    """

    background: float
    mean_iou: dict[float, float | None]
    ellipse: float
    ids: list[str]

    def __len__(self) -> int:
        return len(self.ids)


def evaluate(
    segmenter: Segmenter,
    dataset: Dataset,
    classes_of: str = PREDICTION,
    keep: Callable[[str, np.ndarray], None] | None = None,
    ellipse: float = ELLIPSE,
) -> Evaluation:
    """Segments the images of a data set that have masks, and scores that.

    Args:
        segmenter: what is measured.
        dataset: the images and their masks.
        classes_of: ``"predicted"``, the classes that the classifier sees in an image, or
            ``"truth"``, the image's labels as far as the classifier knows them.
        keep: is given each image's id and mask, in the data set's classes; with the CRF where
            there is one. An id is always one that a file below a folder can have.
        ellipse: the axes of the centred ellipse, as a share of the image's sides.

    Raises:
        ValueError: if no image can be used, or the classifier knows none of the classes.
    """
    reader = _Reader(dataset, segmenter.method, classes_of)
    plain = Segmenter(segmenter.method, segmenter.background)
    kinds = (*_BASELINES, PLAIN, *([] if segmenter.crf is None else [REFINED]))
    scores = {name: _Scores(name, dataset.classes) for name in kinds}
    seen: Counter[str] = Counter()
    found = Evaluation([], [], [], {}, reader.skipped, [], 0, {}, reader.watch.seconds)
    for example, image, truth in reader.read("Masks"):
        began = time.perf_counter()
        with reader.watch.stage("classes, maps and masks"):
            segmented = reader.segment(plain, example, image)
        masks_of = {PLAIN: (segmented.mask, time.perf_counter() - began)}
        if segmenter.crf is not None:
            with reader.watch.stage("CRF"):
                refined = _refined(segmenter, segmented, image).mask
            masks_of[REFINED] = (refined, time.perf_counter() - began)
        with reader.watch.stage("measures"):
            for name, (mask, seconds) in masks_of.items():
                scores[name].update(example, reader.translated(mask), truth, seconds)
            scores[EMPTY].update(example, np.zeros_like(truth), truth)
            first = reader.translated(np.append(segmented.class_ids + 1, 0)[:1])
            centred = centred_ellipse(image.shape[:2], ellipse) * first
            scores[CENTRED].update(example, centred, truth)
        if keep is not None:
            keep(example.id, reader.translated(masks_of[kinds[-1]][0]))
        found.ids.append(example.id)
        if (truth != masks.IGNORE).any():
            found.scored.append(example.id)
        found.dropped += [(example.id, reason) for reason in example.dropped]
        found.degenerate += sum(not each.any() for each in segmented.maps)
        seen.update(_standings(reader.labels(segmented.class_ids), set(example.labels)))
    if not found.ids:
        raise ValueError(
            f"No image of {dataset.name} has a mask that can be used ({reader.first_reason()})."
        )
    found.classes = dict(seen)
    with reader.watch.stage("measures"):
        found.rows = [each.row() for each in scores.values()]
    found.confusions = {name: each.confusions for name, each in scores.items()}
    return found


def image_lines(found: Evaluation) -> list[dict[str, Any]]:
    """How each scored image was segmented, a record for each, in their order.

    Args:
        found: what `evaluate` has found.

    Returns:
        Of each image ``id``; ``classes``, the names of those that its truth has, without the
        background; ``mean_iou`` and ``foreground_iou``, 0 to 1, by the ``method`` of each row.
        The mean is over the classes, background included, that occur in the image's truth or
        mask; the foreground is every class but the background, None where neither has any (see
        `sensmap.segmentation_analysis`).
    """
    names = [each["class"] for each in found.rows[-1]["by_class"]]
    judged = {kind: outcomes(confusions) for kind, confusions in found.confusions.items()}
    of_truth = [counts.sum(axis=1) for counts in found.confusions[found.rows[-1]["method"]]]
    return [
        {
            "id": name,
            "classes": [names[index] for index in np.flatnonzero(pixels[1:]) + 1],
            "mean_iou": {kind: each[place].mean_iou for kind, each in judged.items()},
            "foreground_iou": {kind: each[place].foreground_iou for kind, each in judged.items()},
        }
        for place, (name, pixels) in enumerate(zip(found.scored, of_truth, strict=True))
    ]


def centred_ellipse(size: tuple[int, int], sides: float) -> np.ndarray:
    """The pixels whose centres an ellipse in the middle of an image covers.

    Args:
        size: ``(height, width)`` in pixels.
        sides: the ellipse's axes as a share of the image's sides; what of it lies beyond the image
            is cut off.

    Returns:
        ``(height, width)`` bool.

    >>> centred_ellipse((3, 6), 0.7).astype(int).tolist()
    [[0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 1, 0], [0, 0, 1, 1, 0, 0]]
    """
    down, across = (((2 * np.arange(side) + 1) / side - 1) ** 2 for side in size)
    return down[:, None] + across <= sides**2


def fit_background(
    method: MapMethod, dataset: Dataset, classes_of: str, without: Iterable[str], seed: int
) -> FittedBackground:
    """Chooses the weight of the background, of `BACKGROUNDS`, by the mean IoU without a CRF.

    Args:
        method: where the maps come from.
        dataset: other images than those that are to be scored; 100 with masks are drawn of them.
        classes_of: as of `evaluate`.
        without: ids of what is to be scored.
        seed: of the drawing.

    Raises:
        ValueError: if no image can be used, or some are to be scored.
    """
    if both := sorted(set(dataset.ids) & set(without)):
        raise ValueError(
            f"{len(both)} of the {len(dataset)} images to choose the background's weight on are "
            f"among those that are scored, {both[0]!r} is one; choose another split."
        )
    order = np.random.default_rng(seed).permutation(len(dataset))
    drawn = dataset.select(order)
    reader = _Reader(drawn, method, classes_of)
    segmenters = {weight: Segmenter(method, weight) for weight in BACKGROUNDS}
    metrics = {weight: MeanIoU(dataset.classes) for weight in BACKGROUNDS}
    ids, areas = [], []
    for example, image, truth in reader.read("Background", _FITTED_ON):
        segmented = reader.segment(segmenters[1.0], example, image)
        for weight, segmenter in segmenters.items():
            mask = _refined(segmenter, segmented, image).mask
            metrics[weight].update([reader.translated(mask)], [truth])
        ids.append(example.id)
        if (counted := truth != masks.IGNORE).any():
            areas.append((truth[counted] > 0).mean())
    if not ids:
        raise ValueError(
            f"No image of {dataset.name} has a mask to choose the background's weight on "
            f"({reader.first_reason()})."
        )
    by_weight = {weight: metric.result()["mean_iou"] for weight, metric in metrics.items()}
    best = max(by_weight, key=lambda weight: by_weight[weight] or 0.0)
    # An ellipse covers π / 4 of the rectangle around it.
    ellipse = math.sqrt(4 / math.pi * float(np.mean(areas))) if areas else ELLIPSE
    return FittedBackground(best, by_weight, ellipse, sorted(ids))


def shown_pictures(
    segmenter: Segmenter,
    dataset: Dataset,
    found: Evaluation,
    classes_of: str,
    before: MapMethod | None,
    count: int,
    seed: int,
) -> list[Picture]:
    """Images for the report, drawn at random: not the best ones, nor the worst.

    Args:
        segmenter, dataset, classes_of: as of `evaluate`.
        found: what `evaluate` has found.
        before: a map method whose maps are shown beside those of the segmenter.
        count: at most how many.
        seed: of the drawing.
    """
    used = np.flatnonzero(np.isin(dataset.ids, found.ids))
    chosen = np.sort(np.random.default_rng(seed).permutation(used)[:count])
    reader = _Reader(dataset.select(chosen), segmenter.method, classes_of)
    shown = []
    for example, image, truth in reader.read("Pictures"):
        segmented = reader.segment(segmenter, example, image)
        others: Sequence[np.ndarray | None] = [None] * len(segmented.class_ids)
        if before is not None:
            earlier = reader.segment(Segmenter(before), example, image, segmented.class_ids)
            others = list(earlier.maps)
        names = reader.names(segmented.class_ids)
        maps = [ClassMap(*each) for each in zip(names, segmented.maps, others, strict=True)]
        shown.append(reader.picture(segmenter, example, image, truth, segmented, maps))
    return shown


def worst_pictures(
    segmenter: Segmenter, dataset: Dataset, analysis: Mapping[str, Any], classes_of: str
) -> dict[str, list[Picture]]:
    """The worst images of each kind, by its key, the worst first.

    Args:
        segmenter, dataset, classes_of: as of `evaluate`.
        analysis: what `sensmap.segmentation_analysis.analyse` gives for the segmenter's masks.
    """
    kinds = analysis["errors"]["categories"]
    ious = {each["id"]: each["iou"] for kind in kinds for each in kind["worst"]}
    chosen = np.flatnonzero(np.isin(dataset.ids, list(ious)))
    reader = _Reader(dataset.select(chosen), segmenter.method, classes_of)
    shown = {}
    for example, image, truth in reader.read("Worst"):
        segmented = reader.segment(segmenter, example, image)
        picture = reader.picture(segmenter, example, image, truth, segmented)
        shown[example.id] = dataclasses.replace(picture, iou=ious[example.id])
    return {kind["key"]: [shown[each["id"]] for each in kind["worst"]] for kind in kinds}


def unknown_classes(dataset: Dataset, classifier: Any) -> list[str]:
    """The names of a data set's classes that a classifier cannot find.

    Raises:
        ValueError: if it knows none.
    """
    known = match_classes(dataset.classes, classifier)
    return [name for name, each in zip(dataset.classes, known, strict=True) if each < 0]


class _Reader:
    """The images of a data set with their masks, and its classes beside the classifier's."""

    def __init__(self, dataset: Dataset, method: MapMethod, classes_of: str):
        if classes_of not in CLASSES_OF:
            raise ValueError(
                f"The classes are those of {' or '.join(CLASSES_OF)}; received {classes_of!r}."
            )
        self.dataset, self.classes_of = dataset, classes_of
        self.skipped: list[tuple[str, str]] = []
        self.watch = Stopwatch()
        self._classifier = method.classifier
        self._known = match_classes(dataset.classes, method.classifier)
        self._label = np.full(method.classifier.num_classes, -1)
        labels = np.flatnonzero(self._known >= 0)
        self._label[self._known[labels]] = labels

    def read(
        self, title: str, most: int | None = None
    ) -> Iterator[tuple[Example, np.ndarray, np.ndarray]]:
        """Examples with image and mask, at most so many; others go to `skipped`."""
        given = 0
        for position in tqdm(range(len(self.dataset)), desc=title, unit="image", disable=None):
            if given == most:
                return
            try:
                with self.watch.stage("images and true masks"):
                    example, image, truth = self._load(position)
            except ExampleError as error:
                self.skipped.append((self.dataset.ids[position], str(error)))
                continue
            given += 1
            yield example, image, truth

    def segment(
        self,
        segmenter: Segmenter,
        example: Example,
        image: np.ndarray,
        class_ids: np.ndarray | None = None,
    ) -> Segmentation:
        """By the classes that are asked for; without any of them all is background."""
        if class_ids is None:
            class_ids = self._wanted(segmenter, example, image)
        if len(class_ids):
            return segmenter(image, class_ids)
        nothing = np.zeros(image.shape[:2], np.uint8)
        return Segmentation(class_ids, np.zeros((0, *nothing.shape), np.float32), nothing, nothing)

    def picture(
        self,
        segmenter: Segmenter,
        example: Example,
        image: np.ndarray,
        truth: np.ndarray,
        segmented: Segmentation,
        maps: Sequence[ClassMap] = (),
    ) -> Picture:
        """An image and how it was segmented, for the report."""
        refined = None if segmenter.crf is None else self.translated(segmented.mask)
        plain = self.translated(segmented.unrefined)
        return Picture(example.id, image, truth, maps, plain, refined)

    def translated(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the classifier's classes as one of the data set's, ``(H, W)`` uint8."""
        return np.concatenate([[0], self._label + 1]).astype(np.uint8)[mask]

    def labels(self, class_ids: np.ndarray) -> set[int]:
        """The data set's labels for classes of the classifier, as far as it has them."""
        return set(self._label[class_ids].tolist()) - {-1}

    def names(self, class_ids: np.ndarray) -> list[str]:
        """The data set's names for classes of the classifier, or else the classifier's own."""
        own = self._classifier.class_names or [f"class {k}" for k in range(len(self._label))]
        return [
            self.dataset.classes[self._label[k]] if self._label[k] >= 0 else own[k]
            for k in class_ids
        ]

    def first_reason(self) -> str:
        return self.skipped[0][1] if self.skipped else "it has no images"

    def _wanted(self, segmenter: Segmenter, example: Example, image: np.ndarray) -> np.ndarray:
        if self.classes_of == PREDICTION:
            return segmenter.classes_of(image)
        known = self._known[list(example.labels)]
        return known[known >= 0]

    def _load(self, position: int) -> tuple[Example, np.ndarray, np.ndarray]:
        example = self.dataset[position]
        truth = self._truth(example)
        image = images.load(example.image)
        if truth.shape != image.shape[:2]:
            raise ExampleError(
                f"{example.mask}: the mask has {truth.shape[0]}x{truth.shape[1]} pixels, "
                f"its image {image.shape[0]}x{image.shape[1]}."
            )
        return example, image, truth

    def _truth(self, example: Example) -> np.ndarray:
        path = PurePosixPath(example.id)
        if path.is_absolute() or ".." in path.parts or "\0" in example.id:
            raise ExampleError(f"its id {example.id!r} cannot be the name of a mask's file.")
        if example.mask is None:
            raise ExampleError("there is no mask of it.")
        truth = masks.load(example.mask)
        highest = int(truth[truth != masks.IGNORE].max(initial=0))
        if highest > len(self.dataset.classes):
            raise ExampleError(
                f"{example.mask}: its index {highest} is beyond the "
                f"{len(self.dataset.classes)} classes."
            )
        return truth


class _Scores:
    """Mean IoU, CorLoc and time of one kind of masks."""

    def __init__(self, method: str, classes: Sequence[str]):
        self._method, self._seconds = method, list[float]()
        self._mean_iou, self._corloc = MeanIoU(classes), CorLoc(classes)

    def update(
        self, example: Example, mask: np.ndarray, truth: np.ndarray, seconds: float | None = None
    ) -> None:
        if seconds is not None:
            self._seconds.append(seconds)
        self._mean_iou.update([mask], [truth])
        label = image_class(example)
        if label >= 0:
            box = largest_box(mask == label + 1)
            self._corloc.update([box], [example.boxes_of(label)], [label])

    @property
    def confusions(self) -> list[np.ndarray]:
        return self._mean_iou.confusions

    def row(self) -> dict[str, Any]:
        group = {"group": "baseline"} if self._method in _BASELINES else {}
        return {
            "method": self._method,
            **group,
            **self._mean_iou.result(),
            "localization": self._corloc.result(),
            "seconds_per_image": float(np.median(self._seconds)) if self._seconds else None,
        }


def _refined(segmenter: Segmenter, segmented: Segmentation, image: np.ndarray) -> Segmentation:
    """By the same maps and what else the segmenter does."""
    if not len(segmented.class_ids):
        return segmented
    return divide(segmented.maps, segmented.class_ids, image, segmenter.background, segmenter.crf)


def _standings(looked_for: set[int], there: set[int]) -> dict[str, int]:
    return {
        "classes looked for and there": len(looked_for & there),
        "classes looked for but not there": len(looked_for - there),
        "classes there but not looked for": len(there - looked_for),
    }
