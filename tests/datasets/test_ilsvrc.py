"""ILSVRC CLS-LOC in Kaggle's layout, in small: XML and CSV, train and val."""

import numpy as np
import pytest

from sensmap.datasets import ExampleError, load

CAT, DOG = "n02000000", "n03000000"


@pytest.fixture
def root(tmp_path, picture, voc_xml):
    data, xml = (tmp_path / "ILSVRC" / kind / "CLS-LOC" for kind in ("Data", "Annotations"))
    (tmp_path / "LOC_synset_mapping.txt").write_text(f"{CAT} cat, puss\n{DOG} dog\n")
    # Shrunk to 10x10; the XML speaks of 100 (width) x 50.
    for name in ("val_1", "val_2", "val_3"):
        picture(data / f"val/{name}.JPEG", 10, 10)
    voc_xml(xml / "val/val_1.xml", [(DOG, 0, 0, 99, 24)], size=(50, 100))
    voc_xml(xml / "val/val_2.xml", [(CAT, 50, 25, 99, 49), (CAT, 9, 9, 5, 9)], size=(50, 100))
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\n"
        f"val_1,{DOG} 0 0 99 24 \nval_2,{CAT} 50 25 99 49 {CAT} 9 9 5 9 \nval_3,{CAT} 0 0 4 4 \n"
    )
    for name in (f"{DOG}/{DOG}_7", f"{CAT}/{CAT}_1", f"{CAT}/{CAT}_2"):
        picture(data / f"train/{name}.JPEG", 10, 20)
    voc_xml(xml / f"train/{CAT}/{CAT}_2.xml", [(CAT, 0, 0, 9, 9)], size=(10, 20))
    (tmp_path / "LOC_train_solution.csv").write_text(
        f"ImageId,PredictionString\n{CAT}_2,{CAT} 0 0 9 9 \n"
    )
    return tmp_path


def test_val_is_the_default_and_sizes_are_the_xmls(root):
    dataset = load("ilsvrc", root)
    assert dataset.classes == (f"{CAT} cat, puss", f"{DOG} dog")
    assert dataset.ids == ("val_1", "val_2", "val_3")
    first, second = dataset[0], dataset[1]
    assert first.boxes.tolist() == [[0, 0, 1, 0.5]]
    assert (first.labels, first.box_labels.tolist(), first.size) == ((1,), [1], (50, 100))
    assert second.boxes.tolist() == [[0.5, 0.5, 1, 1]]
    assert second.dropped == ("box (9, 9, 5, 9) is empty, inverted or outside the image",)
    with pytest.raises(ExampleError, match=r"val_3\.JPEG: no annotation \(xml\)"):
        dataset[2]


def test_the_solution_csv_says_the_same(root):
    by_xml, by_csv = (load("ilsvrc", root, "val", annotations=kind) for kind in ("xml", "csv"))
    for position in (0, 1):
        a, b = by_xml[position], by_csv[position]
        assert np.array_equal(a.boxes, b.boxes)
        assert (a.labels, a.size, a.dropped) == (b.labels, b.size, b.dropped)
    third = by_csv[2]  # without an XML the size is the JPEG's own
    assert (third.boxes.tolist(), third.size) == ([[0, 0, 0.5, 0.5]], (10, 10))


@pytest.mark.parametrize("kind", ["xml", "csv"])
def test_train_takes_labels_from_folders(root, kind):
    dataset = load("ilsvrc", root, "train", annotations=kind)
    assert dataset.ids == (f"{CAT}_1", f"{CAT}_2", f"{DOG}_7")
    assert [example.labels for example in dataset] == [(0,), (0,), (1,)]
    assert [len(example.boxes) for example in dataset] == [0, 1, 0]
    assert dataset[1].boxes.tolist() == [[0, 0, 0.5, 1]]
    boxed = load("ilsvrc", root, "train", annotations=kind, boxed=True)
    assert boxed.ids == (f"{CAT}_2",)
    assert boxed[0].boxes.tolist() == [[0, 0, 0.5, 1]]


def test_csv_is_taken_where_there_is_no_xml(root):
    (root / "ILSVRC" / "Annotations").rename(root / "elsewhere")
    assert load("ilsvrc", root, "train")[1].boxes.tolist() == [[0, 0, 0.5, 1]]


def test_train_is_taken_where_there_is_no_val(root):
    (root / "ILSVRC/Data/CLS-LOC/val").rename(root / "elsewhere")
    assert load("ilsvrc", root).name == "ilsvrc train"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{DOG} 0 0 99", "must be '<wnid> x0 y0 x1 y1 ...'; found"),
        (f"{DOG} 0 0 99 x", "must be '<wnid> x0 y0 x1 y1 ...'; found"),
        ("n09999999 0 0 9 9", "'n09999999' is not in LOC_synset_mapping"),
    ],
)
def test_a_broken_row_is_named(root, row, message):
    (root / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\nval_1,{row}\n")
    dataset = load("ilsvrc", root, annotations="csv")
    with pytest.raises(ExampleError, match=f"val_1.*: .*{message}"):
        dataset[0]
    with pytest.raises(ExampleError, match=r"no annotation \(csv\)"):
        dataset[1]


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ({}, "LOC_synset_mapping.txt"),
        ({"annotations": "csv"}, "LOC_val_solution.csv"),
        ({"annotations": "xml"}, "ILSVRC/Annotations/CLS-LOC/val"),
        ({"split": "train"}, "ILSVRC/Data/CLS-LOC/train"),
    ],
)
def test_what_is_lacking_is_named(root, options, lacking):
    (root / lacking).rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=lacking):
        load("ilsvrc", root, **options)


def test_wrong_options(root):
    with pytest.raises(ValueError, match="no split 'test'; choose train or val"):
        load("ilsvrc", root, "test")
    with pytest.raises(ValueError, match="'xml' or 'csv'; received 'json'"):
        load("ilsvrc", root, annotations="json")
    (root / "LOC_val_solution.csv").write_text("id,boxes\n")
    with pytest.raises(ValueError, match="must begin with ImageId,PredictionString"):
        load("ilsvrc", root, annotations="csv")


def test_the_real_one(shared):
    root = shared / "data" / "ilsvrc2012_val_1300"
    by_xml, by_csv = (load("ilsvrc", root, annotations=kind) for kind in ("xml", "csv"))
    assert (len(by_xml), len(by_xml.classes)) == (1_300, 1_000)
    boxed = [len(by_xml[position].boxes) for position in range(0, 1_300, 10)]
    assert min(boxed) >= 1
    for position in range(0, 1_300, 50):
        a, b = by_xml[position], by_csv[position]
        assert np.array_equal(a.boxes, b.boxes)
        assert (a.labels, a.size) == (b.labels, b.size)
    # ILSVRC2012_val_00000355: n02112137 76 135 292 473 of 500x... in its XML
    example = by_xml[1]
    height, width = example.size
    expected = np.array([[76 / width, 135 / height, 293 / width, 474 / height]], np.float32)
    assert np.array_equal(example.boxes, expected)
