"""Sentences on a segmentation, with the numbers that they need and no others."""

import pytest

from sensmap.report import segmentation_measures


def _row(method, mean_iou, **changes):
    interval = None if mean_iou is None else [mean_iou - 5, mean_iou + 5]
    found = {"method": method, "mean_iou": mean_iou, "interval": interval, "images": 7}
    return found | {"localization": {"corloc": 50.0, "interval": [40.0, 60.0]}} | changes


EMPTY = _row("Background only", 10.0, group="baseline")
CENTRED = _row("Centred object", 22.5, group="baseline")
PLAIN = _row("Without CRF", 31.0)


def _sentence(*rows):
    return segmentation_measures.sentence({"maps": {"name": "dcsm"}, "rows": rows})


def test_with_all_rows_the_best_baseline_counts():
    assert _sentence(CENTRED, EMPTY, PLAIN, _row("With CRF", 30.0)) == (
        "mean IoU of the masks by dcsm, with CRF, on 7 images (95% interval 25.0 to 35.0). "
        "1.0 points below those without CRF (31.0%), 7.5 points above the best baseline, centred "
        "object (22.5%)."
    )


@pytest.mark.parametrize(
    ("rows", "end"),
    [
        ([PLAIN], "(95% interval 26.0 to 36.0)."),
        ([EMPTY, PLAIN], "21.0 points above the best baseline, background only (10.0%)."),
        ([PLAIN, _row("With CRF", 31.0)], "0.0 points above those without CRF (31.0%)."),
        (
            [_row("Background only", None, group="baseline"), _row("x", None)],
            "no pixel was scored.",
        ),
    ],
)
def test_what_there_is_nothing_to_compare_with(rows, end):
    assert _sentence(*rows).endswith(end)


def test_the_size_of_the_centred_object():
    chosen = {"images": 100, "dataset": "made, train"}
    texts = segmentation_measures.background_sentences(
        {"weight": 0.7, "ellipse": 0.613, "chosen_on": chosen}
    )
    assert texts[0].endswith(
        "has the weight 0.7, chosen by the mean IoU without CRF on 100 images of made, train."
    )
    assert texts[1].endswith(
        "with axes of 0.61 of its sides, which is the mean area of the objects of an image there."
    )
    (alone,) = segmentation_measures.background_sentences({"weight": 2.0})
    assert alone == "The background's score has the weight 2, as given."


def test_images_without_boxes():
    without = PLAIN | {"localization": {"unscored": 2}}
    assert segmentation_measures.unscored_sentence({"rows": [without]}) == (
        "2 images without a true box: not in CorLoc."
    )
    assert segmentation_measures.unscored_sentence({"rows": [PLAIN]}) == ""


def test_baselines_take_no_time():
    row = EMPTY | {"pixel_accuracy": 50.0, "seconds_per_image": None}
    table = segmentation_measures.segmentation_table([row, row | {"seconds_per_image": 0.25}])
    assert [cells[-1] for cells in table.rows] == ["–", "250"]
