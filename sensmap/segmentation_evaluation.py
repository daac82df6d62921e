"""Measuring a segmenter on a data set of masks: mean IoU of its masks, CorLoc of their boxes.

Masks are in the data set's classes, 0 for the background and k + 1 for class k, like its own. What
the classifier sees besides, and the data set has no class for, is background there.

For CorLoc an image has one box: around the largest connected part of what the mask gives to the
first of the image's labels, and around the whole image where that is nothing.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from tqdm import tqdm

from sensmap import images, masks
from sensmap.classifiers.class_names import match_classes
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.localizers._masks import largest_box
from sensmap.maps import MapMethod
from sensmap.metrics.corloc import CorLoc
from sensmap.metrics.mean_iou import MeanIoU
from sensmap.pipeline import PREDICTION, TRUTH, image_class
from sensmap.report.segmentation import ClassMap, Picture
from sensmap.segmentation import Segmentation, Segmenter, divide

# Where the classes come from that are looked for in an image.
CLASSES_OF = (PREDICTION, TRUTH)

# The weights of the background that `fit_background` chooses from.
BACKGROUNDS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
# Images that are enough to choose a single number.
_FITTED_ON = 100

PLAIN, REFINED = "Without CRF", "With CRF"


@dataclasses.dataclass
class Evaluation:
    """What one pass over a data set has found.

    Attributes:
        rows: for the masks without and, where there is one, with the CRF: ``method``, what
            `sensmap.metrics.mean_iou` gives, ``localization``, what `sensmap.metrics.corloc`
            gives, and ``seconds_per_image``, the median from pixels to mask. JSON can hold it.
        ids: of the images that were segmented.
        skipped: what could not be used, as (id, reason).
        dropped: boxes that were left out of usable images, as (id, reason).
        degenerate: how many maps said nothing (NaN or zero everywhere).
        classes: how many classes were looked for in images that show them and in others, and how
            many of those shown were not.
    """

    rows: list[dict[str, Any]]
    ids: list[str]
    skipped: list[tuple[str, str]]
    dropped: list[tuple[str, str]]
    degenerate: int
    classes: dict[str, int]

    def __len__(self) -> int:
        return len(self.ids)


@dataclasses.dataclass
class FittedBackground:
    """Which weight of the background was chosen, and on what.

    Attributes:
        background: the weight.
        mean_iou: of every weight that was tried, in percent; None where nothing counts.
        ids: of the images.
    """

    background: float
    mean_iou: dict[float, float | None]
    ids: list[str]

    def __len__(self) -> int:
        return len(self.ids)


def evaluate(
    segmenter: Segmenter,
    dataset: Dataset,
    classes_of: str = PREDICTION,
    keep: Callable[[str, np.ndarray], None] | None = None,
) -> Evaluation:
    """Segments the images of a data set that have masks, and scores that.

    Args:
        segmenter: what is measured.
        dataset: the images and their masks.
        classes_of: ``"predicted"``, the classes that the classifier sees in an image, or
            ``"truth"``, the image's labels as far as the classifier knows them.
        keep: is given each image's id and mask, in the data set's classes; with the CRF where
            there is one. An id is always one that a file below a folder can have.

    Raises:
        ValueError: if no image can be used, or the classifier knows none of the classes.
    """
    reader = _Reader(dataset, segmenter.method, classes_of)
    plain = Segmenter(segmenter.method, segmenter.background)
    scores = {name: _Scores(dataset.classes) for name in (PLAIN, REFINED)}
    seen: Counter[str] = Counter()
    found = Evaluation([], [], reader.skipped, [], 0, {})
    for example, image, truth in reader.read("Masks"):
        began = time.perf_counter()
        segmented = reader.segment(plain, example, image)
        scores[PLAIN].update(example, reader.translated(segmented.mask), truth, began)
        mask = segmented.mask
        if segmenter.crf is not None:
            mask = _refined(segmenter, segmented, image).mask
            scores[REFINED].update(example, reader.translated(mask), truth, began)
        if keep is not None:
            keep(example.id, reader.translated(mask))
        found.ids.append(example.id)
        found.dropped += [(example.id, reason) for reason in example.dropped]
        found.degenerate += sum(not each.any() for each in segmented.maps)
        seen.update(_standings(reader.labels(segmented.class_ids), set(example.labels)))
    if not found.ids:
        raise ValueError(
            f"No image of {dataset.name} has a mask that can be used ({reader.first_reason()})."
        )
    found.classes = dict(seen)
    found.rows = [each.row(name) for name, each in scores.items() if each.seconds]
    return found


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
    ids = []
    for example, image, truth in reader.read("Background", _FITTED_ON):
        segmented = reader.segment(segmenters[1.0], example, image)
        for weight, segmenter in segmenters.items():
            mask = _refined(segmenter, segmented, image).mask
            metrics[weight].update([reader.translated(mask)], [truth])
        ids.append(example.id)
    if not ids:
        raise ValueError(
            f"No image of {dataset.name} has a mask to choose the background's weight on "
            f"({reader.first_reason()})."
        )
    by_weight = {weight: metric.result()["mean_iou"] for weight, metric in metrics.items()}
    best = max(by_weight, key=lambda weight: by_weight[weight] or 0.0)
    return FittedBackground(best, by_weight, sorted(ids))


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
        maps = zip(names, segmented.maps, others, strict=True)
        refined = None if segmenter.crf is None else reader.translated(segmented.mask)
        plain = reader.translated(segmented.unrefined)
        class_maps = [ClassMap(*each) for each in maps]
        shown.append(Picture(example.id, image, truth, class_maps, plain, refined))
    return shown


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
                example = self.dataset[position]
                truth = self._truth(example)
                image = images.load(example.image)
                if truth.shape != image.shape[:2]:
                    raise ExampleError(
                        f"{example.mask}: the mask has {truth.shape[0]}x{truth.shape[1]} pixels, "
                        f"its image {image.shape[0]}x{image.shape[1]}."
                    )
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

    def __init__(self, classes: Sequence[str]):
        self.seconds: list[float] = []
        self._mean_iou, self._corloc = MeanIoU(classes), CorLoc(classes)

    def update(self, example: Example, mask: np.ndarray, truth: np.ndarray, began: float) -> None:
        self.seconds.append(time.perf_counter() - began)
        self._mean_iou.update([mask], [truth])
        label = image_class(example)
        if label >= 0:
            box = largest_box(mask == label + 1)
            self._corloc.update([box], [example.boxes_of(label)], [label])

    def row(self, method: str) -> dict[str, Any]:
        return {
            "method": method,
            **self._mean_iou.result(),
            "localization": self._corloc.result(),
            "seconds_per_image": float(np.median(self.seconds)),
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
