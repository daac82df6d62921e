"""Exports run from Python."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from exported import NAMES, expected, make_localizer, picture

from sensmap import images
from sensmap.datasets import ExampleError
from sensmap.export import ServedModel, export_saved_model


@pytest.fixture(scope="module")
def several():
    return make_localizer(("pixels", "coarse"))


@pytest.fixture(scope="module")
def exported(several, tmp_path_factory):
    return export_saved_model(
        several, tmp_path_factory.mktemp("served"), version=3, top_k=2, with_map=True
    )


@pytest.fixture(scope="module")
def served(exported):
    return ServedModel(exported)


def check(found, wanted):
    np.testing.assert_array_equal(found.class_ids, wanted["class_ids"])
    np.testing.assert_array_equal(found.degenerate, wanted["degenerate"])
    for name in ("class_scores", "boxes", "boxes_pixels"):
        np.testing.assert_allclose(getattr(found, name), wanted[name], rtol=1e-4, atol=1e-5)
    assert [each.shape for each in found.maps] == [
        wanted["map_pixels"].shape,
        wanted["map_coarse"].shape,
    ]


def test_it_knows_what_it_is(served, several):
    assert served.class_names == NAMES
    assert served.num_classes == 5
    assert served.input_size == (24, 32)
    assert served.top_k == 2
    assert served.config["classifier"]["fingerprint"] == several.classifier.fingerprint


def test_images_of_all_kinds_in_one_call(served, several, pictures):
    sources = [pictures[0], str(pictures[1]), pictures[2].read_bytes(), picture(30, 30, 9)]
    check(served(sources), expected(several, sources, top_k=2))
    check(served(sources, [4, 0, 1, 1]), expected(several, sources, [4, 0, 1, 1]))


@pytest.mark.parametrize("class_ids", [None, [0, 4]])
def test_images_in_one_array(served, several, class_ids):
    batch = np.stack([picture(20, 30, seed) for seed in (5, 6)])
    check(served(batch, class_ids), expected(several, batch, class_ids, top_k=2))


def test_the_highest_version_is_taken(served, exported, tmp_path):
    for name in ("3", "12", "latest"):
        shutil.copytree(exported, tmp_path / name)
    (tmp_path / "20").mkdir()  # no SavedModel in it
    found = ServedModel(tmp_path)
    assert found.path == tmp_path / "12"
    batch = picture(20, 30, 5)[None]
    np.testing.assert_array_equal(found(batch).boxes, served(batch).boxes)


def test_the_image_that_cannot_be_read_is_named(served, pictures, tmp_path):
    (tmp_path / "cut.jpg").write_bytes(pictures[0].read_bytes()[:300])
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ExampleError, match=r"cut\.jpg: truncated or damaged JPEG\.$"):
        served([pictures[0], tmp_path / "cut.jpg"])
    with pytest.raises(ExampleError, match=r"empty\.png: the file is empty\.$"):
        served([tmp_path / "empty.png"])
    with pytest.raises(ExampleError, match=r"nowhere\.jpg: cannot be read \(No such file"):
        served([tmp_path / "nowhere.jpg"])
    with pytest.raises(ExampleError, match="image of 4 bytes: not an image"):
        served([b"text"])
    with pytest.raises(TypeError, match=r"a path, the bytes of a file or .* received int"):
        served([7])


@pytest.mark.parametrize(
    ("batch", "class_ids", "message"),
    [
        ([], None, "no images"),
        (np.zeros((0, 4, 4, 3), np.uint8), None, "no images"),
        (np.zeros((4, 4, 3), np.uint8), None, r"\(N, H, W, 3\) and the type uint8"),
        (np.zeros((1, 4, 4, 3), np.float32), None, "received .* and float32"),
        (np.zeros((1, 4, 4, 3), np.uint8), [5], "class id 5 is out of range"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0, -1], "class id -1 is out of range: .* 0 to 4"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0], "for each of the 2 images"),
        (np.zeros((1, 4, 4, 3), np.uint8), [0.5], "a whole number, .* received float64"),
    ],
    ids=[
        *("empty list", "empty array", "one image", "floats", "class too high", "class negative"),
        *("too few classes", "half a class"),
    ],
)
def test_what_it_refuses(served, batch, class_ids, message):
    with pytest.raises(ValueError, match=message):
        served(batch, class_ids)


def test_what_is_no_export(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no SavedModel in "):
        ServedModel(tmp_path / "nowhere")
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(ValueError, match="not one of sensmap, for it has no assets"):
        ServedModel(tmp_path / "other")
    shutil.copytree(exported, tmp_path / "cut")
    (tmp_path / "cut" / "saved_model.pb").write_bytes(b"cut off")
    with pytest.raises(ValueError, match="cut: not a whole export of sensmap"):
        ServedModel(tmp_path / "cut")
    (tmp_path / "cut" / "assets.extra" / "sensmap.json").write_text(json.dumps({"seed": 1}))
    with pytest.raises(ValueError, match="cut: not a whole export of sensmap"):
        ServedModel(tmp_path / "cut")


def test_an_orientation_is_applied_once(served, pictures):
    turned = pictures[2]
    np.testing.assert_allclose(
        served([turned]).boxes_pixels, served(images.load(turned)[None]).boxes_pixels, atol=1e-3
    )
