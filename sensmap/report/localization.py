"""The report of a localization: numbers, boxes, maps, segmentations and all that led to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sensmap.report import html, pictures, tables

# Pixels of a picture's longer side: sharp on a telephone, and some 30 KB each.
_SIDE = 360
# Longer lists are folded up.
_LONG = 12
# Longer names of guesses would leave no room for their scores.
_LONG_NAME = 22

_COLUMNS = (
    tables.Column("Method", lambda row: row["method"], is_number=False),
    tables.Column(
        "CorLoc (%) [95% interval]",
        lambda row: tables.with_interval(row["corloc"], row["interval"]),
    ),
    tables.Column("at IoU 0.3", lambda row: tables.number(row["corloc_30"])),
    tables.Column("at IoU 0.7", lambda row: tables.number(row["corloc_70"])),
    tables.Column("Mean IoU", lambda row: tables.number(row["mean_iou"], 3)),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
)

# Shown where some row has a value under the key.
_OPTIONAL_COLUMNS = {
    "top1_error": tables.Column(
        "Top-1 localization error (%)",
        lambda row: tables.with_interval(row.get("top1_error"), row.get("top1_interval")),
    ),
    "top5_error": tables.Column(
        "Top-5 localization error (%)",
        lambda row: tables.with_interval(row.get("top5_error"), row.get("top5_interval")),
    ),
    "top1_classification_error": tables.Column(
        "Top-1 classification error (%)",
        lambda row: tables.number(row.get("top1_classification_error")),
    ),
    "top5_classification_error": tables.Column(
        "Top-5 classification error (%)",
        lambda row: tables.number(row.get("top5_classification_error")),
    ),
    "seconds_per_image": tables.Column(
        "Time (ms/image)", lambda row: tables.number(_milliseconds(row))
    ),
}

_CLASS_COLUMNS = (
    tables.Column("Class", lambda row: row["class"], is_number=False),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
    tables.Column("CorLoc (%)", lambda row: tables.number(row["corloc"])),
    tables.Column("Mean IoU", lambda row: tables.number(row["mean_iou"], 3)),
)

_SKIPPED_COLUMNS = (
    tables.Column("Image", lambda row: row["id"], is_number=False),
    tables.Column("Why", lambda row: row["reason"], is_number=False),
)


class Cut(NamedTuple):
    """How a map became a segmentation.

    Attributes:
        seeds: ``(h, w)`` uint8, what the colour models were fitted to: 0 unused, 1 background,
            2 foreground; None where there are no colour models.
        mask: ``(h, w)`` bool, the object.
        box: ``(4,)`` xyxy, relative, around it.
    """

    seeds: np.ndarray | None
    mask: np.ndarray
    box: np.ndarray


class Guess(NamedTuple):
    """A class that an image may show, and where.

    Attributes:
        name: of the class.
        score: of the class, before softmax.
        box: ``(4,)`` xyxy, relative.
    """

    name: str
    score: float
    box: np.ndarray


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image to show.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        truth: ``(n, 4)`` true boxes, xyxy, relative.
        predicted: ``(4,)`` the predicted box, xyxy, relative.
        caption: what is seen, such as the name of the class.
        iou: the best IoU of the predicted box with a true one; None without a true one.
        map: ``(h, w)`` float, the sensitivity map; None to show none.
        cut: the segmentation that the predicted box is around; None where there is none.
        guesses: the classes with the highest scores and their boxes, best first.
    """

    image: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    caption: str
    iou: float | None = None
    map: np.ndarray | None = None
    cut: Cut | None = None
    guesses: Sequence[Guess] = ()


def localization_table(rows: Sequence[Mapping]) -> tables.Table:
    """The paper's Table 1 with what else CorLoc's result holds, a line for each method.

    Args:
        rows: each with ``method`` and what `sensmap.metrics.corloc` gives; columns are added for
            what `sensmap.metrics.localization_error` gives and for ``seconds_per_image``, where
            some row has them.

    >>> row = {"method": "centre box", "corloc": 50.0, "interval": [40.4, 59.6], "corloc_30": 80.0,
    ...        "corloc_70": 12.0, "mean_iou": 0.5, "images": 100}
    >>> print(tables.as_text(localization_table([row])))
    Method      CorLoc (%) [95% interval]  at IoU 0.3  at IoU 0.7  Mean IoU  Images
    ----------  -------------------------  ----------  ----------  --------  ------
    centre box          50.0 [40.4, 59.6]        80.0        12.0     0.500     100
    """
    optional = [column for key, column in _OPTIONAL_COLUMNS.items() if _is_known(key, rows)]
    return tables.table(rows, [*_COLUMNS, *optional])


