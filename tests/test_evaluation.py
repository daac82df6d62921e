"""Predictions of every kind, their scores, and the files of an evaluation."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from sensmap import boxes as box_geometry
from sensmap import classifiers, datasets, evaluation, localizers, maps
from sensmap.datasets import Dataset, Example
from sensmap.evaluation import Predictions
from sensmap.export import ServedModel, export_saved_model
from sensmap.localizer import Localizer
from sensmap.localizers.linear import BoxRegressor
from sensmap.pipeline import Extractor, FeatureTable, Readings

NAMES = [str(digit) for digit in range(10)]
LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]


def a_table(truths, features=None, labels=None, sizes=None, guessed=()):
    count = len(truths)
    features = np.zeros((count, 3), np.float32) if features is None else features
    guessed = np.array([guessed] * count, np.int32)
    scores = np.tile(np.linspace(9, 1, guessed.shape[1], dtype=np.float32), (count, 1))
    of_guessed = np.repeat(features[:, None], guessed.shape[1], axis=1)
    class_ids = np.arange(count, dtype=np.int32)
    return FeatureTable(
        ids=[f"image{position}" for position in range(count)],
        asked=Readings(class_ids, np.zeros(count, np.float32), features),
        guessed=Readings(guessed, scores, of_guessed),
        labels=np.zeros(count, np.int32) if labels is None else np.array(labels, np.int32),
        truths=[box_geometry.as_boxes(truth).reshape(-1, 4) for truth in truths],
        sizes=np.array([[10, 20]] * count if sizes is None else sizes, np.int32),
        skipped=[],
        dropped=[],
        degenerate=0,
        seconds=1.0,
    )


def cross_validate(table, folds, names=("centred_box", "mean_box", "linear")):
    estimators = [localizers.create(name) for name in names]
    return [found for _, found in evaluation.cross_validate(table, estimators, folds, seed=0)]


def a_dataset(table, classes=("cat", "dog")):
    """Grey images that are as bright as their position, with the table's ids in another order."""

    def read(position):
        pixels = np.full((8, 8, 3), int(ids[position].removeprefix("image")), np.uint8)
        return Example(id=ids[position], image=pixels)

    ids = list(reversed(table.ids))
    return Dataset("made", classes, ids, read)


# --- Cross-validation ---


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


def test_constant_boxes():
    recorded = {"centred_box": [0.25, 0.25, 0.75, 0.75], "mean_box": LEFT}
    centred, mean = evaluation.constant_boxes(recorded, a_table([LEFT] * 3))
    assert (centred.method, mean.method) == ("Constant centre box", "Mean training box")
    assert centred.boxes.tolist() == [[0.25, 0.25, 0.75, 0.75]] * 3
    assert mean.boxes.tolist() == [LEFT] * 3
    assert evaluation.constant_boxes({}, a_table([LEFT])) == []


# --- Images that were fitted on ---


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
            evaluation.refuse_fitted(config, dataset)
    else:
        evaluation.refuse_fitted(config, dataset)


def test_a_localizer_that_records_no_data_is_not_refused():
    evaluation.refuse_fitted({}, a_dataset(a_table([LEFT])))


# --- Scores, pictures, files ---


def test_a_row_of_scores_for_each_method():
    table = a_table([[LEFT], [LEFT], [RIGHT], []], labels=[0, 0, 1, 1])
    predictions = [
        Predictions("left", np.tile(np.float32(LEFT), (4, 1))),
        Predictions("whole", np.tile(np.float32([0, 0, 1, 1]), (4, 1))),  # IoU 0.5: found
    ]
    left, whole = evaluation.score(predictions, table, a_dataset(table))
    assert (left["method"], whole["method"]) == ("left", "whole")
    assert (left["corloc"], whole["corloc"]) == (pytest.approx(200 / 3), 100.0)
    assert whole["corloc_70"] == 0
    assert (left["images"], left["unscored"]) == (3, 1)
    assert [(row["class"], row["corloc"]) for row in left["by_class"]] == [("cat", 100), ("dog", 0)]
    json.dumps([left, whole], allow_nan=False)


