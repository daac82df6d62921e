"""What every report says of how it came about."""

import pytest
from test_html import Page, assert_self_contained

from sensmap.report import _record, html

DATA = {"dataset": "made, test", "images": 1300, "ids_sha256": "0a1b", "ids": ["a"]}


def _page(result, unscored="", keys=()):
    blocks = _record.blocks(result, unscored, keys)
    return assert_self_contained(html.page("T", [html.Section("S", blocks)]))


def test_nothing_to_tell():
    assert _page({}).text.strip().endswith("No image was skipped.")


def test_everything():
    result = {
        "skipped": [{"id": "<b>", "reason": "empty"}],
        "counts": {"degenerate maps": 1234},
        "seconds": {"maps": 30.0, "fit": 10.0},
        "data": DATA,
        "fitted_on": [{**DATA, "what": "linear: fold 1 of 5", "images": 1040}],
        "configuration": {"seed": 17},
        "versions": {"tensorflow": "2.21.0"},
    }
    page = _page(result, "3 images were not scored.", ("configuration",))
    for words in (
        "1 image could not be used:",
        "<b>empty",
        "3 images were not scored.",
        "degenerate maps1,234",
        "maps30.075.0",
        "fit10.025.0",
        "measuringmade, test1,3000a1b",
        "linear: fold 1 of 5made, test1,0400a1b",
        '"seed": 17',
    ):
        assert words in page.text.replace("\n", "")
    assert "tensorflow" not in page.text
    widths = [each["width"] for each in page.all("rect") if each["class"] == "bar"]
    assert widths == ["75.00%", "25.00%"]
    assert page.tags().count("details") == 4


@pytest.mark.parametrize(("count", "folded"), [(12, 0), (13, 1)])
def test_many_skipped_images_are_folded_up(count, folded):
    skipped = [{"id": f"{number:04}", "reason": "empty"} for number in range(count)]
    page = _page({"skipped": skipped})
    assert page.tags().count("details") == folded
    assert f"{count - 1:04}empty" in page.text


@pytest.mark.parametrize("given", [{"data": DATA}, {"fitted_on": [{**DATA, "what": "measuring"}]}])
def test_data_or_fits_alone(given):
    assert _record.data_table(given).rows == (("measuring", "made, test", "1,300", "0a1b"),)
    assert "Images used" in _page(given).text


def test_no_time_at_all():
    assert _record.time_table({"maps": 0.0}).rows == (("maps", "0.0", "–"),)
    assert Page("".join(_record.blocks({"seconds": {"maps": 0.0}}, "", ()))).all("svg")
