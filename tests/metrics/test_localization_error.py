"""ILSVRC's localization error on guesses whose worth can be seen."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap.metrics import _intervals
from sensmap.metrics.localization_error import LocalizationError, right_guesses

WHOLE = [0.0, 0.0, 1.0, 1.0]
HALF = [0.0, 0.0, 1.0, 0.5]  # IoU with the whole image: 0.5
LESS = [0.0, 0.0, 1.0, 0.49]
CORNER = [0.0, 0.0, 0.5, 0.5]


def _score(*images):
    """Images as (guesses, true boxes, label), a guess being (class, box)."""
    metric = LocalizationError()
    _update(metric, images)
    return metric.result()


def _update(metric, images):
    metric.update(
        [[box for _, box in guesses] for guesses, _, _ in images],
        [[class_id for class_id, _ in guesses] for guesses, _, _ in images],
        [truth for _, truth, _ in images],
        [label for _, _, label in images],
    )


def _five(*first):
    """These guesses, filled up with classes that are not there."""
    return [*first, *[(90 + rank, WHOLE) for rank in range(5 - len(first))]]


def _errors(result):
    keys = ("top1_error", "top5_error", "top1_classification_error", "top5_classification_error")
    return tuple(result[key] for key in keys)


def test_no_images():
    nothing = {
        "top1_error": None,
        "top1_interval": None,
        "top5_error": None,
        "top5_interval": None,
        "top1_classification_error": None,
        "top5_classification_error": None,
        "interval_method": _intervals.METHOD,
        "guesses": None,
        "images": 0,
        "unscored": 0,
    }
    metric = LocalizationError()
    metric.update(np.zeros((0, 5, 4)), np.zeros((0, 5), int), [], [])
    assert metric.result() == nothing


@pytest.mark.parametrize(
    ("guesses", "truth", "errors"),
    [
        (_five((7, WHOLE)), [WHOLE], (0, 0, 0, 0)),
        (_five((7, HALF)), [WHOLE], (0, 0, 0, 0)),  # exactly 0.5: right
        (_five((7, LESS)), [WHOLE], (100, 100, 0, 0)),  # lost to the box
        (_five((3, WHOLE)), [WHOLE], (100, 100, 100, 100)),  # lost to the class
        (_five((3, WHOLE), (7, WHOLE)), [WHOLE], (100, 0, 100, 0)),  # the second is right
        (_five((7, LESS), (3, WHOLE)), [WHOLE], (100, 100, 0, 0)),  # no guess is both
        (_five((7, LESS), (7, HALF)), [WHOLE], (100, 0, 0, 0)),  # a class guessed twice
        (_five((7, WHOLE)), [CORNER, WHOLE], (0, 0, 0, 0)),  # any box of the class
        (_five((-1, WHOLE)), [WHOLE], (100, 100, 100, 100)),  # no guess
        ([*_five()[:4], (7, WHOLE)], [WHOLE], (100, 0, 100, 0)),  # the fifth
        (_five((7, [1.0, 1.0, 0.0, 0.0])), [WHOLE], (100, 100, 0, 0)),  # an inverted box
    ],
)
def test_one_image(guesses, truth, errors):
    assert _errors(_score((guesses, truth, 7))) == errors


def test_the_table_by_hand():
    result = _score(
        (_five((7, WHOLE)), [HALF], 7),
        (_five((3, WHOLE), (2, HALF)), [WHOLE], 2),
        (_five((7, CORNER)), [WHOLE], 7),
        (_five((7, WHOLE)), [], 7),  # no true box
        (_five((1, WHOLE)), [WHOLE], 7),
    )
    # Right at once; at the second guess; wrong box; unscored; wrong class.
    assert _errors(result) == (75.0, 50.0, 50.0, 25.0)
    assert (result["guesses"], result["images"], result["unscored"]) == (5, 4, 1)
    # k of n = 4: (k + z²/2 ± z √(k (4 - k) / 4 + z²/4)) / (4 + z²) with z² = 3.841459.
    # Of four draws one or none is right with a probability of 13/256, none with 1/256.
    assert result["top1_interval"] == [25.0, 100.0]
    assert result["top5_interval"] == [0.0, 100.0]


def test_an_image_without_a_true_box_counts_for_nothing_else():
    result = _score((_five((3, WHOLE)), [], 7))
    assert (result["images"], result["unscored"]) == (0, 1)
    assert _errors(result) == (None,) * 4


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_best_of_fewer_than_five_is_not_top_5(count):
    result = _score((_five((7, WHOLE))[:count], [WHOLE], 7))
    assert result["guesses"] == count
    assert _errors(result) == (0.0, None, 0.0, None)
    assert result["top5_interval"] is None


def test_a_class_that_no_guess_can_name_is_an_error():
    result = _score((_five((-1, WHOLE)), [WHOLE], -1))
    assert _errors(result) == (100,) * 4
    assert result["images"] == 1


def test_which_guesses_are_right():
    named, located, scored = right_guesses(
        [[WHOLE, LESS, HALF]] * 2, [[7, 7, 3], [3, 7, 7]], [[WHOLE], []], np.array([7, 7])
    )
    assert named.tolist() == [[True, True, False], [False, True, True]]
    assert located.tolist() == [[True, False, False], [False, False, False]]
    assert scored.tolist() == [True, False]


_BOX = st.tuples(*[st.floats(0, 1, width=32)] * 4).map(list)
_GUESS = st.tuples(st.integers(-1, 2), _BOX | st.just(WHOLE))
_IMAGE = st.tuples(
    st.lists(_GUESS, min_size=5, max_size=5),
    st.lists(_BOX | st.just(WHOLE), max_size=2),
    st.integers(0, 2),
)
_IMAGES = st.lists(_IMAGE, min_size=1, max_size=8)


@given(_IMAGES)
def test_against_the_definition_spelt_out(images):
    def overlap(a, b):
        width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
        height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
        areas = [max(c[2] - c[0], 0) * max(c[3] - c[1], 0) for c in (a, b)]
        union = sum(areas) - width * height
        return width * height / union if union > 0 else 0

    def error(image, count):
        guesses, truth, label = image
        return min(
            float(c != label or max(overlap(b, true) for true in truth) < 0.5)
            for c, b in guesses[:count]
        )

    scored = [image for image in images if image[1]]
    expected = [
        pytest.approx(100 * sum(error(image, count) for image in scored) / len(scored))
        if scored
        else None
        for count in (1, 5)
    ]
    result = _score(*images)
    assert [result["top1_error"], result["top5_error"]] == expected


@given(_IMAGES)
def test_a_box_can_only_be_lost_on_top_of_a_class_and_more_guesses_can_only_help(images):
    top1, top5, top1_class, top5_class = (value or 0.0 for value in _errors(_score(*images)))
    assert top5_class <= top5 <= top1
    assert top5_class <= top1_class <= top1


@given(
    _IMAGES.flatmap(
        lambda images: st.tuples(
            st.just(images), st.permutations(images), st.integers(0, len(images))
        )
    )
)
def test_neither_order_nor_batches_nor_shards_change_a_byte(case):
    images, shuffled, cut = case
    merged, other = LocalizationError(), LocalizationError()
    for image in shuffled[:cut]:
        _update(merged, [image])
    for image in shuffled[cut:]:
        _update(other, [image])
    merged.merge(other)
    assert json.dumps(merged.result(), allow_nan=False) == json.dumps(_score(*images))


@pytest.mark.parametrize(
    ("boxes", "class_ids", "truths", "labels", "message"),
    [
        ([[WHOLE] * 6], [[1] * 6], [[WHOLE]], [1], "1 to 5 guesses; received 6"),
        (np.zeros((1, 0, 4)), np.zeros((1, 0), int), [[WHOLE]], [1], "received 0"),
        ([[WHOLE]], [[1, 2]], [[WHOLE]], [1], r"received \(1, 1, 4\), \(1, 2\), 1 and 1"),
        ([[WHOLE]], [[1]], [[WHOLE], []], [1], r"\(1, 1\), 2 and 1"),
        ([[WHOLE]], [[1]], [[WHOLE]], [1, 1], r"\(1, 1\), 1 and 2"),
        ([WHOLE], [1], [[WHOLE]], [1], r"whole numbers of the shape \(N, K\).* \(1,\)"),
        ([[WHOLE]], [[1.0]], [[WHOLE]], [1], "Class ids of guesses must be.* type float64"),
        ([[WHOLE]], [[1]], [[WHOLE]], [0.5], "Labels must be.* type float64"),
        ([[WHOLE]], [[-2]], [[WHOLE]], [1], "guesses are 0 or more, or -1; received -2"),
        ([[WHOLE]], [[1]], [[WHOLE]], [-2], "Labels are 0 or more, or -1; received -2"),
        ([[[0, 0, np.nan, 1]]], [[3]], [[WHOLE]], [1], "predicted box must be four finite"),
        ([[WHOLE]], [[3]], [[[0, 0, np.inf, 1]]], [1], "true box must be four finite"),
        ([[WHOLE] * 2], [[1, 1]], [[WHOLE]], [1], "received 2 after 1. Fill up with class id -1"),
    ],
    ids=[
        *("six guesses", "no guesses", "class ids", "truths", "labels", "one axis", "float ids"),
        *("float labels", "low id", "low label", "nan", "inf", "other K"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(boxes, class_ids, truths, labels, message):
    metric = LocalizationError()
    metric.update([[WHOLE]], [[1]], [[WHOLE]], [1])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        metric.update(boxes, class_ids, truths, labels)
    assert metric.result() == before


def test_other_numbers_of_guesses_cannot_be_merged():
    one, two = LocalizationError(), LocalizationError()
    one.update([[WHOLE]], [[1]], [[WHOLE]], [1])
    two.update([[WHOLE] * 2], [[1, 1]], [[WHOLE]], [1])
    before = one.result()
    with pytest.raises(ValueError, match="received 2 after 1"):
        one.merge(two)
    assert one.result() == before
    empty = LocalizationError()
    empty.merge(one)
    assert empty.result() == before
