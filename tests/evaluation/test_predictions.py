"""Boxes by cross-validation and by a fitted localizer, and images that were fitted on."""

import numpy as np
import pytest
from made_tables import LEFT, RIGHT, a_dataset, a_table, extract

from sensmap import boxes as box_geometry
from sensmap import localizers
from sensmap.evaluation import predictions


def cross_validate(table, folds, names=("centred_box", "mean_box", "linear")):
    estimators = [localizers.create(name) for name in names]
    return [found for _, found in predictions.cross_validate(table, estimators, folds, seed=0)]


def test_no_image_is_predicted_from_its_own_box():
    # A trap: each image's box is its own, and written in its features. Who sees the row it is
    # asked for finds the box by its features; who does not sees noise.
    random = np.random.default_rng(0)
    low = random.uniform(0, 0.4, (60, 2))
    truths = np.concatenate([low, low + random.uniform(0.2, 0.5, (60, 2))], axis=1)
    own_column = np.eye(60, dtype=np.float32)
    found = cross_validate(a_table(truths, own_column), 6)
    for each in found:
        errors = np.abs(each.boxes - truths).max(axis=1)
        assert errors.min() > 1e-3, each.method
    # Not even the mean box holds the image's own box: for folds of one it is that of the others.
    _, mean = cross_validate(a_table(truths, own_column), 60, ("centred_box", "mean_box"))
    others = np.stack([np.delete(truths, position, axis=0).mean(axis=0) for position in range(60)])
    np.testing.assert_allclose(mean.boxes, others, atol=1e-6)


def test_cross_validation_learns_from_the_other_folds():
    random = np.random.default_rng(1)
    features = random.normal(size=(90, 4)).astype(np.float32)
    truths = np.array([0.2, 0.3, 0.6, 0.8]) + 0.03 * features
    found = cross_validate(a_table(truths, features), 5)
    assert [each.method for each in found] == [
        "Constant centre box",
        "Mean training box",
        "Linear regression",
    ]
    assert all(box_geometry.is_valid(each.boxes).all() for each in found)
    np.testing.assert_allclose(found[-1].boxes, truths, atol=5e-3)
    again = cross_validate(a_table(truths, features), 5)
    assert again[-1].boxes.tobytes() == found[-1].boxes.tobytes()


def test_images_of_several_boxes_are_predicted_but_not_learned_from():
    truths = [[LEFT]] * 8 + [[LEFT, RIGHT]]
    (found,) = cross_validate(a_table(truths), 3, ["mean_box"])
    np.testing.assert_allclose(found.boxes, [LEFT] * 9)


@pytest.mark.parametrize(
    ("truths", "folds", "message"),
    [
        ([LEFT] * 3, 4, "received 4 folds for 3 examples"),
        ([LEFT] * 3, 1, "2 folds or more"),
        ([[], [], [], []], 2, "none has exactly one valid box"),
    ],
)
def test_folds_that_cannot_be(truths, folds, message):
    with pytest.raises(ValueError, match=message):
        cross_validate(a_table(truths), folds)


@pytest.mark.parametrize(
    ("ids", "name", "fitted", "is_refused"),
    [
        (["image0", "image9"], "made", 2, True),  # one in common
        (["image7", "image9"], "made", 2, False),  # none
        (["image0"], "another", 2, False),  # the same id in another data set
        (["image0"], "made", 0, False),  # no box of it was used (ready-made)
    ],
)
def test_images_that_a_localizer_was_fitted_on(ids, name, fitted, is_refused):
    config = {"data": {"dataset": name, "ids": ids}, "fitted_on_boxes_of": fitted}
    dataset = a_dataset(a_table([LEFT] * 3))
    if is_refused:
        with pytest.raises(ValueError, match=r"1 of the 3 images were used to fit .*'image0'"):
            predictions.refuse_fitted(config, dataset)
    else:
        predictions.refuse_fitted(config, dataset)


@pytest.mark.parametrize(
    ("name", "fitted_on", "is_refused"),
    [
        ("voc VOC2007 val", "voc VOC2007 trainval", True),
        ("voc VOC2007", "digits fit + voc VOC2007 val", True),  # one of several, and no split
        ("voc VOC2012 val", "voc VOC2007 val", False),
        ("voc photos test", "voc photos train", False),  # loose files, named alike in two folders
        ("cub test", "cub all", True),
        ("image_folder test", "image_folder train", False),
    ],
)
def test_splits_that_share_images(name, fitted_on, is_refused):
    config = {"data": {"dataset": fitted_on, "ids": ["image1"]}, "fitted_on_boxes_of": 1}
    dataset = a_dataset(a_table([LEFT] * 3))
    dataset.name = name
    if is_refused:
        with pytest.raises(ValueError, match="1 of the 3 images were used to fit"):
            predictions.refuse_fitted(config, dataset)
    else:
        predictions.refuse_fitted(config, dataset)


def test_a_localizer_that_records_no_data_is_not_refused():
    predictions.refuse_fitted({}, a_dataset(a_table([LEFT])))


def test_a_table_has_the_features_of_the_regressor(localizer, mixed):
    table = extract(localizer, mixed, "truth")
    assert table.features.shape == (5, 152)
    boxes = predictions.predict(table, localizer).boxes
    np.testing.assert_array_equal(boxes, localizer.estimator.predict(table.features))
