"""The sections on a segmenter's errors say what the analysis has found."""

import json

import numpy as np
import pytest
from test_html import assert_self_contained

from sensmap import segmentation_analysis
from sensmap.report import html, segmentation_anatomy
from sensmap.segmentation_analysis import CATEGORIES

# A hundred pixels each by true and predicted class: a cat in a fifth of the image that is found,
# one of which a quarter is, one that is not; and a cat and a dog, swapped.
CONFUSIONS = [
    np.array([[80, 0, 0], [0, 20, 0], [0, 0, 0]]),
    np.array([[40, 0, 0], [45, 15, 0], [0, 0, 0]]),
    np.array([[80, 0, 0], [20, 0, 0], [0, 0, 0]]),
    np.array([[20, 0, 0], [0, 10, 30], [0, 30, 10]]),
]
IDS = ["found.jpg", "part.jpg", "<i>missed</i>", "swapped.jpg"]


def _analysis(worst=6):
    return segmentation_analysis.analyse(CONFUSIONS, IDS, worst=worst)


def _page(found):
    return assert_self_contained(html.page("T", segmentation_anatomy.sections(found)))


def test_the_page():
    page = _page(_analysis())
    text = page.text.replace("\n", "")
    assert "Of 4 images 1 (25.0%) are good." in text
    assert "most: class missed (25.0%), too small (25.0%), classes confused (25.0%)." in text
    for category in CATEGORIES:
        assert category.meaning in text
    assert "Class missed125.0Class invented00.0" in text
    # Of their own 100, 35.6 (40/85 and 15/60), 40 and 100/3 + 2 · 10/70 · 100/3; foreground 100,
    # 25, 0 and 100.
    mean = (100 + 50 * (40 / 85 + 15 / 60) + 40 + 100 / 3 * (1 + 2 * 10 / 70)) / 4
    assert f"own mean IoU {mean:.1f}%, foreground IoU 56.2%." in text
    assert "10 to 25% (2 images)70.0" in text
    assert "2 classes142.9 [42.9, 42.9]100.0" in text
    labels = [each["aria-label"] for each in page.all("svg") if each.get("class") == "chart"]
    assert labels[0].startswith("Number of images by mean IoU. 0.0 and above: 0, 0.1 and above: 0")
    assert labels[1].startswith("Number of images by foreground IoU. 0.0 and above: 1,")
    assert labels[1].endswith("0.9 and above: 2.")


def test_a_table_of_groups():
    rows = segmentation_anatomy.group_table(_analysis()["by_count"], "Classes").rows
    assert rows[0] == ("no class", "0", "–", "–")
    assert rows[1][:2] == ("1 class", "3")
    assert rows[2] == ("2 classes", "1", "42.9 [42.9, 42.9]", "100.0")


def test_the_sections_survive_json():
    found = _analysis()
    stored = json.loads(json.dumps(found))
    assert segmentation_anatomy.sections(stored) == segmentation_anatomy.sections(found)


@pytest.mark.parametrize("found", [None, segmentation_analysis.analyse([], [])], ids=["none", "0"])
def test_without_analysis_there_are_no_sections(found):
    assert segmentation_anatomy.sections(found) == []
