"""The report of a segmentation as text holds the numbers of the page."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_segmentation_anatomy import CONFUSIONS, IDS
from test_segmentation_report import RESULT, _row

from sensmap import segmentation_analysis
from sensmap.report.markdown import segmentation_text

FULL = RESULT | {
    "rows": [_row("Background only", 0) | {"group": "baseline"}, *RESULT["rows"]],
    "analysis": segmentation_analysis.analyse(CONFUSIONS, IDS),
    "background": {"weight": 0.7, "ellipse": 0.5},
    "skipped": [{"id": "0017", "reason": "a|b"}],
    "counts": {"degenerate maps": 1234},
    "seconds": {"CRF": 12.34},
    "data": {"dataset": "made, val", "images": 4, "ids_sha256": "0a1b"},
    "configuration": {"seed": 17},
    "versions": {"tensorflow": "2.21.0"},
}


def test_everything():
    text = segmentation_text(FULL)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Segmentation of made",
        "## Where it fails",
        "## By size of the objects and number of classes",
        *("### Share of the image", "### Number of classes"),
        "## Image by image",
        *("### Mean IoU", "### Foreground IoU"),
        "## By class",
        "## How it was measured",
        *("### Images skipped", "### Counts", "### Time taken", "### Images used"),
        *("### Maps", "### Background", "### Configuration", "### Versions"),
    ]
    for line in (
        "Measured on made, val.",
        "77.5% mean IoU of the masks by dcsm, with CRF, on 4 images",
        "the best baseline, background only (25.0%).",
        "Of 4 images 1 (25.0%) are good.",
        "- **Class missed.** A class that the image has is not given a single pixel.",
        "| Class missed | 1 | 25.0 |",
        r"- Class missed: \<i>missed\</i> (0.40)",
        "| 10 to 25% | 2 | 70.0",
        "| 2 classes | 1 | 42.9 [42.9, 42.9] | 100.0 |",
        "| 0.9 to 1.0 | 2 |",
        r"| \<b>dog\</b> | 0 | – | – | – |",
        "The background's score has the weight 0.7, as given.",
        "with axes of 0.50 of its sides, which is a constant.",
        r"| 0017 | a\|b |",
        "| CRF | 12.3 | 100.0 |",
        "| measuring | made, val | 4 | 0a1b |",
        '  "seed": 17',
    ):
        assert line in text
    assert text.endswith("\n")
    assert "\n\n\n" not in text


def test_the_least():
    text = segmentation_text(RESULT)
    assert "No image was skipped." in text
    assert "Where it fails" not in text
    nothing = segmentation_text(RESULT | {"rows": [_row("Without CRF", 0, images=0)]})
    assert "– mean IoU of the masks by dcsm, without CRF: no pixel was scored." in nothing


def test_a_text_survives_json():
    assert segmentation_text(json.loads(json.dumps(FULL))) == segmentation_text(FULL)


def test_a_text_needs_a_row():
    with pytest.raises(ValueError, match="needs a row of measures; received 0"):
        segmentation_text(FULL | {"rows": []})


@given(st.text(min_size=1))
def test_no_name_changes_the_structure(name):
    def starts(name):
        analysed = segmentation_analysis.analyse(CONFUSIONS, [name, *IDS[1:]])
        skipped = [{"id": name, "reason": name}]
        named = {"title": name, "dataset": name, "skipped": skipped, "analysis": analysed}
        lines = segmentation_text(FULL | named).split("\n")
        return [line[:1] if line[:1] in ("#", "|", "`") else "" for line in lines]

    assert starts(name) == starts("x")
