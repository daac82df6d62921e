"""A self-contained HTML page: style and pictures inside, no network, no script.

A page is put together from blocks. Each function here escapes the text that it is given and
returns a `Block`; what takes blocks refuses plain strings, so that nothing reaches a page
unescaped.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Sequence
from html import escape

from sensmap.report import tables
from sensmap.report._style import STYLE

# A browser holds itself to this, too: pictures from inside of the page and nothing else.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Tables with more columns are set in smaller type.
_MANY_COLUMNS = 8


class Block(str):
    """Escaped HTML."""

    __slots__ = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands below it; without a heading, the blocks alone."""

    heading: str
    blocks: Sequence[Block]


def page(title: str, sections: Sequence[Section], lead: str = "") -> str:
    """Puts a page together.

    Args:
        title: of the document and at the top of the page.
        sections: from top to bottom.
        lead: a sentence below the title.

    Returns:
        An HTML5 document; the same input gives the same text.

    Raises:
        TypeError: for a block that is a plain string.

    >>> "<h1>Boxes &amp; maps</h1>" in page("Boxes & maps", [Section("", [paragraph("Here.")])])
    True
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    if lead:
        parts.append(f'<p class="lead">{escape(lead)}</p>')
    for section in sections:
        heading = f"<h2>{escape(section.heading)}</h2>\n" if section.heading else ""
        parts.append(f"<section>\n{heading}{_join(section.blocks)}\n</section>")
    body = "\n".join(parts)
    document = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
    # A file's name may hold bytes that are no text; the page must be writable all the same.
    return document.encode("utf-8", "replace").decode("utf-8")


def paragraph(text: str) -> Block:
    """Running text.

    >>> paragraph("IoU < 0.5")
    '<p>IoU &lt; 0.5</p>'
    """
    return Block(f"<p>{escape(text)}</p>")


def subheading(text: str) -> Block:
    """A heading within a section.

    >>> subheading("Too large")
    '<h3>Too large</h3>'
    """
    return Block(f"<h3>{escape(text)}</h3>")


def definitions(entries: Sequence[tuple[str, str]]) -> Block:
    """Names and what they mean, a line each.

    >>> definitions([("IoU", "the intersection over the union")])
    '<dl><div><dt>IoU</dt><dd>the intersection over the union</dd></div></dl>'
    """
    items = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(meaning)}</dd></div>" for name, meaning in entries
    )
    return Block(f"<dl>{''.join(items)}</dl>")


def headline(value: str, text: str) -> Block:
    """The page's main number, large, and what it says."""
    return Block(f'<p class="headline"><b>{escape(value)}</b><span>{escape(text)}</span></p>')


@dataclasses.dataclass(frozen=True)
class Bar:
    """A percentage and its interval, by name; None where nothing was measured.

    Attributes:
        name: what to call it.
        value: in percent.
        interval: its lower and upper end; None to show none.
        hollow: outlined only, to set it apart from the others.
    """

    name: str
    value: float | None
    interval: Sequence[float] | None = None
    hollow: bool = False


def bars(rows: Sequence[Bar], strong_row: int | None = None) -> Block:
    """Percentages as bars from 0 to 100 with their intervals as whiskers, one a line.

    Args:
        rows: from top to bottom.
        strong_row: position of the row to set off.
    """
    items = []
    for position, row in enumerate(rows):
        style = ' class="strong"' if position == strong_row else ""
        items.append(
            f'<li{style}><span class="name">{escape(row.name)}</span>{_bar(row)}'
            f'<span class="value">{tables.number(row.value)}</span></li>'
        )
    return Block("\n".join(['<ul class="bars">', *items, "</ul>"]))


def table(table: tables.Table, strong_row: int | None = None) -> Block:
    """A table that scrolls sideways, by itself, where the page is too narrow for it."""
    element = tables.as_html(table, strong_row)
    label = escape(f"Table: {', '.join(table.titles)}")
    style = "scroll dense" if len(table.titles) > _MANY_COLUMNS else "scroll"
    return Block(
        f'<div class="{style}" role="region" tabindex="0" aria-label="{label}">\n{element}\n</div>'
    )


