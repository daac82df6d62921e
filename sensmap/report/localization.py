"""The page of a localization: numbers, errors, boxes, maps and all that led to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensmap.report import _record, anatomy, figures, html, learning_curve, measures, tables
from sensmap.report.figures import Cut, Guess, Picture, picture_grid
from sensmap.report.measures import cross_table, localization_table

# More explanations of columns are folded up.
_MOST_MEANINGS = 2

__all__ = [
    "Cut",
    "Guess",
    "Picture",
    "cross_table",
    "localization_report",
    "localization_table",
    "picture_grid",
]


def localization_report(
    result: Mapping,
    shown: Sequence[Picture] = (),
    worst: Mapping[str, Sequence[Picture]] | None = None,
) -> str:
    """The HTML page of an evaluation.

    Args:
        result: what the evaluation found: ``title``; ``dataset``; ``rows``, one for each method,
            see `localization_table`, the LAST being the one that the report is about and the
            others what it is compared with, baselines among them where their ``group`` is
            "baseline" (see `cross_table` for what more is shown where localizers meet kinds of
            maps); and, where there is any, ``analysis`` of the last row's boxes, what
            `sensmap.analysis.analyse` gives; ``learning_curve``, see `learning_curve.sections`;
            ``sanity`` (``top1``, ``top5`` in percent, ``images``), ``skipped`` (``id`` and
            ``reason`` each), ``counts`` and ``seconds`` (numbers by name), ``data``
            (``dataset``, ``images``, ``ids_sha256``) and ``fitted_on`` (the same of each fit, and
            ``what``), ``configuration`` and ``versions``.
        shown: images with their boxes, maps, segmentations and guesses, of that method.
        worst: by the key of `sensmap.analysis.CATEGORIES`, images that went wrong in that way.

    Returns:
        A self-contained HTML5 document.

    Raises:
        ValueError: without rows, or for pictures under another key.
    """
    rows = result["rows"]
    if not rows:
        raise ValueError("A localization report needs the row of at least one method; received 0.")
    sections = [
        html.Section("", _headline(rows)),
        *anatomy.sections(result.get("analysis"), worst or {}),
        *figures.sections(shown),
        *_by_class(rows[-1]),
        *learning_curve.sections(result.get("learning_curve") or []),
        html.Section("How it was measured", _method(result)),
    ]
    return html.page(result["title"], sections, lead=f"Measured on {result['dataset']}.")


def _headline(rows: Sequence[Mapping]) -> list[html.Block]:
    corloc, last = rows[-1]["corloc"], len(rows) - 1
    value = tables.number(corloc)
    chart = [
        html.Bar(row["method"], row["corloc"], row["interval"], measures.is_baseline(row))
        for row in rows
    ]
    hollow = [html.paragraph("Hollow bars are baselines.")] if any(b.hollow for b in chart) else []
    return [
        html.headline(value if corloc is None else f"{value}%", measures.sentence(rows)),
        html.bars(chart, strong_row=last),
        *hollow,
        html.table(localization_table(rows), strong_row=last),
        html.paragraph(measures.CORLOC_MEANS),
        *_meanings(rows),
        *_crossed(rows),
    ]


def _meanings(rows: Sequence[Mapping]) -> list[html.Block]:
    texts = [html.paragraph(text) for text in measures.meanings(rows)]
    # What the localizer gets wrong should not stand below a page of definitions.
    return texts if len(texts) <= _MOST_MEANINGS else [html.details("The other columns", texts)]


def _crossed(rows: Sequence[Mapping]) -> list[html.Block]:
    table = cross_table(rows)
    if table is None:
        return []
    return [html.paragraph("CorLoc of each localizer on each kind of map:"), html.table(table)]


def _by_class(row: Mapping) -> list[html.Section]:
    classes = row.get("by_class") or []
    if not classes:
        return []
    element = html.table(measures.class_table(classes))
    if len(classes) > _record.LONG:
        element = html.details(_record.count(len(classes), "class", "classes"), [element])
    return [html.Section("By class", [html.paragraph(f"CorLoc of {row['method']}."), element])]


def _method(result: Mapping) -> list[html.Block]:
    blocks = []
    if sanity := result.get("sanity"):
        blocks.append(html.paragraph(sanity_sentence(sanity)))
    text = ""
    if unscored := result["rows"][-1].get("unscored"):
        text = f"{_record.count(unscored, 'image')} without a true box: not scored."
    return [*blocks, *_record.blocks(result, text, ("configuration", "versions"))]


def sanity_sentence(sanity: Mapping) -> str:
    """How often the classifier is right, and what that is good for."""
    return (
        f"The classifier names {tables.number(sanity['top1'])}% of "
        f"{_record.count(sanity['images'], 'labelled image')} rightly (top-1), "
        f"{tables.number(sanity['top5'])}% within its first five guesses (top-5). "
        "Figures far below what it is known for would mean wrong preprocessing or a "
        "wrong order of classes."
    )
