"""PxAP on pixels that can be counted by hand, and against Choe et al.'s own code."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from sensmap import masks
from sensmap.metrics import _score_maps
from sensmap.metrics.pxap import PxAP, average_precision, histograms

PIXELS = 224**2


def _score(*images, thresholds=1000):
    metric = PxAP(thresholds)
    metric.update([score_map for score_map, _ in images], [mask for _, mask in images])
    return metric.result()


def test_counts_between_thresholds():
    # At 224x224 already, so that nothing is resized: a quarter each of 0, 0.25, 0.5 and 1.
    scores = np.repeat([0.0, 0.25, 0.5, 1.0], 56)[None].repeat(224, axis=0)
    mask = np.repeat([0, 255, 1, 20], 56)[None].repeat(224, axis=0)
    quarter = PIXELS // 4
    assert histograms(scores, mask, 4).tolist() == [
        *([quarter, 0, 0, 0, 0], [0, 0, quarter, 0, quarter])
    ]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[5, 0], [0, 3]], 1),  # apart
        ([[0, 5], [3, 0]], 3 / 8),  # the wrong way round: only with everything is there recall
        ([[1, 1], [1, 1]], 1 / 2),  # no better than chance
        # From the top: 1 of 1 is right, then 1 of 3, then 3 of 6.
        ([[1, 2, 0], [2, 0, 1]], 1 / 3 + 0 + 2 / 3 * 3 / 6),
        ([[1, 0, 0], [1, 0, 0]], 1 / 2),  # nothing above the lowest threshold
    ],
)
def test_average_precision(counts, expected):
    assert average_precision(counts) == pytest.approx(expected)


def test_no_pixel_on_an_object():
    assert np.isnan(average_precision([[1, 2], [0, 0]]))
    result = _score((np.eye(3), np.zeros((4, 4), int)))
    assert (result["pxap"], result["images"], result["object_pixels"]) == (None, 1, 0)


def test_a_perfect_map_and_a_constant_one():
    mask = np.kron([[0, 0], [0, 1]], np.ones((112, 112), int))
    assert _score((mask / 1, mask))["pxap"] == 100
    assert _score((np.ones((2, 2)), mask))["pxap"] == 25  # the share of the object's pixels


def test_bool_masks_and_class_indices_are_one_object():
    scores, mask = np.random.default_rng(0).random((9, 7)), np.eye(5, dtype=int)
    expected = _score((scores, mask))
    assert _score((scores, mask == 1)) == expected
    assert _score((scores, 17 * mask)) == expected


def test_an_image_without_a_pixel_that_counts_is_counted_apart():
    nothing = (np.eye(3), np.full((3, 3), 255))
    assert _score(nothing) == _score() | {"unscored": 1}
    assert _score()["pxap"] is None
    something = (np.eye(3), np.eye(3, dtype=int))
    assert _score(something, nothing) == _score(something) | {"unscored": 1}


_IMAGES = st.lists(
    st.tuples(
        arrays(np.float64, (3, 4), elements=st.integers(0, 4)),
        arrays(np.uint8, (2, 5), elements=st.sampled_from([0, 1, 255])),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=20, deadline=None)
@given(_IMAGES)
def test_against_scikit_learn(images):
    # Only values that are bins of their own: as many thresholds as there can be scores.
    scores, truth = [], []
    for score_map, mask in images:
        kept = np.floor(1000 * _score_maps.normalize(score_map)) / 1000
        resized = mask[np.arange(224) * 2 // 224][:, np.arange(224) * 5 // 224]
        scores.append(kept[resized != 255])
        truth.append(resized[resized != 255] == 1)
    scores, truth = np.concatenate(scores), np.concatenate(truth)
    result = _score(*images)
    assert result["pixels"] == len(truth)
    if not truth.any():
        assert result["pxap"] is None
    else:
        # A score that is a threshold times 1,000 may fall on either side of a whole number.
        expected = average_precision_score(truth, scores)
        assert result["pxap"] == pytest.approx(100 * expected, abs=0.05)


@settings(max_examples=20, deadline=None)
@given(arrays(np.float64, (6, 6), elements=st.floats(0, 1)), st.sampled_from([7, 100, 1000]))
def test_bins_are_those_of_a_search_among_the_thresholds(score_map, thresholds):
    scores = _score_maps.normalize(score_map)
    edges = np.append(np.arange(thresholds) * (1 / thresholds), [1.0, 2.0])
    expected, _ = np.histogram(scores, bins=edges)
    found = histograms(score_map, np.ones((1, 1), int), thresholds)
    assert found.tolist() == [[0] * (thresholds + 1), expected.tolist()]


@pytest.mark.parametrize("thresholds", [7, 100, 1000])
def test_scores_next_to_a_threshold(thresholds):
    edges = np.arange(thresholds) * (1 / thresholds)
    scores = np.concatenate([edges, np.nextafter(edges, 1), np.nextafter(edges[1:], 0), [1]])
    padded = np.pad(scores, (0, PIXELS - len(scores))).reshape(224, 224)  # not resized then
    expected, _ = np.histogram(padded, bins=np.append(edges, [1.0, 2.0]))
    found = histograms(padded, np.ones((1, 1), int), thresholds)
    assert found[1].tolist() == expected.tolist()


@settings(max_examples=15, deadline=None)
@given(
    _IMAGES.flatmap(
        lambda images: st.tuples(
            st.just(images), st.permutations(range(len(images))), st.integers(0, len(images))
        )
    )
)
def test_neither_order_nor_batches_nor_shards_change_a_byte(case):
    images, order, cut = case
    merged, other = PxAP(), PxAP()
    for place in order[:cut]:
        merged.update([images[place][0]], [images[place][1]])
    rest = [images[place] for place in order[cut:]]
    other.update([score_map for score_map, _ in rest], [mask for _, mask in rest])
    merged.merge(other)
    assert json.dumps(merged.result(), allow_nan=False) == json.dumps(_score(*images))


@pytest.mark.parametrize(
    ("maps", "truths", "message"),
    [
        ([np.eye(2)], [], "received 2 and 1"),
        ([np.full((2, 2), np.inf)], [np.eye(2, dtype=int)], "must be finite; received inf"),
        ([np.eye(2)], [np.eye(2)], r"bool or whole numbers .* type float64"),
        ([np.eye(2)], [[1, 0]], r"shape \(H, W\); received the shape \(2,\)"),
        ([np.eye(2)], [[[256]]], "0 to 255; received 256"),
        ([np.eye(2)], [[[-1]]], "0 to 255; received -1"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(maps, truths, message):
    metric = PxAP()
    metric.update([np.eye(2)], [np.eye(2, dtype=int)])
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        metric.update([np.eye(2), *maps], [np.eye(2, dtype=int), *truths])
    assert metric.result() == before


@pytest.mark.parametrize("thresholds", [0, -1, 2.5, "many"])
def test_thresholds_that_make_no_sense(thresholds):
    with pytest.raises(ValueError, match="whole one above 0"):
        PxAP(thresholds)


def test_other_thresholds_cannot_be_merged():
    with pytest.raises(ValueError, match="100 thresholds for 1000"):
        PxAP().merge(PxAP(100))


@pytest.mark.parametrize("thresholds", [1000, 100])
def test_equals_the_authors_code(shared, thresholds):
    expected = json.loads((shared / "goldens" / "pxap_expected.json").read_text())
    with np.load(shared / "goldens" / "pxap_maps.npz", allow_pickle=False) as arrays:
        ids, maps = arrays["ids"], arrays["lowres"]
    folder = shared / "data" / "pets3" / "SegmentationClass"
    metric = PxAP(thresholds)
    metric.update(maps, [masks.load(folder / f"{name}.png") for name in ids])
    assert metric.result()["pxap"] == pytest.approx(expected[f"pxap_{thresholds}"], abs=1e-9)
