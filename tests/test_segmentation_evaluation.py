"""Scores of masks that are known in advance, and what cannot be scored."""

import numpy as np
import pytest
from channels import Channels, painted

from sensmap import masks, segmentation_evaluation
from sensmap.datasets import Dataset, Example
from sensmap.dense_crf import DenseCRF
from sensmap.masks import IGNORE
from sensmap.segmentation import Segmenter
from sensmap.segmentation_analysis import analyse
from sensmap.segmentation_evaluation import BACKGROUNDS, CENTRED, EMPTY, PLAIN, REFINED

# The data set's classes in another order than the classifier's, one unknown to it, and without red.
CLASSES = ("blue", "grey", "green")
BLUE, GREEN = 1, 3
LEFT_GREEN = painted((1, (0, 8), (0, 4), 200))
RIGHT_BLUE = painted((2, (0, 8), (4, 8), 200))


def mask_of(*columns):
    return np.tile(np.array(columns, np.uint8), (8, 1))


@pytest.fixture
def dataset(tmp_path):
    """Makes a data set of images, their masks, labels and boxes, by id."""

    def make(classes=CLASSES, **examples):
        found = {}
        for name, (image, mask, labels, *boxes) in examples.items():
            path = None if mask is None else tmp_path / f"{name}.png"
            if path is not None:
                masks.save(path, mask)
            found[name] = Example(
                name,
                image,
                labels,
                np.array(boxes, np.float32).reshape(-1, 4),
                np.array(labels[:1] * len(boxes), np.int32),
                mask=path,
            )
        ids = list(found)
        return Dataset("made", classes, ids, lambda position: found[ids[position]])

    return make


@pytest.fixture
def two(dataset):
    """One image that is found as it is, and one of which three quarters are."""
    return dataset(
        exact=(LEFT_GREEN, mask_of(*[GREEN] * 4, *[0] * 4), (2,), [0, 0, 0.5, 1]),
        wider=(RIGHT_BLUE, mask_of(0, 0, *[BLUE] * 6), (0,), [0.25, 0, 1, 1]),
    )


def test_masks_are_scored_in_the_classes_of_the_data_set(two):
    kept = {}
    found = segmentation_evaluation.evaluate(Segmenter(Channels()), two, keep=kept.__setitem__)
    assert found.ids == ["exact", "wider"]
    assert kept["exact"].tolist() == mask_of(*[GREEN] * 4, *[0] * 4).tolist()
    assert kept["wider"].tolist() == mask_of(*[0] * 4, *[BLUE] * 4).tolist()
    assert kept["wider"].dtype == np.uint8
    *baselines, row = found.rows
    assert [each["method"] for each in baselines] == [EMPTY, CENTRED]
    assert row["method"] == PLAIN
    # Columns of 8 pixels: background 6 of 8 that either says, blue 4 of 6, green 4 of 4.
    by_class = {each["class"]: each["iou"] for each in row["by_class"]}
    assert by_class == pytest.approx(
        {"background": 75.0, "blue": 400 / 6, "green": 100.0, "grey": None}
    )
    assert row["mean_iou"] == pytest.approx((75 + 400 / 6 + 100) / 3)
    assert row["pixel_accuracy"] == pytest.approx(100 * 14 / 16)
    # The boxes have an IoU of 1 and of 2/3.
    assert row["localization"]["corloc"] == 100
    assert row["localization"]["mean_iou"] == pytest.approx((1 + 2 / 3) / 2)
    assert row["seconds_per_image"] > 0
    assert found.skipped == []
    assert list(found.seconds) == ["images and true masks", "classes, maps and masks", "measures"]
    assert min(found.seconds.values()) > 0


