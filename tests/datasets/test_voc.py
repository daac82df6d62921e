"""PASCAL VOC trees and loose folders of images with VOC XML files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.datasets import ExampleError, _voc_xml, load
from sensmap.datasets.voc import VOC_CLASSES


@pytest.fixture
def tree(tmp_path, picture, voc_xml):
    root = tmp_path / "VOC2007"
    for name in ("000001", "000002", "000003"):
        picture(root / f"JPEGImages/{name}.jpg", 10, 20)
    voc_xml(root / "Annotations/000001.xml", [("dog", 1, 1, 10, 10), ("cat", 11, 6, 20, 10)])
    voc_xml(root / "Annotations/000002.xml", [("person", 1, 1, 20, 5)], difficult=[0])
    picture(root / "SegmentationClass/000001.png", 10, 20)
    for kind, split, lines in (
        ("Main", "train", "000001\n000002\n"),
        ("Main", "dog_train", "000001  1\n000002 -1\n"),
        ("Segmentation", "train", "000001\n"),
        ("Segmentation", "val", "000003\n000009\n"),
    ):
        path = root / "ImageSets" / kind / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines)
    return root


def test_a_tree(tree):
    dataset = load("voc", tree)
    assert dataset.ids == ("000001", "000002", "000003")
    assert dataset.classes == tuple(VOC_CLASSES)
    first = dataset[0]
    assert first.boxes.tolist() == [[0, 0, 0.5, 1], [0.5, 0.5, 1, 1]]
    cat, dog = VOC_CLASSES.index("cat"), VOC_CLASSES.index("dog")
    assert first.labels == (cat, dog)
    assert first.box_labels.tolist() == [dog, cat]
    assert (first.size, first.mask) == ((10, 20), tree / "SegmentationClass/000001.png")
    assert dataset[1].mask is None
    assert (dataset[2].labels, len(dataset[2].boxes)) == ((), 0)  # no XML


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"split": "train"}, ("000001", "000002")),  # Main has it
        ({"split": "val"}, ("000003", "000009")),  # only Segmentation has it
        ({"split": "train", "image_set": "Segmentation"}, ("000001",)),
        ({"split": "dog_train"}, ("000001", "000002")),  # with flags behind
    ],
)
def test_splits_of_a_tree(tree, options, ids):
    assert load("voc", tree, **options).ids == ids


def test_a_year_is_chosen(tree):
    assert load("voc", tree.parent, year="2007").ids == load("voc", tree).ids
    with pytest.raises(ValueError, match=r"holds VOC2007; choose one with year="):
        load("voc", tree.parent)
    with pytest.raises(FileNotFoundError, match="VOC2012"):
        load("voc", tree.parent, year="2012")


def test_difficult_objects_can_be_left_out(tree):
    assert len(load("voc", tree)[1].boxes) == 1
    easy = load("voc", tree, difficult=False)[1]
    assert (len(easy.boxes), easy.labels) == (0, ())


def test_a_listed_image_that_is_missing_is_named(tree, voc_xml):
    voc_xml(tree / "Annotations/000009.xml", [("dog", 1, 1, 5, 5)])
    with pytest.raises(ExampleError, match=r"000009\.jpg: there is no such image"):
        load("voc", tree, "val")[1]
    with pytest.raises(FileNotFoundError, match=r"Main/trainval\.txt; expected the images"):
        load("voc", tree, "trainval")


def test_classes_come_from_the_file_then_the_xmls(tree):
    other = tree.rename(tree.parent / "animals")
    assert load("voc", other).classes == ("cat", "dog", "person")
    (other / "classes.txt").write_text("dog\ncat\n")
    dataset = load("voc", other)
    assert dataset.classes == ("dog", "cat")
    assert dataset[0].box_labels.tolist() == [0, 1]
    with pytest.raises(ExampleError, match="'person' is not among the classes"):
        dataset[1]


@pytest.mark.parametrize(
    ("image", "xml"),
    [
        ("images/a.jpg", "annots/a.xml"),  # two folders
        ("a.jpg", "a.xml"),  # side by side
        ("deep/er/a.PNG", "labels/a.xml"),  # anywhere
        ("images/b.jpg", "annots/a.xml"),  # by <filename> only where no stem fits
    ],
)
def test_loose_files_in_any_arrangement(tmp_path, picture, voc_xml, image, xml):
    picture(tmp_path / image)
    voc_xml(tmp_path / xml, [("roo", 1, 1, 10, 10)], filename=r"C:\photos\b.jpg")
    dataset = load("voc", tmp_path)
    assert (dataset.ids, dataset.classes, dataset.skipped) == (("a",), ("roo",), ())
    assert dataset[0].image == tmp_path / image
    assert dataset[0].boxes.tolist() == [[0, 0, 0.5, 1]]


def test_a_filename_that_lies_does_not_count(tmp_path, picture, voc_xml):
    for name in "ab":
        picture(tmp_path / f"{name}.jpg")
    voc_xml(tmp_path / "a.xml", [("roo", 1, 1, 5, 5)], filename="b.jpg")
    dataset = load("voc", tmp_path)
    assert dataset[0].image.name == "a.jpg"
    assert dataset.skipped == ("b.jpg: no XML for it",)


def test_the_same_stem_in_several_folders(tmp_path, picture, voc_xml):
    for part in ("train", "test"):
        picture(tmp_path / part / "images/1.jpg")
        voc_xml(tmp_path / part / "annots/1.xml", [(f"{part}ed", 1, 1, 5, 5)])
    dataset = load("voc", tmp_path)
    assert dataset.ids == ("test/annots/1", "train/annots/1")
    for example in dataset:
        assert example.image == tmp_path / example.id.replace("annots/1", "images/1.jpg")
    test = load("voc", tmp_path, "test")
    assert (test.ids, test.classes) == (("1",), ("tested", "trained"))  # classes of the whole


def test_what_cannot_be_paired_is_named(tmp_path, picture, voc_xml):
    for name in ("a.jpg", "c.jpg", "c.png", "d.jpg"):
        picture(tmp_path / name)
    voc_xml(tmp_path / "a.xml", [("roo", 1, 1, 5, 5)])
    voc_xml(tmp_path / "b.xml", [("roo", 1, 1, 5, 5)])
    voc_xml(tmp_path / "c.xml", [("roo", 1, 1, 5, 5)])
    voc_xml(tmp_path / "e.xml", [("roo", 1, 1, 5, 5)], filename="a.jpg")
    dataset = load("voc", tmp_path)
    assert dataset.ids == ("a",)
    assert dataset.skipped == (
        "b.xml: no image for it",
        "c.xml: could be of c.jpg and c.png",
        "e.xml: its image a.jpg belongs to a.xml",
        "c.jpg: no XML for it",
        "c.png: no XML for it",
        "d.jpg: no XML for it",
    )


def test_a_folder_without_annotated_images(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match="no image with a VOC XML file"):
        load("voc", tmp_path)


@pytest.mark.parametrize("size", [None, (0, 0), ("x", 20)], ids=["missing", "zero", "no number"])
def test_the_images_own_size_counts_where_the_xml_states_none(tmp_path, picture, voc_xml, size):
    picture(tmp_path / "a.jpg", 10, 20)
    voc_xml(tmp_path / "a.xml", [("roo", 1, 1, 10, 5)], size=size)
    example = load("voc", tmp_path)[0]
    assert (example.boxes.tolist(), example.size) == ([[0, 0, 0.5, 0.5]], (10, 20))


@pytest.mark.parametrize(
    ("stated", "box", "expected"),
    [
        # The raster is 10 high and 20 wide; upright, it is 20 high and 10 wide.
        ((20, 10), (1, 1, 5, 10), [0, 0, 0.5, 0.5]),  # drawn on the upright image
        ((10, 20), (1, 1, 10, 5), [0.5, 0, 1, 0.5]),  # drawn on the raster: top left to top right
        ((40, 20), (1, 1, 10, 20), [0, 0, 0.5, 0.5]),  # upright, before it was shrunk
    ],
)
def test_boxes_of_a_photograph_that_exif_turns(tmp_path, picture, voc_xml, stated, box, expected):
    picture(tmp_path / "a.jpg", 10, 20, orientation=6)
    voc_xml(tmp_path / "a.xml", [("roo", *box)], size=stated)
    example = load("voc", tmp_path)[0]
    assert example.boxes.tolist() == [expected]
    assert example.size == (stated if stated != (10, 20) else (20, 10))


def test_boxes_at_the_border_inverted_and_outside(tmp_path, picture, voc_xml):
    picture(tmp_path / "a.jpg")
    rows = [
        ("roo", -5, 0, 25, 11),  # leaves the image on all sides
        ("roo", 9, 1, 3, 5),  # inverted
        ("emu", 21, 1, 30, 5),  # outside
        ("roo", 5, 5, 5, 5),  # one pixel
    ]
    voc_xml(tmp_path / "a.xml", rows)
    example = load("voc", tmp_path)[0]
    np.testing.assert_allclose(example.boxes, [[0, 0, 1, 1], [0.2, 0.4, 0.25, 0.5]], rtol=1e-6)
    assert example.box_labels.tolist() == [1, 1]
    assert example.labels == (0, 1)  # the image still shows an emu, says the file
    assert [line.split(" is")[0] for line in example.dropped] == [
        "box (9, 1, 3, 5)",
        "box (21, 1, 30, 5)",
    ]


BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "xxxxxxxx"><!ENTITY y "&x;&x;&x;">]>
<annotation><filename>&y;</filename></annotation>"""
OUTSIDE = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<annotation><filename>&x;</filename></annotation>"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("<annotation><object>", "cannot be read"),
        ("no XML", "cannot be read"),
        (BOMB, "cannot be read"),
        (OUTSIDE, "cannot be read"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "cannot be read"),
        ("<annotation><object><name>roo</name></object></annotation>", "xmin must be a number"),
        ("<annotation><object></object></annotation>", "object 1 has no name"),
        (
            "<annotation><object><name>roo</name><bndbox><xmin>1</xmin><ymin>ten</ymin></bndbox>"
            "</object></annotation>",
            "ymin must be a number; found 'ten'",
        ),
    ],
)
def test_a_broken_annotation_is_named_when_it_is_read(tmp_path, picture, voc_xml, content, message):
    for name in "ab":
        picture(tmp_path / f"{name}.jpg")
    voc_xml(tmp_path / "a.xml", [("roo", 1, 1, 5, 5)])
    (tmp_path / "b.xml").write_text(content)
    dataset = load("voc", tmp_path)
    assert len(dataset[0].boxes) == 1
    with pytest.raises(ExampleError, match=rf"b\.xml: .*{message}") as error:
        dataset[1]
    assert "\n" not in str(error.value)


