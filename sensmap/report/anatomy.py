"""Where a localizer fails: `sensmap.analysis` as bars, charts, tables and pictures.

What the report of a segmentation draws in the same way (kinds of errors, groups of images, the
histogram, pictures of the worst) takes what differs as arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensmap.analysis import CATEGORIES, CLASS, Category
from sensmap.report import _record, charts, figures, html, tables

_GROUPS = (
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column(
        "CorLoc (%) [95% interval]",
        lambda row: tables.with_interval(row["corloc"], row["interval"]),
    ),
    tables.Column("Mean IoU", lambda row: tables.number(row["mean_iou"], 3)),
)

_HISTOGRAM = (
    tables.Column("IoU", lambda row: f"{row['low']:.1f} to {row['high']:.1f}", is_number=False),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
)

_AREAS = (
    tables.Column(
        "Area of the predicted box",
        lambda row: f"{row['low']:.1f} to {row['high']:.1f}",
        is_number=False,
    ),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column("Its mean", lambda row: tables.number(row["predicted"], 3)),
    tables.Column("Mean area of the true box", lambda row: tables.number(row["true"], 3)),
)

_ERRORS = (
    tables.Column("Kind", lambda row: row["title"], is_number=False),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column("Share (%)", lambda row: tables.number(row["share"])),
)
_BY_BOX = (
    tables.Column(
        "Images, by the box alone",
        lambda row: tables.number(row["box"] and row["box"]["images"], 0),
    ),
    tables.Column("Share (%)", lambda row: tables.number(row["box"] and row["box"]["share"])),
)

SIZE_MEANS = (
    "The size is the share of the image that its largest true box covers; the number is that of "
    "the true boxes of the image's class. Neither depends on the predicted box."
)
AREAS_MEAN = (
    "The true box is the one that the predicted box overlaps best. A localizer that sees how "
    "large the object is has its points along the diagonal; one that always gives the same box "
    "has them above one place."
)
IN_TURN = (
    "An image belongs to the first of these that applies, from top to bottom; its true box is "
    "the one with the highest IoU, and among equals the largest."
)


def sections(
    analysis: Mapping[str, Any] | None, worst: Mapping[str, Sequence[figures.Picture]]
) -> list[html.Section]:
    """The sections of a page.

    Args:
        analysis: what `sensmap.analysis.analyse` gives; None where there is none.
        worst: by the key of `sensmap.analysis.CATEGORIES`, images of that category.

    Raises:
        ValueError: for pictures under another key.
    """
    found = []
    if analysis is not None and analysis["images"]:
        found += [
            html.Section("Where it fails", _errors(analysis)),
            html.Section("By size and number of the objects", _groups(analysis)),
            html.Section("IoU and area", _charts(analysis)),
        ]
    return [*found, *_worst(worst)]


def group_table(rows: Sequence[Mapping], title: str) -> tables.Table:
    """What `sensmap.analysis.by_size` and `sensmap.analysis.by_count` give."""
    first = tables.Column(title, lambda row: row["group"], is_number=False)
    return tables.table(rows, [first, *_GROUPS])


def histogram_table(histogram: Mapping[str, Sequence]) -> tables.Table:
    """What `sensmap.analysis.histogram` gives, of IoUs."""
    edges = histogram["edges"]
    lines = zip(edges[:-1], edges[1:], histogram["counts"], strict=True)
    rows = [{"low": low, "high": high, "images": count} for low, high, count in lines]
    return tables.table(rows, _HISTOGRAM)


def area_table(areas: Mapping[str, Any]) -> tables.Table:
    """The bins of `sensmap.analysis.areas`; those without images are left out."""
    return tables.table([row for row in areas["bins"] if row["images"]], _AREAS)


def error_table(errors: Mapping[str, Any]) -> tables.Table:
    """What `sensmap.analysis.errors` gives.

    Where classes were judged, too, two columns tell the boxes apart as if every class were right.
    """
    alone = {row["key"]: row for row in errors["boxes"]}
    rows = [{**row, "box": alone.get(row["key"])} for row in errors["categories"]]
    more = () if errors["class_wrong_box_right"] is None else _BY_BOX
    return tables.table(rows, [*_ERRORS, *more])


def error_sentence(analysis: Mapping[str, Any]) -> str:
    """Of how many images what is right, the first kind, and what most of the others suffer from."""
    right, *others = analysis["errors"]["categories"]
    text = (
        f"Of {_record.count(analysis['images'], 'image')} {tables.number(right['images'], 0)} "
        f"({tables.number(right['share'])}%) are {_record.lowered(right['title'])}."
    )
    wrong = sorted((row for row in others if row["images"]), key=lambda row: -row["images"])
    if not wrong:
        return text
    most = ", ".join(
        f"{_record.lowered(row['title'])} ({tables.number(row['share'])}%)" for row in wrong[:3]
    )
    return f"{text} What the others suffer from most: {most}."


def class_sentence(errors: Mapping[str, Any]) -> str:
    """What a wrong class hides; empty where classes were not judged."""
    hidden = errors["class_wrong_box_right"]
    if hidden is None:
        return ""
    wrong = next(row for row in errors["categories"] if row["key"] == CLASS)
    return (
        f"Of the {_record.count(wrong['images'], 'image')} of another class "
        f"{tables.number(hidden, 0)} have a box that is right all the same. By the box alone, as "
        "CorLoc counts, they are right; and the other kinds have the images that the last columns "
        "say."
    )


def area_sentence(areas: Mapping[str, Any]) -> str:
    """How the areas of predicted and true boxes go together, in numbers."""
    return (
        f"Correlation of the areas: {tables.number(areas['correlation'], 2)}; median of the "
        f"predicted over the true area: {tables.number(areas['median_ratio'], 2)}."
    )


def error_blocks(
    analysis: Mapping[str, Any], in_turn: str, table: tables.Table
) -> list[html.Block]:
    """Kinds of errors: how frequent each is, and what it means.

    Args:
        analysis: with ``images``, and ``errors`` whose ``categories`` are what
            `sensmap.analysis.summary` gives; the first one is what is right.
        in_turn: a sentence on how an image gets its kind.
        table: of these numbers.
    """
    rows = analysis["errors"]["categories"]
    bars = [html.Bar(row["title"], row["share"]) for row in rows]
    return [
        html.paragraph(error_sentence(analysis)),
        html.bars(bars, strong_row=0),
        html.paragraph(in_turn),
        html.definitions([(row["title"], row["meaning"]) for row in rows]),
        html.table(table),
    ]


def group_blocks(
    rows: Sequence[Mapping], measure: str, title: str, table: tables.Table
) -> list[html.Block]:
    """A measure of groups of images, as bars and in numbers.

    Args:
        rows: of each group ``group``, ``images``, the measure in percent and its ``interval``;
            without images it has no bar.
        measure: its key.
        title: by what the images are grouped.
        table: of these numbers.
    """
    bars = [
        html.Bar(
            f"{row['group']} ({_record.count(row['images'], 'image')})",
            row[measure],
            row["interval"],
        )
        for row in rows
        if row["images"]
    ]
    return [
        html.subheading(title),
        html.bars(bars),
        html.details(f"{title}, in numbers", [html.table(table)]),
    ]


def histogram_drawing(
    histogram: Mapping[str, Sequence], name: str, title: str, caption: str
) -> html.Block:
    """What `sensmap.analysis.histogram` gives, the upper half set off.

    Args:
        histogram: of values from 0 to 1.
        name: what they are.
        title: the same along the axis, in full.
        caption: below the chart.
    """
    told = ", ".join(
        f"{low:.1f} and above: {count}"
        for low, count in zip(histogram["edges"][:-1], histogram["counts"], strict=True)
    )
    label = f"Number of images by {name}. {told}."
    return html.drawing(charts.columns(histogram["counts"], title, 5, label), caption)


def worst_section(
    categories: Sequence[Category],
    blocks: Mapping[str, Sequence[html.Block]],
    top: Sequence[html.Block],
) -> list[html.Section]:
    """Pictures of the worst images of each kind.

    Args:
        categories: all kinds; the first one is what is right.
        blocks: by the key of a kind, what shows its images; none to leave it out.
        top: what stands above them.

    Returns:
        One section; none where there is nothing to show.

    Raises:
        ValueError: for another key.
    """
    known = {category.key: category for category in categories}
    if unknown := [key for key in blocks if key not in known]:
        raise ValueError(
            f"There is no kind of error {unknown[0]!r}; the kinds are {', '.join(known)}."
        )
    right, *others = categories
    shown: list[html.Block] = []
    # What is right stands last: next to the limit it is no failure, but shows what a half is.
    for each in (*others, right):
        if blocks.get(each.key):
            title = f"{each.title}, but barely" if each is right else each.title
            shown += [html.subheading(title), *blocks[each.key]]
    if not shown:
        return []
    return [html.Section("The worst of each kind", [*top, *shown])]


def _errors(analysis: Mapping[str, Any]) -> list[html.Block]:
    errors = analysis["errors"]
    by_class = class_sentence(errors)
    return [
        *error_blocks(analysis, IN_TURN, error_table(errors)),
        *([html.paragraph(by_class)] if by_class else []),
    ]


def _groups(analysis: Mapping[str, Any]) -> list[html.Block]:
    blocks = [html.paragraph(f"CorLoc of the images of each group. {SIZE_MEANS}")]
    for key, title in (("by_size", "Share of the image"), ("by_count", "Number of objects")):
        rows = analysis[key]
        blocks += group_blocks(rows, "corloc", title, group_table(rows, title))
    return blocks


def _charts(analysis: Mapping[str, Any]) -> list[html.Block]:
    histogram, areas = analysis["iou_histogram"], analysis["areas"]
    means = [(row["predicted"], row["true"]) for row in areas["bins"] if row["images"]]
    lined = ", ".join(f"{true:.2f} at {predicted:.2f}" for predicted, true in means)
    scatter = charts.scatter(
        areas["points"],
        means,
        ("area of the predicted box, share of the image", "area of the true box"),
        f"True area by predicted area. Mean true area {lined}. {area_sentence(areas)}",
    )
    return [
        html.charts(
            [
                histogram_drawing(
                    histogram,
                    "IoU",
                    "IoU with the best true box",
                    "Images by IoU; the strong columns are those that count.",
                ),
                html.drawing(scatter, "A dot for each image, the line through the bins' means."),
            ]
        ),
        html.paragraph(f"{area_sentence(areas)} {AREAS_MEAN}"),
        html.details("IoU, in numbers", [html.table(histogram_table(histogram))]),
        html.details("Areas, in numbers", [html.table(area_table(areas))]),
    ]


def _worst(worst: Mapping[str, Sequence[figures.Picture]]) -> list[html.Section]:
    blocks = {
        key: [html.gallery([figures.box_and_map(item) for item in items], wide=True)] * bool(items)
        for key, items in worst.items()
    }
    text = html.paragraph(
        "Of each kind the images with the lowest IoU: chosen because they are the worst, not at "
        "random."
    )
    return worst_section(CATEGORIES, blocks, [text, figures.box_key()])
