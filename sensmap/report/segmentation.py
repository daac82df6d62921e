"""The report of a segmentation: mean IoU, each class's, and how images came to their masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensmap import files
from sensmap.masks import IGNORE, voc_palette
from sensmap.report import _record, html, pictures, tables

# Pixels of a picture's longer side; an image has half a dozen pictures.
_SIDE = 280

_COLUMNS = (
    tables.Column("Masks", lambda row: row["method"], is_number=False),
    tables.Column(
        "Mean IoU (%) [95% interval]",
        lambda row: tables.with_interval(row["mean_iou"], row["interval"]),
    ),
    tables.Column("Pixel accuracy (%)", lambda row: tables.number(row["pixel_accuracy"])),
    tables.Column(
        "CorLoc (%) [95% interval]",
        lambda row: tables.with_interval(
            row["localization"]["corloc"], row["localization"]["interval"]
        ),
    ),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column("Time (ms/image)", lambda row: tables.number(1000 * row["seconds_per_image"], 0)),
)


class ClassMap(NamedTuple):
    """Where an image shows a class.

    Attributes:
        name: of the class.
        map: ``(h, w)`` float.
        before: ``(h, w)`` float, the map before those of other classes were subtracted; None
            to show none.
    """

    name: str
    map: np.ndarray
    before: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image to show, from the image to its mask.

    Attributes:
        caption: what to call it.
        image: ``(H, W, 3)`` uint8 RGB.
        truth: ``(H, W)`` uint8, the true mask; see `sensmap.masks`.
        maps: of each class that was looked for.
        plain: ``(H, W)`` uint8, the mask without the CRF.
        refined: ``(H, W)`` uint8, with it; None where there is none.
    """

    caption: str
    image: np.ndarray
    truth: np.ndarray
    maps: Sequence[ClassMap]
    plain: np.ndarray
    refined: np.ndarray | None = None


def segmentation_table(rows: Sequence[Mapping]) -> tables.Table:
    """A line for each kind of masks.

    Args:
        rows: each with ``method``, what `sensmap.metrics.mean_iou` gives, ``localization``, what
            `sensmap.metrics.corloc` gives, and ``seconds_per_image``.

    >>> row = {"method": "With CRF", "mean_iou": 44.1, "interval": [40.2, 48.0], "images": 1449,
    ...        "pixel_accuracy": 80.5, "seconds_per_image": 0.25,
    ...        "localization": {"corloc": None, "interval": None}}
    >>> for line in zip(*(segmentation_table([row]).titles, *segmentation_table([row]).rows)):
    ...     print(": ".join(line))
    Masks: With CRF
    Mean IoU (%) [95% interval]: 44.1 [40.2, 48.0]
    Pixel accuracy (%): 80.5
    CorLoc (%) [95% interval]: –
    Images: 1,449
    Time (ms/image): 250
    """
    return tables.table(rows, _COLUMNS)


def class_table(rows: Sequence[Mapping]) -> tables.Table:
    """The IoU of each class, a line each, a column for each kind of masks.

    Args:
        rows: see `segmentation_table`; of the same classes.
    """

    def column(position: int) -> tables.Column:
        title = f"IoU (%), {_lowered(rows[position]['method'])}"
        return tables.Column(title, lambda line: tables.number(line["ious"][position]))

    lines = [
        {"class": each[0]["class"], "pixels": each[0]["pixels"], "ious": [e["iou"] for e in each]}
        for each in zip(*(row["by_class"] for row in rows), strict=True)
    ]
    return tables.table(
        lines,
        [
            tables.Column("Class", lambda line: line["class"], is_number=False),
            tables.Column("True pixels", lambda line: tables.number(line["pixels"], 0)),
            *map(column, range(len(rows))),
        ],
    )


def page(result: Mapping, shown: Sequence[Picture] = ()) -> str:
    """The HTML page.

    Args:
        result: ``title``; ``dataset``; ``maps``, the map method's ``name`` and options; ``rows``,
            see `segmentation_table`, of which the page is about the LAST; and, where there is any,
            ``background`` (``weight``, and ``chosen_on`` of what other images), ``skipped``
            (``id`` and ``reason`` each), ``counts`` (numbers by name), ``configuration`` and
            ``versions``.
        shown: images with their maps and masks.

    Returns:
        A self-contained HTML5 document.

    Raises:
        ValueError: without rows.
    """
    rows = result["rows"]
    if not rows:
        raise ValueError("A segmentation report needs a row of measures; received 0.")
    classes = html.table(class_table(rows))
    if len(rows[0]["by_class"]) > 2 * _record.LONG:
        classes = html.details("IoU of every class", [classes])
    sections = [
        html.Section("", _headline(result, rows)),
        html.Section("By class", [classes]),
        *_pictures(shown, [entry["class"] for entry in rows[0]["by_class"]]),
        html.Section("How it was measured", _method(result)),
    ]
    return html.page(result["title"], sections, lead=f"Measured on {result['dataset']}.")


