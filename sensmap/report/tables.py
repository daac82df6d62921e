"""One table, formatted once, for the terminal, for Markdown and for HTML."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable, Iterable, Mapping, Sequence

# What stands where nothing was measured.
NOTHING = "–"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: its heading.
        text: what a row shows in it.
        is_number: numbers stand to the right, names to the left.
    """

    title: str
    text: Callable[[Mapping], str]
    is_number: bool = True


@dataclasses.dataclass(frozen=True)
class Table:
    """Formatted cells: what stands in them is the same in every output."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    are_numbers: tuple[bool, ...]


def table(rows: Iterable[Mapping], columns: Sequence[Column]) -> Table:
    """Formats rows.

    >>> columns = [
    ...     Column("Method", lambda row: row["method"], is_number=False),
    ...     Column("CorLoc (%)", lambda row: number(row["corloc"])),
    ... ]
    >>> example = table([{"method": "centre box", "corloc": 59.31}], columns)
    >>> print(as_text(example))
    Method      CorLoc (%)
    ----------  ----------
    centre box        59.3
    """
    return Table(
        tuple(column.title for column in columns),
        tuple(tuple(_one_line(column.text(row)) for column in columns) for row in rows),
        tuple(column.is_number for column in columns),
    )


def number(value: float | None, digits: int = 1) -> str:
    """A number with a fixed count of decimals, thousands apart.

    >>> number(71.846), number(1300, 0), number(None)
    ('71.8', '1,300', '–')
    """
    return NOTHING if value is None else f"{value:,.{digits}f}"


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """A number and the interval around it.

    >>> with_interval(71.846, [69.24, 74.31])
    '71.8 [69.2, 74.3]'
    """
    if value is None or interval is None:
        return number(value)
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def as_text(table: Table) -> str:
    """The table for a terminal: aligned, no trailing line break."""
    lines = [table.titles, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.titles))]
    lines.insert(1, tuple("-" * width for width in widths))

    def aligned(line: Sequence[str]) -> str:
        cells = zip(line, widths, table.are_numbers, strict=True)
        return "  ".join(f"{cell:{'>' if right else '<'}{width}}" for cell, width, right in cells)

    return "\n".join(aligned(line).rstrip() for line in lines)


def as_markdown(table: Table) -> str:
    """The table for Markdown, with pipes; no trailing line break.

    >>> print(as_markdown(Table(("Class", "Images"), (("a|b", "3"),), (False, True))))
    | Class | Images |
    | :--- | ---: |
    | a\\|b | 3 |
    """
    rule = ["---:" if right else ":---" for right in table.are_numbers]
    lines = [
        [escaped(title) for title in table.titles],
        rule,
        *([escaped(cell) for cell in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Text as Markdown that shows it as it is, in one line.

    >>> print(escaped("a_b <c>"))
    a\\_b \\<c>
    """
    marked = "".join(f"\\{c}" if c in "\\|`*_<" else c for c in _one_line(text))
    return marked.replace("](", "]\\(")  # Brackets alone, as around an interval, are no link.


def as_html(table: Table, strong_row: int | None = None) -> str:
    """The table as an HTML element; every cell is escaped.

    Args:
        table: the cells.
        strong_row: position of a row to set off.

    >>> print(as_html(Table(("Class",), (("<b>",),), (False,))))
    <table>
    <thead><tr><th scope="col">Class</th></tr></thead>
    <tbody>
    <tr><th scope="row">&lt;b&gt;</th></tr>
    </tbody>
    </table>
    """
    classes = [' class="number"' if right else "" for right in table.are_numbers]
    titles = "".join(
        f'<th scope="col"{style}>{html.escape(title)}</th>'
        for title, style in zip(table.titles, classes, strict=True)
    )
    body = []
    for position, row in enumerate(table.rows):
        # The first cell names its row.
        cells = [f'<th scope="row"{classes[0]}>{html.escape(row[0])}</th>']
        cells += [
            f"<td{style}>{html.escape(cell)}</td>"
            for cell, style in zip(row[1:], classes[1:], strict=True)
        ]
        style = ' class="strong"' if position == strong_row else ""
        body.append(f"<tr{style}>{''.join(cells)}</tr>")
    return "\n".join(
        ["<table>", f"<thead><tr>{titles}</tr></thead>", "<tbody>", *body, "</tbody>", "</table>"]
    )


def _one_line(text: str) -> str:
    """Line breaks and control characters would break a table, or a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
