"""From files of pictures to lines of JSON and overlays."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from sensmap import boxes as box_geometry
from sensmap import classifiers, images, maps, photographs, ready_made
from sensmap.export import export_saved_model
from sensmap.localizer import Localizer
from sensmap.localizers.linear import BoxRegressor

NAMES = ("ant", "bee", "cat", "dog")
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((24, 32, 3)),
            keras.layers.Conv2D(6, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    return classifiers.load(model, "tf", class_names=NAMES)


@pytest.fixture(scope="module")
def localizer(classifier):
    method = maps.create("gradient", classifier)
    batch = RNG.integers(0, 256, (20, 24, 32, 3), np.uint8)
    low = RNG.uniform(0, 0.4, (20, 2))
    boxes = np.concatenate([low, low + 0.4], axis=1)
    return Localizer(method, BoxRegressor().fit(list(method(batch).maps), boxes))


@pytest.fixture(scope="module")
def saved(localizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("localizer") / "run"
    localizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(classifier, saved):
    return Localizer.load(saved, classifier)


@pytest.fixture(scope="module")
def export(localizer, tmp_path_factory):
    return export_saved_model(localizer, tmp_path_factory.mktemp("export"), with_map=True)


@pytest.fixture
def folder(tmp_path):
    """Two pictures of one name, one with a name beyond ASCII, and three that cannot be read."""
    place = tmp_path / "my photos"
    (place / "inner").mkdir(parents=True)
    for name, shape in (("a.png", (40, 60)), ("inner/a.png", (30, 30)), ("grün.JPG", (20, 50))):
        pixels = RNG.integers(0, 256, (*shape, 3), np.uint8)
        encode = tf.io.encode_png if name.endswith("png") else tf.io.encode_jpeg
        (place / name).write_bytes(encode(pixels).numpy())
    (place / "empty.jpg").write_bytes(b"")
    (place / "text.jpg").write_text("no image")
    (place / "notes.txt").write_text("no image by its name either")
    return place


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


# --- Which files ---


def test_a_folder_stands_for_all_images_below_it(folder):
    found = list(photographs.image_files([str(folder)]))
    assert names(found, folder) == ["a.png", "empty.jpg", "grün.JPG", "inner/a.png", "text.jpg"]


def test_files_are_taken_as_they_are_named(folder):
    arguments = [str(folder / "notes.txt"), str(folder / "inner"), str(folder / "absent.jpg")]
    found = list(photographs.image_files(arguments))
    assert names(found, folder) == ["notes.txt", "inner/a.png", "absent.jpg"]


def test_an_empty_name_is_no_folder():
    with pytest.raises(ValueError, match="name of an image is empty"):
        list(photographs.image_files([""]))


# --- What localizes ---


def run(folder, localize, **options):
    lines = []
    paths = list(photographs.image_files([str(folder)]))
    failed = photographs.run(paths, localize, lines.append, **options)
    return [json.loads(line) for line in lines], failed


def test_lines_and_failures(folder, loaded, localizer):
    lines, failed = run(folder, photographs.by_localizer(loaded, None))
    assert names([path for path, _ in failed], folder) == ["empty.jpg", "text.jpg"]
    assert failed[0][1] == f"{folder / 'empty.jpg'}: the file is empty."
    assert [line["file"] for line in lines] == [
        str(folder / name) for name in ("a.png", "grün.JPG", "inner/a.png")
    ]
    for line in lines:
        pixels = images.load(line["file"])
        expected = localizer(pixels[None])
        class_id = int(expected.class_ids[0])
        assert (line["class_id"], line["class"]) == (class_id, NAMES[class_id])
        assert line["score"] == pytest.approx(float(expected.scores[0, class_id]), abs=1e-3)
        np.testing.assert_allclose(line["box"], expected.boxes[0], atol=1e-4)
        height, width = pixels.shape[:2]
        assert line["size"] == {"height": height, "width": width}
        in_pixels = expected.boxes[0] * [width, height, width, height]
        np.testing.assert_allclose(line["box_pixels"], in_pixels, atol=0.1)
        assert "box_is_stand_in" not in line


@pytest.mark.parametrize("asked", ["bee", "1", "BEE"])
def test_a_class_by_name_or_number(folder, loaded, export, asked):
    by_library = photographs.by_localizer(loaded, asked)
    by_export = photographs.by_saved_model(str(export), asked)
    for localize in (by_library, by_export):
        lines, _ = run(folder / "inner", localize)
        assert [(line["class_id"], line["class"]) for line in lines] == [(1, "bee")]


@pytest.mark.parametrize("asked", ["zebra", "4", "-1"])
def test_a_class_that_there_is_not(loaded, export, asked):
    with pytest.raises(ValueError, match="no class"):
        photographs.by_localizer(loaded, asked)
    with pytest.raises(ValueError, match="no class"):
        photographs.by_saved_model(str(export), asked)


def test_an_export_finds_what_the_library_finds(folder, loaded, export):
    by_library, _ = run(folder, photographs.by_localizer(loaded, None))
    by_export, failed = run(folder, photographs.by_saved_model(str(export), None))
    assert len(failed) == 2
    for left, right in zip(by_library, by_export, strict=True):
        np.testing.assert_allclose(left.pop("box"), right.pop("box"), atol=2e-5)
        np.testing.assert_allclose(left.pop("box_pixels"), right.pop("box_pixels"), atol=0.11)
        assert left.pop("score") == pytest.approx(right.pop("score"), abs=1e-3)
        assert left == right


def ready(classifier, layers):
    method = maps.create("gradient", classifier, layers=layers)
    return Localizer(method, ready_made.regressor(method))


def test_the_best_classes(folder, loaded, localizer):
    lines, _ = run(folder, photographs.by_localizer(loaded, None, top_k=3))
    for line in lines:
        expected = localizer(images.load(line["file"])[None], top_k=3)
        guesses = [line, *line["next"]]
        assert [guess["class_id"] for guess in guesses] == expected.class_ids[0].tolist()
        found = [guess["box"] for guess in guesses]
        np.testing.assert_allclose(found, expected.boxes[0], atol=1e-4)
        assert [guess["score"] for guess in guesses] == sorted(
            (guess["score"] for guess in guesses), reverse=True
        )


def test_the_ready_made_regressor_needs_no_folder(folder, classifier):
    localize = photographs.by_localizer(ready(classifier, ["pixels", "conv"]), None)
    lines, _ = run(folder, localize)
    boxes = np.array([line["box"] for line in lines])
    assert box_geometry.is_valid(boxes).all()


def test_a_map_that_says_nothing_is_told(folder):
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, kernel_initializer="zeros"),
        ]
    )
    localize = photographs.by_localizer(ready(classifiers.load(model, "tf"), "pixels"), None)
    lines, _ = run(folder, localize)
    assert [line["box_is_stand_in"] for line in lines] == [True] * 3
    assert [line["class"] for line in lines] == [None] * 3
    assert box_geometry.is_valid(np.array([line["box"] for line in lines])).all()


# --- Overlays ---


@pytest.mark.parametrize("kind", ["library", "export"])
def test_overlays(folder, tmp_path, loaded, export, kind):
    localize = (
        photographs.by_localizer(loaded, None)
        if kind == "library"
        else photographs.by_saved_model(str(export), None)
    )
    run(folder, localize, overlays=str(tmp_path / "out"))
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["0000_a.jpg", "0002_grün.jpg", "0003_a.jpg"]
    assert images.load(tmp_path / "out" / "0003_a.jpg").shape == (30, 30, 3)


def test_a_long_name_is_cut(tmp_path, loaded):
    (tmp_path / "in").mkdir()
    pixels = RNG.integers(0, 256, (9, 9, 3), np.uint8)
    (tmp_path / "in" / f"{'x' * 240}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    localize = photographs.by_localizer(loaded, None)
    _, failed = run(tmp_path / "in", localize, overlays=str(tmp_path / "out"))
    assert not failed
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"0000_{'x' * 40}.jpg"]


def test_overlays_appear_whole_or_not_at_all(folder, tmp_path, loaded):
    whole = photographs.by_localizer(loaded, None)

    def fails_at_last(pixels):
        if pixels.shape[:2] == (30, 30):
            raise KeyboardInterrupt
        return whole(pixels)

    with pytest.raises(KeyboardInterrupt):
        run(folder, fails_at_last, overlays=str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_folder_of_overlays_is_not_replaced_unasked(folder, tmp_path, loaded):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    localize = photographs.by_localizer(loaded, None)
    with pytest.raises(FileExistsError, match="exists and is not empty"):
        run(folder, localize, overlays=str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]
    run(folder, localize, overlays=str(tmp_path / "out"), overwrite=True)
    assert len(list((tmp_path / "out").iterdir())) == 3
