"""Paired comparison: the test by hand, intervals in closed form, and what swapping must do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from sensmap import comparison
from sensmap.comparison import compare, mcnemar, paired_intervals
from sensmap.outcomes import MethodOutcomes, Outcomes

BOX = np.array([[0, 0, 1, 1]], np.float32)
NO_BOX = np.zeros((0, 4), np.float32)


def run_of(ious, ids=None, top1=None, top5=None, name="m", truths=None):
    """A run whose one method has these IoUs; NaN for images without a true box."""
    ious = np.array(ious, float)
    ids = ids or [f"image {i:03}" for i in range(len(ious))]
    truths = truths or [NO_BOX if math.isnan(iou) else BOX for iou in ious]
    boxes = np.tile(BOX, (len(ious), 1))
    guesses = [None if each is None else np.array(each, bool) for each in (top1, top5)]
    return Outcomes(tuple(ids), tuple(truths), {name: MethodOutcomes(boxes, ious, *guesses)})


def compared(a, b):
    return compare(a, b, "m", "m")


# --- McNemar ---


@pytest.mark.parametrize(
    ("only_a", "only_b", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 * 1/2
        (0, 2, 0.5),  # 2 * 1/4
        (5, 0, 0.0625),  # 2 / 32
        (1, 5, 0.21875),  # 2 * (1 + 6) / 64
        (2, 8, 0.109375),  # 2 * (1 + 10 + 45) / 1024
        (4, 4, 1.0),  # 2 * 163 / 256 is more than 1
        (10, 0, 2 / 1024),
    ],
)
def test_mcnemar_by_hand(only_a, only_b, expected):
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-12)
    assert mcnemar(only_b, only_a) == mcnemar(only_a, only_b)


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=50, deadline=None)
def test_mcnemar_is_the_binomial_test(only_a, only_b):
    if only_a + only_b:
        expected = binomtest(only_a, only_a + only_b, 0.5).pvalue
        assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_mcnemar_of_less_than_nothing():
    with pytest.raises(ValueError, match="0 or more; received -1 and 4"):
        mcnemar(-1, 4)


# --- Intervals ---


def test_intervals_against_the_normal_distribution():
    # The mean of 400 numbers is almost normal; the bootstrap's spread is that of the sample.
    differences = np.random.default_rng(3).normal([0.0, 5.0], [1.0, 0.2], size=(400, 2))
    found = np.array(paired_intervals(differences))
    spread = differences.std(axis=0) / np.sqrt(400)
    ends = differences.mean(axis=0)[:, None] + spread[:, None] * norm.ppf([0.025, 0.975])
    np.testing.assert_allclose(found, ends, atol=0.15 * spread.max())


def test_interval_of_two_images():
    # A mean of two draws from {0, 1} is 0 or 1 with a probability of a quarter each.
    assert paired_intervals(np.array([[0.0], [1.0]])) == [[0.0, 1.0]]


def test_measures_are_drawn_together():
    differences = np.random.default_rng(0).normal(size=(50, 1))
    [one, other] = paired_intervals(np.concatenate([differences, 10 + differences], axis=1))
    np.testing.assert_allclose(np.array(other) - 10, one)


def test_pairing_narrows_the_interval():
    # B is better by a little on every image, however different the images are.
    easy = np.random.default_rng(1).uniform(0.1, 0.8, 60)
    low, high = compared(run_of(easy + 0.01), run_of(easy))["mean_iou"]["interval"]
    assert low == pytest.approx(0.01)
    assert high == pytest.approx(0.01)


# --- The comparison ---


def test_ten_images_by_hand():
    a = run_of([0.9, 0.5, 0.5, 0.8, 0.1, 0.2, 0.6, 0.7, 0.3, np.nan])
    b = run_of([0.8, 0.4, 0.6, 0.3, 0.2, 0.3, 0.2, 0.8, 0.6, np.nan])
    found = compared(a, b)
    assert (found["images"], found["scored"]) == (10, 9)
    [corloc] = found["measures"]
    # A is right on 0, 1, 2, 3, 6, 7; B on 0, 2, 7, 8; exactly 0.5 is right.
    assert corloc["measure"] == "corloc"
    assert (corloc["both"], corloc["only_a"], corloc["only_b"], corloc["neither"]) == (3, 3, 1, 2)
    assert corloc["a"] == pytest.approx(600 / 9)
    assert corloc["b"] == pytest.approx(400 / 9)
    assert corloc["difference"] == pytest.approx(200 / 9)
    assert corloc["p_value"] == pytest.approx(2 * (1 + 4) / 16)
    assert corloc["interval"][0] < 0 < corloc["interval"][1]
    mean = found["mean_iou"]
    assert (mean["a"], mean["b"]) == (pytest.approx(4.6 / 9), pytest.approx(4.2 / 9))
    assert mean["difference"] == pytest.approx(0.4 / 9)
    # By 0.5, 0.4, 0.1 and 0.1.
    assert [each["id"][-1] for each in found["a_ahead"]] == ["3", "6", "0", "1"]
    assert found["a_ahead"][0] == {"id": "image 003", "iou_a": 0.8, "iou_b": 0.3}
    assert found["b_ahead"][0] == {"id": "image 008", "iou_a": 0.3, "iou_b": 0.6}
    assert len(found["b_ahead"]) == 5  # image 9 has no true box


def test_guesses_are_compared_where_both_have_them():
    a = run_of([0.6] * 4, top1=[1, 1, 0, 0], top5=[1, 1, 1, 0])
    b = run_of([0.6] * 4, top1=[1, 0, 1, 0])
    found = compared(a, b)
    assert [row["measure"] for row in found["measures"]] == ["corloc", "top1"]
    top1 = found["measures"][1]
    assert (top1["a"], top1["b"], top1["difference"], top1["p_value"]) == (50, 50, 0, 1)
    assert (top1["both"], top1["only_a"], top1["only_b"], top1["neither"]) == (1, 1, 1, 1)
    again = compared(a, run_of([0.6] * 4, top1=[1, 0, 1, 0], top5=[0, 0, 0, 0]))
    assert again["measures"][2]["difference"] == 75
    assert again["measures"][2]["p_value"] == 0.25


def test_two_methods_of_one_run():
    one = run_of([0.6, 0.2])
    both = Outcomes(
        one.ids, one.truths, {**one.methods, "n": MethodOutcomes(np.tile(BOX, (2, 1)), np.ones(2))}
    )
    found = compare(both, both, "n", "m")
    assert (found["a"]["method"], found["b"]["method"]) == ("n", "m")
    assert found["measures"][0]["difference"] == 50


def test_images_of_one_run_only_are_named():
    a = run_of([0.9] * 30, ids=[f"x{i:02}" for i in range(30)])
    b = run_of([0.9] * 5, ids=["x29", "x28", "x27", "y", "z"])
    found = compared(a, b)
    assert found["images"] == 3
    assert found["a"]["only_here"] == 27
    assert found["a"]["only_here_ids"] == [f"x{i:02}" for i in range(20)]
    assert (found["b"]["only_here"], found["b"]["only_here_ids"]) == (2, ["y", "z"])
    lines = comparison.sentences(found)
    assert lines[-1] == "2 images of B are not in A and are left out: y, z."
    assert lines[-2].startswith("27 images of A are not in B and are left out: x00, x01, ")
    assert lines[-2].endswith("x19 and 7 more.")


def test_boxes_in_another_order_are_the_same():
    two = np.array([[0.1, 0.1, 0.5, 0.9], [0.2, 0.2, 0.7, 0.8]], np.float32)
    rounded = (two[::-1] + 1e-6).astype(np.float32)
    assert compared(run_of([0.6], truths=[two]), run_of([0.6], truths=[rounded]))["scored"] == 1


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (run_of([0.5], ids=["x"]), run_of([0.5], ids=["y"]), "no image in common: .*'x', .*'y'"),
        (run_of([np.nan]), run_of([np.nan]), "None of the 1 common images has a true box"),
        (
            run_of([0.5]),
            run_of([0.5], truths=[BOX / 2]),
            "'image 000' has other true boxes in A than in B",
        ),
        (run_of([0.5]), run_of([np.nan]), "'image 000' has other true boxes"),
        (run_of([0.5], name="n"), run_of([0.5]), "A has no method 'm'; choose one of 'n'"),
        (run_of([0.5]), run_of([0.5], name="n"), "B has no method 'm'; choose one of 'n'"),
        (*[run_of([0.5])] * 2, "Both are the method 'm' of the same run; choose two"),
    ],
)
def test_what_cannot_be_compared(a, b, message):
    with pytest.raises(ValueError, match=message) as error:
        compared(a, b)
    assert "\n" not in str(error.value)


IOUS = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans(), st.booleans()),
    min_size=1,
    max_size=12,
)


def pair(rows):
    ious_a, ious_b, right_a, right_b = zip(*rows, strict=True)
    return run_of(ious_a, top1=right_a), run_of(ious_b, top1=right_b)


@given(IOUS)
@settings(max_examples=15, deadline=None)
def test_swapping_swaps_everything(rows):
    a, b = pair(rows)
    found, swapped = compared(a, b), compared(b, a)
    for one, other in zip(
        [*found["measures"], found["mean_iou"]],
        [*swapped["measures"], swapped["mean_iou"]],
        strict=True,
    ):
        assert (one["a"], one["b"]) == (other["b"], other["a"])
        assert one["difference"] == -other["difference"]
        assert one["interval"] == [-other["interval"][1], -other["interval"][0]]
        assert one.get("p_value") == other.get("p_value")
        assert one.get("only_a") == other.get("only_b")
        assert one.get("both") == other.get("both")
    names = [[each["id"] for each in side["a_ahead"]] for side in (found, swapped)]
    assert names == [[each["id"] for each in side["b_ahead"]] for side in (swapped, found)]


@given(IOUS, st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_images_does_not_matter(rows, random):
    a, b = pair(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    method = b.methods["m"]
    shuffled = Outcomes(
        tuple(b.ids[place] for place in order),
        tuple(b.truths[place] for place in order),
        {"m": MethodOutcomes(method.boxes[order], method.ious[order], method.top1[order])},
    )
    assert compared(a, shuffled) == compared(a, b)
    assert compared(shuffled, a) == compared(b, a)


def test_equally_good_methods_are_seldom_told_apart():
    # At 5% the exact test is wrong in at most 5% of the cases.
    rng = np.random.default_rng(0)
    wrong = [mcnemar(only := rng.binomial(40, 0.5), 40 - only) < 0.05 for _ in range(2000)]
    assert 0.02 < np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


# --- For people ---


def test_tables_and_sentences():
    a = run_of([0.9, 0.8, 0.7, 0.6, 0.1, np.nan], top1=[1, 1, 1, 1, 0, 0])
    b = run_of([0.1, 0.2, 0.3, 0.4, 0.1, np.nan], top1=[0, 0, 0, 0, 0, 0])
    found = compared(a, b)
    numbers, images = comparison.as_tables(found)
    assert numbers.titles[:2] == ("Measure", "A")
    assert [row[0] for row in numbers.rows] == [
        "CorLoc (%)",
        "Top-1 localization (%)",
        "Mean IoU",
    ]
    assert numbers.rows[0][1:3] == ("80.0", "0.0")
    assert numbers.rows[0][3].startswith("+80.0 [+")
    assert numbers.rows[0][4:] == ("0", "4", "0", "1", "0.125")
    assert numbers.rows[2][1:3] == ("0.620", "0.220")
    assert numbers.rows[2][4:] == ("–",) * 5
    assert images.rows[0] == ("A", "image 000", "0.900", "0.100")
    assert comparison.sentences(found) == [
        "A is m, B is m.",
        f"On 5 images CorLoc is 80.0% by A and 0.0% by B: a difference of +80.0 points (95% "
        f"interval +{found['measures'][0]['interval'][0]:.1f} to +100.0).",
        "4 images are found by one of them only, 4 by A and 0 by B; McNemar's exact test: "
        "p = 0.125.",
        "1 common images have no true box and are not scored.",
    ]


def test_where_nothing_differs_there_is_one_table():
    [numbers] = comparison.as_tables(compared(run_of([0.6]), run_of([0.6])))
    assert numbers.rows[0][3] == "+0.0 [+0.0, +0.0]"
