"""The builder for ILSVRC CLS-LOC on a made-up archive, with TFDS's own tests and through it."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

import sensmap.tfds_builders
from sensmap import images
from sensmap._opencv import cv2
from sensmap.datasets import load

CAT, DOG = "n02000000", "n03000000"


def write_archive(root: Path) -> Path:
    """Kaggle's layout: two classes, three training images and two validation images."""
    data, xml = (root / "ILSVRC" / kind / "CLS-LOC" for kind in ("Data", "Annotations"))

    def image(name: str, suffix: str = ".jpg") -> None:
        path = data / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((10, 20, 3), (len(name) * 7) % 256, np.uint8)
        path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())

    def boxes(name: str, wnid: str, *corners: tuple[int, int, int, int]) -> None:
        path = xml / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = "".join(
            f"<object><name>{wnid}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for x0, y0, x1, y1 in corners
        )
        size = "<size><width>40</width><height>20</height></size>"
        path.write_text(f"<annotation>{size}{objects}</annotation>")

    root.mkdir(parents=True, exist_ok=True)
    (root / "LOC_synset_mapping.txt").write_text(f"{CAT} cat, puss\n{DOG} dog\n")
    image(f"train/{CAT}/{CAT}_1")
    image(f"train/{CAT}/{CAT}_2", ".png")  # as one of the real ones is
    image(f"train/{DOG}/{DOG}_1")
    boxes(f"train/{CAT}/{CAT}_1", CAT, (0, 0, 19, 9), (20, 10, 39, 19))
    boxes(f"train/{DOG}/{DOG}_1", DOG, (0, 0, 39, 19))
    image("val/val_1")
    image("val/val_2")
    image("val/val_3")  # without an annotation: left out
    boxes("val/val_1", DOG, (10, 5, 29, 14))
    boxes("val/val_2", CAT, (-4, 0, 19, 40))
    return root


_FOLDER = tempfile.TemporaryDirectory()


class Ilsvrc2012ClsLocTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = sensmap.tfds_builders.Ilsvrc2012ClsLoc
    SPLITS = {"train": 3, "validation": 2}  # noqa: RUF012  TFDS's own form
    EXAMPLE_DIR = str(write_archive(Path(_FOLDER.name) / "archive"))
    SKIP_CHECKSUMS = True

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        _FOLDER.cleanup()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    write_archive(data_dir / "downloads" / "manual")
    return data_dir, load("tfds:ilsvrc2012_cls_loc", data_dir, "validation", download=True)


def test_through_tfds_load(prepared):
    data_dir, _ = prepared
    examples = list(tfds.load("ilsvrc2012_cls_loc", split="train", data_dir=data_dir))
    found = {example["file_name"].numpy().decode(): example for example in examples}
    assert set(found) == {f"{CAT}_1", f"{CAT}_2", f"{DOG}_1"}
    cat = found[f"{CAT}_1"]
    assert cat["objects"]["bbox"].numpy().tolist() == [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]
    assert cat["objects"]["label"].numpy().tolist() == [0, 0]
    assert (cat["label"].numpy(), found[f"{DOG}_1"]["label"].numpy()) == (0, 1)
    assert found[f"{CAT}_2"]["objects"]["bbox"].shape == (0, 4)
    assert found[f"{CAT}_2"]["image"].shape == (10, 20, 3)


def test_through_the_tfds_source(prepared):
    data_dir, validation = prepared
    assert validation.classes == (f"{CAT} cat, puss", f"{DOG} dog")
    boxes = {example.labels: example.boxes.tolist() for example in validation}
    assert boxes == {(1,): [[0.25, 0.25, 0.75, 0.75]], (0,): [[0, 0, 0.5, 1]]}
    train = load("tfds:ilsvrc2012_cls_loc", data_dir, "train")
    assert sorted(len(example.boxes) for example in train) == [0, 1, 2]


def test_jpegs_are_kept_byte_for_byte(prepared):
    data_dir, validation = prepared
    folder = data_dir / "downloads/manual/ILSVRC/Data/CLS-LOC/val"
    originals = {path.read_bytes() for path in folder.glob("val_[12].JPEG")}
    assert {example.image for example in validation} == originals


def test_what_is_no_jpeg_becomes_one(prepared):
    data_dir, _ = prepared
    for example in load("tfds:ilsvrc2012_cls_loc", data_dir, "train"):
        assert example.image[:2] == b"\xff\xd8"
        assert images.load(example.image).shape == (10, 20, 3)


def test_an_empty_manual_dir_is_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"LOC_synset_mapping\.txt") as error:
        load("tfds:ilsvrc2012_cls_loc", tmp_path, download=True)
    assert "\n" not in str(error.value)
