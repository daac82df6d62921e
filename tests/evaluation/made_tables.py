"""Tables and data sets as an evaluation meets them, made by hand."""

import numpy as np

from sensmap import boxes as box_geometry
from sensmap.datasets import Dataset, Example
from sensmap.evaluation import predictions
from sensmap.feature_table import FeatureTable, Readings

NAMES = [str(digit) for digit in range(10)]
LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]


def a_table(truths, features=None, labels=None, sizes=None, guessed=()):
    count = len(truths)
    features = np.zeros((count, 3), np.float32) if features is None else features
    guessed = np.array([guessed] * count, np.int32)
    scores = np.tile(np.linspace(9, 1, guessed.shape[1], dtype=np.float32), (count, 1))
    of_guessed = np.repeat(features[:, None], guessed.shape[1], axis=1)
    class_ids = np.arange(count, dtype=np.int32)
    return FeatureTable(
        ids=[f"image{position}" for position in range(count)],
        asked=Readings(class_ids, np.zeros(count, np.float32), features),
        guessed=Readings(guessed, scores, of_guessed),
        labels=np.zeros(count, np.int32) if labels is None else np.array(labels, np.int32),
        truths=[box_geometry.as_boxes(truth).reshape(-1, 4) for truth in truths],
        sizes=np.array([[10, 20]] * count if sizes is None else sizes, np.int32),
        skipped=[],
        dropped=[],
        degenerate=0,
        seconds=1.0,
    )


def a_dataset(table, classes=("cat", "dog")):
    """Grey images that are as bright as their position, with the table's ids in another order."""

    def read(position):
        pixels = np.full((8, 8, 3), int(ids[position].removeprefix("image")), np.uint8)
        return Example(id=ids[position], image=pixels)

    ids = list(reversed(table.ids))
    return Dataset("made", classes, ids, read)


def extract(localizer, dataset, class_of, top_k=0):
    extractor = predictions.extractor_for(localizer.method, [localizer.estimator], top_k)
    return extractor.extract(dataset, class_of, batch_size=4)
