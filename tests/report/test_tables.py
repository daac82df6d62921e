"""One table in three outputs."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.report import tables

COLUMNS = (
    tables.Column("Method", lambda row: row["method"], is_number=False),
    tables.Column("CorLoc (%)", lambda row: tables.number(row["corloc"])),
)


def _table(*rows):
    return tables.table([{"method": name, "corloc": value} for name, value in rows], COLUMNS)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 1, "–"),
        (0, 1, "0.0"),
        (59.96, 1, "60.0"),
        (100.0, 1, "100.0"),
        (0.6178, 3, "0.618"),
        (1234567, 0, "1,234,567"),
        (-1.25, 2, "-1.25"),
    ],
)
def test_number(value, digits, text):
    assert tables.number(value, digits) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (None, None, "–"),
        (50.0, None, "50.0"),
        (50.0, [9.453, 90.547], "50.0 [9.5, 90.5]"),
    ],
)
def test_with_interval(value, interval, text):
    assert tables.with_interval(value, interval) == text


def test_text():
    assert tables.as_text(_table(("centre box", 9.3), ("ours", 100.0))).splitlines() == [
        "Method      CorLoc (%)",
        "----------  ----------",
        "centre box         9.3",
        "ours             100.0",
    ]


def test_a_table_without_rows():
    empty = _table()
    assert tables.as_text(empty) == "Method  CorLoc (%)\n------  ----------"
    assert tables.as_markdown(empty) == "| Method | CorLoc (%) |\n| :--- | ---: |"
    assert "<tbody>\n</tbody>" in tables.as_html(empty)


def test_markdown_means_what_it_says():
    row = tables.as_markdown(_table(("a|b *c* [d](e) <f> [g, h]", None))).splitlines()[2]
    assert row == r"| a\|b \*c\* [d]\(e) \<f> [g, h] | – |"


def test_a_row_can_be_set_off():
    element = tables.as_html(_table(("a", 1.0), ("b", 2.0)), strong_row=1)
    assert '<tr class="strong"><th scope="row">b</th><td class="number">2.0</td></tr>' in element
    assert element.count("strong") == 1


def test_control_characters_do_not_reach_a_terminal():
    assert tables.as_text(_table(("a\x1b[31m\r\n\tb", 1.0))).splitlines()[2].startswith("a [31m b ")


class _Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.cells = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if data.strip():
            self.cells[-1] += data


@given(st.text())
def test_cells_reach_every_output_as_they_are(text):
    example = _table((text, 1.0))
    cell = example.rows[0][0]
    parser = _Cells()
    parser.feed(tables.as_html(example))
    parser.close()
    assert parser.cells == ["Method", "CorLoc (%)", cell, "1.0"]
    assert parser.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    assert tables.as_text(example).splitlines()[2].startswith(cell)
    assert len(tables.as_markdown(example).splitlines()) == 3
