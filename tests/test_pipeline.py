"""One pass from a data set to features."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, datasets, features, images, maps
from sensmap.batches import read_batches
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.feature_table import image_class
from sensmap.pipeline import Extractor, sanity_check

DIGITS = datasets.load("digits", split="fit", count=11)
NAMES = [str(digit) for digit in range(10)]


def network(classes=10):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(6, 3, strides=2, activation="relu", name="conv1"),
            layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),
        ]
    )


def classifier(model=None, names=NAMES, mode="tf"):
    return classifiers.load(model or network(len(names)), mode, class_names=names)


@pytest.fixture(scope="module")
def extractor():
    return Extractor(maps.create("gradient", classifier(), layers=["pixels", "conv2"]))


def dataset(examples, classes=NAMES):
    """A data set of these examples; one that is an exception is raised when it is read."""

    def read(position):
        if isinstance(examples[position], Exception):
            raise examples[position]
        return examples[position]

    ids = [getattr(example, "id", f"unread{i}") for i, example in enumerate(examples)]
    return Dataset("made", classes, ids, read)


def by_hand(extractor, pictures, class_ids):
    """Features batch by batch, without pipeline or compilation."""
    found = extractor.method(np.stack([DIGITS[i].image for i in pictures]), class_ids)
    return features.compute(extractor.feature_name, found.maps).numpy()


@pytest.mark.parametrize("batch_size", [1, 4, 11, 32], ids=["one", "odd rest", "all", "more"])
def test_a_row_for_each_image_in_order(extractor, batch_size):
    table = extractor.extract(DIGITS, batch_size=batch_size)
    labels = [DIGITS[i].labels[0] for i in range(11)]
    assert len(table) == 11
    assert table.ids == list(DIGITS.ids)
    assert table.labels.tolist() == labels
    assert table.class_ids.tolist() == labels
    assert table.class_ids.dtype == table.labels.dtype == np.int32
    assert table.sizes.tolist() == [[64, 64]] * 11
    for i, truth in enumerate(table.truths):
        np.testing.assert_array_equal(truth, DIGITS[i].boxes)
    assert table.features.dtype == np.float32
    assert table.features.shape == (11, 304)
    expected = by_hand(extractor, range(11), labels)
    np.testing.assert_allclose(table.features, expected, atol=1e-4)
    assert table.skipped == []
    assert table.degenerate == 0
    assert table.seconds > 0


@pytest.mark.parametrize("kind", ["pooled", "quantiles"])
def test_kinds_of_features(kind):
    extractor = Extractor(maps.create("gradient", classifier()), kind)
    table = extractor.extract(DIGITS, batch_size=4)
    labels = [DIGITS[i].labels[0] for i in range(11)]
    np.testing.assert_allclose(table.features, by_hand(extractor, range(11), labels), atol=1e-4)


def test_no_batch_retraces():
    extractor = Extractor(maps.create("gradient", classifier()))
    for batch_size in (4, 5):
        extractor.extract(DIGITS, batch_size=batch_size)
    assert extractor.compiled.experimental_get_tracing_count() == 1


def test_of_the_predicted_classes(extractor):
    table = extractor.extract(DIGITS, class_of="predicted", batch_size=4)
    scores = extractor.method.classifier.class_scores(np.stack([each.image for each in DIGITS]))
    assert table.class_ids.tolist() == scores.argmax(axis=1).tolist()
    assert table.labels.tolist() == [each.labels[0] for each in DIGITS]
    np.testing.assert_allclose(
        table.features, by_hand(extractor, range(11), table.class_ids), atol=1e-4
    )


@pytest.mark.parametrize("class_of", [3, np.int64(3), "3"])
def test_of_one_class_for_all(extractor, class_of):
    table = extractor.extract(DIGITS, class_of=class_of, batch_size=4)
    assert table.class_ids.tolist() == [3] * 11
    np.testing.assert_allclose(table.features, by_hand(extractor, range(11), [3] * 11), atol=1e-4)


@pytest.mark.parametrize("class_of", [10, -1, "true"])
def test_a_class_that_the_classifier_lacks(extractor, class_of):
    with pytest.raises(ValueError, match=r"no class"):
        extractor.extract(DIGITS, class_of=class_of)


def test_classes_are_matched_by_name():
    # The classifier has the data set's classes backwards, without the 9.
    extractor = Extractor(maps.create("gradient", classifier(names=NAMES[8::-1])))
    digits = [0, 9, 3, 8, 9]
    examples = [Example(f"image{i}", DIGITS[i].image, (c,)) for i, c in enumerate(digits)]
    table = extractor.extract(dataset(examples))
    assert table.ids == ["image0", "image2", "image3"]
    assert table.labels.tolist() == [0, 3, 8]
    assert table.class_ids.tolist() == [8, 5, 0]
    unknown = "the classifier does not know its class '9'"
    assert table.skipped == [("image1", unknown), ("image4", unknown)]


def test_images_that_cannot_be_used_are_named_and_left_out(extractor, tmp_path):
    png = tf.io.encode_png(DIGITS[0].image).numpy()
    (tmp_path / "good.png").write_bytes(png)
    (tmp_path / "truncated.png").write_bytes(png[: len(png) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"no image")
    names = ["missing", "good", "truncated", "empty", "text"]
    examples = [Example(name, tmp_path / f"{name}.png", (2,)) for name in names]
    examples += [
        ExampleError("its annotation is damaged"),
        Example("unlabelled", DIGITS[1].image),
        Example("last", DIGITS[2].image, (4,)),
    ]
    table = extractor.extract(dataset(examples), batch_size=2)
    assert table.ids == ["good", "last"]
    assert table.labels.tolist() == [2, 4]
    np.testing.assert_allclose(table.features, by_hand(extractor, [0, 2], [2, 4]), atol=1e-4)
    reasons = dict(table.skipped)
    assert len(table.skipped) == len(reasons) == 6
    assert "no such file" in reasons["missing"]
    assert "truncated or damaged PNG" in reasons["truncated"]
    assert "the file is empty" in reasons["empty"]
    assert "not an image" in reasons["text"]
    assert reasons["unread5"] == "its annotation is damaged"
    assert "it has no label" in reasons["unlabelled"]
    assert not any("\n" in reason for reason in reasons.values())


def test_unlabelled_images_have_maps_of_predicted_classes(extractor):
    examples = [Example("a", DIGITS[0].image, boxes=DIGITS[0].boxes, box_labels=np.array([5]))]
    table = extractor.extract(dataset(examples), class_of="predicted")
    assert table.labels.tolist() == [-1]
    np.testing.assert_array_equal(table.truths[0], DIGITS[0].boxes)


def test_true_boxes_are_those_of_the_images_class(extractor):
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 1, 1], [0.5, 0, 1, 1]], np.float32)
    example = Example("a", DIGITS[0].image, (7, 1), boxes, np.array([7, 1, 7], np.int32))
    table = extractor.extract(dataset([example]))
    assert image_class(example) == 7
    assert table.labels.tolist() == table.class_ids.tolist() == [7]
    np.testing.assert_array_equal(table.truths[0], boxes[[0, 2]])


def test_sizes_are_those_of_the_original_images(extractor):
    # What the annotation says counts (files may have been resized); otherwise, the decoded size.
    wide = np.zeros((20, 40, 3), np.uint8)
    examples = [
        Example("decoded", wide, (0,)),
        Example("annotated", wide, (0,), size=(200, 400)),
    ]
    assert extractor.extract(dataset(examples)).sizes.tolist() == [[20, 40], [200, 400]]


def test_maps_that_say_nothing_are_counted():
    # Behind a negative bias every rectifier is dead.
    model = network()
    model.get_layer("conv2").bias.assign([-1e6] * 8)
    extractor = Extractor(maps.create("gradient", classifier(model), layers=["pixels", "conv2"]))
    table = extractor.extract(DIGITS, batch_size=4)
    assert table.degenerate == 11
    assert np.isfinite(table.features).all()
    uniform = features.compute("quantiles", [tf.ones((1, 32, 32))]).numpy()
    np.testing.assert_allclose(table.features[:, :152], np.tile(uniform, (11, 1)), atol=1e-6)


def test_one_image_whose_map_says_nothing_is_counted_once():
    # On black, "none" gives zeros; the biases are zeros, so the rectifiers are not active.
    extractor = Extractor(maps.create("gradient", classifier(mode="none")))
    examples = [
        Example("black", np.zeros((32, 32, 3), np.uint8), (0,)),
        Example("digit", DIGITS[0].image, (0,)),
    ]
    assert extractor.extract(dataset(examples)).degenerate == 1


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], r"^No image of made could be used \(it is empty\)\.$"),
        ([Example("a", b"", (0,))], r"^No image of made could be used \(a: .*file is empty\.\)\.$"),
        ([Example("a", DIGITS[0].image)], r"could be used \(a: it has no label"),
    ],
    ids=["no images", "a bad one", "no label"],
)
def test_a_data_set_without_a_usable_image(extractor, examples, message):
    with pytest.raises(ValueError, match=message):
        extractor.extract(dataset(examples))


def test_classes_that_have_nothing_in_common(extractor):
    with pytest.raises(ValueError, match="knows no class of the data set"):
        extractor.extract(dataset([Example("a", DIGITS[0].image, (0,))], ["cat", "dog"]))
    found = extractor.extract(
        dataset([Example("a", DIGITS[0].image, (0,))], ["cat", "dog"]), class_of="predicted"
    )
    assert found.labels.tolist() == [0]


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_batches_are_full_but_the_last_though_images_are_skipped(batch_size):
    examples = [
        Example(f"image{i}", b"damaged" if i % 3 == 1 else DIGITS[i].image, (i % 10,))
        for i in range(11)
    ]
    skipped = []
    batches = list(read_batches(dataset(examples), (32, 32), batch_size, image_class, skipped))
    good = [i for i in range(11) if i % 3 != 1]
    sizes = [len(rows) for _, rows in batches]
    assert [len(pixels) for pixels, _ in batches] == sizes
    assert sum(sizes) == len(good)
    assert all(size == batch_size for size in sizes[:-1])
    rows = [row for _, rows in batches for row in rows]
    assert [row[0].id for row in rows] == [f"image{i}" for i in good]
    assert [row[1] for row in rows] == [i % 10 for i in good]
    together = np.concatenate([pixels for pixels, _ in batches])
    assert together.dtype == np.float32
    for i, resized, (_, _, size) in zip(good, together, rows, strict=True):
        np.testing.assert_array_equal(resized, images.load_resized(DIGITS[i].image, (32, 32))[0])
        assert size == (64, 64)
    assert [name for name, _ in skipped] == ["image1", "image4", "image7", "image10"]


def test_only_as_much_is_read_ahead_as_is_needed_soon():
    read = []

    def reading(position):
        read.append(position)
        return DIGITS[position % 11]

    many = Dataset("many", NAMES, [str(i) for i in range(200)], reading)
    batches = read_batches(many, (32, 32), 4, image_class, [])
    for number in range(1, 6):
        next(batches)
        assert len(read) <= 4 * (number + 2) + 1
    batches.close()
    assert len(read) < 40


# --- Sanity check ---


def test_sanity_check_counts_right_classes(extractor):
    check = sanity_check(extractor.method, DIGITS, batch_size=4)
    scores = extractor.method.classifier.class_scores(np.stack([each.image for each in DIGITS]))
    labels = np.array([each.labels[0] for each in DIGITS])
    best = np.argsort(-scores, axis=1)
    assert check.count == 11
    assert check.top1 == (best[:, 0] == labels).sum()
    assert check.top5 == (best[:, :5] == labels[:, None]).any(axis=1).sum()
    same = sanity_check(extractor.method.classifier, DIGITS)
    assert same.result() == check.result()


def test_sanity_check_of_a_classifier_that_is_always_right():
    # The score of class c is the mean of the pixels times c, minus c^2 / 2: nearest brightness.
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(10)]
    )
    digits = np.arange(10.0)
    model.layers[-1].set_weights([np.tile(digits / 3, (3, 1)), -(digits**2) / 2])
    shades = [Example(f"shade{c}", np.full((8, 8, 3), c, np.uint8), (c,)) for c in (4, 0, 9, 7, 2)]
    check = sanity_check(classifiers.load(model, "none"), dataset(shades), batch_size=2)
    assert check.result() == {
        "top1": 100.0,
        "top5": 100.0,
        "images": 5,
        "images_of_unknown_class": 0,
    }


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(3, [0, 3, 7]), (8, [0, 1, 2, 4, 5, 6, 8, 9]), (100, list(range(11)))],
)
def test_sanity_check_is_of_a_sample_spread_over_the_data(extractor, limit, expected):
    read = []

    def reading(position):
        read.append(position)
        return DIGITS[position]

    watched = Dataset("watched", NAMES, DIGITS.ids, reading)
    assert sanity_check(extractor.method, watched, limit=limit).count == len(expected)
    assert read == expected


def test_sanity_check_leaves_out_what_it_cannot_use():
    names = NAMES[:9]
    examples = [
        Example("known", DIGITS[0].image, (3,)),
        Example("unknown", DIGITS[0].image, (9,)),
        Example("unlabelled", DIGITS[0].image),
        Example("damaged", b"damaged", (3,)),
    ]
    result = sanity_check(classifier(names=names), dataset(examples)).result()
    assert result["images"] == 1
    assert result["images_of_unknown_class"] == 2


@pytest.mark.parametrize("classes", [["cat"], []], ids=["other classes", "no classes"])
def test_no_sanity_check_without_a_known_class(extractor, classes):
    assert sanity_check(extractor.method, dataset([], classes)) is None


# --- Readers and the best classes ---


class Sums:
    """Reads the sum of each layer's map off it, and the brightness of the image."""

    in_graph = False

    def __init__(self):
        self.read_maps = 0

    def read(self, of_layers, image):
        self.read_maps += 1
        return np.float32([*(each.sum() for each in of_layers), image.mean()])


