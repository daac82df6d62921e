"""Tiny ImageNet's layout, in small."""

import shutil

import pytest

from sensmap.datasets import ExampleError, load


@pytest.fixture
def root(tmp_path, picture):
    (tmp_path / "wnids.txt").write_text("n02000000\nn01000000\n")
    (tmp_path / "words.txt").write_text(
        "n01000000\tfish, swimmer\nn02000000\tcat\nn03000000\tdog\n"
    )
    for wnid in ("n01000000", "n02000000"):
        rows = [f"{wnid}_{i}.JPEG\t{i}\t0\t63\t31" for i in range(2)]
        picture(tmp_path / f"train/{wnid}/images/{wnid}_0.JPEG", 64, 64)
        picture(tmp_path / f"train/{wnid}/images/{wnid}_1.JPEG", 64, 64)
        (tmp_path / f"train/{wnid}/{wnid}_boxes.txt").write_text("\n".join(rows) + "\n")
    rows = [
        "val_0.JPEG\tn02000000\t16\t0\t31\t63",
        "val_1.JPEG\tn01000000\t9\t9\t3\t20",  # inverted
        "val_2.JPEG\tn01000000\t9\tx\t3\t20",  # no number
        "val_3.JPEG\tn09999999\t0\t0\t9\t9",  # unknown class
        "val_4.JPEG\tn01000000\t0\t0\t9",  # three numbers
        "val_5.JPEG\tn01000000\t0\t0\t9\t9",  # no such image
        "val_6.JPEG",
    ]
    (tmp_path / "val").mkdir()
    (tmp_path / "val/val_annotations.txt").write_text("\n".join(rows) + "\n")
    for i in range(5):
        picture(tmp_path / f"val/images/val_{i}.JPEG", 64, 64)
    return tmp_path


def test_train(root):
    dataset = load("tiny_imagenet", root)
    assert dataset.classes == ("n01000000 fish, swimmer", "n02000000 cat")
    assert dataset.ids == ("n01000000_0", "n01000000_1", "n02000000_0", "n02000000_1")
    assert dataset[2].boxes.tolist() == [[0, 0, 1, 0.5]]
    assert dataset[3].boxes.tolist() == [[1 / 64, 0, 1, 0.5]]
    assert dataset[3].labels == (1,)
    assert dataset[3].size == (64, 64)
    assert dataset[3].image.is_file()


def test_val(root):
    dataset = load("tiny_imagenet", root, "val")
    assert dataset[0].boxes.tolist() == [[0.25, 0, 0.5, 1]]
    assert (dataset[0].labels, dataset[0].box_labels.tolist()) == ((1,), [1])
    assert dataset[1].boxes.shape == (0, 4)
    assert "(9, 9, 3, 20)" in dataset[1].dropped[0]


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (2, "must be four numbers; found '9 x 3 20'"),
        (3, "'n09999999' is not in wnids.txt"),
        (4, "must be four numbers"),
        (5, "there is no such image"),
        (6, "class '' is not in wnids.txt"),
    ],
)
def test_a_broken_row_names_its_image(root, position, message):
    with pytest.raises(ExampleError, match=rf"val_{position}\.JPEG: .*{message}"):
        load("tiny_imagenet", root, "val")[position]


@pytest.mark.parametrize(
    "lacking",
    ["wnids.txt", "words.txt", "train/n01000000/n01000000_boxes.txt"],
)
def test_what_is_lacking_is_named(root, lacking):
    (root / lacking).unlink()
    with pytest.raises(FileNotFoundError, match=lacking):
        load("tiny_imagenet", root)


def test_a_missing_part_or_root_is_named(root):
    shutil.rmtree(root / "val")
    with pytest.raises(FileNotFoundError, match=r"val_annotations\.txt"):
        load("tiny_imagenet", root, "val")
    with pytest.raises(ValueError, match="choose train or val"):
        load("tiny_imagenet", root, "test")
    with pytest.raises(FileNotFoundError, match=r"there is no .*nowhere"):
        load("tiny_imagenet", root / "nowhere")
    with pytest.raises(FileNotFoundError, match="no root was given"):
        load("tiny_imagenet")


def test_the_real_one(shared):
    root = shared / "data" / "tiny-imagenet-200"
    train, val = load("tiny_imagenet", root), load("tiny_imagenet", root, "val")
    assert (len(train), len(val), len(train.classes)) == (10_000, 3_000, 200)
    assert train.classes == val.classes
    assert train.classes[0] == "n01443537 goldfish, Carassius auratus"
    assert not set(train.ids) & set(val.ids)
    example = val[0]  # val_6.JPEG n04179913 0 0 63 56
    assert example.boxes.tolist() == [[0, 0, 1, 57 / 64]]
    assert val.classes[example.labels[0]].startswith("n04179913 sewing machine")
    assert all(len(val[position].boxes) == 1 for position in range(0, 3000, 100))
