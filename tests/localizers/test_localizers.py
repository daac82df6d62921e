"""What every localizer owes, whatever it learns."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sensmap import boxes as box_geometry
from sensmap import localizers, registry

COUNT = 12
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(COUNT, 3))
MAPS = RNG.gamma(0.5, size=(COUNT, 8, 8)).astype(np.float32)
COARSE = RNG.gamma(0.5, size=(COUNT, 4, 4)).astype(np.float32)
LOW = RNG.uniform(0, 0.4, (COUNT, 2))
BOXES = np.concatenate([LOW, LOW + RNG.uniform(0.2, 0.5, (COUNT, 2))], axis=1)

IMAGES = [RNG.integers(0, 256, (20 + i, 30, 3), np.uint8) for i in range(COUNT)]


@pytest.fixture(scope="module", params=registry.names("sensmap.localizers"))
def name(request):
    return request.param


@pytest.fixture
def localizer(name):
    return localizers.create(name)


@pytest.fixture(scope="module")
def readings(name):
    """What that localizer reads off maps: features, or its own numbers."""
    made = localizers.create(name)
    return FEATURES if made.in_graph else made.readings(MAPS, IMAGES)


def learns(localizer):
    return localizer.__sklearn_tags__().requires_fit


@pytest.mark.parametrize("kind", ["readings", "lists", "maps", "layers"])
def test_fit_and_predict(localizer, readings, kind):
    kinds = {"readings": readings, "lists": readings.tolist(), "maps": MAPS}
    given = kinds.get(kind, [MAPS, COARSE])
    images = IMAGES if kind in ("maps", "layers") else None
    assert localizer.fit(given, BOXES, images) is localizer
    found = localizer.predict(given, images)
    assert found.shape == (COUNT, 4)
    assert found.dtype == np.float32
    assert box_geometry.is_valid(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(localizer.predict(given, images), found)


def test_maps_and_their_readings_give_the_same_boxes(localizer, readings):
    if localizer.in_graph:
        pytest.skip("its features are those of the data, not its own")
    from_readings = localizer.fit(readings, BOXES).predict(readings)
    from_maps = clone(localizer).fit(MAPS, BOXES, IMAGES).predict(MAPS, IMAGES)
    np.testing.assert_array_equal(from_maps, from_readings)
    for i, image in enumerate(IMAGES):
        np.testing.assert_array_equal(localizer.read([MAPS[i]], image), readings[i])


def test_masks_are_of_the_images_and_in_the_boxes(localizer):
    if localizer.in_graph:
        pytest.skip("it makes no masks")
    boxes = localizer.fit(MAPS, BOXES, IMAGES).predict(MAPS, IMAGES)
    for mask, image, box in zip(localizer.masks(MAPS, IMAGES), IMAGES, boxes, strict=True):
        assert mask.shape == image.shape[:2]
        assert mask.dtype == bool
        rows, columns = np.nonzero(mask)
        height, width = mask.shape
        drawn = [columns.min() / width, rows.min() / height]
        drawn += [(columns.max() + 1) / width, (rows.max() + 1) / height]
        np.testing.assert_allclose(drawn, box, atol=0.1)


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan], ids=["zero", "flat", "NaN"])
def test_a_map_that_says_nothing_has_a_box_and_is_told(localizer, value):
    if localizer.in_graph:
        pytest.skip("it takes features, and the pipeline counts the maps")
    if localizer.title == "Top objectness box":
        pytest.skip("it does not look at the maps")
    flat = MAPS.copy()
    flat[2] = value
    readings = localizer.readings(flat, IMAGES)
    told = localizer.stand_ins(readings)
    assert [place for place in range(COUNT) if told[place] == "flat map"] == [2]
    assert localizer.fit(readings, BOXES).predict(readings)[2].tolist() == [0, 0, 1, 1]


def test_any_thread_reads_the_same_bytes(localizer, readings):
    if localizer.in_graph:
        pytest.skip("it reads nothing on the host")
    with ThreadPoolExecutor(4) as threads:
        again = list(
            threads.map(lambda i: localizer.read([MAPS[i]], IMAGES[i]), range(COUNT), timeout=60)
        )
    assert np.stack(again).tobytes() == readings.tobytes()


def test_what_was_stored_predicts_the_same_bytes(localizer, readings, tmp_path):
    if not hasattr(localizer, "save"):
        pytest.skip("a constant is recorded as a number")
    localizer.fit(readings, BOXES).save(tmp_path / "localizer.npz")
    loaded = type(localizer).load(tmp_path / "localizer.npz")
    assert loaded.get_params() == localizer.get_params()
    assert loaded.predict(readings).tobytes() == localizer.predict(readings).tobytes()
    with pytest.raises(FileNotFoundError, match="There is no"):
        type(localizer).load(tmp_path / "absent.npz")
    for content in (b"", b"hello", (tmp_path / "localizer.npz").read_bytes()[:-40]):
        (tmp_path / "localizer.npz").write_bytes(content)
        with pytest.raises(ValueError, match="or is damaged"):
            type(localizer).load(tmp_path / "localizer.npz")


def test_each_image_has_its_own_prediction(localizer, readings):
    found = localizer.fit(readings, BOXES).predict(readings)
    for place in range(COUNT):
        alone = localizer.predict(readings[place : place + 1])
        np.testing.assert_allclose(alone[0], found[place], atol=1e-6)


def test_it_is_an_estimator(name, localizer, readings):
    parameters = localizer.get_params()
    again = clone(localizer)
    assert type(again) is type(localizer)
    assert again.get_params() == parameters
    before = dict(vars(localizer))
    localizer.fit(readings, BOXES)
    assert localizer.get_params() == parameters
    learned = set(vars(localizer)) - set(before)
    assert bool(learned) == learns(localizer)
    assert all(attribute.endswith("_") for attribute in learned)
    # A clone has learned nothing; fitted on the same, it predicts the same bytes.
    again = clone(localizer)
    if learns(localizer):
        with pytest.raises(NotFittedError, match=type(localizer).__name__):
            again.predict(readings)
    predicted = again.fit(readings, BOXES).predict(readings)
    assert predicted.tobytes() == localizer.predict(readings).tobytes()


def test_fitting_again_forgets(localizer, readings):
    once = clone(localizer).fit(readings, BOXES).predict(readings)
    localizer.fit(readings[:4], BOXES[4:8])
    np.testing.assert_array_equal(localizer.fit(readings, BOXES).predict(readings), once)


@pytest.mark.parametrize(
    "unusable",
    [
        [],
        [[0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.9]],
        [[0.5, 0.5, 0.5, 0.9]],
        [[0.9, 0.1, 0.2, 0.8]],
        [[1.1, 0.1, 1.4, 0.8]],
        [[np.nan, 0.1, 0.4, 0.8]],
    ],
    ids=["no box", "two boxes", "thin", "inverted", "outside", "NaN"],
)
def test_images_without_exactly_one_valid_box_are_left_out(localizer, readings, unusable):
    if not localizer.in_graph and len(unusable) > 1:
        pytest.skip("of several boxes any counts")
    boxes = [[box] for box in BOXES]
    expected = clone(localizer).fit(np.delete(readings, 5, axis=0), np.delete(BOXES, 5, axis=0))
    boxes[5] = unusable
    found = localizer.fit(readings, boxes)
    np.testing.assert_array_equal(found.predict(readings), expected.predict(readings))


def test_a_degenerate_box_beside_a_valid_one_does_not_count(localizer, readings):
    boxes = [[box] for box in BOXES]
    boxes[5] = [BOXES[5], [0.5, 0.5, 0.5, 0.5]]
    expected = clone(localizer).fit(readings, BOXES)
    found = localizer.fit(readings, boxes)
    np.testing.assert_array_equal(found.predict(readings), expected.predict(readings))


def test_boxes_are_clipped_to_the_image(localizer, readings):
    beyond = BOXES.copy()
    beyond[:, 0] -= 2
    clipped = BOXES.copy()
    clipped[:, 0] = 0
    expected = clone(localizer).fit(readings, clipped)
    found = localizer.fit(readings, beyond)
    np.testing.assert_allclose(found.predict(readings), expected.predict(readings), atol=1e-6)


@pytest.mark.parametrize(
    ("maps", "boxes", "message"),
    [
        (None, BOXES[:-1], "boxes of 11 images for maps of 12"),
        (None, [[]] * COUNT, "Of 12 images none has (exactly one|a) valid box"),
        (None, np.zeros((COUNT, 4)), "Of 12 images none has (exactly one|a) valid box"),
        (None, BOXES[:, :3], r"shape \(N, 4\) as x0, y0, x1, y1; received \(1, 3\)"),
        (FEATURES[0], BOXES, r"Expected maps .* or features \(N, F\); received \(3,\)"),
        (MAPS[..., None], BOXES, r"received \(12, 8, 8, 1\)"),
        ([MAPS, COARSE[:-1]], BOXES, r"the same images; received \(12, 8, 8\), \(11, 4, 4\)"),
        ([MAPS, FEATURES], BOXES, r"received \(12, 8, 8\), \(12, 3\)"),
        ([], BOXES, r"received \(0,\)"),
    ],
    ids=[
        "counts differ",
        "no boxes",
        "no valid boxes",
        "three numbers",
        "one image's features",
        "four axes",
        "layers of other images",
        "maps and features",
        "nothing",
    ],
)
def test_what_is_refused(localizer, readings, maps, boxes, message):
    with pytest.raises(ValueError, match=message):
        localizer.fit(readings if maps is None else maps, boxes)


@pytest.mark.parametrize(
    ("given", "images", "message"),
    [
        (FEATURES, None, r"takes maps, or readings of \d+ finite numbers an image; received"),
        (MAPS, IMAGES[:-1], "There are 11 images for maps of 12"),
    ],
)
def test_what_a_reader_refuses(localizer, given, images, message):
    if localizer.in_graph:
        pytest.skip("it takes features of any number, and needs no images")
    with pytest.raises(ValueError, match=message):
        localizer.fit(given, BOXES, images)


def test_an_unknown_name_is_answered_with_the_list():
    with pytest.raises(
        ValueError,
        match=r"'lineal' among the localizers; .*dense_crf, full_image, graphcut, linear",
    ):
        localizers.create("lineal")
