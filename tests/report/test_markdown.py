"""The report as text holds the numbers of the page, and nothing that breaks Markdown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_anatomy import BOXES, IDS, TRUTHS

from sensmap import analysis
from sensmap.metrics.corloc import CorLoc
from sensmap.report.markdown import localization_text


def _row(method, **changes):
    metric = CorLoc(["cat", "dog"])
    metric.update(BOXES, TRUTHS, [0, 0, 0, 1, 1])
    return {"method": method, **metric.result(), **changes}


RESULT = {
    "title": "Boxes",
    "dataset": "digits, test",
    "rows": [_row("mean box", group="baseline"), _row("ours", pxap=41.0, unscored=2)],
    "analysis": analysis.analyse(BOXES, TRUTHS, IDS, [True, True, True, False, True]),
    "learning_curve": [
        {
            "method": "ours",
            "boxes_per_class": "all",
            "images": 4.0,
            "corloc": 20.0,
            "interval": [0.0, 60.0],
            "repeats": 1,
        }
    ],
    "sanity": {"top1": 91.3, "top5": 99.5, "images": 1600},
    "skipped": [{"id": "0017.jpg", "reason": "a|b"}],
    "counts": {"degenerate maps": 1234},
    "seconds": {"maps": 12.34},
    "data": {"dataset": "digits", "images": 5, "ids_sha256": "0a1b"},
    "fitted_on": [{"what": "fold 1", "dataset": "digits", "images": 4, "ids_sha256": "2c3d"}],
    "configuration": {"seed": 17},
    "versions": {"tensorflow": "2.21.0"},
}


def test_everything():
    text = localization_text(RESULT)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Boxes",
        "## Where it fails",
        *("## By size of the object", "## By number of objects", "## By IoU"),
        *("## By area of the box", "## By class", "## Learning curve"),
        "## How it was measured",
        *("### Images skipped", "### Counts", "### Time taken", "### Images used"),
        *("### Configuration", "### Versions"),
    ]
    for line in (
        "Measured on digits, test.",
        "| On a part | 2 | 40.0 | 2 | 40.0 |",
        "| Another class | 1 | 20.0 | – | – |",
        r"- On a part: \<i>part\_2\</i> (0.25), part\_1.jpg (0.25)",
        "| below 10% | 1 | 0.0",
        "| 1 object | 5 | 20.0",
        "| 0.9 to 1.0 | 1 |",
        "| cat | 3 | 33.3 | 0.500 |",
        "| ours | all | 4 | 20.0 [0.0, 60.0] | 1 |",
        "91.3% of 1,600 labelled images",
        "2 images without a true box: not scored.",
        r"| 0017.jpg | a\|b |",
        "| degenerate maps | 1,234 |",
        "| maps | 12.3 | 100.0 |",
        "| measuring | digits | 5 | 0a1b |",
        "| fold 1 | digits | 4 | 2c3d |",
        '  "seed": 17',
        "PxAP is the area under the curve",
        "the best baseline, mean box",
    ):
        assert line in text
    assert text.endswith("\n")
    assert "\n\n\n" not in text


def test_the_least():
    text = localization_text({"title": "T", "dataset": "D", "rows": [_row("ours")]})
    assert "No image was skipped." in text
    assert "Where it fails" not in text


def test_a_text_survives_json():
    assert localization_text(json.loads(json.dumps(RESULT))) == localization_text(RESULT)


def test_a_text_needs_a_row():
    with pytest.raises(ValueError, match="at least one method; received 0"):
        localization_text(RESULT | {"rows": []})


@given(st.text(min_size=1))
def test_no_name_changes_the_structure(name):
    skipped = [{"id": name, "reason": name}]
    found = analysis.analyse(BOXES, TRUTHS, [name, *IDS[1:]])
    named = {"title": name, "dataset": name, "skipped": skipped, "analysis": found}
    settings = {"configuration": {"root": name}}
    lines, expected = (
        localization_text(RESULT | named | settings | changes).split("\n")
        for changes in ({}, {"title": "x", "dataset": "x", "skipped": [{"id": "x", "reason": "x"}]})
    )
    assert len(lines) == len(expected)
    starts = [
        [line[:1] for line in each if line[:1] in ("#", "|", "`")] for each in (lines, expected)
    ]
    assert starts[0] == starts[1]
