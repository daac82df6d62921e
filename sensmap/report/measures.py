"""The measures of a localization: tables of them, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensmap.report import _record, tables


def _percent(title: str, key: str) -> tables.Column:
    """Of a percentage and, where there is one, its interval."""
    return tables.Column(
        title, lambda row: tables.with_interval(row.get(key), row.get(f"{key}_interval"))
    )


def _milliseconds(row: Mapping) -> float | None:
    seconds = row.get("seconds_per_image")
    return None if seconds is None else 1000 * seconds


_METHOD = tables.Column("Method", lambda row: row["method"], is_number=False)
_CORLOC = tables.Column(
    "CorLoc (%) [95% interval]",
    lambda row: tables.with_interval(row["corloc"], row["interval"]),
)
_COLUMNS = (
    tables.Column("at IoU 0.3", lambda row: tables.number(row["corloc_30"])),
    tables.Column("at IoU 0.7", lambda row: tables.number(row["corloc_70"])),
    tables.Column("Mean IoU", lambda row: tables.number(row["mean_iou"], 3)),
    tables.Column("Images", lambda row: tables.number(row["images"], 0)),
)

# Beside CorLoc, where some row has it: the two differ in one word and should be read together.
_ORACLE = {"corloc_oracle": _percent("CorLoc (%, oracle threshold)", "corloc_oracle")}

# Shown where some row has a value under the key.
_OPTIONAL_COLUMNS = {
    "gt_known": _percent("GT-known localization (%)", "gt_known"),
    "voc_corloc": _percent("CorLoc by VOC, mean over classes (%)", "voc_corloc"),
    "max_box_acc": _percent("MaxBoxAcc (%, oracle threshold)", "max_box_acc"),
    "max_box_acc_transferred": _percent(
        "MaxBoxAcc (%, transferred threshold)", "max_box_acc_transferred"
    ),
    "max_box_acc_v2": _percent("MaxBoxAccV2 (%, oracle threshold)", "max_box_acc_v2"),
    "max_box_acc_v2_transferred": _percent(
        "MaxBoxAccV2 (%, transferred threshold)", "max_box_acc_v2_transferred"
    ),
    "pxap": _percent("PxAP (%)", "pxap"),
    "pointing_game": _percent("Pointing game (%)", "pointing_game"),
    "pointing_game_difficult": _percent("Pointing game, difficult (%)", "pointing_game_difficult"),
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

# The same for a terminal, as many as fit there; the rest stands in the files.
_BRIEF_COLUMNS = {
    "corloc_oracle": tables.Column("Oracle", lambda row: tables.number(row.get("corloc_oracle"))),
    "max_box_acc": tables.Column("MaxBoxAcc", lambda row: tables.number(row.get("max_box_acc"))),
    "max_box_acc_v2": tables.Column("V2", lambda row: tables.number(row.get("max_box_acc_v2"))),
    "top1_error": tables.Column(
        "Top-1 localization error", lambda row: tables.number(row.get("top1_error"))
    ),
    "top5_error": tables.Column("Top-5", lambda row: tables.number(row.get("top5_error"))),
    "seconds_per_image": tables.Column("ms/image", lambda row: tables.number(_milliseconds(row))),
}

# Said where some row has a value under the key.
_MEANINGS = {
    "corloc_oracle": "Where a threshold makes the box, it was chosen on other images than the "
    "scored ones. With the oracle threshold it was chosen on the scored images themselves: no "
    "measure of what the method does on new images, but of what a better threshold could still "
    "gain.",
    "gt_known": "GT-known localization is the percentage of images whose box for the true class, "
    "whatever the classifier says, has an IoU of at least 0.5 with a true box.",
    "voc_corloc": "CorLoc by VOC (Deselaers et al. 2012) counts boxes in whole pixels, as VOC "
    "does, takes the percentage in each class and averages the classes: a rare class weighs as "
    "much as a frequent one.",
    "max_box_acc": "MaxBoxAcc (Choe et al. 2020) is the percentage of images for which the box "
    "around some part of the map above a threshold has an IoU of at least 0.5 with a true box, at "
    "the best of all thresholds; their convention for pixels is another than CorLoc's. By the "
    "protocol the threshold is the best on the scored images: an oracle, which no method has on "
    "new images. Methods that give one box have no threshold, and that box is scored.",
    "max_box_acc_transferred": "With the transferred threshold MaxBoxAcc is taken at the "
    "threshold that was best on other images.",
    "max_box_acc_v2": "MaxBoxAccV2 is the mean of that at IoU 0.3, 0.5 and 0.7, each at its own "
    "best threshold on the scored images.",
    "max_box_acc_v2_transferred": "With the transferred thresholds MaxBoxAccV2 is taken at those "
    "that were best on other images.",
    "pxap": "PxAP is the area under the curve of precision and recall of the map's pixels, of all "
    "images together, over all thresholds; truth is the mask of the object.",
    "pointing_game": "The pointing game asks whether the largest value of the map lies less than "
    "15 pixels from an object of the class; difficult are the images of which the class's objects "
    "cover less than a quarter and that show another class too.",
    "top1_error": "The localization error is the one of ILSVRC: the percentage of images for "
    "which the first guess (top-1), or each of the first five (top-5), names another class or "
    "has a box whose IoU with every true box of the class is below 0.5. The classification "
    "error asks for the class alone; what the localization error adds to it is lost to the "
    "box.",
    "seconds_per_image": "Time is that from the pixels of one image to its box.",
}

CORLOC_MEANS = (
    "CorLoc is the percentage of images whose predicted box overlaps a true box of the "
    "image's class with an intersection over union (IoU) of at least 0.5. Whiskers and "
    "brackets are 95% intervals: how far images like these let the number be known."
)


def localization_table(rows: Sequence[Mapping]) -> tables.Table:
    """The paper's Table 1 with what else CorLoc's result holds, a line for each method.

    Args:
        rows: each with ``method`` and what `sensmap.metrics.corloc` gives. Columns are added for
            what some row has of: what `sensmap.metrics.localization_error` gives;
            ``seconds_per_image``; and in percent, each with its ``…_interval`` where there is
            one, ``max_box_acc`` and ``max_box_acc_v2``, the thresholds chosen on the scored
            images, ``max_box_acc_transferred`` and ``max_box_acc_v2_transferred``, chosen on
            others, ``corloc_oracle``, CorLoc with the threshold chosen on the scored images,
            ``gt_known``, ``voc_corloc``, ``pxap`` and ``pointing_game``.

    >>> row = {"method": "centre box", "corloc": 50.0, "interval": [40.4, 59.6], "corloc_30": 80.0,
    ...        "corloc_70": 12.0, "mean_iou": 0.5, "images": 100}
    >>> print(tables.as_text(localization_table([row])))
    Method      CorLoc (%) [95% interval]  at IoU 0.3  at IoU 0.7  Mean IoU  Images
    ----------  -------------------------  ----------  ----------  --------  ------
    centre box          50.0 [40.4, 59.6]        80.0        12.0     0.500     100
    """
    beside, optional = (
        [column for key, column in columns.items() if _is_known(key, rows)]
        for columns in (_ORACLE, _OPTIONAL_COLUMNS)
    )
    return tables.table(rows, [_METHOD, _CORLOC, *beside, *_COLUMNS, *optional])


def brief_table(rows: Sequence[Mapping]) -> tables.Table:
    """What of `localization_table` fits a terminal.

    Args:
        rows: see there.

    >>> row = {"method": "CAM", "corloc": 50.0, "interval": [40.4, 59.6], "max_box_acc": 61.5}
    >>> print(tables.as_text(brief_table([row])))
    Method  CorLoc (%) [95% interval]  MaxBoxAcc
    ------  -------------------------  ---------
    CAM             50.0 [40.4, 59.6]       61.5
    """
    known = [column for key, column in _BRIEF_COLUMNS.items() if _is_known(key, rows)]
    return tables.table(rows, [_METHOD, _CORLOC, *known])


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


def class_table(classes: Sequence[Mapping]) -> tables.Table:
    """CorLoc of each class, as `sensmap.metrics.corloc` gives it under ``by_class``."""
    return tables.table(classes, _CLASS_COLUMNS)


def meanings(rows: Sequence[Mapping]) -> list[str]:
    """What the columns that these rows add to `localization_table` mean, a paragraph each."""
    return [text for key, text in _MEANINGS.items() if _is_known(key, rows)]


def sentence(rows: Sequence[Mapping]) -> str:
    """What was found for the last row, beside the best of the others.

    Where some rows are baselines (``group`` is "baseline"), it is the best of those.

    >>> row = {"method": "ours", "corloc": 70.0, "interval": [60.4, 78.1], "images": 100}
    >>> print(sentence([row | {"method": "centre box", "corloc": 50.0}, row]))
    CorLoc of ours, on 100 images (95% interval 60.4 to 78.1).
    20.0 points above centre box (50.0%).
    """
    main, others = rows[-1], rows[:-1]
    if main["corloc"] is None:
        return f"CorLoc of {main['method']}: no image with a true box was scored."
    low, high = main["interval"]
    text = (
        f"CorLoc of {main['method']}, on {_record.count(main['images'], 'image')} "
        f"(95% interval {tables.number(low)} to {tables.number(high)})."
    )
    baselines = [row for row in others if is_baseline(row)]
    measured = [row for row in baselines or others if row["corloc"] is not None]
    if not measured:
        return text
    rival = max(measured, key=lambda row: row["corloc"])
    gain = main["corloc"] - rival["corloc"]
    name = f"the best baseline, {rival['method']}" if baselines else rival["method"]
    return (
        f"{text} {tables.number(abs(gain))} points {'above' if gain >= 0 else 'below'} "
        f"{name} ({tables.number(rival['corloc'])}%)."
    )


def is_baseline(row: Mapping) -> bool:
    """Whether a row is there to be compared with only."""
    return row.get("group") == "baseline"


def _is_known(key: str, rows: Sequence[Mapping]) -> bool:
    return any(row.get(key) is not None for row in rows)
