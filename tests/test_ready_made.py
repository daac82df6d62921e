"""The regressor that comes with the package."""

import keras
import numpy as np
import pytest

from sensmap import boxes as box_geometry
from sensmap import classifiers, datasets, maps, ready_made
from sensmap.localizers.linear import BoxRegressor
from sensmap.pipeline import Extractor

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    stack = [keras.Input((64, 64, 3))]
    for number in range(1, 5):
        stack.append(keras.layers.Conv2D(6, 3, padding="same", activation="relu"))
        stack.append(keras.layers.MaxPooling2D(name=f"pool{number}"))
    model = keras.Sequential([*stack, keras.layers.Flatten(), keras.layers.Dense(3)])
    return classifiers.load(model, "tf")


def gradient(classifier, *layers, reduction="max"):
    return maps.create("gradient", classifier, layers=layers, reduction=reduction)


# --- Which coefficients ---


@pytest.mark.parametrize(
    ("layer", "stride", "kind"),
    [
        ("pixels", 1, "pixels"),
        ("conv", 1, "stride4"),  # an inner layer at full size
        ("conv", 4, "stride4"),
        ("conv", 5.5, "stride4"),  # the nearest on a logarithmic scale: below 4 * sqrt 2
        ("conv", 5.8, "stride8"),  # and above
        ("conv", 8.3, "stride8"),  # maps without padding
        ("conv", 11.2, "stride8"),
        ("conv", 11.4, "stride16"),
        ("conv", 32, "stride16"),
        ("conv", 224, "stride16"),  # a map of one cell
    ],
)
def test_kind_of(layer, stride, kind):
    assert ready_made.kind_of(layer, stride) == kind


@pytest.mark.parametrize("kind", ["pixels", "stride4", "stride8", "stride16"])
def test_what_is_shipped(kind):
    path = ready_made.FOLDER / f"{kind}.npz"
    assert path.stat().st_size < 20_000
    regressor = BoxRegressor.load(path)
    assert regressor.features == "quantiles"
    assert regressor.coef_.shape == (4, 152)
    for values in (regressor.coef_, regressor.intercept_, regressor.mean_, regressor.scale_):
        assert np.isfinite(values).all()
    assert (regressor.scale_ > 0).all()
    # Of average features the box is that of average images: a good part of it, and about centred.
    box = regressor.predict(regressor.mean_[None])[0]
    assert box_geometry.area(box)[0] > 0.2
    assert np.abs((box[:2] + box[2:]) / 2 - 0.5).max() < 0.1


def test_constant_boxes_are_shipped_too():
    baselines = ready_made.baselines()
    assert set(baselines) == {"centred_box", "mean_box"}
    assert box_geometry.is_valid(np.array(list(baselines.values()))).all()
    assert sum(baselines["centred_box"]) == pytest.approx(2)


def test_coefficients_follow_the_maps(classifier):
    method = gradient(classifier, "pool3", "pixels", "pool2")
    found = ready_made.regressor(method)
    parts = [BoxRegressor.load(ready_made.FOLDER / f"{kind}.npz") for kind in KINDS]
    np.testing.assert_array_equal(found.mean_, np.concatenate([part.mean_ for part in parts]))
    boxes = found.predict(list(method(IMAGES).maps))
    assert boxes.shape == (3, 4)
    assert box_geometry.is_valid(boxes).all()


KINDS = ("stride8", "pixels", "stride4")


@pytest.mark.parametrize("reduction", ["mean", "l2", "activation"])
def test_other_maps_are_refused(classifier, reduction):
    with pytest.raises(ValueError, match="for gradient maps with the reduction max"):
        ready_made.regressor(gradient(classifier, "pixels", reduction=reduction))


# --- The average ---


def fitted(seed):
    random = np.random.default_rng(seed)
    features = random.normal(random.uniform(-2, 2), random.uniform(1, 3), (40, 5))
    boxes = np.array([0.2, 0.2, 0.7, 0.8]) + 0.02 * random.normal(size=(40, 4))
    return BoxRegressor(penalties=(1.0,)).fit(features, boxes), features