def test_each_row_has_the_error_of_the_classes_that_it_guessed():
    table = a_table([[LEFT], [LEFT]], labels=[0, 1], guessed=[0])
    guesses = np.float32([[LEFT], [LEFT]])
    predictions = [
        Predictions("its own", np.float32([LEFT] * 2), guesses, np.array([[7], [8]])),
        Predictions("others", np.float32([LEFT] * 2), guesses, np.array([[7], [7]])),
        Predictions("none", np.float32([LEFT] * 2)),
    ]
    known = np.array([7, 8])  # the classifier's class ids of cat and dog
    rows = evaluation.score(predictions, table, a_dataset(table), known)
    assert [row.get("top1_error") for row in rows] == [0.0, 50.0, None]
    rows = evaluation.score(predictions, table, a_dataset(table), None)
    assert not any("top1_error" in row for row in rows)


def test_without_labels_there_is_no_table_by_class():
    table = a_table([LEFT, LEFT], labels=[-1, 0])
    rows = evaluation.score([Predictions("left", np.float32([LEFT] * 2))], table, a_dataset(table))
    assert rows[0]["corloc"] == 100
    assert rows[0]["by_class"] == []


def test_shown_pictures_are_drawn_by_the_seed():
    table = a_table([LEFT] * 30, labels=[1] * 30)
    dataset, boxes = a_dataset(table), np.float32([[0, 0, 1, 1]] * 30)

    def brightness(seed, count=5):
        shown = evaluation.shown_pictures(dataset, table, Predictions("", boxes), None, count, seed)
        return [int(each.image[0, 0, 0]) for each in shown]

    assert brightness(0) == brightness(0) != brightness(1)
    assert len(set(brightness(0))) == 5
    assert brightness(0) == sorted(brightness(0))
    assert brightness(0, count=99) == list(range(30))
    assert brightness(0, count=0) == []


def test_a_picture_goes_with_its_own_box_and_truth():
    table = a_table([LEFT, RIGHT, []], labels=[0, 1, -1])
    boxes = np.float32([LEFT, LEFT, LEFT])
    shown = evaluation.shown_pictures(a_dataset(table), table, Predictions("", boxes), None, 3, 0)
    assert [int(each.image[0, 0, 0]) for each in shown] == [0, 1, 2]
    assert [each.caption for each in shown] == ["cat", "dog", "image2"]
    assert [each.iou for each in shown] == [1.0, 0.0, None]
    assert [each.map for each in shown] == [None] * 3
    np.testing.assert_array_equal(shown[1].truth, [RIGHT])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("n01440764 tench, Tinca tinca", "tench"),  # WordNet
        ("Bengal", "Bengal"),  # plain
        ("n01440764", "n01440764"),  # nothing but the id
        ("n1 road, sign", "n1 road"),  # no WordNet id
        ("tabby cat", "tabby cat"),  # of two words
        ("", ""),
    ],
)
def test_display_name(name, shown):
    assert evaluation.display_name(name) == shown


@pytest.mark.parametrize("count", [0, 2], ids=["no pictures", "pictures"])
def test_the_files_of_an_evaluation(tmp_path, count):
    table = a_table([[LEFT], [RIGHT], []], sizes=[[10, 20], [100, 50], [7, 7]])
    boxes = np.float32([LEFT] * 3)
    dataset = a_dataset(table)
    shown = evaluation.shown_pictures(dataset, table, Predictions("", boxes), None, count, 0)
    rows = evaluation.score([Predictions("left", boxes)], table, dataset)
    result = {"title": "A title", "dataset": "made", "rows": rows, "skipped": []}
    text = evaluation.write(tmp_path, result, shown, table, Predictions("left", boxes))
    assert "50.0" in text
    pictures = ["boxes.png"] if count else []
    expected = sorted(["result.json", "table.md", "boxes.jsonl", "report.html", *pictures])
    assert sorted(path.name for path in tmp_path.iterdir()) == expected
    assert json.loads((tmp_path / "result.json").read_text())["rows"][0]["corloc"] == 50
    lines = [json.loads(line) for line in (tmp_path / "boxes.jsonl").read_text().splitlines()]
    assert lines == [
        {"id": "image0", "class_id": 0, "box": LEFT, "box_pixels": [0, 0, 10, 10], "iou": 1.0},
        {"id": "image1", "class_id": 1, "box": LEFT, "box_pixels": [0, 0, 25, 100], "iou": 0.0},
        {"id": "image2", "class_id": 2, "box": LEFT, "box_pixels": [0, 0, 3.5, 7], "iou": None},
    ]
    assert "A title" in (tmp_path / "report.html").read_text()