def cross_table(rows: Sequence[Mapping]) -> tables.Table | None:
    """CorLoc of every localizer, a line each, on every kind of map, a column each.

    Args:
        rows: see `localization_table`; those with ``localizer`` and ``maps`` are shown.

    Returns:
        The table; None where the rows form none: fewer than two localizers or kinds of maps, no
        two of them compared on the same, or two rows for one cell.

    >>> pairs = [("box", "CAM", 50.0), ("box", "gradient", 60.0), ("cut", "gradient", 70.0)]
    >>> rows = [{"localizer": name, "maps": maps, "corloc": found} for name, maps, found in pairs]
    >>> print(tables.as_text(cross_table(rows)))
    CorLoc (%)   CAM  gradient
    ----------  ----  --------
    box         50.0      60.0
    cut            –      70.0
    """
    placed = [row for row in rows if row.get("localizer") and row.get("maps")]
    localizers = list(dict.fromkeys(row["localizer"] for row in placed))
    maps = list(dict.fromkeys(row["maps"] for row in placed))
    found = {(row["localizer"], row["maps"]): row["corloc"] for row in placed}
    if len(found) < len(placed) or len(found) <= max(len(localizers), len(maps)):
        return None

    def column(name: str) -> tables.Column:
        return tables.Column(name, lambda row: tables.number(found.get((row["localizer"], name))))

    first = tables.Column("CorLoc (%)", lambda row: row["localizer"], is_number=False)
    lines = [{"localizer": name} for name in localizers]
    return tables.table(lines, [first, *map(column, maps)])


def localization_report(result: Mapping, shown: Sequence[Picture] = ()) -> str:
    """The HTML page of an evaluation.

    Args:
        result: what the evaluation found: ``title``; ``dataset``; ``rows``, one for each method,
            see `localization_table`, the LAST being the one that the report is about and the
            others what it is compared with (see `cross_table` for what more is shown where
            localizers meet kinds of maps); and, where there is any, ``sanity`` (``top1``,
            ``top5`` in percent, ``images``), ``skipped`` (``id`` and ``reason`` each), ``counts``
            and ``seconds`` (numbers by name), ``configuration`` and ``versions``.
        shown: images with their boxes, maps, segmentations and guesses, of that method.

    Returns:
        A self-contained HTML5 document.

    Raises:
        ValueError: without rows.
    """
    rows = result["rows"]
    if not rows:
        raise ValueError("A localization report needs the row of at least one method; received 0.")
    sections = [
        html.Section("", _headline(rows)),
        *_boxes(shown),
        *_maps(shown),
        *_cuts(shown),
        *_guesses(shown),
        *_by_class(rows[-1]),
        html.Section("How it was measured", _method(result)),
    ]
    return html.page(result["title"], sections, lead=f"Measured on {result['dataset']}.")


def picture_grid(shown: Sequence[Picture], columns: int = 6) -> np.ndarray:
    """The boxes as one image, like the paper's Figure 1; ``(H, W, 3)`` uint8 RGB."""
    tiles = [_with_boxes(item, pictures.fit_within(item.image, _SIDE)) for item in shown]
    # The number first: long captions are cut off.
    captions = [": ".join(filter(None, (_overlap(item), item.caption))) for item in shown]
    return pictures.grid(tiles, columns, captions)


def _headline(rows: Sequence[Mapping]) -> list[html.Block]:
    main, others = rows[-1], rows[:-1]
    last = len(rows) - 1
    value = tables.number(main["corloc"])
    chart = [html.Bar(row["method"], row["corloc"], row["interval"]) for row in rows]
    return [
        html.headline(value if main["corloc"] is None else f"{value}%", _sentence(main, others)),
        html.bars(chart, strong_row=last),
        html.table(localization_table(rows), strong_row=last),
        html.paragraph(
            "CorLoc is the percentage of images whose predicted box overlaps a true box of the "
            "image's class with an intersection over union (IoU) of at least 0.5. Whiskers and "
            "brackets are 95% intervals: how far images like these let the number be known."
        ),
        *_more_columns(rows),
        *_crossed(rows),
    ]


def _more_columns(rows: Sequence[Mapping]) -> list[html.Block]:
    texts = {
        "top1_error": "The localization error is the one of ILSVRC: the percentage of images for "
        "which the first guess (top-1), or each of the first five (top-5), names another class or "
        "has a box whose IoU with every true box of the class is below 0.5. The classification "
        "error asks for the class alone; what the localization error adds to it is lost to the "
        "box.",
        "seconds_per_image": "Time is that from the pixels of one image to its box.",
    }
    return [html.paragraph(text) for key, text in texts.items() if _is_known(key, rows)]


