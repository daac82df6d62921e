"""What the columns of a localization's table are called, and what a page says of the best."""

import pytest

from sensmap.report import measures

ROW = {
    "method": "ours",
    "corloc": 70.0,
    "interval": [60.4, 78.1],
    "corloc_30": 80.0,
    "corloc_70": 20.0,
    "mean_iou": 0.5,
    "images": 100,
}


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("gt_known", "GT-known localization (%)"),
        ("voc_corloc", "CorLoc by VOC, mean over classes (%)"),
        ("max_box_acc", "MaxBoxAcc (%, oracle threshold)"),
        ("max_box_acc_transferred", "MaxBoxAcc (%, transferred threshold)"),
        ("max_box_acc_v2", "MaxBoxAccV2 (%, oracle threshold)"),
        ("max_box_acc_v2_transferred", "MaxBoxAccV2 (%, transferred threshold)"),
        ("pxap", "PxAP (%)"),
        ("pointing_game", "Pointing game (%)"),
    ],
)
def test_a_measure_has_its_column_where_some_row_has_it(key, title):
    plain = measures.localization_table([ROW])
    rows = [ROW, ROW | {key: 61.25, f"{key}_interval": [58.0, 64.0]}, ROW | {key: 61.25}]
    table = measures.localization_table(rows)
    assert table.titles == (*plain.titles, title)
    assert [row[-1] for row in table.rows] == ["–", "61.2 [58.0, 64.0]", "61.2"]
    assert len(measures.meanings(rows)) == 1
    assert measures.meanings([ROW]) == []


def test_the_oracle_stands_beside_corloc():
    table = measures.localization_table([ROW | {"corloc_oracle": 75.0}])
    assert table.titles[:3] == (
        *("Method", "CorLoc (%) [95% interval]", "CorLoc (%, oracle threshold)"),
    )
    assert table.rows[0][:4] == ("ours", "70.0 [60.4, 78.1]", "75.0", "80.0")
    (text,) = measures.meanings([ROW | {"corloc_oracle": 75.0}])
    assert "chosen on the scored images themselves" in text


def _named(method, corloc, **changes):
    return ROW | {"method": method, "corloc": corloc} | changes


def test_a_sentence_compares_with_the_best_baseline():
    rows = [
        _named("centre box", 50.0, group="baseline"),
        _named("mean box", 55.0, group="baseline"),
        _named("objectness", None, group="baseline"),
        _named("another localizer", 80.0),
        ROW,
    ]
    text = "15.0 points above the best baseline, mean box (55.0%)."
    assert measures.sentence(rows).endswith(text)
    assert measures.sentence(rows[3:]).endswith("10.0 points below another localizer (80.0%).")


def test_a_sentence_without_anything_to_compare_with():
    unmeasured = _named("objectness", None, group="baseline")
    assert measures.sentence([unmeasured, ROW]) == (
        "CorLoc of ours, on 100 images (95% interval 60.4 to 78.1)."
    )
