"""The report of a segmentation says what was measured, and shows how masks came to be."""

import numpy as np
import pytest
from test_html import assert_self_contained

from sensmap import files, segmentation_analysis
from sensmap.masks import IGNORE
from sensmap.metrics.corloc import CorLoc
from sensmap.metrics.mean_iou import MeanIoU
from sensmap.report import markdown, segmentation
from sensmap.report.segmentation import ClassMap, Picture

CLASSES = ["cat", "<b>dog</b>"]


def _row(method, right, images=4, boxes=True):
    """A row of images of a cat in the upper half; of `right` of them the mask is so, too, and of
    the others it is all background."""
    mean_iou, corloc = MeanIoU(CLASSES), CorLoc(CLASSES)
    truth = np.repeat(np.array([[1], [0]], np.uint8), 4, axis=1)
    for position in range(images):
        found = position < right
        mean_iou.update([truth * found], [truth])
        box = [0, 0, 1, 0.5 if found else 0.1]
        corloc.update([box], [[[0, 0, 1, 0.5]] if boxes else []], [0])
    return {
        "method": method,
        **mean_iou.result(),
        "localization": corloc.result(),
        "seconds_per_image": 0.25,
    }


RESULT = {
    "title": "Segmentation of made",
    "dataset": "made, val",
    "maps": {"name": "dcsm", "alpha": 3.0},
    "rows": [_row("Without CRF", 1), _row("With CRF", 3)],
}


def _picture(**changes):
    noise = np.random.default_rng(0)
    truth = np.zeros((30, 40), np.uint8)
    truth[:10], truth[10:12] = 1, IGNORE
    values = {
        "caption": "2007_000032",
        "image": noise.integers(0, 256, (30, 40, 3), np.uint8),
        "truth": truth,
        "maps": [ClassMap("cat", noise.random((30, 40)), noise.random((30, 40)))],
        "plain": np.zeros((30, 40), np.uint8),
        "refined": np.where(truth == 1, 2, 0).astype(np.uint8),
    }
    return Picture(**(values | changes))


def _page(shown=(), worst=None, **changes):
    return assert_self_contained(segmentation.page(RESULT | changes, shown, worst))


def test_the_numbers_of_a_page():
    page = _page()
    assert "Measured on made, val." in page.text
    # Three of four cats: 12 of 16 pixels; the background has 16 of 20.
    assert "77.5%mean IoU of the masks by dcsm, with CRF, on 4 images" in page.text
    # One of four: 4 of 16 and 16 of 28, a mean of 41.1.
    assert "36.4 points above those without CRF (41.1%)." in page.text
    assert "No image was skipped." in page.text
    assert "Counts" not in page.text
    assert page.all("img") == []


def test_the_tables():
    table = segmentation.segmentation_table(RESULT["rows"])
    assert table.titles[3] == "CorLoc (%) [95% interval]"
    # Three of four with the bootstrap's interval, as in the tests of the metrics.
    assert table.rows[1][2:] == ("87.5", "75.0 [25.0, 100.0]", "4", "250")
    classes = segmentation.class_table(RESULT["rows"])
    assert classes.titles[2:] == ("IoU (%), without CRF", "IoU (%), with CRF")
    assert classes.rows == (
        ("background", "16", "57.1", "80.0"),
        ("cat", "16", "25.0", "75.0"),
        ("<b>dog</b>", "0", "–", "–"),
    )
    baseline = _row("Background only", 0) | {"group": "baseline"}
    classes = segmentation.class_table([baseline, *RESULT["rows"]])
    assert classes.titles[-1] == "IoU (%), background only"
    assert classes.rows[1] == ("cat", "16", "25.0", "75.0", "0.0")


def test_baselines_are_set_off():
    page = _page(rows=[_row("Background only", 0) | {"group": "baseline"}, *RESULT["rows"]])
    assert "Hollow bars are baselines." in page.text
    assert [each["class"] for each in page.all("rect") if "hollow" in each["class"]] == [
        "bar hollow"
    ]
    # Nothing is found of the cats: 16 of 32 pixels and none, a mean of 25.
    assert "52.5 points above the best baseline, background only (25.0%)." in page.text
    assert "Hollow" not in _page().text


def test_the_analysis_has_its_sections():
    counts = [np.array([[3, 0, 0], [1, 0, 0], [0, 0, 0]])]
    text = _page(analysis=segmentation_analysis.analyse(counts, ["a"]), seconds={"CRF": 1.5}).text
    for heading in ("Where it fails", "Image by image", "Time taken"):
        assert heading in text
    assert "Where it fails" not in _page().text


def test_pictures_of_the_worst():
    mask = np.full((30, 40), 2, np.uint8)
    mask[0] = 1
    worst = {
        "good": [_picture(caption="ok", iou=0.5)],
        "large": [],
        "small": [_picture(caption="<b>cat</b>", iou=0.125, refined=mask), _picture(refined=None)],
    }
    page = _page(worst=worst)
    names = ["<b>cat</b>", "2007_000032", "ok"]
    whats = ["image", "true mask", "mask without CRF", "mask with CRF"]
    alts = [f"{name}: {what}" for name in names for what in whats]
    assert [image["alt"] for image in page.all("img")] == [*alts[:7], *alts[8:]]
    assert page.text.index("Too small") < page.text.index("Good, but barely")
    assert "Too large" not in page.text
    # The most frequent class first; what is not scored is none.
    assert "<b>cat</b>mean IoU 0.12; true: cat; found: <b>dog</b>, cat" in page.text
    assert "2007_000032true: cat; found: nothing" in page.text


