"""The report of a localization as text: all of its numbers, without pictures, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sensmap.report import _record, anatomy, learning_curve, localization, measures, tables


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
    return "\n\n".join([*parts, "## How it was measured", *_measured(result)]) + "\n"


def _analysed(analysis: Mapping[str, Any] | None) -> Iterable[str]:
    if analysis is None or not analysis["images"]:
        return
    errors, areas = analysis["errors"], analysis["areas"]
    yield "## Where it fails"
    yield anatomy.error_sentence(analysis)
    yield anatomy.IN_TURN
    yield "\n".join(f"- **{row['title']}.** {row['meaning']}" for row in errors["categories"])
    yield tables.as_markdown(anatomy.error_table(errors))
    if about_class := anatomy.class_sentence(errors):
        yield about_class
    yield "The images with the lowest IoU of each kind:"
    yield "\n".join(_worst(row) for row in errors["categories"] if row["worst"])
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


def _worst(row: Mapping[str, Any]) -> str:
    named = ", ".join(f"{each['id']} ({each['iou']:.2f})" for each in row["worst"])
    return f"- {row['title']}: {tables.escaped(named)}"


def _measured(result: Mapping) -> Iterable[str]:
    if sanity := result.get("sanity"):
        yield localization.sanity_sentence(sanity)
    if unscored := result["rows"][-1].get("unscored"):
        yield f"{_record.count(unscored, 'image')} without a true box: not scored."
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
    for key in ("configuration", "versions"):
        if value := result.get(key):
            yield f"### {key.capitalize()}"
            yield f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _tables(titled: Sequence[tuple[str, tables.Table | None]], level: int = 2) -> Iterable[str]:
    for title, table in titled:
        if table is not None:
            yield f"{'#' * level} {title}"
            yield tables.as_markdown(table)
