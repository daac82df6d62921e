"""Charts as drawings inside of a page (SVG): columns, points and lines over two axes.

A chart takes its colours from the style sheet, so it is as readable in the dark and on paper, and
grows and shrinks with the page. What it shows is said in words to those who cannot see it; the
numbers themselves belong into a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from sensmap.report.html import Block

# The drawing in its own units; a phone shows them at about one pixel each.
_WIDTH, _HEIGHT = 360, 264
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 350, 22, 218

# More points than these are a cloud already, and would make the page slow.
MOST_POINTS = 1500

# Marks of three units around a place, told apart by their shape where colours cannot be.
_MARKS = (
    "a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z",
    "v-2.9h6.4v5.8h-6.4z",
    "l3.2-4.2l3.2 4.2l-3.2 4.2z",
    "v3h6.4l-3.2-6.4l-3.2 3.4z",
)
_COLOURS = 6


class Axis(NamedTuple):
    """One axis of a chart.

    Attributes:
        title: what is along it, with the unit.
        low, high: the values at its ends.
        ticks: values, and what to write there.
        log: whether equal ratios have equal lengths; then all values are above 0.
    """

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one.

        >>> Axis("", 1, 100, (), log=True).place(10)
        0.5
        """
        low, high, at = (
            math.log(each) if self.log else each for each in (self.low, self.high, value)
        )
        return (at - low) / (high - low)


# Shares of an image, in steps that leave room for the words.
_TENTHS = [(tenth / 10, f"{tenth / 10:g}") for tenth in range(0, 11, 2)]


class Series(NamedTuple):
    """A line of a chart.

    Attributes:
        name: what to call it.
        points: x, y and the interval of y, None without one, from left to right.
    """

    name: str
    points: Sequence[tuple[float, float, Sequence[float] | None]]


def columns(counts: Sequence[int], x_title: str, split: int, label: str) -> Block:
    """Ten counts over the bins from 0 to 1.

    Args:
        counts: of each bin.
        x_title: what is binned.
        split: the columns from this bin on are set off.
        label: what the chart shows, in words.
    """
    highest = max([*counts, 1])
    y = Axis("images", 0, highest, [(0, "0")])
    x = Axis(x_title, 0, 1, _TENTHS)
    shapes = []
    for place, count in enumerate(counts):
        left, right = _x(x, place / 10) + 1.5, _x(x, (place + 1) / 10) - 1.5
        top = _y(y, count)
        style = "bar set" if place >= split else "bar"
        shapes.append(
            f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
            f'height="{_BOTTOM - top:.1f}"/>'
        )
        if count:
            shapes.append(_word((left + right) / 2, top - 4, f"{count:,}", "middle"))
    return _chart([*_axes(x, y), *shapes], label)


def scatter(
    points: Sequence[Sequence[float]],
    means: Sequence[Sequence[float]],
    titles: tuple[str, str],
    label: str,
) -> Block:
    """Points in the unit square beside its diagonal, and a line through means.

    Args:
        points: x and y each; of more than 1,500 as many, evenly picked.
        means: x and y each, from left to right.
        titles: of both axes.
        label: what the chart shows, in words.
    """
    x, y = (Axis(title, 0, 1, _TENTHS) for title in titles)
    step = max(1, math.ceil(len(points) / MOST_POINTS))
    places = [(_x(x, at[0]), _y(y, at[1])) for at in points[::step]]
    # A line without length has round ends only: a dot, and less to write than a circle.
    dots = "".join(f"M{across:.0f} {down:.0f}h0" for across, down in places)
    diagonal = f'<path class="diagonal" d="{_path(x, y, [(0, 0), (1, 1)])}"/>'
    shapes = [*_axes(x, y), diagonal, f'<path class="dots" d="{dots}"/>']
    if means:
        shapes += _curve(0, x, y, [(mean[0], mean[1]) for mean in means])
    return _chart(shapes, label)


