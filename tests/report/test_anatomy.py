"""The sections on errors say what the analysis has found, in words, numbers and pictures."""

import json

import numpy as np
import pytest
from test_html import assert_self_contained

from sensmap import analysis
from sensmap.report import anatomy, html
from sensmap.report.figures import Picture

WHOLE, QUARTER, CORNER = [0, 0, 1, 1], [0, 0, 0.25, 1], [0.75, 0.75, 1, 1]
# Right, on a part twice, too large, missed.
BOXES = [WHOLE, QUARTER, QUARTER, WHOLE, QUARTER]
TRUTHS = [[WHOLE], [WHOLE], [WHOLE], [QUARTER], [CORNER]]
IDS = ["right.jpg", "part_1.jpg", "<i>part_2</i>", "large.jpg", "missed.jpg"]


def _analysis(named=None):
    return analysis.analyse(BOXES, TRUTHS, IDS, named)


def _page(found, worst=()):
    return assert_self_contained(html.page("T", anatomy.sections(found, dict(worst))))


def _picture(caption, **changes):
    noise = np.random.default_rng(0)
    values = {
        "image": noise.integers(0, 256, (30, 40, 3), np.uint8),
        "truth": np.array([WHOLE], np.float32),
        "predicted": np.array(QUARTER, np.float32),
        "caption": caption,
        "iou": 0.25,
        "map": noise.random((7, 7)),
    }
    return Picture(**(values | changes))


def test_the_page():
    page = _page(_analysis())
    text = page.text.replace("\n", "")
    assert "Of 5 images 1 (20.0%) are right." in text
    assert "most: on a part (40.0%), too large (20.0%), missed (20.0%)." in text
    for category in analysis.BOX_CATEGORIES:
        assert category.meaning in text
    assert "On a part240.0" in text
    assert "first guess is another class" not in text
    # A corner of a sixteenth, a quarter, and three times the whole.
    for line in ("below 10%10.0", "25 to 50%10.0", "75% and more333.3"):
        assert line in text
    assert "1 object520.0" in text
    assert "0.2 to 0.33" in text
    labels = [each["aria-label"] for each in page.all("svg") if each.get("class") == "chart"]
    assert labels[0].startswith("Number of images by IoU. 0.0 and above: 1, 0.1 and above: 0, 0.2")
    assert labels[0].endswith("0.9 and above: 1.")
    assert "Mean true area 0.69 at 0.25, 0.62 at 1.00." in labels[1]


def test_classes_have_columns_of_their_own():
    page = _page(_analysis([False, True, True, True, False]))
    text = page.text.replace("\n", "")
    assert "Of 5 images 0 (0.0%) are right." in text
    assert "Of the 2 images of another class 1 have a box that is right all the same." in text
    assert "Another class240.0––" in text
    assert "Missed00.0120.0" in text


def test_all_right():
    found = analysis.analyse([WHOLE], [[WHOLE]], ["a"])
    assert anatomy.error_sentence(found) == "Of 1 image 1 (100.0%) are right."


def test_the_page_survives_json():
    stored = json.loads(json.dumps(_analysis([True] * 5)))
    blocks = [anatomy.sections(found, {}) for found in (stored, _analysis([True] * 5))]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("found", [None, analysis.analyse([], [], [])], ids=["none", "no images"])
def test_without_analysis_there_are_no_sections(found):
    assert anatomy.sections(found, {}) == []


def test_pictures_of_errors():
    worst = {
        "right": [_picture("ok", iou=0.5)],
        "missed": [],
        "part": [_picture("<b>cat</b>"), _picture("dog", map=None)],
    }
    page = _page(None, worst)
    alts = [image["alt"] for image in page.all("img")]
    assert alts == [
        "<b>cat</b>: 1 true box and the predicted box, IoU 0.25",
        "<b>cat</b>: sensitivity map with boxes",
        "dog: 1 true box and the predicted box, IoU 0.25",
        "ok: 1 true box and the predicted box, IoU 0.50",
        "ok: sensitivity map with boxes",
    ]
    assert page.text.index("On a part") < page.text.index("Right, but barely")
    assert "Missed" not in page.text
    assert "dog✗ IoU 0.25" in page.text


def test_kinds_without_pictures_have_no_section():
    assert anatomy.sections(None, {"part": []}) == []


def test_pictures_of_an_unknown_kind():
    with pytest.raises(ValueError, match="no kind of error 'wrong'; the kinds are right, class, s"):
        anatomy.sections(None, {"wrong": []})


def test_empty_bins_of_areas_are_left_out():
    rows = anatomy.area_table(_analysis()["areas"]).rows
    assert rows == (
        # Of the quarters the true boxes are whole, whole and a sixteenth.
        ("0.2 to 0.3", "3", "0.250", "0.688"),
        ("0.9 to 1.0", "2", "1.000", "0.625"),
    )