def _crossed(rows: Sequence[Mapping]) -> list[html.Block]:
    table = cross_table(rows)
    if table is None:
        return []
    return [html.paragraph("CorLoc of each localizer on each kind of map:"), html.table(table)]


def _sentence(main: Mapping, others: Sequence[Mapping]) -> str:
    if main["corloc"] is None:
        return f"CorLoc of {main['method']}: no image with a true box was scored."
    low, high = main["interval"]
    text = (
        f"CorLoc of {main['method']}, on {_count(main['images'], 'image')} "
        f"(95% interval {tables.number(low)} to {tables.number(high)})."
    )
    measured = [row for row in others if row["corloc"] is not None]
    if not measured:
        return text
    rival = max(measured, key=lambda row: row["corloc"])
    gain = main["corloc"] - rival["corloc"]
    return (
        f"{text} {tables.number(abs(gain))} points {'above' if gain >= 0 else 'below'} "
        f"{rival['method']} ({tables.number(rival['corloc'])}%)."
    )


def _boxes(shown: Sequence[Picture]) -> list[html.Section]:
    if not shown:
        return []
    key = html.legend(
        [("true box", pictures.TRUTH, "solid"), ("predicted box", pictures.PREDICTION, "dashed")]
    )
    figures = []
    for item in shown:
        picture = _with_boxes(item, pictures.fit_within(item.image, _SIDE))
        figures.append(
            html.figure([(pictures.encode_jpeg(picture), _alt(item))], item.caption, _overlap(item))
        )
    return [html.Section("Boxes", [key, html.gallery(figures)])]


def _maps(shown: Sequence[Picture]) -> list[html.Section]:
    figures = []
    for item in shown:
        if item.map is None or item.cut is not None:  # a cut shows its map itself
            continue
        image = pictures.fit_within(item.image, _SIDE)
        laid_over = _with_boxes(item, pictures.overlay(image, item.map))
        frames = [
            (pictures.encode_jpeg(image), f"{item.caption}: the image"),
            (pictures.encode_jpeg(laid_over), f"{item.caption}: sensitivity map with boxes"),
        ]
        figures.append(html.figure(frames, item.caption, _overlap(item)))
    if not figures:
        return []
    text = html.paragraph(
        "What the boxes were read from: how strongly each place of the image sways the score of "
        "the class. Bright is strong; each map has its own scale."
    )
    return [html.Section("Sensitivity maps", [text, html.gallery(figures, wide=True)])]


def _cuts(shown: Sequence[Picture]) -> list[html.Section]:
    figures = [_cut_figure(item, item.cut) for item in shown if item.cut is not None]
    if not figures:
        return []
    seeded = any(item.cut is not None and item.cut.seeds is not None for item in shown)
    seeds = (
        "the pixels that the colour models of object and background were fitted to; the "
        "segmentation by these models"
    )
    text = html.paragraph(
        "From left to right: the image; how strongly each place of it sways the score of the "
        f"class, bright is strong; {seeds if seeded else 'the segmentation'}, with the box around "
        "it."
    )
    entries = [
        ("foreground model", pictures.FOREGROUND_SEED, "filled"),
        ("background model", pictures.BACKGROUND_SEED, "filled"),
        ("not used for either", pictures.UNUSED_SEED, "filled"),
    ]
    key = [html.legend(entries)] if seeded else []
    return [html.Section("From map to segmentation", [text, *key, *figures])]


def _cut_figure(item: Picture, cut: Cut) -> html.Block:
    image = pictures.fit_within(item.image, _SIDE)
    panels = [(image, "the image")]
    if item.map is not None:
        panels.append((pictures.overlay(image, item.map), "sensitivity map"))
    if cut.seeds is not None:
        panels.append((pictures.draw_seeds(image, cut.seeds), "seeds of the colour models"))
    panels.append((pictures.draw_mask(image, cut.mask, cut.box), "segmentation with its box"))
    frames = [(pictures.encode_jpeg(panel), f"{item.caption}: {what}") for panel, what in panels]
    return html.figure(frames, item.caption, _overlap(item))


