"""The report of a segmentation: numbers, errors, and how images came to their masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensmap import files
from sensmap.masks import IGNORE, voc_palette
from sensmap.report import (
    _record,
    anatomy,
    html,
    markdown,
    measures,
    pictures,
    segmentation_anatomy,
    segmentation_measures,
    tables,
)
from sensmap.report.segmentation_measures import class_table, segmentation_table
from sensmap.segmentation_analysis import CATEGORIES

# Pixels of a picture's longer side; an image has half a dozen pictures.
_SIDE = 280

__all__ = ["ClassMap", "Picture", "class_table", "page", "segmentation_table", "write"]


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
        iou: the image's own mean IoU, 0 to 1; None where it is not to be shown.
    """

    caption: str
    image: np.ndarray
    truth: np.ndarray
    maps: Sequence[ClassMap]
    plain: np.ndarray
    refined: np.ndarray | None = None
    iou: float | None = None


def page(
    result: Mapping,
    shown: Sequence[Picture] = (),
    worst: Mapping[str, Sequence[Picture]] | None = None,
) -> str:
    """The HTML page.

    Args:
        result: ``title``; ``dataset``; ``maps``, the map method's ``name`` and options; ``rows``,
            see `segmentation_table`, of which the page is about the LAST, and those whose
            ``group`` is "baseline" are there to be compared with; and, where there is any,
            ``analysis`` of the last row's masks, what `sensmap.segmentation_analysis.analyse`
            gives; ``background``, see `segmentation_measures.background_sentences`; ``skipped``
            (``id`` and ``reason`` each), ``counts`` and ``seconds`` (numbers by name), ``data``
            (``dataset``, ``images``, ``ids_sha256``), ``configuration`` and ``versions``.
        shown: images with their maps and masks.
        worst: by the key of `sensmap.segmentation_analysis.CATEGORIES`, images that went wrong
            in that way, with their masks.

    Returns:
        A self-contained HTML5 document.

    Raises:
        ValueError: without rows, or for pictures under another key.
    """
    rows = result["rows"]
    if not rows:
        raise ValueError("A segmentation report needs a row of measures; received 0.")
    names = [entry["class"] for entry in rows[0]["by_class"]]
    classes = html.table(class_table(rows))
    if len(rows[0]["by_class"]) > 2 * _record.LONG:
        classes = html.details("IoU of every class", [classes])
    sections = [
        html.Section("", _headline(result, rows)),
        *segmentation_anatomy.sections(result.get("analysis")),
        *_worst(worst or {}, names),
        html.Section("By class", [classes]),
        *_pictures(shown, names),
        html.Section("How it was measured", _method(result)),
    ]
    return html.page(result["title"], sections, lead=f"Measured on {result['dataset']}.")


def write(
    folder: Path,
    result: Mapping,
    shown: Sequence[Picture],
    worst: Mapping[str, Sequence[Picture]] | None = None,
) -> str:
    """Writes report.html, report.md, result.json and table.md.

    Args:
        folder: where to.
        result, shown, worst: see `page`; what else ``result`` holds goes to result.json.

    Returns:
        The table as text for a terminal.
    """
    both = [segmentation_table(result["rows"]), class_table(result["rows"])]
    own = [row for row in result["rows"] if not measures.is_baseline(row)]
    files.write_json(folder / "result.json", result)
    files.write_text(folder / "table.md", "\n\n".join(map(tables.as_markdown, both)) + "\n")
    files.write_text(folder / "report.md", markdown.segmentation_text(result))
    files.write_text(folder / "report.html", page(result, shown, worst))
    # A terminal is narrow.
    return "\n\n".join(map(tables.as_text, (both[0], class_table(own))))


