"""Mean IoU on masks whose pixels can be counted by hand."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, jaccard_score

from sensmap.metrics.mean_iou import MeanIoU, bootstrap, confusion, ious

CLASSES = ["cat", "dog", "emu"]

PREDICTED = np.array([[0, 1, 1], [0, 2, 2]], np.uint8)
TRUTH = np.array([[0, 0, 1], [255, 2, 1]], np.uint8)


def _score(*images):
    metric = MeanIoU(CLASSES)
    metric.update([predicted for predicted, _ in images], [truth for _, truth in images])
    return metric.result()


def _by_class(result, column="iou"):
    return [row[column] for row in result["by_class"]]


def test_two_rows_of_three_pixels():
    # Of five pixels that count: background right once and once called cat; cat right once and
    # once called dog; dog right once.
    assert confusion(PREDICTED, TRUTH, 4).tolist() == [
        *([1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0])
    ]
    result = _score((PREDICTED, TRUTH))
    assert [row["class"] for row in result["by_class"]] == ["background", *CLASSES]
    assert _by_class(result) == [50.0, pytest.approx(100 / 3), 50.0, None]
    assert _by_class(result, "pixels") == [2, 2, 1, 0]
    assert result["mean_iou"] == pytest.approx((50 + 100 / 3 + 50) / 3)
    assert result["pixel_accuracy"] == 60.0
    assert result["interval"] == pytest.approx([result["mean_iou"]] * 2)  # there is one image
    assert (result["images"], result["unscored"]) == (1, 0)


def test_the_set_is_counted_as_one_and_not_image_by_image():
    # cat: 1 of 1 pixel, then 0 of 3; 1/4 over both, where the images' mean would be 1/2.
    first = (np.array([[1]]), np.array([[1]]))
    second = (np.array([[0, 0, 0]]), np.array([[1, 1, 1]]))
    result = _score(first, second)
    assert _by_class(result) == [0.0, 25.0, None, None]
    assert result["mean_iou"] == 12.5  # the background is only predicted, and counts
    assert result["pixel_accuracy"] == 25.0


@pytest.mark.parametrize(
    ("predicted", "truth", "by_class", "mean"),
    [
        ([[0, 0]], [[0, 0]], [100, None, None, None], 100),  # nothing but background, and right
        ([[1, 0]], [[0, 0]], [50, 0, None, None], 25),  # cat is only predicted
        ([[0, 0]], [[0, 2]], [50, None, 0, None], 25),  # dog is never predicted
        ([[1, 0]], [[255, 0]], [100, None, None, None], 100),  # cat only where nothing counts
        ([[3, 3]], [[3, 3]], [None, None, None, 100], 100),  # not even background
    ],
)
def test_classes_that_are_absent(predicted, truth, by_class, mean):
    result = _score((predicted, truth))
    assert (_by_class(result), result["mean_iou"]) == (by_class, mean)


def test_pixels_whose_truth_is_255_do_not_count_whatever_is_predicted():
    for value in range(4):
        predicted = np.where(TRUTH == 255, value, PREDICTED)
        assert confusion(predicted, TRUTH, 4).tolist() == confusion(PREDICTED, TRUTH, 4).tolist()


def test_an_image_without_a_pixel_that_counts_is_counted_apart():
    nothing = (PREDICTED, np.full((2, 3), 255))
    result = _score(nothing)
    assert (result["images"], result["unscored"]) == (0, 1)
    assert [result[key] for key in ("mean_iou", "interval", "pixel_accuracy")] == [None] * 3
    both = _score((PREDICTED, TRUTH), nothing)
    assert both == _score((PREDICTED, TRUTH)) | {"unscored": 1}


def test_no_images():
    metric = MeanIoU(["cat"])
    metric.update([], [])
    assert metric.result() == {
        "mean_iou": None,
        "interval": None,
        "interval_method": "bootstrap over images, 1,000 resamples, percentile, 95%",
        "pixel_accuracy": None,
        "images": 0,
        "unscored": 0,
        "by_class": [
            {"class": "background", "iou": None, "pixels": 0},
            {"class": "cat", "iou": None, "pixels": 0},
        ],
    }


_CLASS = st.integers(0, 3)
_IMAGE = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda size: st.tuples(
        arrays(np.uint8, size, elements=_CLASS),
        arrays(np.uint8, size, elements=_CLASS | st.just(255)),
    )
)
_IMAGES = st.lists(_IMAGE, min_size=1, max_size=6)
_FEWER = settings(max_examples=30, deadline=None)  # a result takes 1,000 resamples


@_FEWER
@given(_IMAGES)
def test_against_scikit_learn(images):
    predicted = np.concatenate([mask.ravel() for mask, _ in images])
    truth = np.concatenate([mask.ravel() for _, mask in images])
    predicted, truth = predicted[truth != 255], truth[truth != 255]
    result = _score(*images)
    if not len(truth):
        assert result["mean_iou"] is None
        return
    present = sorted({*truth.tolist(), *predicted.tolist()})
    of_class = jaccard_score(truth, predicted, labels=present, average=None)
    expected = [None] * 4
    for index, iou in zip(present, of_class, strict=True):
        expected[index] = pytest.approx(100 * iou)
    assert _by_class(result) == expected
    macro = jaccard_score(truth, predicted, labels=present, average="macro")
    assert result["mean_iou"] == pytest.approx(100 * macro)
    assert result["pixel_accuracy"] == pytest.approx(100 * accuracy_score(truth, predicted))


@_FEWER
@given(
    _IMAGES.flatmap(
        lambda images: st.tuples(
            st.just(images), st.permutations(images), st.integers(0, len(images))
        )
    )
)
def test_neither_order_nor_batches_nor_shards_change_a_byte(case):
    images, shuffled, cut = case
    merged, other = MeanIoU(CLASSES), MeanIoU(CLASSES)
    for predicted, truth in shuffled[:cut]:
        merged.update([predicted], [truth])
    other.update([mask for mask, _ in shuffled[cut:]], [mask for _, mask in shuffled[cut:]])
    merged.merge(other)
    assert json.dumps(merged.result(), allow_nan=False) == json.dumps(_score(*images))


@_FEWER
@given(_IMAGES)
def test_the_interval_lies_within_0_to_100(images):
    interval = _score(*images)["interval"]
    assert interval is None or 0 <= interval[0] <= interval[1] <= 100


def test_the_interval_has_the_width_that_theory_gives():
    # Images of one pixel, a cat, of which 60% are found. The IoU of cat is the share of those
    # found, with a binomial spread; that of the background, which is only predicted, is 0.
    found, images = 60, 100
    right, missed = np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64)
    right[1, 1] = missed[1, 0] = 1
    low, high = bootstrap([right] * found + [missed] * (images - found))
    half = 1.96 * np.sqrt(0.6 * 0.4 / images) / 2
    assert [low, high] == pytest.approx([0.3 - half, 0.3 + half], abs=0.006)


def test_the_interval_against_a_bootstrap_spelt_out():
    generator = np.random.default_rng(7)
    counts = list(generator.integers(0, 30, (40, 3, 3)))
    drawn = np.random.default_rng(1)
    means = [ious(sum(counts[i] for i in drawn.integers(40, size=40))).mean() for _ in range(4000)]
    assert bootstrap(counts) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.003)


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        ([PREDICTED], [TRUTH, TRUTH], "received 2 predicted and 3 true masks"),
        ([PREDICTED], [TRUTH.T], r"same size; received \(2, 3\) and \(3, 2\)"),
        ([PREDICTED / 1], [TRUTH], r"predicted mask must be .*\(2, 3\) and type float64"),
        ([PREDICTED > 0], [TRUTH], "predicted mask must be .* type bool"),
        ([PREDICTED], [TRUTH / 1], "true mask must be .* type float64"),
        ([PREDICTED[None]], [TRUTH[None]], r"\(H, W\); received the shape \(1, 2, 3\)"),
        ([PREDICTED + 2], [TRUTH], "predicted mask holds class indices, 0 to 3; received 4"),
        ([PREDICTED.astype(int) - 1], [TRUTH], "0 to 3; received -1"),
        ([TRUTH], [TRUTH], "0 to 3; received 255"),  # a prediction decides everywhere
        ([PREDICTED], [np.where(TRUTH == 2, 4, TRUTH)], "0 to 3, 255; received 4"),
        ([PREDICTED], [TRUTH.astype(int) - 1], "0 to 3, 255; received -1"),
        ([PREDICTED], [np.where(TRUTH == 2, 256, TRUTH.astype(int))], "0 to 3, 255; received 256"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(predicted, truth, message):
    metric = MeanIoU(CLASSES)
    metric.update([PREDICTED], [TRUTH])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        metric.update([PREDICTED, *predicted], [TRUTH, *truth])
    assert metric.result() == before


def test_other_classes_cannot_be_merged():
    metric = MeanIoU(CLASSES)
    with pytest.raises(ValueError, match="same classes"):
        metric.merge(MeanIoU(CLASSES[:2]))


def test_255_is_no_class():
    assert len(MeanIoU([str(index) for index in range(1, 255)]).classes) == 255
    with pytest.raises(ValueError, match=r"up to 254 classes .*; received 255"):
        MeanIoU([str(index) for index in range(1, 256)])