def lines(series: Sequence[Series], x: Axis, y: Axis, label: str) -> Block:
    """A line for each series, with the intervals of its points as whiskers, and a legend."""
    shapes = _axes(x, y)
    for number, each in enumerate(series):
        # Side by side, for those of several lines at one place would hide each other.
        aside = 3.5 * (number - (len(series) - 1) / 2)
        for at, _, interval in each.points:
            if interval is not None:
                across, low, high = _x(x, at) + aside, _y(y, interval[0]), _y(y, interval[1])
                shapes.append(
                    f'<path class="whisker s{number % _COLOURS}" '
                    f'd="M{across:.1f} {low:.1f}V{high:.1f}"/>'
                )
    for number, each in enumerate(series):
        shapes += _curve(number, x, y, [(at, value) for at, value, _ in each.points])
    return Block(_chart(shapes, label) + _legend([each.name for each in series]))


def percent_axis(title: str, values: Iterable[float]) -> Axis:
    """An axis of percentages that leaves out what no value comes near.

    >>> axis = percent_axis("CorLoc (%)", [58.2, 71.0])
    >>> axis.low, axis.high, [text for _, text in axis.ticks]
    (55, 75, ['55', '60', '65', '70', '75'])
    """
    found = list(values)
    spread = max(found) - min(found)
    step = 5 if spread <= 25 else 10 if spread <= 50 else 20
    low = step * math.floor(min(found) / step)
    high = max(step * math.ceil(max(found) / step), low + step)
    return Axis(title, low, high, [(at, str(at)) for at in range(low, high + 1, step)])


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (_RIGHT - _LEFT)


def _y(axis: Axis, value: float) -> float:
    return _BOTTOM - axis.place(value) * (_BOTTOM - _TOP)


def _path(x: Axis, y: Axis, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_x(x, across):.1f} {_y(y, up):.1f}" for across, up in points)


def _curve(number: int, x: Axis, y: Axis, points: Sequence[tuple[float, float]]) -> list[str]:
    marks = "".join(_mark(number, _x(x, across), _y(y, up)) for across, up in points)
    colour = f"s{number % _COLOURS}"
    return [
        f'<path class="curve {colour}" d="{_path(x, y, points)}"/>',
        f'<path class="mark {colour}" d="{marks}"/>',
    ]


def _mark(number: int, across: float, down: float) -> str:
    return f"M{across - 3.2:.1f} {down:.1f}{_MARKS[number % len(_MARKS)]}"


def _axes(x: Axis, y: Axis) -> list[str]:
    shapes = []
    for value, text in y.ticks:
        down = _y(y, value)
        shapes.append(
            f'<line class="rule" x1="{_LEFT}" x2="{_RIGHT}" y1="{down:.1f}" y2="{down:.1f}"/>'
        )
        shapes.append(_word(_LEFT - 6, down + 4, text, "end"))
    for value, text in x.ticks:
        shapes.append(_word(_x(x, value), _BOTTOM + 17, text, "middle"))
    shapes.append(_word((_LEFT + _RIGHT) / 2, _HEIGHT - 8, x.title, "middle"))
    shapes.append(_word(2, 11, y.title, "start"))
    return shapes


def _word(across: float, down: float, text: str, anchor: str) -> str:
    return f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(names: Sequence[str]) -> str:
    keys = []
    for number, name in enumerate(names):
        colour = f"s{number % _COLOURS}"
        keys.append(
            f'<span><svg class="key" viewBox="0 0 30 12" aria-hidden="true">'
            f'<path class="curve {colour}" d="M1 6H29"/>'
            f'<path class="mark {colour}" d="{_mark(number, 15, 6)}"/></svg>{escape(name)}</span>'
        )
    return f'<p class="legend">{"".join(keys)}</p>'


def _chart(shapes: Sequence[str], label: str) -> Block:
    return Block(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(shapes)}</svg>'
    )
