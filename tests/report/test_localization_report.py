"""The localization report says what was measured, and no more."""

import copy
import json

import numpy as np
import pytest
from test_html import assert_self_contained

from sensmap import analysis
from sensmap.metrics.corloc import CorLoc
from sensmap.metrics.localization_error import LocalizationError
from sensmap.report import tables
from sensmap.report.localization import (
    Cut,
    Guess,
    Picture,
    cross_table,
    localization_report,
    localization_table,
    picture_grid,
)


def _row(method, found, images=100, classes=3):
    """A row in which `found` of the images are located exactly and the others not at all."""
    metric = CorLoc([f"class {label}" for label in range(classes)])
    truth = np.array([0.0, 0.0, 0.5, 0.5])
    predicted = [truth if position < found else truth + 0.5 for position in range(images)]
    metric.update(predicted, [truth] * images, np.arange(images) % classes)
    return {"method": method, **metric.result()}


RESULT = {
    "title": "Digits & clutter",
    "dataset": "digits, test",
    "rows": [_row("centred box", 10), _row("mean box", 20), _row("linear regression", 85)],
    "sanity": {"top1": 91.3, "top5": 99.5, "images": 1600},
    "skipped": [{"id": "0017.jpg", "reason": "truncated or damaged JPEG"}],
    "counts": {"fitted on": 1200},
    "configuration": {"seed": 17},
    "versions": {"tensorflow": "2.21.0"},
    "seconds": {"maps": 12.34},
}


def _picture(**changes):
    noise = np.random.default_rng(0)
    values = {
        "image": noise.integers(0, 256, (30, 40, 3), np.uint8),
        "truth": np.array([[0.1, 0.1, 0.6, 0.6]], np.float32),
        "predicted": np.array([0.1, 0.1, 0.6, 0.5], np.float32),
        "caption": "seven",
        "iou": 0.8,
        "map": noise.random((7, 7)),
    }
    return Picture(**(values | changes))


def _report(shown=(), **changes):
    result = copy.deepcopy(RESULT) | changes
    return assert_self_contained(localization_report(result, shown))


def test_a_full_report():
    page = _report([_picture(), _picture(caption="<i>two</i>", iou=0.25)])
    assert "Digits & clutter" in page.text
    assert "Measured on digits, test." in page.text
    # 85 of 100: the binomial distribution's quantiles are 78 and 92.
    assert "85.0%CorLoc of linear regression, on 100 images (95% interval 78.0 to" in page.text
    assert "65.0 points above mean box (20.0%)." in page.text
    assert "91.3% of 1,600 labelled images rightly (top-1), 99.5% within" in page.text
    assert "1 image could not be used" in page.text
    assert "0017.jpgtruncated or damaged JPEG" in page.text
    assert '"seed": 17' in page.text
    assert '"tensorflow": "2.21.0"' in page.text
    assert "fitted on1,200" in page.text
    assert "maps12.3" in page.text
    for caption in ("seven✓ IoU 0.80", "<i>two</i>✗ IoU 0.25"):
        assert page.text.count(caption) == 2  # among the boxes, and among the maps
    alts = [image["alt"] for image in page.all("img")]
    assert len(alts) == 2 + 2 * 2
    assert alts[0] == "seven: 1 true box and the predicted box, IoU 0.80"


def test_the_least_report():
    page = assert_self_contained(
        localization_report({"title": "T", "dataset": "D", "rows": [_row("ours", 1, images=1)]})
    )
    assert "100.0%CorLoc of ours, on 1 image (95% interval 20.7 to 100.0)." in page.text
    assert "No image was skipped." in page.text
    assert "points" not in page.text
    assert page.all("img") == []


def test_the_last_row_is_what_the_report_is_about_even_if_it_is_worse():
    page = _report(rows=[_row("mean box", 60), _row("ours", 40)])
    assert "40.0%CorLoc of ours" in page.text
    assert "20.0 points below mean box (60.0%)." in page.text


def test_nothing_scored():
    page = _report(rows=[_row("mean box", 0, images=0), _row("ours", 0, images=0)])
    assert "–CorLoc of ours: no image with a true box was scored." in page.text


def test_images_without_a_true_box_are_told():
    page = _report(rows=[_row("ours", 5) | {"unscored": 3}])
    assert "3 images without a true box: not scored." in page.text


@pytest.mark.parametrize(("classes", "folded"), [(12, 0), (13, 1)])
def test_long_tables_are_folded_up(classes, folded):
    page = _report(rows=[_row("ours", 5, classes=classes)], skipped=[], configuration={})
    # Counts, seconds and versions are always folded up.
    assert page.tags().count("details") == 3 + folded
    assert f"class {classes - 1}" in page.text


def test_many_skipped_images_are_folded_up_and_all_named():
    skipped = [{"id": f"{number:04}.jpg", "reason": "empty"} for number in range(20)]
    page = _report(skipped=skipped)
    assert "20 images could not be used" in page.text
    assert "0019.jpgempty" in page.text