def test_masks_that_need_no_map(two):
    found = segmentation_evaluation.evaluate(Segmenter(Channels()), two, ellipse=1.0)
    empty, centred, main = found.rows
    assert empty["group"] == centred["group"] == "baseline"
    assert "group" not in main
    assert empty["seconds_per_image"] is centred["seconds_per_image"] is None
    # Of 16 columns 6 are background; the box is the image: IoU 1/2 and 3/4.
    assert empty["pixel_accuracy"] == pytest.approx(100 * 6 / 16)
    assert empty["localization"]["mean_iou"] == pytest.approx((1 / 2 + 3 / 4) / 2)
    # A circle of 8 by 8 pixels leaves three pixels free in each corner: at 1, 3, 5 and 7 eighths
    # of its radius, 7/8 goes with 3/8 but not with 5/8.
    inside = np.ones((8, 8), bool)
    for row, column in ((0, 0), (0, 1), (1, 0)):
        for corner in (inside, inside[::-1], inside[:, ::-1], inside[::-1, ::-1]):
            corner[row, column] = False
    np.testing.assert_array_equal(segmentation_evaluation.centred_ellipse((8, 8), 1.0), inside)
    truths = (mask_of(*[GREEN] * 4, *[0] * 4), mask_of(0, 0, *[BLUE] * 6))
    right = np.mean(
        [inside * index == truth for truth, index in zip(truths, (GREEN, BLUE), strict=True)]
    )
    assert centred["pixel_accuracy"] == pytest.approx(100 * right)


def test_the_centred_object_is_of_the_first_class(dataset):
    # Both classes are seen, and green is brighter.
    image = painted((1, (0, 8), (0, 8), 200), (2, (0, 8), (0, 8), 190))
    data = dataset(one=(image, mask_of(*[GREEN] * 8), (2, 0)))
    centred = segmentation_evaluation.evaluate(Segmenter(Channels()), data, ellipse=2.0).rows[1]
    assert centred["pixel_accuracy"] == 100


@pytest.mark.parametrize("size", [(200, 300), (201, 99)])
def test_the_area_of_an_ellipse(size):
    inside = segmentation_evaluation.centred_ellipse(size, 0.5)
    assert inside.mean() == pytest.approx(np.pi / 16, rel=0.01)
    down, across = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    for found, side in ((down, size[0]), (across, size[1])):
        assert len(found) == pytest.approx(side / 2, abs=1)
        assert found[0] == side - 1 - found[-1]


def test_each_image_has_a_record(dataset):
    data = dataset(
        wider=(RIGHT_BLUE, mask_of(0, 0, *[BLUE] * 6), (0,)),
        open=(LEFT_GREEN, np.full((8, 8), IGNORE), (2,)),
        nothing=(RIGHT_BLUE, mask_of(*[IGNORE] * 4, *[0] * 4), ()),
        both=(LEFT_GREEN, mask_of(*[GREEN] * 2, *[BLUE] * 2, *[0] * 4), (2,)),
    )
    found = segmentation_evaluation.evaluate(Segmenter(Channels()), data)
    assert found.ids == ["wider", "open", "nothing", "both"]
    assert found.scored == ["wider", "nothing", "both"]
    wider, nothing, both = segmentation_evaluation.image_lines(found)
    assert [each["id"] for each in (wider, nothing, both)] == found.scored
    assert [each["classes"] for each in (wider, nothing, both)] == [["blue"], [], ["blue", "green"]]
    assert list(wider["mean_iou"]) == list(wider["foreground_iou"]) == [EMPTY, CENTRED, PLAIN]
    # Columns: background 2 of 4, blue 4 of 6.
    assert wider["mean_iou"][PLAIN] == pytest.approx((2 / 4 + 4 / 6) / 2)
    assert wider["foreground_iou"][PLAIN] == pytest.approx(4 / 6)
    assert wider["mean_iou"][EMPTY] == pytest.approx((2 / 8 + 0) / 2)
    # What is scored is all background, and is called blue; nothing is right.
    assert nothing["mean_iou"] == {EMPTY: 1, CENTRED: nothing["mean_iou"][CENTRED], PLAIN: 0}
    assert nothing["foreground_iou"][EMPTY] is None
    assert nothing["foreground_iou"][PLAIN] == 0
    # Background and foreground are right; green 2 of 4, blue none.
    assert both["mean_iou"][PLAIN] == pytest.approx((1 + 2 / 4 + 0) / 3)
    assert both["foreground_iou"][PLAIN] == 1


def test_records_of_both_kinds_of_masks_are_of_their_pixels(two):
    segmenter = Segmenter(Channels(), crf=DenseCRF(steps=1))
    found = segmentation_evaluation.evaluate(segmenter, two)
    assert list(found.confusions) == [row["method"] for row in found.rows]
    for row in found.rows:
        total = sum(found.confusions[row["method"]])
        assert row["pixel_accuracy"] == pytest.approx(100 * np.trace(total) / total.sum())
    assert list(found.seconds)[2] == "CRF"


