"""The files of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sensmap import boxes as box_geometry
from sensmap import files, outcomes
from sensmap.evaluation.illustrations import overlap, ranked
from sensmap.evaluation.predictions import Predictions
from sensmap.feature_table import FeatureTable
from sensmap.metrics.corloc import best_ious
from sensmap.metrics.localization_error import MOST_GUESSES, right_guesses
from sensmap.report import localization, markdown, measures, pictures, tables


def write(
    work: Path,
    result: dict[str, Any],
    table: FeatureTable,
    predictions: Sequence[Predictions],
    labels: np.ndarray | None,
    shown: Sequence[localization.Picture],
    worst: Mapping[str, Sequence[localization.Picture]],
) -> str:
    """Writes the report as HTML, Markdown and JSON, its table, boxes and pictures into a folder.

    Args:
        work: the folder.
        result: what `sensmap.report.localization` takes.
        table, predictions: the images, and every method's boxes; the report is on the last.
        labels: ``(N,)`` the classifier's class of each image's label; None where it is not known.
        shown, worst: images for the report.

    Returns:
        The table as text for a terminal.
    """
    files.write_json(work / "result.json", result)
    summary = measures.localization_table(result["rows"])
    across = measures.cross_table(result["rows"])
    tabled = [summary] if across is None else [summary, across]
    files.write_text(work / "table.md", "\n\n".join(map(tables.as_markdown, tabled)) + "\n")
    files.write_text(work / "report.md", markdown.localization_text(result))
    files.write_text(work / "boxes.jsonl", _box_lines(table, predictions[-1]))
    outcomes.write(work / outcomes.FILE, outcomes_of(table, predictions, labels))
    if shown:
        grid = localization.picture_grid(shown)
        files.write_bytes(work / "boxes.png", pictures.encode_png(grid))
    page = localization.localization_report(result, shown, worst)
    files.write_text(work / "report.html", page)
    said = [measures.brief_table(result["rows"]), *tabled[1:]]
    return "\n\n".join(map(tables.as_text, said))


def outcomes_of(
    table: FeatureTable, predictions: Sequence[Predictions], labels: np.ndarray | None
) -> outcomes.Outcomes:
    """What every method found for each image; a name that stands twice is numbered.

    Args:
        table, predictions, labels: as of `write`.
    """
    methods: dict[str, outcomes.MethodOutcomes] = {}
    for each in predictions:
        name = each.method
        while name in methods:
            name += " again"
        top1: np.ndarray | None = None
        top5: np.ndarray | None = None
        if each.guesses is not None and each.guessed is not None and labels is not None:
            _, located, _ = right_guesses(each.guesses, each.guessed, table.truths, labels)
            top1 = located[:, 0]
            if located.shape[1] == MOST_GUESSES:
                top5 = np.any(located, axis=1)
        ious = best_ious(each.boxes, table.truths)
        methods[name] = outcomes.MethodOutcomes(each.boxes, ious, top1, top5)
    return outcomes.Outcomes(tuple(table.ids), tuple(table.truths), methods)


def _box_lines(table: FeatureTable, predictions: Predictions) -> str:
    lines = []
    for row, example_id in enumerate(table.ids):
        size = (int(table.sizes[row][0]), int(table.sizes[row][1]))
        box = predictions.boxes[row]
        iou = overlap(box, table.truths[row])
        line = {
            "id": example_id,
            "class_id": int(table.class_ids[row]),
            "box": [round(float(side), 6) for side in box],
            "box_pixels": box_geometry.xyxy_to_pixels(box, size)[0].round(2).tolist(),
            "iou": iou if iou is None else round(iou, 6),
        }
        if predictions.guesses is not None:
            line["guesses"] = [
                {
                    "class_id": int(class_id),
                    "score": round(float(score), 4),
                    "box": [round(float(side), 6) for side in guess],
                }
                for class_id, score, guess in zip(*ranked(predictions, table, row), strict=True)
            ]
        lines.append(json.dumps(line))
    return "\n".join(lines) + "\n"