def test_pictures_without_map_or_true_box():
    page = _report([_picture(map=None, truth=np.zeros((0, 4)), iou=None)])
    assert [image["alt"] for image in page.all("img")] == [
        "seven: 0 true boxes and the predicted box"
    ]
    assert "Sensitivity maps" not in page.text


def test_a_flat_map_is_no_obstacle():
    assert len(_report([_picture(map=np.zeros((7, 7)))]).all("img")) == 3


def test_a_report_depends_on_its_input_alone():
    assert localization_report(RESULT, [_picture()]) == localization_report(RESULT, [_picture()])


def test_a_report_survives_json():
    stored = json.loads(json.dumps(RESULT, allow_nan=False))
    assert localization_report(stored) == localization_report(RESULT)


def test_a_report_needs_a_row():
    with pytest.raises(ValueError, match="at least one method; received 0"):
        _report(rows=[])


def test_table_one():
    rows = localization_table(RESULT["rows"]).rows
    assert rows[2] == ("linear regression", "85.0 [78.0, 92.0]", "85.0", "85.0", "0.850", "100")


def test_figure_one():
    sheet = picture_grid([_picture(), _picture(iou=None), _picture(caption="é")], columns=2)
    assert sheet.shape == (2 * (224 + 26 + 8) + 8, 2 * (224 + 8) + 8, 3)


def _cut():
    seeds, mask = np.zeros((6, 8), np.uint8), np.zeros((6, 8), bool)
    seeds[2:4], mask[2:4, 2:4] = 2, True
    return Cut(seeds, mask, np.array([0.25, 1 / 3, 0.5, 2 / 3], np.float32))


def test_the_way_from_map_to_segmentation():
    page = _report([_picture(cut=_cut()), _picture(caption="two")])
    assert page.text.count("From map to segmentation") == 1
    for meaning in ("foreground model", "background model", "not used for either"):
        assert meaning in page.text
    alts = [image["alt"] for image in page.all("img")]
    of_cut = ["the image", "sensitivity map", "seeds of the colour models"]
    assert alts[-4:] == [f"seven: {what}" for what in [*of_cut, "segmentation with its box"]]
    # Its map is not shown once more; the other picture's is.
    assert "Sensitivity maps" in page.text
    assert alts[2:4] == ["two: the image", "two: sensitivity map with boxes"]
    assert len(alts) == 2 + 2 + 4


def test_a_cut_without_its_map():
    alts = [image["alt"] for image in _report([_picture(cut=_cut(), map=None)]).all("img")]
    assert len(alts) == 1 + 3
    assert "seven: sensitivity map" not in alts


def test_a_cut_without_colour_models():
    page = _report([_picture(cut=_cut()._replace(seeds=None))])
    alts = [image["alt"] for image in page.all("img")]
    whats = ("the image", "sensitivity map", "segmentation with its box")
    assert alts[1:] == [f"seven: {what}" for what in whats]
    assert "bright is strong; the segmentation, with the box around it." in page.text
    assert "colour models" not in page.text
    assert "foreground model" not in page.text


def _guess(name, score=1.25):
    return Guess(name, score, np.array([0.2, 0.2, 0.7, 0.9], np.float32))


def test_guesses():
    long = "a name of a class that is quite long"
    page = _report([_picture(guesses=[_guess("goose", 12.345), _guess(long)]), _picture()])
    assert "Two guesses" in page.text
    alts = [image["alt"] for image in page.all("img")]
    assert alts[-1] == f"seven: boxes guessed for goose 12.3, {long} 1.2"
    assert len(alts) == 2 + 2 * 2 + 1


@pytest.mark.parametrize(
    ("counts", "heading"),
    [((1,), "One guess"), ((5,), "Five guesses"), ((2, 5, 1), "Five guesses"), ((7,), "7 guesses")],
)
def test_guesses_are_counted(counts, heading):
    page = _report([_picture(guesses=[_guess("goose")] * count) for count in counts])
    assert heading in page.text


def test_without_cuts_and_guesses_nothing_is_said_of_them():
    page = _report([_picture()])
    assert "segmentation" not in page.text
    assert "uess" not in page.text.replace("first five guesses (top-5)", "")


def _error_row(method, guesses=5):
    """Half of four images are named rightly, and half of those located."""
    metric = LocalizationError()
    whole, corner = [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.1, 0.1]
    boxes = [[box] * guesses for box in (whole, corner, whole, whole)]
    metric.update(boxes, [[1] * guesses] * 4, [[whole]] * 4, [1, 1, 2, 2])
    return _row(method, 5) | metric.result()


