"""Tables of boxes: rows grouped by image, wrong rows named by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.datasets import ExampleError, load
from sensmap.datasets.csv import COLUMNS, _rows

HEADER = "path,x0,y0,x1,y1,label\n"


@pytest.fixture
def table(tmp_path, picture):
    """Writes a table beside ``a.jpg`` and ``sub/b.jpg``, 20 wide and 10 high."""
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "sub/b.jpg")

    def write(text: str):
        path = tmp_path / "boxes.csv"
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.parametrize(
    "header", ["", HEADER, "\ufeff" + HEADER, "Path, X0, Y0, X1, Y1, Label\r\n"]
)
def test_rows_of_an_image_are_one_example(table, header):
    rows = "a.jpg,0,0,10,10,roo\nsub/b.jpg,5,2.5,20,10,emu\n\n./a.jpg, 10, 5, 20, 10, emu\n"
    dataset = load("csv", table(header + rows))
    assert (dataset.ids, dataset.classes) == (("a.jpg", "sub/b.jpg"), ("emu", "roo"))
    first, second = dataset
    assert first.boxes.tolist() == [[0, 0, 0.5, 1], [0.5, 0.5, 1, 1]]
    assert (first.box_labels.tolist(), first.labels) == ([1, 0], (0, 1))
    assert (first.size, first.image.is_file()) == ((10, 20), True)
    assert second.boxes.tolist() == [[0.25, 0.25, 1, 1]]
    assert dataset.skipped == ()


def test_rows_without_a_box(table):
    dataset = load("csv", table("a.jpg,,,,,roo\nsub/b.jpg,,,,,\n"))
    first, second = dataset
    assert (first.labels, len(first.boxes)) == ((0,), 0)
    assert (second.labels, len(second.boxes)) == ((), 0)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ("10 9 2", ("2", "9", "10")),  # whole numbers in their order
        ("10 9 x", ("10", "9", "x")),
        ("-1 0", ("-1", "0")),
    ],
)
def test_order_of_classes(table, labels, classes):
    rows = "".join(f"a.jpg,0,0,1,1,{label}\n" for label in labels.split())
    assert load("csv", table(rows)).classes == classes


def test_wrong_rows_are_left_out_and_named_by_line(table):
    rows = [
        "a.jpg,0,0,10,10,roo",
        "a.jpg,0,0,10,roo",
        "a.jpg,0,0,ten,10,roo",
        ",0,0,10,10,roo",
        "a.jpg,0,0,10,10,",
        "a.jpg,0,,10,10,roo",
        "path,x0,y0,x1,y1,label",  # a header only on top
        "sub/b.jpg,0,0,10,10,roo",
    ]
    dataset = load("csv", table("\n".join(rows)))
    assert len(dataset) == 2
    assert len(dataset[0].boxes) == 1
    assert dataset.skipped == (
        "line 2: 5 fields where path,x0,y0,x1,y1,label are expected",
        "line 3: x1 must be a number; found 'ten'",
        "line 4: the path is empty",
        "line 5: a box needs a label",
        "line 6: y0 must be a number; found ''",
        "line 7: x0 must be a number; found 'x0'",
    )


def test_boxes_outside_are_cut_off_or_named(table):
    dataset = load("csv", table("a.jpg,-5,-5,10,50,roo\na.jpg,5,5,2,9,roo\na.jpg,nan,0,1,1,roo\n"))
    example = dataset[0]
    assert example.boxes.tolist() == [[0, 0, 0.5, 1]]
    assert [line.split(" is")[0] for line in example.dropped] == [
        "box (5, 5, 2, 9)",
        "box (nan, 0, 1, 1)",
    ]


def test_boxes_are_of_the_image_as_it_is_displayed(table, picture, tmp_path):
    picture(tmp_path / "turned.jpg", 10, 20, orientation=6)
    example = load("csv", table("turned.jpg,0,0,5,10,roo\n"))[0]
    assert (example.size, example.boxes.tolist()) == ((20, 10), [[0, 0, 0.5, 0.5]])


def test_a_missing_image_is_named_when_it_is_read(table):
    dataset = load("csv", table("gone.jpg,0,0,1,1,roo\na.jpg,0,0,1,1,roo\n"))
    with pytest.raises(ExampleError, match=r"gone\.jpg: there is no such image"):
        dataset[0]
    assert len(dataset[1].boxes) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no usable row; expected path,x0"),
        (HEADER, "has no usable row"),
        ("a.jpg;0;0;1;1;roo\n", r"no usable row; .*; line 1: 1 fields"),
    ],
)
def test_a_table_without_a_usable_row(table, text, message):
    with pytest.raises(ValueError, match=message):
        load("csv", table(text))


def test_a_file_that_is_no_table(table, tmp_path):
    path = table("")
    path.write_bytes(b"\xff\xd8\xff\xe0 a photograph")
    with pytest.raises(ValueError, match="not a CSV file in UTF-8"):
        load("csv", path)
    with pytest.raises(FileNotFoundError, match="is a folder; pass the CSV file"):
        load("csv", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no .*lost\.csv"):
        load("csv", tmp_path / "lost.csv")
    with pytest.raises(ValueError, match="no split 'train'"):
        load("csv", path, "train")


_FIELD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(rows=st.lists(st.lists(_FIELD, max_size=7), max_size=6))
def test_every_row_is_used_or_named(tmp_path_factory, rows):
    import csv

    path = tmp_path_factory.mktemp("any") / "boxes.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    found, skipped = _rows(path)
    stripped = [[field.strip() for field in row] for row in rows]
    empty = sum(not any(row) for row in stripped)
    header = bool(stripped) and tuple(map(str.lower, stripped[0])) == COLUMNS
    assert sum(map(len, found.values())) + len(skipped) + empty + header == len(rows)