def write(folder: Path, result: Mapping, shown: Sequence[Picture]) -> str:
    """Writes report.html, result.json and table.md.

    Args:
        folder: where to.
        result, shown: see `page`; what else ``result`` holds goes to result.json.

    Returns:
        The table as text for a terminal.
    """
    both = [segmentation_table(result["rows"]), class_table(result["rows"])]
    files.write_json(folder / "result.json", result)
    files.write_text(folder / "table.md", "\n\n".join(map(tables.as_markdown, both)) + "\n")
    files.write_text(folder / "report.html", page(result, shown))
    return "\n\n".join(map(tables.as_text, both))


def _headline(result: Mapping, rows: Sequence[Mapping]) -> list[html.Block]:
    main, last = rows[-1], len(rows) - 1
    value = tables.number(main["mean_iou"])
    chart = [html.Bar(row["method"], row["mean_iou"], row["interval"]) for row in rows]
    return [
        html.headline(value if main["mean_iou"] is None else f"{value}%", _sentence(result, rows)),
        html.bars(chart, strong_row=last),
        html.table(segmentation_table(rows), strong_row=last),
        html.paragraph(
            "Mean IoU is the mean over the classes, background included, of the pixels that truth "
            "and mask give to the class, divided by those that either gives to it. Pixel accuracy "
            "is the share of pixels of the right class. CorLoc is the percentage of images in "
            "which the box around the largest part of the mask of the image's first class has an "
            "IoU of at least 0.5 with a true box of it. Time is the median from an image's pixels "
            "to its mask. Whiskers and brackets are 95% intervals: how far images like these let "
            "the number be known."
        ),
    ]


def _sentence(result: Mapping, rows: Sequence[Mapping]) -> str:
    main = rows[-1]
    about = f"mean IoU of the masks by {result['maps']['name']}, {_lowered(main['method'])}"
    if main["mean_iou"] is None:
        return f"{about}: no pixel was scored."
    low, high = main["interval"]
    text = (
        f"{about}, on {_record.count(main['images'], 'image')} "
        f"(95% interval {tables.number(low)} to {tables.number(high)})."
    )
    if len(rows) == 1:
        return text
    gain = main["mean_iou"] - rows[0]["mean_iou"]
    return (
        f"{text} {tables.number(abs(gain))} points {'above' if gain >= 0 else 'below'} those "
        f"{_lowered(rows[0]['method'])} ({tables.number(rows[0]['mean_iou'])}%)."
    )


def _pictures(shown: Sequence[Picture], classes: Sequence[str]) -> list[html.Section]:
    if not shown:
        return []
    text = html.paragraph(
        "Each image with its true mask; the map of every class that was looked for in it, bright "
        "is strong, and where there is one the map before those of other classes were subtracted; "
        "and its masks. Each map has its own scale."
    )
    blocks = [text, _legend(shown, classes)]
    for item in shown:
        blocks += [html.paragraph(item.caption), html.gallery(_frames(item))]
    return [html.Section("From maps to masks", blocks)]


def _legend(shown: Sequence[Picture], classes: Sequence[str]) -> html.Block:
    """Of the classes that are in some mask; the background is not coloured."""
    found: set[int] = set()
    for item in shown:
        for mask in (item.truth, item.plain, item.refined):
            found |= set() if mask is None else set(np.unique(mask).tolist())
    names = {**dict(enumerate(classes)), IGNORE: "not scored"}
    palette = voc_palette().tolist()
    return html.legend(
        [(names[index], _colour(palette[index]), "filled") for index in sorted(found - {0})]
    )


def _colour(values: Sequence[int]) -> tuple[int, int, int]:
    red, green, blue = values
    return red, green, blue


def _frames(item: Picture) -> list[html.Block]:
    image = pictures.fit_within(item.image, _SIDE)
    panels = [
        (image, "image"),
        (pictures.draw_labels(image, item.truth), "true mask"),
    ]
    for each in item.maps:
        if each.before is not None:
            panels.append(
                (pictures.overlay(image, each.before), f"{each.name}, before subtraction")
            )
        panels.append((pictures.overlay(image, each.map), f"{each.name}, its map"))
    panels.append((pictures.draw_labels(image, item.plain), "mask without CRF"))
    if item.refined is not None:
        panels.append((pictures.draw_labels(image, item.refined), "mask with CRF"))
    return [
        html.figure([(pictures.encode_jpeg(panel), f"{item.caption}: {what}")], what)
        for panel, what in panels
    ]


def _method(result: Mapping) -> list[html.Block]:
    blocks = []
    if background := result.get("background"):
        chosen = background.get("chosen_on")
        how = "as given"
        if chosen:
            images = _record.count(chosen["images"], "image")
            how = f"chosen by the mean IoU without CRF on {images} of {chosen['dataset']}"
        text = f"The background's score has the weight {background['weight']:g}, {how}."
        blocks.append(html.paragraph(text))
    text = ""
    if unscored := result["rows"][-1]["localization"].get("unscored"):
        text = f"{_record.count(unscored, 'image')} without a true box: not in CorLoc."
    keys = ("maps", "background", "configuration", "versions")
    return [*blocks, *_record.blocks(result, text, keys)]


def _lowered(name: str) -> str:
    """As it stands within a sentence."""
    return name[:1].lower() + name[1:]
