"""The learning curve: what is written at its axes, and what it leaves out."""

import re

import pytest
from test_html import Page, assert_self_contained

from sensmap.report import html, learning_curve


def _entry(method, boxes, images, corloc, **changes):
    entry = {
        "method": method,
        "boxes_per_class": boxes,
        "images": images,
        "corloc": corloc,
        "interval": None if corloc is None else [corloc - 2, corloc + 2],
        "repeats": 5,
    }
    return entry | changes


ENTRIES = [
    _entry("linear", 1, 100.0, 60.0),
    _entry("linear", "all", 1040.0, 70.0, repeats=1),
    _entry("linear", 4, 400.0, 65.0),
    _entry("<b>cut</b>", 1, 100.0, 50.0),
]


def _page(entries):
    sections = learning_curve.sections(entries)
    return assert_self_contained(html.page("T", sections))


def test_the_section():
    page = _page(ENTRIES)
    assert "How many boxes it needs" in page.text
    label = next(each["aria-label"] for each in page.all("svg") if each.get("class") == "chart")
    # From few to many, in whatever order they came.
    assert "linear: 60.0% from 100 images, 65.0% from 400 images, 70.0% from 1040 images" in label
    assert "<b>cut</b>: 50.0% from 100 images." in label
    assert "linearall1,04070.0 [68.0, 72.0]1" in page.text
    assert len([each for each in page.all("path") if "whisker" in each["class"]]) == 4


def test_the_table():
    assert learning_curve.curve_table(ENTRIES).rows[0] == (
        *("linear", "1", "100", "60.0 [58.0, 62.0]", "5"),
    )


def test_without_entries_there_is_no_section():
    assert learning_curve.sections([]) == []


def _ticks(entries):
    """What stands below the axis, from left to right."""
    (section,) = learning_curve.sections(entries)
    words = re.findall(r'<text x="([\d.]+)" y="235.0"[^>]*>([^<]*)', section.blocks[1])
    return [text for _, text in sorted((float(x), text) for x, text in words)]


def test_boxes_stand_at_their_images():
    assert _ticks(ENTRIES) == ["1", "4", "all"]


def test_of_words_that_would_touch_the_rightmost_stays():
    close = [*ENTRIES, _entry("linear", 10, 1000.0, 69.0)]
    assert _ticks(close) == ["1", "4", "all"]
    assert "linear101,00069.0" in _page(close).text


@pytest.mark.parametrize("images", [0, 50])
def test_a_curve_of_one_point(images):
    assert _ticks([_entry("linear", "all", images, 70.0)]) == ["all"]


def test_points_that_were_not_measured_are_left_out():
    page = _page([*ENTRIES, _entry("mean", 1, 100.0, None), _entry("linear", 2, 200.0, None)])
    chart = next(each for each in page.all("svg") if each.get("class") == "chart")
    assert "mean" not in chart["aria-label"]
    assert "mean1100–5" in page.text


def test_nothing_measured():
    assert Page(_section_text([_entry("mean", 1, 100.0, None)])).all("svg")


def _section_text(entries):
    return "".join(learning_curve.sections(entries)[0].blocks)
