"""The boxes that an exported model gives, measured like any other."""

from __future__ import annotations

import time

import numpy as np
from tqdm import tqdm

from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.evaluation.predictions import Predictions, or_none
from sensmap.export import ServedModel
from sensmap.feature_table import FeatureTable, Readings, table_row
from sensmap.maps import PREDICTED
from sensmap.pipeline import PREDICTION, class_chooser


def predict(
    served: ServedModel, dataset: Dataset, class_of: str, batch_size: int
) -> tuple[FeatureTable, Predictions]:
    """The boxes that an exported model gives for a data set, and a table without features.

    Images go through the export as encoded files, the way a server gets them.
    """
    began = time.perf_counter()
    class_id_of = class_chooser(served, dataset, class_of)
    rows: list[tuple] = []
    answers: list[tuple] = []
    skipped: list[tuple[str, str]] = []

    def localize(batch: list[tuple[Example, int]]) -> None:
        wanted = [class_id for _, class_id in batch]
        asked = None if wanted[0] == PREDICTED else wanted
        try:
            found = served([example.image for example, _ in batch], asked)
        except ExampleError as error:
            if len(batch) == 1:
                skipped.append((batch[0][0].id, str(error)))
            else:  # one broken image fails its batch
                for each in batch:
                    localize([each])
            return
        for place, (example, _) in enumerate(batch):
            # The pixels' box over the relative one is the size of the image.
            right, bottom = found.boxes_pixels[place, 0, 2:] / found.boxes[place, 0, 2:]
            size = example.size or (round(float(bottom)), round(float(right)))
            rows.append(table_row(example, size))
            answers.append(tuple(part[place] for part in found[:3] + found[4:5]))

    batch: list[tuple[Example, int]] = []
    for position in tqdm(range(len(dataset)), desc="Served", unit="image", disable=None):
        try:
            example = dataset[position]
            batch.append((example, class_id_of(example)))
        except ExampleError as error:
            skipped.append((dataset.ids[position], str(error)))
        if len(batch) == batch_size:
            localize(batch)
            batch = []
    if batch:
        localize(batch)
    if not rows:
        raise ValueError(f"No image of {dataset.name} could be used ({skipped[:1]}).")
    class_ids, scores, boxes, degenerate = (np.array(part) for part in zip(*answers, strict=True))
    # The best class is the one asked for where none was; only then the others are guesses.
    ranks = class_ids.shape[1] if class_of == PREDICTION else 0
    nothing = np.zeros((*class_ids.shape, 0), np.float32)
    asked = Readings(class_ids[:, 0], scores[:, 0], nothing[:, 0])
    guessed = Readings(class_ids[:, :ranks], scores[:, :ranks], nothing[:, :ranks])
    table = FeatureTable.of(rows, asked, guessed, degenerate[:, 0], skipped, began)
    guesses = or_none(boxes[:, :ranks])
    return table, Predictions("SavedModel", boxes[:, 0], guesses, guessed.class_ids)
