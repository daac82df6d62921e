"""Maps and boxes of other tools."""

import json

import numpy as np
import pytest
from made_tables import LEFT, RIGHT

from sensmap.datasets import Dataset, Example
from sensmap.evaluation import external, predictions, scores
from sensmap.localizers.threshold import Threshold


def dataset(count=6):
    """Images of 100 x 200, the left half of each is the object."""

    def read(position):
        boxes = np.float32([LEFT])
        return Example(f"image{position}", b"", (0,), boxes, np.zeros(1, np.int32), (100, 200))

    return Dataset("made", ["cat"], [f"image{position}" for position in range(count)], read)


# --- Boxes ---


def write(path, lines):
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )
    return path


def test_boxes_relative_and_in_pixels(tmp_path):
    lines = [
        {"id": "image0", "box": LEFT, "score": 3},
        {"id": "image1", "box_pixels": [0, 0, 100, 100]},
        "",
        {"id": "image2", "box_pixels": [-20, 0, 500, 100]},  # beyond the image: cut off
        {"id": "another", "box": LEFT},
    ]
    table, found, missing = external.read_boxes(write(tmp_path / "a.jsonl", lines), dataset())
    assert found.method == "a.jsonl"
    assert found.boxes[:3].tolist() == [LEFT, LEFT, [0, 0, 1, 1]]
    assert missing == ["image3", "image4", "image5"]
    (row,) = scores.score([found], table, dataset())
    # Those without a box count as missed.
    assert (row["corloc"], row["images"]) == (50.0, 6)


def test_boxes_from_a_table(tmp_path):
    lines = ["label,id,x0,y0,x1,y1", *(f"cat,image{i},0,0,100,100" for i in range(6))]
    table, found, missing = external.read_boxes(write(tmp_path / "a.CSV", lines), dataset())
    assert found.boxes.tolist() == [LEFT] * 6
    assert missing == []
    assert table.sizes.tolist() == [[100, 200]] * 6


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.jsonl", [{"id": "image0", "box": [0, 0, 1]}], r"line 1: a box is x0, y0, x1, y1"),
        ("a.jsonl", [{"id": "image0", "box": RIGHT}, "{"], "line 2: expected JSON with id and box"),
        ("a.jsonl", [{"id": "image0"}], "line 1: expected JSON with id and box or box_pixels"),
        ("a.jsonl", [{"id": "image0", "box": [1, 0, 0.5, 1]}], r"received \[1.0, 0.0, 0.5, 1.0\]"),
        ("a.jsonl", [{"id": "image0", "box": [0, 0, float("nan"), 1]}], "received .*nan"),
        ("a.jsonl", [{"id": "image0", "box": LEFT}] * 2, "'image0' has a second box"),
        ("a.jsonl", [{"id": "cat", "box": LEFT}], "no box of any of the 6 images.*'cat'"),
        ("a.jsonl", ["[]"], "line 1: expected JSON with id"),
        ("a.csv", ["id,x0,y0,x1", "image0,0,0,1"], "needs the columns id,x0,y0,x1,y1"),
        ("a.csv", ["id,x0,y0,x1,y1", "image0,0,0,wide,1"], "line 2: could not convert"),
        ("a.csv", ["id,x0,y0,x1,y1", "image0,0,0,1"], "line 2"),
        ("a.csv", [], "needs the columns"),
    ],
)
def test_boxes_that_are_refused(tmp_path, name, lines, message):
    with pytest.raises(ValueError, match=message):
        external.read_boxes(write(tmp_path / name, lines), dataset())


def test_no_file_and_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*a\.jsonl of boxes"):
        external.read_boxes(tmp_path / "a.jsonl", dataset())
    with pytest.raises(FileNotFoundError, match=r"no folder .*maps of maps"):
        external.read_maps(tmp_path / "maps", dataset())


# --- Maps ---


def save_maps(folder, count=6):
    """Maps on the object, of several sizes, types and signs."""
    for position in range(count):
        found = np.zeros((10 + position, 20))
        found[:, :10] = 3 + position
        np.save(folder / f"image{position}.npy", (found - position).astype(np.float32))


def measured(table):
    ((_, found),) = predictions.cross_validate(table, [Threshold()], 3, seed=0)
    (row,) = scores.score([found], table, dataset())
    return row


def test_maps(tmp_path):
    save_maps(tmp_path)
    table, missing = external.read_maps(tmp_path, dataset())
    assert missing == []
    row = measured(table)
    keys = ("corloc", "corloc_oracle", "max_box_acc", "max_box_acc_transferred")
    assert [row[key] for key in keys] == [100.0] * 4


def test_images_without_a_map_or_with_a_flat_one_are_missed(tmp_path):
    save_maps(tmp_path, 3)
    np.save(tmp_path / "image3.npy", np.ones((4, 4)))
    table, missing = external.read_maps(tmp_path, dataset())
    assert missing == ["image4", "image5"]
    row = measured(table)
    assert (row["corloc"], row["corloc_oracle"], row["max_box_acc"]) == (50.0, 50.0, 50.0)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((2, 3, 4)), r"a map is an array \(h, w\); received \(2, 3, 4\)"),
        (np.zeros((0, 4)), "a map is an array"),
        (np.array([[1.0, np.nan]]), "finite numbers"),
        (np.array([["a"]]), "finite numbers"),
    ],
)
def test_maps_that_are_refused(tmp_path, array, message):
    np.save(tmp_path / "image0.npy", array)
    with pytest.raises(ValueError, match=f"image0.npy: .*{message}"):
        external.read_maps(tmp_path, dataset())


def test_what_is_no_numpy_file_and_what_would_need_pickle(tmp_path):
    np.save(tmp_path / "image0.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="not a NumPy file, or is damaged"):
        external.read_maps(tmp_path, dataset())
    (tmp_path / "image0.npy").write_bytes(b"map")
    with pytest.raises(ValueError, match="not a NumPy file, or is damaged"):
        external.read_maps(tmp_path, dataset())


def test_a_folder_without_maps_of_these_images(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the first would be image0\.npy"):
        external.read_maps(tmp_path, dataset())
