"""Folders of images without boxes."""

import pytest

from sensmap.datasets import load


@pytest.fixture
def root(tmp_path, picture):
    for name in ("train/roo/1.jpg", "train/emu/deep/2.PNG", "train/stray.jpg", "val/emu/3.jpg"):
        picture(tmp_path / name)
    (tmp_path / "train/roo/notes.txt").write_text("no image")
    (tmp_path / "train/.hidden").mkdir()
    (tmp_path / "train/.hidden/4.jpg").write_bytes(b"")
    (tmp_path / "val/roo").mkdir()
    return tmp_path


def test_folders_are_classes(root):
    dataset = load("image_folder", root, "train")
    assert dataset.classes == ("emu", "roo")
    assert dataset.ids == ("emu/deep/2.PNG", "roo/1.jpg")
    assert [example.labels for example in dataset] == [(0,), (1,)]
    assert dataset[0].image.is_file()
    assert dataset[0].boxes.shape == (0, 4)
    assert dataset.skipped == (
        "roo/notes.txt: not an image by its name",
        "stray.jpg: lies in no class's folder",
    )


def test_an_empty_folder_is_a_class_too(root):
    assert load("image_folder", root, "val").classes == ("emu", "roo")


def test_a_flat_folder_has_no_labels(root):
    dataset = load("image_folder", root / "val" / "emu")
    assert (dataset.classes, dataset.ids, dataset[0].labels) == ((), ("3.jpg",), ())
    (root / "val/emu/empty").mkdir()
    assert load("image_folder", root / "val" / "emu").classes == ()


@pytest.mark.parametrize(
    ("inside", "split", "message"),
    [
        ("val/roo", None, "no image in"),
        ("val", "test", "expected the images of the split 'test'"),
        ("nowhere", None, "there is no"),
        ("train/roo/1.jpg", None, "is a file; expected a folder"),
    ],
)
def test_what_is_missing_is_named(root, inside, split, message):
    with pytest.raises(FileNotFoundError, match=message):
        load("image_folder", root / inside, split)
