"""The measures of a segmentation: tables of them, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensmap.report import _record, measures, tables


def _milliseconds(row: Mapping) -> str:
    seconds = row["seconds_per_image"]
    return tables.number(None if seconds is None else 1000 * seconds, 0)


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
    tables.Column("Time (ms/image)", _milliseconds),
)

MEAN = (
    "Mean IoU is the mean over the classes, background included, of the pixels that truth and mask "
    "give to the class, divided by those that either gives to it. Pixel accuracy is the share of "
    "pixels of the right class. CorLoc is the percentage of images in which the box around the "
    "largest part of the mask of the image's first class has an IoU of at least 0.5 with a true "
    "box of it. Time is the median from an image's pixels to its mask. Whiskers and brackets are "
    "95% intervals: how far images like these let the number be known."
)


def segmentation_table(rows: Sequence[Mapping]) -> tables.Table:
    """A line for each kind of masks.

    Args:
        rows: each with ``method``, what `sensmap.metrics.mean_iou` gives, ``localization``, what
            `sensmap.metrics.corloc` gives, and ``seconds_per_image``, None where that is nothing.

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
    """The IoU of each class, a line each, a column for each kind of masks, the baselines' last.

    Args:
        rows: see `segmentation_table`; of the same classes.
    """
    # A phone shows the first columns only.
    rows = sorted(rows, key=measures.is_baseline)

    def column(position: int) -> tables.Column:
        title = f"IoU (%), {_record.lowered(rows[position]['method'])}"
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


def sentence(result: Mapping) -> str:
    """What was found for the last row, beside the other masks and the best baseline.

    Args:
        result: ``maps``, the map method with its ``name``, and ``rows``, see `segmentation_table`;
            ``group`` is "baseline" for those that need no map.

    >>> main = {"method": "With CRF", "mean_iou": 44.1, "interval": [40.2, 48.0], "images": 1449}
    >>> rows = [{"method": "Background only", "mean_iou": 3.5, "group": "baseline"}, main]
    >>> print(sentence({"maps": {"name": "dcsm"}, "rows": rows}))
    mean IoU of the masks by dcsm, with CRF, on 1,449 images (95% interval 40.2 to 48.0).
    40.6 points above the best baseline, background only (3.5%).
    """
    *others, main = result["rows"]
    about = f"mean IoU of the masks by {result['maps']['name']}, {_record.lowered(main['method'])}"
    if main["mean_iou"] is None:
        return f"{about}: no pixel was scored."
    low, high = main["interval"]
    text = (
        f"{about}, on {_record.count(main['images'], 'image')} "
        f"(95% interval {tables.number(low)} to {tables.number(high)})."
    )
    baselines = [row for row in others if measures.is_baseline(row)]
    rivals = [("those ", row) for row in others if not measures.is_baseline(row)]
    if baselines:
        best = max(baselines, key=lambda row: row["mean_iou"])
        rivals.append(("the best baseline, ", best))
    if not rivals:
        return text
    gains = []
    for called, row in rivals:
        gain = main["mean_iou"] - row["mean_iou"]
        gains.append(
            f"{tables.number(abs(gain))} points {'above' if gain >= 0 else 'below'} {called}"
            f"{_record.lowered(row['method'])} ({tables.number(row['mean_iou'])}%)"
        )
    return f"{text} {', '.join(gains)}."


def background_sentences(background: Mapping) -> list[str]:
    """How much the background counts, how that was chosen, and how large the centred object is.

    Args:
        background: ``weight``; ``ellipse``, the axes of the centred object as a share of the
            image's sides, where there is one; and ``chosen_on``, the images, None or nothing where
            the weight was given.

    >>> print(*background_sentences({"weight": 1.0, "ellipse": 0.5}), sep="\\n")
    The background's score has the weight 1, as given.
    The centred object is the first class that is looked for, in an ellipse in the middle of the
    image with axes of 0.50 of its sides, which is a constant.
    """
    chosen = background.get("chosen_on")
    how, area = "as given", "which is a constant"
    if chosen:
        images = f"{_record.count(chosen['images'], 'image')} of {chosen['dataset']}"
        how = f"chosen by the mean IoU without CRF on {images}"
        area = "which is the mean area of the objects of an image there"
    texts = [f"The background's score has the weight {background['weight']:g}, {how}."]
    if sides := background.get("ellipse"):
        texts.append(
            "The centred object is the first class that is looked for, in an ellipse in the "
            f"middle of the image with axes of {tables.number(sides, 2)} of its sides, {area}."
        )
    return texts


def unscored_sentence(result: Mapping) -> str:
    """Which images are not in CorLoc; empty where all are."""
    unscored = result["rows"][-1]["localization"].get("unscored")
    if not unscored:
        return ""
    return f"{_record.count(unscored, 'image')} without a true box: not in CorLoc."
