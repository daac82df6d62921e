"""MaxBoxAcc on images whose best IoUs are written down, and against Choe et al.'s own code."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensmap import datasets, protocols
from sensmap.metrics.max_box_acc import (
    LEVELS,
    MaxBoxAcc,
    bootstrap,
    level_of,
    sweep,
    threshold_of,
)


def _steps(*parts):
    """Best IoUs of an image, ``(255,)``, from pairs of an IoU and of how many levels have it."""
    return np.concatenate([np.full(count, iou, float) for iou, count in parts])


# Right at IoU 0.5 at the levels 0 to 99, at 50 to 149, and at none; at 0.3 all are somewhere.
FIRST = _steps((0.5, 100), (0.0, 155))
SECOND = _steps((0.0, 50), (0.75, 100), (0.1, 105))
THIRD = _steps((0.0, 200), (0.35, 55))


def _score(*images, **arguments):
    metric = MaxBoxAcc(**arguments)
    metric.update_swept(np.array(images).reshape(-1, LEVELS))
    return metric.result()


def test_three_images():
    result = _score(FIRST, SECOND, THIRD)
    assert [row["max_box_acc"] for row in result["by_iou"]] == [200 / 3, 200 / 3, 100 / 3]
    # The lowest of the best levels: 50 at IoU 0.3 and 0.5, where two images are right.
    assert [level_of(row["threshold"]) for row in result["by_iou"]] == [50, 50, 50]
    assert result["max_box_acc"] == 200 / 3
    assert result["max_box_acc_v2"] == pytest.approx(500 / 9)
    assert (result["images"], result["unscored"], result["contours"]) == (3, 0, "multi")


def test_each_iou_has_its_own_best_threshold():
    result = _score(_steps((0.3, 100), (0.7, 155)), _steps((0.4, 100), (0.0, 155)))
    assert [row["max_box_acc"] for row in result["by_iou"]] == [100, 50, 50]
    assert [level_of(row["threshold"]) for row in result["by_iou"]] == [0, 100, 100]


def test_thresholds_chosen_elsewhere():
    metric = MaxBoxAcc()
    metric.update_swept([FIRST, SECOND, THIRD])
    chosen = [row["threshold"] for row in metric.result()["by_iou"]]
    oracle = metric.at(chosen)
    assert oracle["box_acc_v2"] == metric.result()["max_box_acc_v2"]
    transferred = metric.at([threshold_of(220), threshold_of(120), threshold_of(0)])
    assert [row["box_acc"] for row in transferred["by_iou"]] == [100 / 3, 100 / 3, 0]
    assert transferred["box_acc"] == 100 / 3
    assert transferred["images"] == 3
    assert json.loads(json.dumps(transferred)) == transferred


def test_every_threshold_falls_on_the_level_that_it_stands_for():
    assert [level_of(threshold_of(level)) for level in range(LEVELS)] == list(range(LEVELS))
    assert level_of(0.999) == LEVELS - 1
    assert [level_of(k / 1000) for k in range(1000)] == [
        int(threshold * 255) for threshold in np.arange(0, 1, 0.001)
    ]


def test_a_method_without_a_threshold_is_scored_by_a_constant_row():
    # Whole images for halves: 112 of 224 columns, by inclusive corners.
    iou = protocols.best_ious("wsol_v2", [[0, 0, 1, 1]], [[[0, 0, 0.5, 1]]], [(500, 500)])
    assert iou.tolist() == [0.5]
    result = _score(np.repeat(iou, LEVELS))
    assert [row["max_box_acc"] for row in result["by_iou"]] == [100, 100, 0]


def test_a_map_and_its_boxes():
    # The brightest quarter, from 112 on; by inclusive corners of 300 pixels 112 to 223.
    metric = MaxBoxAcc("single", ious=[0.9])
    quarter = [0.5, 0.5, 1.0, 1.0]
    metric.update([np.kron([[0, 0], [0, 1]], np.ones((112, 112)))], [[quarter]], [(300, 300)])
    result = metric.result()
    assert (result["by_iou"][0]["max_box_acc"], result["max_box_acc"]) == (100, None)
    assert sweep(np.zeros((2, 2)), [], (3, 3)).shape == (LEVELS,)


def test_an_image_without_a_true_box_is_counted_apart():
    metric = MaxBoxAcc()
    metric.update([np.eye(3)], [[]], [(30, 30)])
    assert (metric.result()["images"], metric.result()["unscored"]) == (0, 1)
    assert metric.result()["max_box_acc"] is None
    assert metric.at([0.1, 0.1, 0.1])["box_acc_v2"] is None
    assert _score(FIRST, np.full(LEVELS, np.nan)) == _score(FIRST) | {"unscored": 1}


def test_constant_maps_find_the_first_pixel_as_in_the_authors_code():
    assert sweep(np.ones((4, 4)), [[0, 0, 1, 1]], (224, 224)).tolist() == [1 / 224**2] * LEVELS


_ROWS = st.lists(
    st.tuples(st.integers(0, LEVELS), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0])).map(
        lambda part: _steps((part[1], part[0]), (1 - part[1], LEVELS - part[0]))
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=20, deadline=None)
@given(
    _ROWS.flatmap(
        lambda rows: st.tuples(
            st.just(rows), st.permutations(range(len(rows))), st.integers(0, len(rows))
        )
    )
)
def test_neither_order_nor_batches_nor_shards_change_a_byte(case):
    rows, order, cut = case
    merged, other = MaxBoxAcc(), MaxBoxAcc()
    for place in order[:cut]:
        merged.update_swept([rows[place]])
    other.update_swept(np.reshape([rows[place] for place in order[cut:]], (-1, LEVELS)))
    merged.merge(other)
    text = json.dumps(merged.result(), allow_nan=False)
    assert text == json.dumps(_score(*rows), allow_nan=False)
    assert json.loads(text) == merged.result()


def test_the_order_of_many_different_images_does_not_change_a_byte():
    swept = np.random.default_rng(1).random((40, LEVELS))
    assert json.dumps(_score(*swept)) == json.dumps(_score(*swept[::-1]))


def test_the_interval_chooses_the_threshold_anew_in_each_draw():
    # Half of the images are right at the first level only, half at the second only: at a given
    # level 50%, but the better of the two in a draw of 100 is at 50% or more.
    right = np.zeros((100, 1, LEVELS), bool)
    right[:50, 0, 0] = right[50:, 0, 1] = True
    (low, *_), (high, *_) = bootstrap(right)
    assert (low >= 0.5, high) == (True, pytest.approx(0.61, abs=0.02))


def test_the_interval_against_a_bootstrap_spelt_out():
    rng = np.random.default_rng(3)
    right = rng.random((40, 2, LEVELS)) < np.linspace(0.2, 0.7, LEVELS)
    drawn = np.random.default_rng(8)
    best = np.array(
        [right[drawn.integers(40, size=40)].mean(axis=0).max(axis=1) for _ in range(3000)]
    )
    best = np.column_stack([best, best.mean(axis=1)])
    expected = np.percentile(best, [2.5, 97.5], axis=0)
    assert bootstrap(right) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"contours": "both"}, "'single', .* or 'multi', .*; received 'both'"),
        ({"ious": []}, "ascend"),
        ({"ious": [0.5, 0.3]}, r"ascend and are above 0; received \[0.5, 0.3\]"),
        ({"ious": [0.0, 0.5]}, "above 0"),
    ],
)
def test_settings_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaxBoxAcc(**arguments)


@pytest.mark.parametrize(
    ("maps", "truths", "sizes", "message"),
    [
        ([np.eye(2)], [], [(1, 1)], "received 2, 1 and 2"),
        ([np.full((2, 2), np.nan)], [[[0, 0, 1, 1]]], [(1, 1)], "must be finite"),
        ([np.eye(2)], [[[0, 0, np.inf, 1]]], [(1, 1)], "true box must be four finite numbers"),
        ([np.eye(2)], [[[0, 0, 1, 1]]], [(0, 1)], r"received \(0, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(maps, truths, sizes, message):
    metric = MaxBoxAcc()
    metric.update_swept([FIRST])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        metric.update([np.eye(2), *maps], [[[0, 0, 1, 1]], *truths], [(5, 5), *sizes])
    assert metric.result() == before


@pytest.mark.parametrize(
    ("swept", "message"),
    [
        (np.zeros((1, 1000)), r"shape \(N, 255\).*received \(1, 1000\)"),
        (np.zeros(LEVELS), r"received \(255,\)"),
        (np.full((1, LEVELS), 1.5), "0 to 1.*received 1.5"),
        ([_steps((np.nan, 1), (0.5, 254))], "NaN at all levels"),
    ],
)
def test_best_ious_that_are_none(swept, message):
    with pytest.raises(ValueError, match=message):
        MaxBoxAcc().update_swept(swept)


def test_thresholds_that_are_none():
    with pytest.raises(ValueError, match="3 IoUs takes one threshold; received 1"):
        MaxBoxAcc().at([0.5])
    with pytest.raises(ValueError, match=r"from 0 to below 1; received 1\.0"):
        MaxBoxAcc(ious=[0.5]).at([1.0])


@pytest.mark.parametrize("other", [{"contours": "single"}, {"ious": [0.5]}, {"inclusive": False}])
def test_other_settings_cannot_be_merged(other):
    with pytest.raises(ValueError, match="same contours, IoUs and corners"):
        MaxBoxAcc().merge(MaxBoxAcc(**other))


@pytest.fixture(scope="module")
def photographs(shared):
    """Maps by kind, true boxes and sizes of 200 photographs."""
    with np.load(shared / "goldens" / "max_box_acc_maps.npz", allow_pickle=False) as arrays:
        ids, maps = arrays["ids"], {kind: arrays[kind] for kind in ("cam", "gradient")}
    data = datasets.load("ilsvrc", str(shared / "data" / "ilsvrc2012_val_1300"))
    place = {name: position for position, name in enumerate(data.ids)}
    examples = [data[place[name]] for name in ids]
    return maps, [each.boxes for each in examples], [each.size for each in examples]


@pytest.mark.parametrize("contours", ["single", "multi"])
@pytest.mark.parametrize("kind", ["cam", "gradient"])
def test_equals_the_authors_code(shared, photographs, kind, contours):
    text = (shared / "goldens" / "max_box_acc_expected.json").read_text()
    expected = json.loads(text)["results"][f"{kind}/{contours}"]
    maps, truths, sizes = photographs
    metric = MaxBoxAcc(contours)
    metric.update(maps[kind], truths, sizes)
    result = metric.result()
    found = {f"{100 * row['iou']:.0f}": row["max_box_acc"] for row in result["by_iou"]}
    assert found == expected["max_box_acc"]
    assert result["max_box_acc_v2"] == pytest.approx(expected["v2"], abs=1e-12)
    counts = [
        round(2 * metric.at([0.0, threshold, 0.0])["by_iou"][1]["box_acc"])
        for threshold in np.arange(0, 1, 0.001)[::50]
    ]
    assert counts == expected["num_correct_iou50"]
    for row in result["by_iou"]:
        assert row["interval"][0] <= row["max_box_acc"] <= row["interval"][1]