def test_columns_appear_where_some_row_has_them():
    plain = localization_table(RESULT["rows"])
    rows = [_row("mean box", 20), _error_row("ours") | {"seconds_per_image": 0.0567}]
    table = localization_table(rows)
    assert table.titles == (
        *plain.titles,
        "Top-1 localization error (%)",
        "Top-5 localization error (%)",
        "Top-1 classification error (%)",
        "Top-5 classification error (%)",
        "Time (ms/image)",
    )
    # Three of four: the interval as in the tests of the metric.
    error = "75.0 [25.0, 100.0]"
    assert table.rows[0][6:] == ("–",) * 5
    assert table.rows[1][6:] == (error, error, "50.0", "50.0", "56.7")


def test_the_best_of_fewer_than_five_guesses_has_no_column():
    titles = localization_table([_error_row("ours", guesses=2)]).titles
    assert "Top-1 localization error (%)" in titles
    assert not [title for title in titles if "Top-5" in title]


@pytest.mark.parametrize(
    ("row", "errors", "time"),
    [
        (_row("ours", 5), False, False),
        (_error_row("ours"), True, False),
        (_row("ours", 5) | {"seconds_per_image": 0.1}, False, True),
    ],
    ids=["neither", "errors", "time"],
)
def test_what_columns_mean_is_said_where_they_are(row, errors, time):
    text = _report(rows=[_row("mean box", 20), row]).text
    assert ("lost to the box" in text) == errors
    assert ("from the pixels of one image" in text) == time


def _crossed(*pairs):
    return [
        _row(f"{localizer} on {maps}", found) | {"localizer": localizer, "maps": maps}
        for localizer, maps, found in pairs
    ]


def test_localizers_by_kinds_of_maps():
    rows = [
        _row("centred box", 10),
        *_crossed(("linear", "gradient", 60), ("linear", "CAM", 50), ("cut", "gradient", 70)),
    ]
    table = cross_table(rows)
    assert table == tables.Table(
        titles=("CorLoc (%)", "gradient", "CAM"),
        rows=(("linear", "60.0", "50.0"), ("cut", "70.0", "–")),
        are_numbers=(False, True, True),
    )
    page = _report(rows=rows)
    assert "CorLoc of each localizer on each kind of map" in page.text
    assert page.tags().count("table") == _report(rows=rows[:2]).tags().count("table") + 1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        RESULT["rows"],
        _crossed(("linear", "gradient", 60), ("linear", "CAM", 50)),
        _crossed(("linear", "gradient", 60), ("cut", "gradient", 50)),
        _crossed(("linear", "gradient", 60), ("cut", "CAM", 50)),
        _crossed(*[(name, maps, 5) for name in "ab" for maps in ("CAM", "gradient")] * 2),
    ],
    ids=["nothing", "no names", "one localizer", "one kind", "nothing shared", "two for one cell"],
)
def test_rows_that_form_no_such_table(rows):
    assert cross_table(rows) is None


def test_baselines_are_set_apart():
    rows = [_row("mean box", 20) | {"group": "baseline"}, _row("other", 60), _row("ours", 50)]
    page = _report(rows=rows)
    assert "30.0 points above the best baseline, mean box (20.0%)." in page.text
    assert "Hollow bars are baselines." in page.text
    styles = [each["class"] for each in page.all("rect")]
    assert styles[:6] == ["track", "bar hollow", "track", "bar", "track", "bar"]
    assert "baseline" not in _report(rows=rows[1:]).text


@pytest.mark.parametrize(("count", "folded"), [(2, False), (3, True)])
def test_many_explanations_are_folded_up(count, folded):
    measures = dict.fromkeys(["gt_known", "max_box_acc", "pxap"][:count], 50.0)
    page = _report(rows=[_row("ours", 5) | measures])
    assert ("The other columns" in page.text) == folded
    assert "GT-known localization is the percentage" in page.text


def _analysis(images=4):
    """Boxes on a quarter of the whole that is true."""
    whole = np.array([[0, 0, 1, 1]])
    ids = [f"{number:04}.jpg" for number in range(images)]
    return analysis.analyse(whole.repeat(images, axis=0) / 4, [whole] * images, ids)


def test_errors_come_before_other_pictures():
    worst = {"part": [_picture(caption="worst")]}
    source = localization_report(RESULT | {"analysis": _analysis()}, [_picture()], worst)
    page = assert_self_contained(source)
    headings = ["Where it fails", "By size and", "IoU and area", "The worst of each kind", "Boxes"]
    places = [source.index(f"<h2>{heading}") for heading in headings]
    assert places == sorted(places)
    assert [image["alt"].partition(":")[0] for image in page.all("img")] == (
        ["worst"] * 2 + ["seven"] * 3
    )


def test_the_learning_curve_has_a_section():
    curve = [
        {
            "method": "ours",
            "boxes_per_class": 5,
            "images": 50.0,
            "corloc": 60.0,
            "interval": [55.0, 65.0],
            "repeats": 5,
        }
    ]
    assert "How many boxes it needs" in _report(learning_curve=curve).text
    assert "How many boxes it needs" not in _report().text
