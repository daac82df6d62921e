"""Where a segmenter fails: `sensmap.segmentation_analysis` as bars, a chart and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensmap.report import anatomy, html, tables

_GROUPS = (
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column(
        "Mean IoU of an image (%) [95% interval]",
        lambda row: tables.with_interval(row["mean_iou"], row["interval"]),
    ),
    tables.Column("Foreground IoU (%)", lambda row: tables.number(row["foreground_iou"])),
)

_ERRORS = (
    tables.Column("Kind", lambda row: row["title"], is_number=False),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column("Share (%)", lambda row: tables.number(row["share"])),
)

IN_TURN = (
    "An image belongs to the first of these that applies, from top to bottom. Only pixels that are "
    "scored count; the background is no class here."
)
IMAGE_MEANS = (
    "An image's own mean IoU is the mean over the classes, background included, that have a pixel "
    "in its truth or in its mask. Its foreground IoU takes all classes but the background as one. "
    "The mean of the images' own is not the mean IoU of the set, in which large images and rare "
    "classes weigh more."
)
GROUPS_MEAN = (
    "Means over the images of each group, and their 95% intervals by a bootstrap over images. The "
    "size is the share of the scored pixels that belong to any object in truth. Neither size nor "
    "number depends on the masks."
)

# Each grouping: its key, what it is called on the page, and its first column.
GROUPINGS = (
    ("by_size", "Share of the image", "Size"),
    ("by_count", "Number of classes", "Classes"),
)
# Each histogram: its key, and what it counts.
HISTOGRAMS = (("iou_histogram", "Mean IoU"), ("foreground_histogram", "Foreground IoU"))


def sections(analysis: Mapping[str, Any] | None) -> list[html.Section]:
    """The sections of a page.

    Args:
        analysis: what `sensmap.segmentation_analysis.analyse` gives; None where there is none.
    """
    if analysis is None or not analysis["images"]:
        return []
    errors = anatomy.error_blocks(analysis, IN_TURN, error_table(analysis["errors"]))
    groups = [html.paragraph(GROUPS_MEAN)]
    for key, title, column in GROUPINGS:
        table = group_table(analysis[key], column)
        groups += anatomy.group_blocks(analysis[key], "mean_iou", title, table)
    return [
        html.Section("Where it fails", errors),
        html.Section("By size of the objects and number of classes", groups),
        html.Section("Image by image", _histogram(analysis)),
    ]


def image_sentence(analysis: Mapping[str, Any]) -> str:
    """The means over images."""
    return (
        f"Mean over the images: own mean IoU {tables.number(analysis['mean_iou'])}%, foreground "
        f"IoU {tables.number(analysis['foreground_iou'])}%."
    )


def group_table(rows: Sequence[Mapping], title: str) -> tables.Table:
    """What `sensmap.segmentation_analysis.by_size` and its ``by_count`` give."""
    first = tables.Column(title, lambda row: row["group"], is_number=False)
    return tables.table(rows, [first, *_GROUPS])


def error_table(errors: Mapping[str, Any]) -> tables.Table:
    """What `sensmap.segmentation_analysis.errors` gives."""
    return tables.table(errors["categories"], _ERRORS)


def _histogram(analysis: Mapping[str, Any]) -> list[html.Block]:
    drawings = [
        anatomy.histogram_drawing(
            analysis["iou_histogram"],
            "mean IoU",
            "the image's own mean IoU",
            "Images by their own mean IoU; the strong columns are the good ones.",
        ),
        anatomy.histogram_drawing(
            analysis["foreground_histogram"],
            "foreground IoU",
            "foreground IoU",
            "The same by foreground IoU: how well objects are told from background, whatever "
            "their class.",
        ),
    ]
    numbers = [
        html.details(f"{title}, in numbers", [html.table(anatomy.histogram_table(analysis[key]))])
        for key, title in HISTOGRAMS
    ]
    return [
        html.paragraph(f"{image_sentence(analysis)} {IMAGE_MEANS}"),
        html.charts(drawings),
        *numbers,
    ]
