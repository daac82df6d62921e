"""Where a localizer fails: `sensmap.analysis` as bars, charts, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensmap.analysis import CATEGORIES, CLASS, RIGHT
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
    """What `sensmap.analysis.iou_histogram` gives."""
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
    """Of how many images what is right, and what most of the others suffer from."""
    categories = analysis["errors"]["categories"]
    right = next(row for row in categories if row["key"] == RIGHT)
    text = (
        f"Of {_record.count(analysis['images'], 'image')} {tables.number(right['images'], 0)} "
        f"({tables.number(right['share'])}%) are right."
    )
    wrong = sorted(
        (row for row in categories if row["key"] != RIGHT and row["images"]),
        key=lambda row: -row["images"],
    )
    if not wrong:
        return text
    most = ", ".join(
        f"{row['title'][0].lower()}{row['title'][1:]} ({tables.number(row['share'])}%)"
        for row in wrong[:3]
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


def _errors(analysis: Mapping[str, Any]) -> list[html.Block]:
    errors = analysis["errors"]
    rows = errors["categories"]
    by_class = class_sentence(errors)
    bars = [html.Bar(row["title"], row["share"]) for row in rows]
    return [
        html.paragraph(error_sentence(analysis)),
        html.bars(bars, strong_row=0),
        html.paragraph(IN_TURN),
        html.definitions([(row["title"], row["meaning"]) for row in rows]),
        html.table(error_table(errors)),
        *([html.paragraph(by_class)] if by_class else []),
    ]


def _groups(analysis: Mapping[str, Any]) -> list[html.Block]:
    blocks = [html.paragraph(f"CorLoc of the images of each group. {SIZE_MEANS}")]
    for key, title in (("by_size", "Share of the image"), ("by_count", "Number of objects")):
        rows = analysis[key]
        bars = [
            html.Bar(
                f"{row['group']} ({_record.count(row['images'], 'image')})",
                row["corloc"],
                row["interval"],
            )
            for row in rows
            if row["images"]
        ]
        blocks += [
            html.subheading(title),
            html.bars(bars),
            html.details(f"{title}, in numbers", [html.table(group_table(rows, title))]),
        ]
    return blocks


def _charts(analysis: Mapping[str, Any]) -> list[html.Block]:
    histogram, areas = analysis["iou_histogram"], analysis["areas"]
    counts = histogram["counts"]
    told = ", ".join(
        f"{low:.1f} and above: {count}"
        for low, count in zip(histogram["edges"][:-1], counts, strict=True)
    )
    means = [(row["predicted"], row["true"]) for row in areas["bins"] if row["images"]]
    lined = ", ".join(f"{true:.2f} at {predicted:.2f}" for predicted, true in means)
    columns = charts.columns(
        counts, "IoU with the best true box", 5, f"Number of images by IoU. {told}."
    )
    scatter = charts.scatter(
        areas["points"],
        means,
        ("area of the predicted box, share of the image", "area of the true box"),
        f"True area by predicted area. Mean true area {lined}. {area_sentence(areas)}",
    )
    return [
        html.charts(
            [
                html.drawing(columns, "Images by IoU; the strong columns are those that count."),
                html.drawing(scatter, "A dot for each image, the line through the bins' means."),
            ]
        ),
        html.paragraph(f"{area_sentence(areas)} {AREAS_MEAN}"),
        html.details("IoU, in numbers", [html.table(histogram_table(histogram))]),
        html.details("Areas, in numbers", [html.table(area_table(areas))]),
    ]


def _worst(worst: Mapping[str, Sequence[figures.Picture]]) -> list[html.Section]:
    categories = {category.key: category for category in CATEGORIES}
    if unknown := [key for key in worst if key not in categories]:
        raise ValueError(
            f"There is no kind of error {unknown[0]!r}; the kinds are {', '.join(categories)}."
        )
    blocks = []
    # What is right stands last: next to the limit it is no failure, but shows what a half is.
    for key, category in sorted(categories.items(), key=lambda item: item[0] == RIGHT):
        if not worst.get(key):
            continue
        title = "Right, but barely" if key == RIGHT else category.title
        pictures = [figures.box_and_map(item) for item in worst[key]]
        blocks += [html.subheading(title), html.gallery(pictures, wide=True)]
    if not blocks:
        return []
    text = html.paragraph(
        "Of each kind the images with the lowest IoU: chosen because they are the worst, not at "
        "random."
    )
    return [html.Section("The worst of each kind", [text, figures.box_key(), *blocks])]