def test_pictures_of_an_unknown_kind():
    with pytest.raises(ValueError, match="no kind of error 'part'; the kinds are good, missed, in"):
        _page(worst={"part": [_picture()]})


def test_masks_of_one_kind_are_compared_with_nothing():
    page = _page(rows=RESULT["rows"][:1])
    assert "41.1%mean IoU of the masks by dcsm, without CRF, on 4 images" in page.text
    assert "points" not in page.text


def test_nothing_scored():
    page = _page(rows=[_row("Without CRF", 0, images=0)])
    assert "–mean IoU of the masks by dcsm, without CRF: no pixel was scored." in page.text


def test_how_it_was_measured():
    skipped = [{"id": "0017", "reason": "there is no mask of it."}]
    chosen = {"images": 100, "dataset": "made, train", "ids_sha256": "0a1b"}
    page = _page(
        rows=[_row("Without CRF", 1, boxes=False)],
        skipped=skipped,
        background={"weight": 0.7, "chosen_on": chosen},
        counts={"degenerate maps": 1234},
        configuration={"seed": 17},
    )
    assert "1 image could not be used" in page.text
    assert "0017there is no mask of it." in page.text
    assert "has the weight 0.7, chosen by the mean IoU without CRF on 100 images of" in page.text
    assert '"ids_sha256": "0a1b"' in page.text
    assert "degenerate maps1,234" in page.text
    assert '"seed": 17' in page.text
    assert "4 images without a true box: not in CorLoc." in page.text
    assert "has the weight 1, as given." in _page(background={"weight": 1.0}).text


@pytest.mark.parametrize(("count", "folded"), [(12, False), (13, True)])
def test_many_skipped_images_are_folded_up_and_all_named(count, folded):
    skipped = [{"id": f"{number:04}", "reason": "empty"} for number in range(count)]
    page = _page(skipped=skipped)
    assert f"{count - 1:04}empty" in page.text
    assert (page.tags().count("details") == 2) == folded  # the maps are one, always


def test_pictures_from_image_to_mask():
    page = _page([_picture()])
    assert [image["alt"] for image in page.all("img")] == [
        f"2007_000032: {what}"
        for what in [
            "image",
            "true mask",
            "mask without CRF",
            "mask with CRF",
            "cat, before subtraction",
            "cat, its map",
        ]
    ]


def test_pictures_without_field_and_subtraction_and_of_several_classes():
    maps = [ClassMap("cat", np.eye(3)), ClassMap("<i>", np.zeros((3, 3)))]
    page = _page([_picture(maps=maps, refined=None), _picture(maps=[])])
    whats = [image["alt"].partition(": ")[2] for image in page.all("img")]
    masks = ["image", "true mask", "mask without CRF"]
    assert whats == [*masks, "cat, its map", "<i>, its map", *masks, "mask with CRF"]
    # Without maps there is no row of them.
    assert page.tags().count("figure") == len(whats)
    assert len([each for each in page.all("div") if each["class"] == "gallery"]) == 3


def test_the_legend_names_the_classes_that_are_shown():
    page = _page([_picture()])
    colours = [each["style"] for each in page.all("i")]
    expected = ("128, 0, 0", "0, 128, 0", "224, 224, 192")  # VOC's of 1, 2 and 255
    assert len(colours) == 3
    for style, colour in zip(colours, expected, strict=True):
        assert f"background:rgb({colour})" in style
    assert "cat<b>dog</b>not scored" in page.text
    assert len(_page([_picture(refined=None)]).all("i")) == 2


def test_a_page_needs_a_row():
    with pytest.raises(ValueError, match="needs a row of measures; received 0"):
        _page(rows=[])


def test_the_files(tmp_path):
    text = segmentation.write(tmp_path, RESULT, [_picture()])
    written = {"report.html", "report.md", "result.json", "table.md"}
    assert {path.name for path in tmp_path.iterdir()} == written
    assert (tmp_path / "report.md").read_text() == markdown.segmentation_text(RESULT)
    assert files.read_json(tmp_path / "result.json") == RESULT
    assert (tmp_path / "report.html").read_text() == segmentation.page(RESULT, [_picture()])
    table = (tmp_path / "table.md").read_text()
    for name in ("With CRF", "cat"):
        assert name in text
        assert f"| {name} |" in table


def test_the_terminal_has_the_classes_of_the_maps_alone(tmp_path):
    rows = [_row("Background only", 0) | {"group": "baseline"}, *RESULT["rows"]]
    text = segmentation.write(tmp_path, RESULT | {"rows": rows}, [])
    assert "Background only" in text
    assert "IoU (%), background only" not in text
    assert "IoU (%), background only" in (tmp_path / "table.md").read_text()
