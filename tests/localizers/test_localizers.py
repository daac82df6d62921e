"""What every localizer owes, whatever it learns."""

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

GIVEN = {"features": FEATURES, "maps": MAPS, "layers": [MAPS, COARSE], "lists": FEATURES.tolist()}


@pytest.fixture(params=registry.names("sensmap.localizers"))
def name(request):
    return request.param


@pytest.fixture
def localizer(name):
    return localizers.create(name)


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_fit_and_predict(localizer, given):
    assert localizer.fit(given, BOXES) is localizer
    found = localizer.predict(given)
    assert found.shape == (COUNT, 4)
    assert found.dtype == np.float32
    assert box_geometry.is_valid(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(localizer.predict(given), found)


def test_each_image_has_its_own_prediction(localizer):
    found = localizer.fit(FEATURES, BOXES).predict(FEATURES)
    for place in range(COUNT):
        alone = localizer.predict(FEATURES[place : place + 1])
        np.testing.assert_allclose(alone[0], found[place], atol=1e-6)


def test_it_is_an_estimator(name, localizer):
    parameters = localizer.get_params()
    again = clone(localizer)
    assert type(again) is type(localizer)
    assert again.get_params() == parameters
    before = dict(vars(localizer))
    localizer.fit(FEATURES, BOXES)
    assert localizer.get_params() == parameters
    learned = set(vars(localizer)) - set(before)
    assert learned
    assert all(attribute.endswith("_") for attribute in learned)
    # A clone has learned nothing; fitted on the same, it predicts the same bytes.
    again = clone(localizer)
    with pytest.raises(NotFittedError, match=type(localizer).__name__):
        again.predict(FEATURES)
    predicted = again.fit(FEATURES, BOXES).predict(FEATURES)
    assert predicted.tobytes() == localizer.predict(FEATURES).tobytes()


def test_fitting_again_forgets(localizer):
    once = clone(localizer).fit(FEATURES, BOXES).predict(FEATURES)
    localizer.fit(FEATURES[:4], BOXES[4:8])
    np.testing.assert_array_equal(localizer.fit(FEATURES, BOXES).predict(FEATURES), once)


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
def test_images_without_exactly_one_valid_box_are_left_out(localizer, unusable):
    boxes = [[box] for box in BOXES]
    expected = clone(localizer).fit(np.delete(FEATURES, 5, axis=0), np.delete(BOXES, 5, axis=0))
    boxes[5] = unusable
    found = localizer.fit(FEATURES, boxes)
    np.testing.assert_array_equal(found.predict(FEATURES), expected.predict(FEATURES))


def test_a_degenerate_box_beside_a_valid_one_does_not_count(localizer):
    boxes = [[box] for box in BOXES]
    boxes[5] = [BOXES[5], [0.5, 0.5, 0.5, 0.5]]
    expected = clone(localizer).fit(FEATURES, BOXES)
    found = localizer.fit(FEATURES, boxes)
    np.testing.assert_array_equal(found.predict(FEATURES), expected.predict(FEATURES))


def test_boxes_are_clipped_to_the_image(localizer):
    beyond = BOXES.copy()
    beyond[:, 0] -= 2
    clipped = BOXES.copy()
    clipped[:, 0] = 0
    expected = clone(localizer).fit(FEATURES, clipped)
    found = localizer.fit(FEATURES, beyond)
    np.testing.assert_allclose(found.predict(FEATURES), expected.predict(FEATURES), atol=1e-6)


@pytest.mark.parametrize(
    ("maps", "boxes", "message"),
    [
        (FEATURES, BOXES[:-1], "boxes of 11 images for maps of 12"),
        (FEATURES, [[]] * COUNT, "Of 12 images none has exactly one valid box"),
        (FEATURES, np.zeros((COUNT, 4)), "Of 12 images none has exactly one valid box"),
        (FEATURES, BOXES[:, :3], r"shape \(N, 4\) as x0, y0, x1, y1; received \(1, 3\)"),
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
def test_what_is_refused(localizer, maps, boxes, message):
    with pytest.raises(ValueError, match=message):
        localizer.fit(maps, boxes)


def test_an_unknown_name_is_answered_with_the_list():
    with pytest.raises(ValueError, match=r"'lineal' among the localizers; .*centred_box, linear"):
        localizers.create("lineal")