def raw(regressor, features):
    """The boxes of a regressor before they are made valid, by hand."""
    standard = (features - regressor.mean_) / regressor.scale_
    return standard @ regressor.coef_.T + regressor.intercept_


def test_the_average_of_one_is_itself():
    regressor, features = fitted(0)
    again = ready_made.average([regressor])
    np.testing.assert_allclose(again.predict(features), regressor.predict(features), atol=1e-7)


def test_the_average_is_that_of_the_boxes():
    pairs = [fitted(seed) for seed in range(3)]
    together = ready_made.average([regressor for regressor, _ in pairs])
    design = np.concatenate([features for _, features in pairs], axis=1)
    expected = np.mean([raw(*pair) for pair in pairs], axis=0)
    np.testing.assert_allclose(raw(together, design), expected, atol=1e-12)
    np.testing.assert_allclose(together.predict(design), expected, atol=1e-6)


def test_boxes_are_averaged_before_they_are_made_valid():
    regressor, features = fitted(0)
    far, other = features.copy(), features.copy()
    far[:, :] = regressor.mean_ + 500 * regressor.scale_ * np.sign(regressor.coef_[2])
    assert raw(regressor, far).max() > 1  # beyond the border
    together = ready_made.average([regressor, regressor])
    raw_mean = (raw(regressor, far) + raw(regressor, other)) / 2
    np.testing.assert_allclose(
        together.predict(np.concatenate([far, other], axis=1)),
        box_geometry.make_valid(raw_mean),
        atol=1e-6,
    )


# --- Adapting ---


def test_adapting_restandardises():
    regressor, _ = fitted(0)
    mine = np.random.default_rng(9).normal(7, 0.1, (50, 5)).astype(np.float32)
    adapted = ready_made.adapt(regressor, mine)
    standard = (mine - mine.mean(axis=0, dtype=np.float64)) / mine.std(axis=0, dtype=np.float64)
    expected = standard @ regressor.coef_.T + regressor.intercept_
    np.testing.assert_allclose(raw(adapted, mine), expected, atol=1e-9)
    # So the mean box of these images is that of the images it was fitted on.
    np.testing.assert_allclose(raw(adapted, mine).mean(axis=0), regressor.intercept_, atol=1e-9)


def test_adapting_leaves_the_regressor_as_it_was():
    regressor, features = fitted(0)
    before = regressor.predict(features)
    ready_made.adapt(regressor, features + 5)
    np.testing.assert_array_equal(regressor.predict(features), before)


def test_a_feature_that_is_constant_keeps_its_scale():
    regressor, features = fitted(0)
    features[:, 2] = 0.25
    adapted = ready_made.adapt(regressor, features)
    assert adapted.scale_[2] == regressor.scale_[2]
    assert np.isfinite(raw(adapted, features)).all()


def test_too_few_images_to_adapt_to():
    regressor, features = fitted(0)
    with pytest.raises(ValueError, match="takes 30 images; received 29"):
        ready_made.adapt(regressor, features[:29])


# --- A real classifier ---


@pytest.mark.parametrize("layers", [("pixels",), ("auto",)], ids=["pixels", "auto"])
def test_boxes_of_a_real_classifier(shared, layers):
    root = shared / "data/ilsvrc2012_val_1300"
    squeezenet = classifiers.load(
        shared / "models/squeezenet1_1_imagenet.keras",
        "torch",
        class_names=root / "LOC_synset_mapping.txt",
    )
    method = gradient(squeezenet, *layers)
    data = datasets.load("ilsvrc", str(root), "val").select(range(0, 96, 4))
    table = Extractor(method).extract(data)
    boxes = ready_made.regressor(method).predict(table.features)
    assert boxes.shape == (24, 4)
    assert box_geometry.is_valid(boxes).all()
    # They follow the images; a constant box would not.
    assert boxes.std(axis=0).min() > 0.02
