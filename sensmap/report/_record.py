"""How something was measured: what every report says of images, counts, time, data and set-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensmap.report import html, tables

# Longer lists are folded up.
LONG = 12

_SKIPPED = (
    tables.Column("Image", lambda row: row["id"], is_number=False),
    tables.Column("Why", lambda row: row["reason"], is_number=False),
)

_DATA = (
    tables.Column("For", lambda row: row["what"], is_number=False),
    tables.Column("Data set", lambda row: row["dataset"], is_number=False),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column("SHA-256 of their ids", lambda row: row["ids_sha256"], is_number=False),
)


def blocks(result: Mapping, unscored: str, keys: Sequence[str]) -> list[html.Block]:
    """The record of a result, longer parts folded up.

    Args:
        result: of which are shown, where there are any, ``skipped`` (``id`` and ``reason`` each),
            ``counts`` and ``seconds`` (numbers by name), and ``data`` and ``fitted_on``, see
            `data_table`.
        unscored: a sentence on images that could not be scored; empty where all were.
        keys: whatever else is to be shown, as JSON, where the result has it.
    """
    found = [*_skipped_images(result.get("skipped") or [])]
    if unscored:
        found.append(html.paragraph(unscored))
    if counts := result.get("counts"):
        found.append(html.details("Counts", [html.table(count_table(counts))]))
    if seconds := result.get("seconds"):
        shares = [html.Bar(name, share) for name, share in _shares(seconds).items()]
        text = html.paragraph("Bars are the stages' shares of their sum, in percent.")
        taken = [html.bars(shares), text, html.table(time_table(seconds))]
        found.append(html.details("Time taken", taken))
    if result.get("data") or result.get("fitted_on"):
        text = html.paragraph(
            "The hash is that of the images' ids, each in a line: the same hash means the same "
            "images in the same order."
        )
        found.append(html.details("Images used", [text, html.table(data_table(result))]))
    for key in keys:
        if value := result.get(key):
            found.append(html.details(key.capitalize(), [html.as_json(value)]))
    return found


def skipped_table(skipped: Sequence[Mapping]) -> tables.Table:
    """Images that could not be used, and why; each with ``id`` and ``reason``."""
    return tables.table(skipped, _SKIPPED)


def count_table(counts: Mapping[str, float]) -> tables.Table:
    """Whole numbers by name."""
    columns = (
        tables.Column("What", lambda row: row["name"], is_number=False),
        tables.Column("Count", lambda row: tables.number(row["count"], 0)),
    )
    return tables.table([{"name": name, "count": each} for name, each in counts.items()], columns)


def time_table(seconds: Mapping[str, float]) -> tables.Table:
    """The time of each stage, and its share of their sum.

    >>> print(tables.as_text(time_table({"maps": 30.0, "fit": 10.0})))
    Stage  Seconds  Share (%)
    -----  -------  ---------
    maps      30.0       75.0
    fit       10.0       25.0
    """
    shares = _shares(seconds)
    columns = (
        tables.Column("Stage", lambda row: row["name"], is_number=False),
        tables.Column("Seconds", lambda row: tables.number(row["seconds"])),
        tables.Column("Share (%)", lambda row: tables.number(shares[row["name"]])),
    )
    return tables.table(
        [{"name": name, "seconds": each} for name, each in seconds.items()], columns
    )


def data_table(result: Mapping) -> tables.Table:
    """Which images were used for what, with a hash of their ids.

    Args:
        result: ``data``, what was measured on (``dataset``, ``images`` and ``ids_sha256``), and
            ``fitted_on``, for each fit the same and ``what`` was fitted; where there are any.
    """
    data = result.get("data")
    measured = [{**data, "what": "measuring"}] if data else []
    return tables.table([*measured, *result.get("fitted_on", ())], _DATA)


def count(number: int, one: str, many: str = "") -> str:
    """A number of things.

    >>> count(1, "image"), count(1300, "image"), count(2, "class", "classes")
    ('1 image', '1,300 images', '2 classes')
    """
    return f"{tables.number(number, 0)} {one if number == 1 else many or f'{one}s'}"


def lowered(name: str) -> str:
    """A name as it stands within a sentence.

    >>> lowered("Too large"), lowered("CAM")
    ('too large', 'CAM')
    """
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def _skipped_images(skipped: Sequence[Mapping]) -> list[html.Block]:
    if not skipped:
        return [html.paragraph("No image was skipped.")]
    element = html.table(skipped_table(skipped))
    text = f"{count(len(skipped), 'image')} could not be used"
    if len(skipped) > LONG:
        return [html.details(text, [element])]
    return [html.paragraph(f"{text}:"), element]


def _shares(seconds: Mapping[str, float]) -> dict[str, float | None]:
    total = sum(seconds.values())
    return {name: 100 * each / total if total else None for name, each in seconds.items()}