def figure(pictures: Sequence[tuple[bytes, str]], caption: str, note: str = "") -> Block:
    """One picture, or several side by side, with a caption.

    Args:
        pictures: PNG or JPEG files as bytes, each with the text that stands in for it.
        caption: shown below.
        note: in a line of its own below the caption.

    Raises:
        ValueError: for bytes that are neither.
    """
    images = "".join(f'<img src="{_data_uri(data)}" alt="{escape(alt)}">' for data, alt in pictures)
    text = escape(caption) + (f"<span>{escape(note)}</span>" if note else "")
    # A phone has room for two beside each other.
    style = "frames many" if len(pictures) > 2 else "frames"
    return Block(
        f'<figure><div class="{style}">{images}</div><figcaption>{text}</figcaption></figure>'
    )


def drawing(chart: Block, caption: str) -> Block:
    """A chart, see `sensmap.report.charts`, with a caption."""
    return Block(
        f'<figure class="drawn">{_join([chart])}<figcaption>{escape(caption)}</figcaption></figure>'
    )


def charts(drawings: Sequence[Block]) -> Block:
    """Charts, see `drawing`: two beside each other where the page has room."""
    return Block(f'<div class="charts">\n{_join(drawings)}\n</div>')


def gallery(figures: Sequence[Block], wide: bool = False) -> Block:
    """Figures in as many columns as the page has room for.

    Args:
        figures: from left to right.
        wide: leave room for figures of two pictures.
    """
    style = "gallery wide" if wide else "gallery"
    return Block(f'<div class="{style}">\n{_join(figures)}\n</div>')


def legend(entries: Sequence[tuple[str, tuple[int, int, int], str]]) -> Block:
    """What outlines and areas mean.

    Args:
        entries: name, RGB colour, and "solid" or "dashed" for a line or "filled" for an area.
    """
    looks = {
        "solid": "border-color:rgb{0}",
        "dashed": "border-color:rgb{0};border-style:dashed",
        "filled": "border-color:rgb{0};background:rgb{0}",
    }
    keys = "".join(
        f'<span><i style="{looks[look].format(colour)}"></i>{escape(name)}</span>'
        for name, colour, look in entries
    )
    return Block(f'<p class="legend">{keys}</p>')


def details(summary: str, blocks: Sequence[Block]) -> Block:
    """What is shown when asked for: folded up under its summary."""
    return Block(f"<details><summary>{escape(summary)}</summary>\n{_join(blocks)}\n</details>")


def as_json(value: object) -> Block:
    """A value as indented JSON.

    >>> as_json({"name": "<b>"})
    '<pre>{\\n  &quot;name&quot;: &quot;&lt;b&gt;&quot;\\n}</pre>'
    """
    return Block(f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>")


def _bar(row: Bar) -> str:
    """Lengths are percentages of the drawing's width, so it stretches without distortion."""
    shapes = ['<rect class="track" width="100%" y="6" height="6" rx="3"/>']
    label = f"{row.name}: {tables.number(row.value)}%"
    if row.value is None:
        label = f"{row.name}: not measured"
    else:
        style = "bar hollow" if row.hollow else "bar"
        shapes.append(f'<rect class="{style}" width="{row.value:.2f}%" y="4" height="10" rx="3"/>')
    if row.interval is not None:
        low, high = row.interval
        label += f", 95% interval {tables.number(low)} to {tables.number(high)}"
        lines = ((low, high, 9, 9), (low, low, 5, 13), (high, high, 5, 13))
        shapes += [
            f'<line class="whisker" x1="{x1:.2f}%" x2="{x2:.2f}%" y1="{y1}" y2="{y2}"/>'
            for x1, x2, y1, y2 in lines
        ]
    return f'<svg role="img" aria-label="{escape(label)}">{"".join(shapes)}</svg>'


def _data_uri(data: bytes) -> str:
    kinds = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg"}
    kind = next((kind for magic, kind in kinds.items() if data.startswith(magic)), None)
    if kind is None:
        raise ValueError(
            f"A picture on a page must be a PNG or JPEG file; received bytes that begin with "
            f"{data[:4]!r}."
        )
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _join(blocks: Sequence[Block]) -> str:
    for block in blocks:
        if not isinstance(block, Block):
            raise TypeError(
                "A page is made of blocks, which are escaped; received a plain string. "
                "Pass it through html.paragraph."
            )
    return "\n".join(blocks)