def _headline(result: Mapping, rows: Sequence[Mapping]) -> list[html.Block]:
    main, last = rows[-1], len(rows) - 1
    value = tables.number(main["mean_iou"])
    chart = [
        html.Bar(row["method"], row["mean_iou"], row["interval"], measures.is_baseline(row))
        for row in rows
    ]
    hollow = [html.paragraph("Hollow bars are baselines.")] if any(b.hollow for b in chart) else []
    number = value if main["mean_iou"] is None else f"{value}%"
    return [
        html.headline(number, segmentation_measures.sentence(result)),
        html.bars(chart, strong_row=last),
        *hollow,
        html.table(segmentation_table(rows), strong_row=last),
        html.paragraph(segmentation_measures.MEAN),
    ]


def _worst(worst: Mapping[str, Sequence[Picture]], classes: Sequence[str]) -> list[html.Section]:
    text = html.paragraph(
        "Of each kind the images with the lowest mean IoU of their own: chosen because they are "
        "the worst, not at random. In turn the image, its true mask, and its masks without and, "
        "where there is one, with CRF."
    )
    blocks = {key: [_worst_figure(item, classes) for item in items] for key, items in worst.items()}
    legend = _legend([item for items in worst.values() for item in items], classes)
    return anatomy.worst_section(CATEGORIES, blocks, [text, legend])


def _worst_figure(item: Picture, classes: Sequence[str]) -> html.Block:
    image = pictures.fit_within(item.image, _SIDE)
    frames = [
        (pictures.encode_jpeg(panel), f"{item.caption}: {what}")
        for panel, what in _masks(image, item)
    ]
    found = item.plain if item.refined is None else item.refined
    # Some colours are close to each other, or to the gray around them.
    named = f"true: {_classes_in(item.truth, classes)}; found: {_classes_in(found, classes)}"
    overlap = "" if item.iou is None else f"mean IoU {item.iou:.2f}; "
    return html.figure(frames, item.caption, f"{overlap}{named}")


def _classes_in(mask: np.ndarray, classes: Sequence[str]) -> str:
    """The classes of a mask's pixels, the most frequent first."""
    counts = np.bincount(mask[(mask > 0) & (mask != IGNORE)])
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return ", ".join(classes[index] for index in order) or "nothing"


def _pictures(shown: Sequence[Picture], classes: Sequence[str]) -> list[html.Section]:
    if not shown:
        return []
    text = html.paragraph(
        "Each image with its true mask and those that were found; and below them what these were "
        "read from, the map of every class that was looked for, bright is strong, and where there "
        "is one the map before those of other classes were subtracted. Each map has its own scale."
    )
    blocks = [text, _legend(shown, classes)]
    for item in shown:
        blocks += [html.paragraph(item.caption), *_galleries(item)]
    return [html.Section("Masks and their maps", blocks)]


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


def _galleries(item: Picture) -> list[html.Block]:
    """Masks in one row, so that they can be compared, and maps in the next."""
    image = pictures.fit_within(item.image, _SIDE)
    maps = []
    for each in item.maps:
        if each.before is not None:
            maps.append((pictures.overlay(image, each.before), f"{each.name}, before subtraction"))
        maps.append((pictures.overlay(image, each.map), f"{each.name}, its map"))
    return [
        html.gallery(
            [
                html.figure([(pictures.encode_jpeg(panel), f"{item.caption}: {what}")], what)
                for panel, what in panels
            ]
        )
        for panels in (_masks(image, item), maps)
        if panels
    ]


def _masks(image: np.ndarray, item: Picture) -> list[tuple[np.ndarray, str]]:
    """The image, what is there, and what was found."""
    panels = [
        (image, "image"),
        (pictures.draw_labels(image, item.truth), "true mask"),
        (pictures.draw_labels(image, item.plain), "mask without CRF"),
    ]
    if item.refined is not None:
        panels.append((pictures.draw_labels(image, item.refined), "mask with CRF"))
    return panels


def _method(result: Mapping) -> list[html.Block]:
    texts: list[str] = []
    if background := result.get("background"):
        texts = segmentation_measures.background_sentences(background)
    unscored = segmentation_measures.unscored_sentence(result)
    blocks = _record.blocks(result, unscored, markdown.SEGMENTATION_KEYS)
    return [*map(html.paragraph, texts), *blocks]