def test_the_box_is_that_of_the_largest_part_and_without_one_the_whole_image(dataset):
    parted = painted((1, (0, 2), (0, 2), 200), (1, (4, 8), (4, 8), 200))
    data = dataset(
        parted=(parted, mask_of(*[GREEN] * 8), (2,), [0.5, 0.5, 1, 1]),
        unseen=(LEFT_GREEN, mask_of(*[BLUE] * 8), (0,), [0, 0, 1, 1]),
    )
    row = segmentation_evaluation.evaluate(Segmenter(Channels()), data).rows[-1]
    assert row["localization"]["mean_iou"] == 1


def test_images_without_labels_or_boxes_are_not_in_corloc(dataset):
    mask = mask_of(*[GREEN] * 4, *[0] * 4)
    data = dataset(no_label=(LEFT_GREEN, mask, ()), no_box=(LEFT_GREEN, mask, (2,)))
    row = segmentation_evaluation.evaluate(Segmenter(Channels()), data).rows[-1]
    assert row["images"] == 2
    assert row["localization"]["images"] == 0
    assert row["localization"]["unscored"] == 1


def test_what_the_data_set_has_no_class_for_is_background(dataset):
    image = painted((0, (0, 8), (0, 4), 250), (1, (0, 8), (4, 8), 200))  # red and green
    data = dataset(one=(image, mask_of(*[0] * 4, *[GREEN] * 4), (2,)))
    found = segmentation_evaluation.evaluate(Segmenter(Channels()), data)
    assert found.rows[-1]["mean_iou"] == 100
    assert segmentation_evaluation.unknown_classes(data, Channels.classifier) == ["grey"]


@pytest.mark.parametrize(
    ("classes_of", "expected", "counts"),
    [
        ("predicted", [GREEN] * 4 + [BLUE] * 4, (1, 1, 1)),
        ("truth", [GREEN] * 4 + [0] * 4, (1, 0, 1)),
    ],
)
def test_classes_that_are_seen_or_those_that_are_true(dataset, classes_of, expected, counts):
    image = LEFT_GREEN + RIGHT_BLUE
    data = dataset(one=(image, mask_of(*[GREEN] * 8), (1, 2)))  # grey, which none knows, and green
    kept = {}
    found = segmentation_evaluation.evaluate(
        Segmenter(Channels()), data, classes_of, kept.__setitem__
    )
    assert kept["one"].tolist() == mask_of(*expected).tolist()
    assert tuple(found.classes.values()) == counts


def test_without_any_class_to_look_for_all_is_background(dataset):
    truth = mask_of(*[0] * 6, *[2] * 2)
    data = dataset(grey=(LEFT_GREEN, truth, (1,)), empty=(LEFT_GREEN, truth, ()))
    kept = {}
    segmenter = Segmenter(Channels(), crf=DenseCRF(steps=1))
    found = segmentation_evaluation.evaluate(segmenter, data, "truth", kept.__setitem__)
    assert not kept["grey"].any()
    assert [row["pixel_accuracy"] for row in found.rows] == [75] * 4
    shown = segmentation_evaluation.shown_pictures(segmenter, data, found, "truth", None, 2, 0)
    assert [len(each.maps) for each in shown] == [0, 0]


def test_the_masks_of_the_field_have_a_row_of_their_own_and_are_kept(dataset):
    # The map is grainy, the colours are not: the field fills the holes.
    image = np.full((20, 20, 3), (0, 60, 0), np.uint8)
    image[:, :10, 1] = np.where(np.random.default_rng(0).random((20, 10)) < 0.7, 90, 80)
    image[3:6, 3:6, 1] = 60
    truth = np.zeros((20, 20), np.uint8)
    truth[:, :10] = GREEN
    data = dataset(one=(image, truth, (2,)))
    field = DenseCRF(bilateral_xy=20.0, bilateral_rgb=60.0)
    kept = {}
    segmenter = Segmenter(Channels(), 2.5, field)
    found = segmentation_evaluation.evaluate(segmenter, data, "truth", kept.__setitem__)
    assert [row["method"] for row in found.rows[-2:]] == [PLAIN, REFINED]
    expected = segmenter(image, [1])
    assert (expected.mask != expected.unrefined).any()
    for row, mask in zip(found.rows[-2:], (expected.unrefined, expected.mask), strict=True):
        right = np.where(mask == 2, GREEN, 0) == truth
        assert row["pixel_accuracy"] == pytest.approx(100 * right.mean())
    assert kept["one"].tolist() == np.where(expected.mask == 2, GREEN, 0).tolist()


