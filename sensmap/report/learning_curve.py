"""How CorLoc grows with the boxes that a localizer is fitted on: a chart and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sensmap.report import charts, html, tables

# Words closer to each other than this share of the axis would touch.
_NEAR = 0.075

_COLUMNS = (
    tables.Column("Method", lambda row: row["method"], is_number=False),
    tables.Column("Boxes a class", lambda row: str(row["boxes_per_class"])),
    tables.Column("Images fitted on", lambda row: tables.number(row["images"], 0)),
    tables.Column(
        "CorLoc (%) [95% interval]",
        lambda row: tables.with_interval(row["corloc"], row["interval"]),
    ),
    tables.Column("Repeats", lambda row: tables.number(row["repeats"], 0)),
)


def sections(entries: Sequence[Mapping]) -> list[html.Section]:
    """The section of a page; none without entries.

    Args:
        entries: ``method``; ``boxes_per_class``, a number or "all"; ``images``, the mean number
            of images fitted on; ``corloc`` in percent, with its ``interval`` or None; and
            ``repeats``, how many draws of the images it is the mean of.
    """
    if not entries:
        return []
    text = html.paragraph(
        "CorLoc of localizers that were fitted on the boxes of fewer images, drawn at random; "
        "each point is the mean over as many draws as the table says."
    )
    figure = html.drawing(
        _chart(entries), "CorLoc by the boxes fitted on; whiskers are 95% intervals."
    )
    table = html.details("Learning curve, in numbers", [html.table(curve_table(entries))])
    return [html.Section("How many boxes it needs", [text, figure, table])]


def curve_table(entries: Sequence[Mapping]) -> tables.Table:
    """A line for each method and number of boxes."""
    return tables.table(entries, _COLUMNS)


def _chart(entries: Sequence[Mapping]) -> html.Block:
    by_method: dict[str, list[Mapping]] = {}
    for entry in entries:
        if entry["corloc"] is not None:
            by_method.setdefault(entry["method"], []).append(entry)
    series = [
        charts.Series(
            name,
            sorted((_images(each), each["corloc"], each["interval"]) for each in of_method),
        )
        for name, of_method in by_method.items()
    ]
    told = "; ".join(
        f"{name}: " + ", ".join(f"{value:.1f}% from {at:.0f} images" for at, value, _ in points)
        for name, points in series
    )
    values = [
        end
        for _, points in series
        for _, value, interval in points
        for end in (value, *(interval or ()))
    ]
    y = charts.percent_axis("CorLoc (%)", values or [0.0, 100.0])
    return charts.lines(series, _axis(entries), y, f"CorLoc by images fitted on. {told}.")


def _axis(entries: Sequence[Mapping]) -> charts.Axis:
    """By the images, for "all" boxes of a class has no number; named by the boxes."""
    images: dict[str, list[float]] = {}
    for entry in entries:
        images.setdefault(str(entry["boxes_per_class"]), []).append(_images(entry))
    every = [each for group in images.values() for each in group]
    low, high = min(every), max(every)
    if low == high:  # one place, in the middle
        low, high = low / 2, high * 2
    axis = charts.Axis("boxes a class, at the images fitted on (log scale)", low, high, (), True)
    ticks: list[tuple[float, str]] = []
    # From the right: "all" is never left out.
    for name, group in sorted(images.items(), key=lambda item: -max(item[1])):
        at = math.exp(sum(map(math.log, group)) / len(group))
        if not ticks or axis.place(ticks[-1][0]) - axis.place(at) >= _NEAR:
            ticks.append((at, name))
    return axis._replace(ticks=ticks)


def _images(entry: Mapping) -> float:
    """At least 1: what is fitted on nothing has no place on a log scale."""
    return max(float(entry["images"]), 1.0)
