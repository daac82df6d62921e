"""A report as text: all of its numbers, without pictures, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sensmap.report import (
    _record,
    anatomy,
    learning_curve,
    localization,
    measures,
    segmentation_anatomy,
    segmentation_measures,
    tables,
)

# What the end of a report shows as it is.
_KEYS = ("configuration", "versions")
SEGMENTATION_KEYS = ("maps", "background", *_KEYS)


def localization_text(result: Mapping) -> str:
    """The numbers of `localization.localization_report`, from the same result.

    Args:
        result: see there.

    Returns:
        Markdown that ends with a line break; what comes from outside is escaped.

    Raises:
        ValueError: without rows.

    >>> row = {"method": "ours", "corloc": 50.0, "interval": [40.0, 60.0], "corloc_30": 80.0,
    ...        "corloc_70": 12.0, "mean_iou": 0.5, "images": 100}
    >>> text = localization_text({"title": "T", "dataset": "digits", "rows": [row]})
    >>> print("\\n".join(text.splitlines()[:5]))
    # T
    <BLANKLINE>
    Measured on digits.
    <BLANKLINE>
    CorLoc of ours, on 100 images (95% interval 40.0 to 60.0).
    """
    rows = result["rows"]
    if not rows:
        raise ValueError("A localization report needs the row of at least one method; received 0.")
    parts = [
        f"# {tables.escaped(result['title'])}",
        tables.escaped(f"Measured on {result['dataset']}."),
        tables.escaped(measures.sentence(rows)),
        tables.as_markdown(measures.localization_table(rows)),
        measures.CORLOC_MEANS,
        *measures.meanings(rows),
        *_tables([("CorLoc by localizer and map", measures.cross_table(rows))]),
        *_analysed(result.get("analysis")),
    ]
    if classes := rows[-1].get("by_class"):
        parts += _tables([("By class", measures.class_table(classes))])
    if curve := result.get("learning_curve"):
        parts += _tables([("Learning curve", learning_curve.curve_table(curve))])
    unscored = ""
    if count := rows[-1].get("unscored"):
        unscored = f"{_record.count(count, 'image')} without a true box: not scored."
    sanity = [localization.sanity_sentence(result["sanity"])] if result.get("sanity") else []
    return _joined([*parts, *_measured(result, sanity, unscored, _KEYS)])


def segmentation_text(result: Mapping) -> str:
    """The numbers of `sensmap.report.segmentation.page`, from the same result.

    Args:
        result: see there.

    Returns:
        Markdown that ends with a line break; what comes from outside is escaped.

    Raises:
        ValueError: without rows.

    >>> row = {"method": "With CRF", "mean_iou": 44.1, "interval": [40.2, 48.0], "images": 1449,
    ...        "pixel_accuracy": 80.5, "seconds_per_image": 0.25, "by_class": [],
    ...        "localization": {"corloc": None, "interval": None}}
    >>> result = {"title": "T", "dataset": "digits", "maps": {"name": "dcsm"}, "rows": [row]}
    >>> print("\\n".join(segmentation_text(result).splitlines()[:5]))
    # T
    <BLANKLINE>
    Measured on digits.
    <BLANKLINE>
    44.1% mean IoU of the masks by dcsm, with CRF, on 1,449 images (95% interval 40.2 to 48.0).
    """
    rows = result["rows"]
    if not rows:
        raise ValueError("A segmentation report needs a row of measures; received 0.")
    value = rows[-1]["mean_iou"]
    found = tables.NOTHING if value is None else f"{tables.number(value)}%"
    parts = [
        f"# {tables.escaped(result['title'])}",
        tables.escaped(f"Measured on {result['dataset']}."),
        tables.escaped(f"{found} {segmentation_measures.sentence(result)}"),
        tables.as_markdown(segmentation_measures.segmentation_table(rows)),
        segmentation_measures.MEAN,
        *_segmentation_analysed(result.get("analysis")),
        *_tables([("By class", segmentation_measures.class_table(rows))]),
    ]
    texts: list[str] = []
    if background := result.get("background"):
        texts = segmentation_measures.background_sentences(background)
    unscored = segmentation_measures.unscored_sentence(result)
    escaped = map(tables.escaped, texts)
    return _joined([*parts, *_measured(result, escaped, unscored, SEGMENTATION_KEYS)])


def _analysed(analysis: Mapping[str, Any] | None) -> Iterable[str]:
    if analysis is None or not analysis["images"]:
        return
    errors, areas = analysis["errors"], analysis["areas"]
    yield from _kinds(analysis, anatomy.IN_TURN, anatomy.error_table(errors))
    if about_class := anatomy.class_sentence(errors):
        yield about_class
    yield from _worst(errors, "IoU")
    yield from _tables(
        [("By size of the object", anatomy.group_table(analysis["by_size"], "Size"))]
    )
    yield anatomy.SIZE_MEANS
    yield from _tables(
        [
            ("By number of objects", anatomy.group_table(analysis["by_count"], "Number")),
            ("By IoU", anatomy.histogram_table(analysis["iou_histogram"])),
            ("By area of the box", anatomy.area_table(areas)),
        ]
    )
    yield f"{anatomy.area_sentence(areas)} {anatomy.AREAS_MEAN}"


def _segmentation_analysed(analysis: Mapping[str, Any] | None) -> Iterable[str]:
    if analysis is None or not analysis["images"]:
        return
    errors = analysis["errors"]
    table = segmentation_anatomy.error_table(errors)
    yield from _kinds(analysis, segmentation_anatomy.IN_TURN, table)
    yield from _worst(errors, "mean IoU")
    yield "## By size of the objects and number of classes"
    yield segmentation_anatomy.GROUPS_MEAN
    for key, title, column in segmentation_anatomy.GROUPINGS:
        yield from _tables([(title, segmentation_anatomy.group_table(analysis[key], column))], 3)
    yield from ("## Image by image", segmentation_anatomy.image_sentence(analysis))
    yield segmentation_anatomy.IMAGE_MEANS
    for key, title in segmentation_anatomy.HISTOGRAMS:
        yield from _tables([(title, anatomy.histogram_table(analysis[key]))], 3)


def _kinds(analysis: Mapping[str, Any], in_turn: str, table: tables.Table) -> Iterable[str]:
    yield "## Where it fails"
    yield anatomy.error_sentence(analysis)
    yield in_turn
    rows = analysis["errors"]["categories"]
    yield "\n".join(f"- **{row['title']}.** {row['meaning']}" for row in rows)
    yield tables.as_markdown(table)


def _worst(errors: Mapping[str, Any], measure: str) -> Iterable[str]:
    yield f"The images with the lowest {measure} of each kind:"
    lines = []
    for row in errors["categories"]:
        if row["worst"]:
            named = ", ".join(f"{each['id']} ({each['iou']:.2f})" for each in row["worst"])
            lines.append(f"- {row['title']}: {tables.escaped(named)}")
    yield "\n".join(lines)


def _measured(
    result: Mapping, first: Iterable[str], unscored: str, keys: Sequence[str]
) -> Iterable[str]:
    yield "## How it was measured"
    yield from first
    if unscored:
        yield unscored
    if skipped := result.get("skipped"):
        yield from _tables([("Images skipped", _record.skipped_table(skipped))], 3)
    else:
        yield "No image was skipped."
    if counts := result.get("counts"):
        yield from _tables([("Counts", _record.count_table(counts))], 3)
    if seconds := result.get("seconds"):
        yield from _tables([("Time taken", _record.time_table(seconds))], 3)
    if result.get("data") or result.get("fitted_on"):
        yield from _tables([("Images used", _record.data_table(result))], 3)
    for key in keys:
        if value := result.get(key):
            yield f"### {key.capitalize()}"
            yield f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _tables(titled: Sequence[tuple[str, tables.Table | None]], level: int = 2) -> Iterable[str]:
    for title, table in titled:
        if table is not None:
            yield f"{'#' * level} {title}"
            yield tables.as_markdown(table)