def test_what_cannot_be_scored_is_named(dataset, tmp_path):
    good = mask_of(*[GREEN] * 8)
    data = dataset(
        good=(LEFT_GREEN, good, (2,)),
        no_mask=(LEFT_GREEN, None, (2,)),
        small=(LEFT_GREEN, good[:4], (2,)),
        beyond=(LEFT_GREEN, good + 1, (2,)),
        open=(LEFT_GREEN, np.full((8, 8), IGNORE), (2,)),
        **{"../out": (LEFT_GREEN, None, (2,)), "damaged": (LEFT_GREEN, good, (2,))},
    )
    (tmp_path / "damaged.png").write_bytes(b"no mask")
    kept = {}
    found = segmentation_evaluation.evaluate(Segmenter(Channels()), data, keep=kept.__setitem__)
    assert list(kept) == found.ids == ["good", "open"]
    assert found.rows[0]["images"] == found.rows[0]["unscored"] == 1
    reasons = dict(found.skipped)
    assert list(reasons) == ["no_mask", "small", "beyond", "../out", "damaged"]
    assert reasons["no_mask"] == "there is no mask of it."
    assert reasons["small"].endswith("the mask has 4x8 pixels, its image 8x8.")
    assert reasons["beyond"].endswith("its index 4 is beyond the 3 classes.")
    assert "cannot be the name of a mask's file" in reasons["../out"]
    assert "not a PNG" in reasons["damaged"]


def test_no_masks_at_all(dataset):
    data = dataset(one=(LEFT_GREEN, None, (2,)))
    with pytest.raises(ValueError, match=r"No image of made has a mask that .*no mask of it"):
        segmentation_evaluation.evaluate(Segmenter(Channels()), data)
    with pytest.raises(ValueError, match=r"No image of made has a mask to choose .*no mask of it"):
        segmentation_evaluation.fit_background(Channels(), data, "truth", (), 0)


def test_no_class_in_common(dataset):
    data = dataset(("cat", "dog"), one=(LEFT_GREEN, mask_of(*[1] * 8), (0,)))
    with pytest.raises(ValueError, match="knows no class of the data set"):
        segmentation_evaluation.evaluate(Segmenter(Channels()), data)


def test_classes_of_nobody(two):
    with pytest.raises(ValueError, match="predicted or truth; received 'both'"):
        segmentation_evaluation.evaluate(Segmenter(Channels()), two, "both")


@pytest.mark.parametrize(("faint", "best"), [(0.3, 0.25), (0.45, 0.7), (0.85, 4.0)])
def test_the_weight_of_the_background_is_the_best_on_other_images(dataset, faint, best):
    # The object has a map of 1 and of `faint`, which is above b (1 - faint) up to
    # b = faint / (1 - faint): 0.43, 0.82, 5.7; what is fainter by 0.1 is background, from b = 0.25,
    # 0.54 and 3 on.
    value, other = round(250 * faint), round(250 * (faint - 0.1))
    image = painted(
        (1, (0, 8), (0, 1), 250), (1, (0, 8), (1, 4), value), (1, (0, 8), (4, 8), other)
    )
    data = dataset(one=(image, mask_of(*[GREEN] * 4, *[0] * 4), (2,)))
    fitted = segmentation_evaluation.fit_background(Channels(), data, "truth", ["another"], 0)
    right = [weight for weight, found in fitted.mean_iou.items() if found == 100]
    shown = [
        weight
        for weight in BACKGROUNDS
        if value > weight * (250 - value) and other <= weight * (250 - other)
    ]
    assert right == shown
    assert fitted.background == right[0] == pytest.approx(best)
    assert fitted.ids == ["one"]
    assert len(fitted) == 1
    # The object is half of the image.
    inside = segmentation_evaluation.centred_ellipse((400, 300), fitted.ellipse)
    assert inside.mean() == pytest.approx(0.5, abs=0.005)


