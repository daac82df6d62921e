"""CUB-200-2011's layout, in small."""

import numpy as np
import pytest

from sensmap.datasets import ExampleError, load


@pytest.fixture
def root(tmp_path, picture):
    names = ["001.Albatross/A_1.jpg", "001.Albatross/A_2.jpg", "002.Auklet/B_1.jpg"]
    tables = {
        "classes": ["1 001.Albatross", "2 002.Auklet"],
        "images": [f"{i} {name}" for i, name in enumerate(names, 1)],
        "image_class_labels": ["1 1", "2 1", "3 2"],
        "bounding_boxes": ["1 5.0 2.5 10.0 5.0", "2 10.0 5.0 20.0 5.0", "3 0.0 0.0 20.0 10.0"],
        "train_test_split": ["1 0", "2 1", "3 1"],
    }
    for table, lines in tables.items():
        (tmp_path / f"{table}.txt").write_text("\n".join(lines) + "\n")
    for name in names:
        picture(tmp_path / "images" / name, 10, 20)
    return tmp_path


def test_all_images(root):
    dataset = load("cub", root)
    assert dataset.classes == ("001.Albatross", "002.Auklet")
    assert dataset.ids[0] == "001.Albatross/A_1.jpg"
    assert [example.labels for example in dataset] == [(0,), (0,), (1,)]
    placed = np.concatenate([example.boxes for example in dataset])
    assert placed.tolist() == [[0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]
    assert (dataset[0].size, dataset[0].image.is_file()) == ((10, 20), True)


def test_the_official_split(root):
    train, test = load("cub", root, "train"), load("cub", root, "test")
    assert test.ids == ("001.Albatross/A_1.jpg",)
    assert train.ids == ("001.Albatross/A_2.jpg", "002.Auklet/B_1.jpg")
    assert train.classes == test.classes
    with pytest.raises(ValueError, match="choose train or test"):
        load("cub", root, "val")


@pytest.mark.parametrize("table", ["classes", "images", "image_class_labels", "bounding_boxes"])
def test_a_missing_table_is_named(root, table):
    (root / f"{table}.txt").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{table}\.txt"):
        load("cub", root)


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("bounding_boxes", "1 5 5 x 5", "must have a box 'x y width height'"),
        ("bounding_boxes", "2 5 5 5 5", "must have a box"),
        ("image_class_labels", "1 7", "no class that classes.txt names"),
    ],
)
def test_a_broken_row_names_its_image(root, table, line, message):
    (root / f"{table}.txt").write_text(line)
    with pytest.raises(ExampleError, match=rf"A_1\.jpg: image 1 .*{message}"):
        load("cub", root)[0]


def test_a_missing_image_is_named(root):
    (root / "images/002.Auklet/B_1.jpg").unlink()
    with pytest.raises(ExampleError, match=r"B_1\.jpg: there is no such image"):
        load("cub", root)[2]
