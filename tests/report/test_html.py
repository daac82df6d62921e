"""Pages need nothing from outside, run nothing, and show text as text."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.report import charts, html, pictures, tables

PNG = pictures.encode_png(np.zeros((2, 2, 3), np.uint8))
JPEG = pictures.encode_jpeg(np.zeros((2, 2, 3), np.uint8))
VOID = {"meta", "img", "rect", "line", "path"}
EVIL = (
    """"><script src="http://evil.example/x.js">alert(1)</script><img src=x onerror='a()'>&amp;"""
)


class Page(HTMLParser):
    """Reads a page: its elements, in order, with attributes, and the text. Checks the nesting."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.text += data

    def tags(self):
        return [tag for tag, _ in self.elements]

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def assert_self_contained(source):
    page = Page(source)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags())
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("href", "srcset", "action", "data", "xlink:href"), (tag, name)
            if name == "src":
                assert re.match("data:image/(png|jpeg);base64,", value)
    for image in page.all("img"):
        assert image["alt"].strip()
    style = re.search("<style>(.*?)</style>", source, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style
    policy = next(meta for meta in page.all("meta") if "http-equiv" in meta)["content"]
    assert "default-src 'none'" in policy
    return page


def _everything(text):
    figure = html.figure([(PNG, f"alt {text}"), (JPEG, f"alt {text}")], text, note=text)
    cells = tables.Table((text,), ((text,),), (False,))
    blocks = [
        html.paragraph(text),
        html.headline(text, text),
        html.bars([html.Bar(text, 50.0, [40.0, 60.0]), html.Bar(text, None)], strong_row=0),
        html.table(cells, strong_row=0),
        html.gallery([figure], wide=True),
        html.legend([(text, (1, 2, 3), "dashed")]),
        html.details(text, [html.as_json({text: text})]),
        html.subheading(text),
        html.definitions([(text, text)]),
        html.charts([html.drawing(charts.columns([1] * 10, text, 5, text), text)]),
        charts.lines(
            [charts.Series(text, [(0.0, 1.0, None)])],
            charts.Axis(text, 0, 1, [(0, text)]),
            charts.Axis(text, 0, 1, [(0, text)]),
            text,
        ),
    ]
    return html.page(text, [html.Section(text, blocks), html.Section("", [])], lead=text)


def test_hostile_text_is_shown_and_does_nothing():
    harmless, hostile = Page(_everything("x")), assert_self_contained(_everything(EVIL))
    assert hostile.tags() == harmless.tags()
    # Title, h1, lead, h2, paragraph, headline (2), bars (2), table (2), caption, note, legend,
    # summary, h3, definition (2), axis and caption of a chart, axes (2), ticks (2) and legend of
    # another; the JSON has it in JSON's own quotes.
    assert hostile.text.count(EVIL) == 25
    labels = [chart["aria-label"] for chart in hostile.all("svg") if chart.get("class") == "chart"]
    assert labels == [EVIL, EVIL]
    assert len(hostile.all("img")) == 2
    assert hostile.all("img")[0]["alt"] == f"alt {EVIL}"


@given(st.text(min_size=1))
def test_no_text_changes_the_structure(text):
    assert Page(_everything(text)).tags() == Page(_everything("x")).tags()


def test_a_page_can_be_written_whatever_a_file_is_called():
    name = b"photo\xff.jpg".decode("utf-8", "surrogateescape")
    assert "photo?.jpg" in html.page("T", [html.Section("S", [html.paragraph(name)])])


def test_a_page_says_what_a_browser_needs():
    source = html.page("T", [])
    page = Page(source)
    assert source.startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.all("meta")
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert page.tags().count("h1") == 1
    for medium in ("prefers-color-scheme: dark", "print", "max-width"):
        assert medium in source


def test_plain_strings_are_refused():
    with pytest.raises(TypeError, match=r"plain string.*html\.paragraph"):
        html.page("T", [html.Section("S", ["<b>text</b>"])])


def test_only_pictures_are_pictures():
    with pytest.raises(
        ValueError, match="PNG or JPEG file; received bytes that begin with b'<svg'"
    ):
        html.figure([(b"<svg onload=...>", "alt")], "caption")


@pytest.mark.parametrize(
    ("look", "style"),
    [
        ("solid", "border-color:rgb(1, 2, 3)"),
        ("dashed", "border-color:rgb(1, 2, 3);border-style:dashed"),
        ("filled", "border-color:rgb(1, 2, 3);background:rgb(1, 2, 3)"),
    ],
)
def test_a_legend_shows_lines_and_areas(look, style):
    assert Page(html.legend([("seen", (1, 2, 3), look)])).all("i") == [{"style": style}]


@pytest.mark.parametrize(("count", "style"), [(1, "frames"), (2, "frames"), (4, "frames many")])
def test_a_phone_breaks_rows_of_more_than_two_pictures(count, style):
    figure = Page(html.figure([(PNG, "alt")] * count, "caption"))
    assert figure.all("div") == [{"class": style}]


@pytest.mark.parametrize(("columns", "style"), [(8, "scroll"), (9, "scroll dense")])
def test_tables_with_many_columns_are_set_in_smaller_type(columns, style):
    cells = tables.Table(("a",) * columns, (("1",) * columns,), (True,) * columns)
    assert Page(html.table(cells)).all("div")[0]["class"] == style


def test_hollow_bars_are_drawn_apart():
    block = html.bars([html.Bar("a", 40.0, hollow=True), html.Bar("b", 50.0)])
    styles = [rect["class"] for rect in Page(block).all("rect")]
    assert styles == ["track", "bar hollow", "track", "bar"]


def test_bars_have_the_length_of_their_numbers():
    block = html.bars([html.Bar("a", 71.846, [69.24, 74.31]), html.Bar("b", None)])
    page = Page(block)
    assert page.all("svg")[0]["aria-label"] == "a: 71.8%, 95% interval 69.2 to 74.3"
    assert page.all("svg")[1]["aria-label"] == "b: not measured"
    lengths = [rect["width"] for rect in page.all("rect")]
    assert lengths == ["100%", "71.85%", "100%"]  # track and bar; a track alone
    ends = [(line["x1"], line["x2"]) for line in page.all("line")]
    assert ends == [("69.24%", "74.31%"), ("69.24%", "69.24%"), ("74.31%", "74.31%")]
