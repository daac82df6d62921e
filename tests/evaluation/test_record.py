"""The files of an evaluation."""

import json

import numpy as np
import pytest
from made_tables import LEFT, RIGHT, a_dataset, a_table

from sensmap.evaluation import illustrations, record, scores
from sensmap.evaluation.predictions import Predictions


@pytest.mark.parametrize("count", [0, 2], ids=["no pictures", "pictures"])
def test_the_files_of_an_evaluation(tmp_path, count):
    table = a_table([[LEFT], [RIGHT], []], sizes=[[10, 20], [100, 50], [7, 7]])
    boxes = np.float32([LEFT] * 3)
    dataset = a_dataset(table)
    shown = illustrations.drawn(dataset, table, Predictions("", boxes), None, count, 0)
    rows = scores.score([Predictions("left", boxes)], table, dataset)
    result = {"title": "A title", "dataset": "made", "rows": rows, "skipped": []}
    text = record.write(tmp_path, result, table, [Predictions("left", boxes)], None, shown, {})
    assert "50.0" in text
    pictures = ["boxes.png"] if count else []
    reports = ["report.html", "report.md", "result.json", "table.md"]
    expected = sorted([*reports, "boxes.jsonl", "outcomes.jsonl", *pictures])
    assert sorted(path.name for path in tmp_path.iterdir()) == expected
    assert json.loads((tmp_path / "result.json").read_text())["rows"][0]["corloc"] == 50
    lines = [json.loads(line) for line in (tmp_path / "boxes.jsonl").read_text().splitlines()]
    assert lines == [
        {"id": "image0", "class_id": 0, "box": LEFT, "box_pixels": [0, 0, 10, 10], "iou": 1.0},
        {"id": "image1", "class_id": 1, "box": LEFT, "box_pixels": [0, 0, 25, 100], "iou": 0.0},
        {"id": "image2", "class_id": 2, "box": LEFT, "box_pixels": [0, 0, 3.5, 7], "iou": None},
    ]
    assert "A title" in (tmp_path / "report.html").read_text()
