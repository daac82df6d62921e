"""Class names: files, matching with a data set, and finding a class."""

from types import SimpleNamespace

import numpy as np
import pytest

from sensmap.classifiers import class_names
from sensmap.classifiers.class_names import ClassIndex, class_key, match_classes

IMAGENET = (
    "n01440764 tench, Tinca tinca",
    "n02012849 crane",
    "n03126707 crane",
    "n02123045 tabby, tabby cat",
)


def classifier(names, count=None):
    return SimpleNamespace(class_names=names, num_classes=count or len(names))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\r\n dog ", ("cat", "dog")),  # Windows, no last line end
        (b"\xef\xbb\xbfcat\ndog\n\n", ("cat", "dog")),  # byte order mark, empty last line
        (b"n01440764 tench, Tinca tinca\n", ("n01440764 tench, Tinca tinca",)),
    ],
)
def test_text_file(tmp_path, content, expected):
    (tmp_path / "names.txt").write_bytes(content)
    assert class_names.read(tmp_path / "names.txt") == expected


def test_json_file(tmp_path):
    (tmp_path / "names.json").write_text('["cat", " dog"]')
    assert class_names.read(tmp_path / "names.json") == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "entry 1 holds no class name"),
        ("a.txt", b"cat\n\ndog\n", "entry 2 holds no class name"),
        ("a.txt", b"\xff\xfe\x00", "must be a text in UTF-8"),
        ("a.json", b'{"0": "cat"}', "must be one list of strings"),
        ("a.json", b"[1, 2]", "must be one list of strings"),
        ("a.json", b"[]", "entry 1 holds no class name"),
        ("a.json", b"[", "not a valid JSON file"),
    ],
)
def test_faulty_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        class_names.read(tmp_path / name)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file of class names"):
        class_names.read(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("n01440764 tench, Tinca tinca", "n01440764"),
        ("n01440764", "n01440764"),
        ("n014407645 longer", "n014407645 longer"),  # nine digits are no WordNet id
        ("Tabby  Cat", "tabby cat"),
        ("", ""),
    ],
)
def test_class_key(name, key):
    assert class_key(name) == key


@pytest.mark.parametrize(
    ("wanted", "known", "expected"),
    [
        (["n02123045 cat", "n99999999 x", "n01440764"], IMAGENET, [3, -1, 0]),
        (["Dog", "cat"], ["cat", "dog"], [1, 0]),
        (["crane", "tench"], ["tench", "crane", "crane"], [-1, 0]),  # which crane?
        (["crane", "crane"], ["crane", "crane"], [0, 1]),  # the same list
    ],
)
def test_matching(wanted, known, expected):
    matched = match_classes(wanted, classifier(known))
    assert matched.dtype == np.int32
    assert matched.tolist() == expected


def test_matching_without_names():
    assert match_classes(["a", "b"], classifier(None, 2)).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"has 3 classes without names, the data set has 2"):
        match_classes(["a", "b"], classifier(None, 3))


def test_no_class_matches():
    with pytest.raises(ValueError, match=r"like 'tench', 'x'; the classifier's are like 'n0144"):
        match_classes(["tench", "x"], classifier(IMAGENET))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (0, 0),
        (np.int64(3), 3),
        ("3", 3),
        ("n02012849", 1),
        ("TENCH", 0),
        ("tinca  tinca", 0),
        ("tench, Tinca tinca", 0),
        ("n02123045 tabby, tabby cat", 3),
    ],
)
def test_finding(asked, expected):
    assert ClassIndex(4, IMAGENET).find(asked) == expected


def test_a_name_of_digits_is_a_name():
    assert ClassIndex(3, ["2", "1", "0"]).find("2") == 0
    assert ClassIndex(3, ["2", "1", "0"]).find(2) == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (4, r"no class 4: the classifier has 4 classes, 0 to 3"),
        (-1, "no class -1"),
        ("-1", "no class -1"),
        ("crane", "Several classes are called 'crane': 1, 2"),
        ("tabbi", r"no class 'tabbi'; did you mean tabby"),
        ("zzzzzz", r"no class 'zzzzzz'\.$"),
    ],
)
def test_not_found(asked, message):
    with pytest.raises(ValueError, match=message):
        ClassIndex(4, IMAGENET).find(asked)


@pytest.mark.parametrize("asked", [True, 1.0, None])
def test_neither_number_nor_name(asked):
    with pytest.raises(TypeError, match="a number or a name"):
        ClassIndex(4, IMAGENET).find(asked)


def test_name_without_names():
    with pytest.raises(ValueError, match=r"no class names; give a number, 0 to 3"):
        ClassIndex(4, None).find("tench")