def _guesses(shown: Sequence[Picture]) -> list[html.Section]:
    guessed = [item for item in shown if item.guesses]
    if not guessed:
        return []
    most = max(len(item.guesses) for item in guessed)
    words = ("One guess", "Two guesses", "Three guesses", "Four guesses", "Five guesses")
    heading = words[most - 1] if most <= len(words) else f"{most} guesses"
    text = html.paragraph(
        "The classes with the highest scores, best first, each with its score before softmax and "
        "the box from its own map. Below each image stands its own label."
    )
    figures = [_guess_figure(item) for item in guessed]
    key = html.legend([("true box", pictures.TRUTH, "solid")])
    return [html.Section(heading, [text, key, html.gallery(figures, wide=True)])]


def _guess_figure(item: Picture) -> html.Block:
    image = pictures.fit_within(item.image, _SIDE)
    labels = [
        f"{rank} {_shortened(guess.name)} {guess.score:.1f}"
        for rank, guess in enumerate(item.guesses, start=1)
    ]
    picture = pictures.draw_labelled_boxes(
        pictures.draw_boxes(image, item.truth, pictures.TRUTH),
        [guess.box for guess in item.guesses],
        labels,
    )
    guesses = ", ".join(f"{guess.name} {guess.score:.1f}" for guess in item.guesses)
    alt = f"{item.caption}: boxes guessed for {guesses}"
    return html.figure([(pictures.encode_jpeg(picture), alt)], item.caption)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONG_NAME else f"{name[: _LONG_NAME - 3].rstrip()}..."


def _by_class(row: Mapping) -> list[html.Section]:
    classes = row.get("by_class") or []
    if not classes:
        return []
    element = html.table(tables.table(classes, _CLASS_COLUMNS))
    if len(classes) > _LONG:
        element = html.details(f"{_count(len(classes), 'class', 'classes')}", [element])
    return [html.Section("By class", [html.paragraph(f"CorLoc of {row['method']}."), element])]


def _method(result: Mapping) -> list[html.Block]:
    blocks = []
    if sanity := result.get("sanity"):
        blocks.append(
            html.paragraph(
                f"The classifier names {tables.number(sanity['top1'])}% of "
                f"{_count(sanity['images'], 'labelled image')} rightly (top-1), "
                f"{tables.number(sanity['top5'])}% within its first five guesses (top-5). "
                "Figures far below what it is known for would mean wrong preprocessing or a "
                "wrong order of classes."
            )
        )
    if skipped := result.get("skipped"):
        element = html.table(tables.table(skipped, _SKIPPED_COLUMNS))
        text = f"{_count(len(skipped), 'image')} could not be used"
        if len(skipped) > _LONG:
            blocks.append(html.details(text, [element]))
        else:
            blocks += [html.paragraph(f"{text}:"), element]
    else:
        blocks.append(html.paragraph("No image was skipped."))
    if unscored := result["rows"][-1].get("unscored"):
        text = f"{_count(unscored, 'image')} without a true box: not scored."
        blocks.append(html.paragraph(text))
    if counts := result.get("counts"):
        element = html.table(_numbers(counts, ("What", "Count"), 0))
        blocks.append(html.details("Counts", [element]))
    if seconds := result.get("seconds"):
        element = html.table(_numbers(seconds, ("Stage", "Seconds"), 1))
        blocks.append(html.details("Time taken", [element]))
    for key in ("configuration", "versions"):
        if value := result.get(key):
            blocks.append(html.details(key.capitalize(), [html.as_json(value)]))
    return blocks


def _numbers(numbers: Mapping[str, float], titles: tuple[str, str], digits: int) -> tables.Table:
    columns = (
        tables.Column(titles[0], lambda row: row["name"], is_number=False),
        tables.Column(titles[1], lambda row: tables.number(row["number"], digits)),
    )
    named = ({"name": name, "number": number} for name, number in numbers.items())
    return tables.table(named, columns)


def _is_known(key: str, rows: Sequence[Mapping]) -> bool:
    return any(row.get(key) is not None for row in rows)


def _milliseconds(row: Mapping) -> float | None:
    seconds = row.get("seconds_per_image")
    return None if seconds is None else 1000 * seconds


def _with_boxes(item: Picture, picture: np.ndarray) -> np.ndarray:
    return pictures.draw_comparison(picture, item.truth, item.predicted)


def _overlap(item: Picture) -> str:
    """The sign says in one glance, and without colours, whether the box counts as right."""
    if item.iou is None:
        return ""
    return f"{'✓' if item.iou >= 0.5 else '✗'} IoU {item.iou:.2f}"


def _alt(item: Picture) -> str:
    count = _count(len(item.truth), "true box", "true boxes")
    overlap = "" if item.iou is None else f", IoU {item.iou:.2f}"
    return f"{item.caption}: {count} and the predicted box{overlap}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{tables.number(number, 0)} {one if number == 1 else many or f'{one}s'}"