def test_what_is_not_scored_has_no_area(dataset):
    half = (LEFT_GREEN, mask_of(*[IGNORE] * 4, GREEN, 0, 0, 0), (2,))
    fitted = segmentation_evaluation.fit_background(Channels(), dataset(one=half), "truth", [], 0)
    assert np.pi / 4 * fitted.ellipse**2 == pytest.approx(1 / 4)
    nothing = dataset(one=(LEFT_GREEN, np.full((8, 8), IGNORE), (2,)))
    fitted = segmentation_evaluation.fit_background(Channels(), nothing, "truth", [], 0)
    assert fitted.ellipse == segmentation_evaluation.ELLIPSE


def test_the_weight_is_chosen_on_a_hundred_images(dataset):
    mask = mask_of(*[GREEN] * 4, *[0] * 4)
    names = [f"image{number}" for number in range(110)]
    data = dataset(**dict.fromkeys(names, (LEFT_GREEN, mask, (2,))))
    fitted = segmentation_evaluation.fit_background(Channels(), data, "truth", [], 0)
    assert len(set(fitted.ids)) == 100
    assert (
        fitted.ids != segmentation_evaluation.fit_background(Channels(), data, "truth", [], 1).ids
    )


def test_the_weight_is_not_chosen_on_what_is_scored(two):
    with pytest.raises(ValueError, match=r"1 of the 2 images .*'exact' is one; choose another"):
        segmentation_evaluation.fit_background(Channels(), two, "truth", ["exact", "else"], 0)


def test_pictures_go_with_their_image(two):
    segmenter = Segmenter(Channels(), crf=DenseCRF(steps=1))
    found = segmentation_evaluation.evaluate(segmenter, two)
    shown = segmentation_evaluation.shown_pictures(
        segmenter, two, found, "predicted", Channels(), 5, seed=0
    )
    assert [each.caption for each in shown] == ["exact", "wider"]
    for each, image, name, index in zip(
        shown, (LEFT_GREEN, RIGHT_BLUE), ("green", "blue"), (GREEN, BLUE), strict=True
    ):
        np.testing.assert_array_equal(each.image, image)
        (class_map,) = each.maps
        assert class_map.name == name
        np.testing.assert_array_equal(class_map.map, image.max(axis=2) / 200)
        np.testing.assert_array_equal(class_map.before, class_map.map)
        np.testing.assert_array_equal(each.plain, np.where(image.any(axis=2), index, 0))
        assert each.refined.shape == each.truth.shape == (8, 8)
    one = segmentation_evaluation.shown_pictures(
        Segmenter(Channels()), two, found, "predicted", None, 1, seed=0
    )
    assert len(one) == 1
    assert one[0].refined is None
    assert one[0].maps[0].before is None


def test_pictures_of_the_worst_go_with_their_kind(dataset):
    data = dataset(
        wrong=(RIGHT_BLUE, mask_of(*[GREEN] * 8), (2,)),
        right=(LEFT_GREEN, mask_of(*[GREEN] * 4, *[0] * 4), (2,)),
        worse=(RIGHT_BLUE, mask_of(*[0] * 4, *[GREEN] * 4), (2,)),
    )
    segmenter = Segmenter(Channels(), crf=DenseCRF(steps=1))
    found = segmentation_evaluation.evaluate(segmenter, data)
    analysed = analyse(found.confusions[REFINED], found.scored)
    worst = segmentation_evaluation.worst_pictures(segmenter, data, analysed, "predicted")
    assert {kind: [each.caption for each in shown] for kind, shown in worst.items() if shown} == {
        "good": ["right"],
        "missed": ["wrong", "worse"],
    }
    picture = worst["missed"][0]
    np.testing.assert_array_equal(picture.image, RIGHT_BLUE)
    assert (picture.truth == GREEN).all()
    np.testing.assert_array_equal(picture.plain, mask_of(*[0] * 4, *[BLUE] * 4))
    assert picture.refined is not None
    assert picture.iou == 0