# --- A localizer and its export ---


@pytest.fixture(scope="module")
def localizer():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(6, 5, strides=2, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    classifier = classifiers.load(model, "tf", class_names=NAMES)
    method = maps.create("gradient", classifier)
    table = Extractor(method).extract(datasets.load("digits", split="fit", count=60))
    return Localizer(method, BoxRegressor().fit(table.features, table.truths))


@pytest.fixture(scope="module")
def served(localizer, tmp_path_factory):
    return ServedModel(export_saved_model(localizer, tmp_path_factory.mktemp("export")))


@pytest.fixture(scope="module")
def mixed():
    """Images of different sizes: arrays, files' bytes, one broken, one without a label."""
    digits = datasets.load("digits", split="test", count=7)
    wide = np.tile(digits[1].image, (1, 3, 1))

    def read(position):
        example = digits[position]
        image, size, labels = example.image, example.size, example.labels
        if position == 2:
            image, size = b"not an image", None
        elif position == 3:
            image, size = tf.io.encode_png(wide).numpy(), None
        elif position == 5:
            labels = ()
        return Example(digits.ids[position], image, labels, example.boxes, example.box_labels, size)

    return Dataset("mixed", NAMES, digits.ids, read)


def extract(localizer, dataset, class_of, top_k=0):
    extractor = evaluation.extractor_for(localizer.method, [localizer.estimator], top_k)
    return extractor.extract(dataset, class_of, batch_size=4)


@pytest.mark.parametrize("class_of", ["truth", "predicted", "7"])
@pytest.mark.parametrize("batch_size", [3, 32])
def test_served_boxes_are_those_of_the_library(localizer, served, mixed, class_of, batch_size):
    expected = extract(localizer, mixed, class_of)
    boxes = evaluation.predict(expected, localizer).boxes
    table, found = evaluation.predict_served(served, mixed, class_of, batch_size)
    np.testing.assert_allclose(found.boxes, boxes, atol=1e-5)
    assert table.ids == expected.ids
    assert len(table) == (5 if class_of == "truth" else 6)
    for column in ("class_ids", "labels", "sizes"):
        np.testing.assert_array_equal(getattr(table, column), getattr(expected, column))
    for truth, wanted in zip(table.truths, expected.truths, strict=True):
        np.testing.assert_array_equal(truth, wanted)
    # The broken image takes nobody of its batch with it.
    assert dict(table.skipped) == dict(expected.skipped)
    assert mixed.ids[2] in dict(table.skipped)
    assert table.sizes[table.ids.index(mixed.ids[3])].tolist() == [64, 192]


def test_a_table_has_the_features_of_the_regressor(localizer, mixed):
    table = extract(localizer, mixed, "truth")
    assert table.features.shape == (5, 152)
    boxes = evaluation.predict(table, localizer).boxes
    np.testing.assert_array_equal(boxes, localizer.estimator.predict(table.features))


def test_nothing_that_can_be_served(served, mixed):
    with pytest.raises(ValueError, match="No image of mixed could be used"):
        evaluation.predict_served(served, mixed.select([2]), "truth", 4)


def test_pictures_with_maps(localizer, mixed):
    table = extract(localizer, mixed, "truth")
    predicted = evaluation.predict(table, localizer)
    shown = evaluation.shown_pictures(mixed, table, predicted, localizer, 2, seed=0)
    for each in shown:
        assert each.map.shape == (32, 32)
        assert each.map.max() > 0


@pytest.mark.parametrize(("name", "has_seeds"), [("graphcut", True), ("dense_crf", False)])
def test_pictures_with_cuts(localizer, mixed, name, has_seeds):
    cutting = Localizer(localizer.method, localizers.create(name))
    table = extract(cutting, mixed, "truth")
    predicted = evaluation.predict(table, cutting)
    (shown,) = evaluation.shown_pictures(mixed, table, predicted, cutting, 1, seed=0)
    assert (shown.cut.seeds is not None) == has_seeds
    assert shown.cut.mask.dtype == bool
    np.testing.assert_allclose(shown.cut.box, shown.predicted, atol=1e-6)