@pytest.mark.parametrize("top_k", [0, 3])
def test_readers_get_each_map_with_its_image(top_k):
    method = maps.create("gradient", classifier(), layers=["pixels", "conv2"])
    reader = Sums()
    extractor = Extractor(method, None, {"sums": reader}, top_k)
    table = extractor.extract(DIGITS, batch_size=4)
    assert table.features.shape == (11, 0)
    images_ = np.stack([each.image for each in DIGITS])
    best = method(images_).scores.argsort(axis=1)[:, ::-1][:, :top_k]
    assert table.guessed.class_ids.tolist() == best.tolist()
    for rank in range(-1, top_k):
        class_ids = table.class_ids if rank < 0 else best[:, rank]
        sums = [each.sum(axis=(1, 2)) for each in method(images_, class_ids).maps]
        expected = np.stack([*sums, images_.mean(axis=(1, 2, 3))], axis=1)
        found = table.asked.of["sums"] if rank < 0 else table.guessed.of["sums"][:, rank]
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    # A class that is asked for and among the best is read once.
    asked_again = (best == table.class_ids[:, None]).any(axis=1).sum()
    assert reader.read_maps == 11 * (1 + top_k) - asked_again


def test_features_and_scores_of_the_best_classes():
    method = maps.create("gradient", classifier())
    table = Extractor(method, top_k=2).extract(DIGITS, "predicted")
    assert table.guessed.features.shape == (11, 2, 152)
    np.testing.assert_allclose(table.guessed.features[:, 0], table.features, atol=1e-5)
    np.testing.assert_array_equal(table.guessed.class_ids[:, 0], table.class_ids)
    scores = method(np.stack([each.image for each in DIGITS])).scores
    np.testing.assert_allclose(
        table.guessed.scores, np.sort(scores, axis=1)[:, :-3:-1], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(table.asked.scores, table.guessed.scores[:, 0], rtol=1e-5)


def test_a_reader_that_fails_is_heard_of():
    class Fails(Sums):
        def read(self, of_layers, image):
            raise ValueError("it cannot be read")

    extractor = Extractor(maps.create("gradient", classifier()), None, {"fails": Fails()})
    with pytest.raises(ValueError, match="it cannot be read"):
        extractor.extract(DIGITS)


def test_batches_are_made_smaller_where_memory_is_short(monkeypatch):
    sizes = []
    extractor = Extractor(maps.create("gradient", classifier()))
    whole = extractor.extract(DIGITS)
    monkeypatch.setattr(extractor.method, "images_at_once", lambda classes: 3)
    compiled = extractor.compiled
    extractor.compiled = lambda pixels, ids: sizes.append(len(pixels)) or compiled(pixels, ids)
    np.testing.assert_allclose(extractor.extract(DIGITS).features, whole.features, atol=1e-5)
    assert sizes == [3, 3, 3, 2]