def test_parts_of_an_object_are_not_objects(tmp_path):
    path = tmp_path / "a.xml"
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4.5</ymax></bndbox>"
    part = f"<part><name>head</name>{box}</part>"
    path.write_text(f"<annotation><object><name> man </name>{box}{part}</object></annotation>")
    found = _voc_xml.read(path)
    assert (found.names, found.corners.tolist()) == (("man",), [[1, 2, 3, 4.5]])


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.xml"
    path.write_bytes(b"<annotation><object>" + content + b"</object></annotation>")
    with pytest.raises(ExampleError, match=r"a\.xml"):
        _voc_xml.read(path)


@pytest.mark.parametrize(
    ("folder", "split", "count", "classes", "boxes"),
    [
        ("kangaroo", None, 82, ("kangaroo",), 132),
        ("fruit", "test", 60, ("apple", "banana", "orange"), 117),
        ("pets3", "val", 120, ("Abyssinian", "Bengal", "american_bulldog"), 120),
    ],
)
def test_real_folders(shared, folder, split, count, classes, boxes):
    dataset = load("voc", shared / "data" / folder, split)
    assert (len(dataset), dataset.classes, dataset.skipped) == (count, classes, ())
    assert sum(len(example.boxes) for example in dataset) == boxes
    assert all((example.mask is not None) == (folder == "pets3") for example in dataset)


def test_real_annotations_without_a_size(shared):
    dataset = load("voc", shared / "data" / "fruit")
    example = dataset[dataset.ids.index("banana_87")]  # its XML says 0x0
    assert example.size == (325, 824)
    assert example.boxes.max() <= 1
