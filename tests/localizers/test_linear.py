"""The box regressor against scikit-learn, and on disk."""

import zipfile

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from sensmap import features
from sensmap.localizers.linear import PENALTIES, BoxRegressor

RNG = np.random.default_rng(0)


def problem(count, size, noise, scale=0.02):
    """Features of different scales, and boxes that depend on them linearly."""
    z = RNG.normal(size=(count, size)) * np.logspace(-3, 3, size) + RNG.normal(size=size)
    weights = RNG.normal(size=(size, 4)) * scale
    boxes = [0.2, 0.3, 0.7, 0.8] + (z - z.mean(axis=0)) / z.std(axis=0) @ weights
    return z, np.clip(boxes + noise * RNG.normal(size=boxes.shape), 0.0, 1.0)


@pytest.mark.parametrize(("count", "size"), [(60, 5), (30, 80)], ids=["tall", "wide"])
def test_it_is_ridge_regression_on_standardised_features(count, size):
    z, boxes = problem(count, size, noise=0.03, scale=0.01)
    found = BoxRegressor().fit(z, boxes)
    assert found.penalty_ in PENALTIES
    assert found.images_ == count
    assert found.coef_.shape == (4, size)
    scaler = StandardScaler().fit(z)
    targets = boxes.astype(np.float32).astype(np.float64)  # as boxes are held
    ridge = Ridge(alpha=found.penalty_).fit(scaler.transform(z), targets)
    np.testing.assert_allclose(found.coef_, ridge.coef_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.intercept_, ridge.intercept_, rtol=1e-10)
    np.testing.assert_allclose(found.mean_, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.scale_, scaler.scale_, rtol=1e-12)
    np.testing.assert_allclose(found.predict(z), ridge.predict(scaler.transform(z)), atol=1e-6)


def test_the_penalty_has_the_least_leave_one_out_error():
    z, boxes = problem(25, 10, noise=0.05)
    found = BoxRegressor(penalties=(0.1, 10.0, 1000.0)).fit(z, boxes)
    standard = (z - found.mean_) / found.scale_
    errors = {}
    for penalty in found.penalties:
        left_out = []
        for place in range(len(z)):
            rest = np.delete(np.arange(len(z)), place)
            ridge = Ridge(alpha=penalty).fit(standard[rest], boxes[rest])
            left_out.append(ridge.predict(standard[place : place + 1])[0] - boxes[place])
        errors[penalty] = np.square(left_out).mean()
    assert found.penalty_ == min(errors, key=errors.get)


def test_without_noise_it_finds_the_weights():
    z, boxes = problem(200, 6, noise=0.0)
    z_new = z[:50] + RNG.normal(size=(50, 6)) * 0.1 * z.std(axis=0)
    standard = (z - z.mean(axis=0)) / z.std(axis=0)
    weights = np.linalg.lstsq(np.c_[standard, np.ones(len(z))], boxes, rcond=None)[0]
    expected = np.c_[(z_new - z.mean(axis=0)) / z.std(axis=0), np.ones(50)] @ weights
    found = BoxRegressor(penalties=(1e-9,)).fit(z, boxes)
    np.testing.assert_allclose(found.predict(z), boxes, atol=1e-6)
    np.testing.assert_allclose(found.predict(z_new), expected, atol=1e-6)


def test_boxes_are_read_off_the_quantiles_of_a_blob():
    # A bright rectangle on black: its box is linear in the outermost quantiles.
    maps, boxes = np.zeros((150, 32, 32), np.float32), []
    for each in maps:
        (x0, y0), (width, height) = RNG.integers(0, 16, 2), RNG.integers(4, 17, 2)
        each[y0 : y0 + height, x0 : x0 + width] = 1.0
        boxes.append([x0 / 32, y0 / 32, (x0 + width) / 32, (y0 + height) / 32])
    found = BoxRegressor("quantiles", penalties=(1e-6,)).fit(maps[:100], boxes[:100])
    np.testing.assert_allclose(found.predict(maps[100:]), boxes[100:], atol=2e-3)


@pytest.mark.parametrize("kind", ["pooled", "quantiles"])
def test_maps_and_their_features_are_the_same_to_it(kind):
    maps = [RNG.gamma(0.5, size=(20, side, side)).astype(np.float32) for side in (8, 4)]
    boxes = problem(20, 3, noise=0.1)[1]
    from_maps = BoxRegressor(kind).fit(maps, boxes)
    table = features.compute(kind, maps).numpy()
    from_features = BoxRegressor(kind).fit(table, boxes)
    np.testing.assert_array_equal(from_maps.predict(maps), from_features.predict(table))
    np.testing.assert_array_equal(from_maps.predict(table), from_features.predict(maps))


def test_maps_that_say_nothing_have_a_box():
    maps = RNG.gamma(0.5, size=(20, 8, 8)).astype(np.float32)
    maps[0], maps[1, 2, 3] = 0.0, np.nan
    found = BoxRegressor().fit(maps, problem(20, 3, noise=0.1)[1]).predict(maps)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_a_constant_feature_tells_nothing():
    z, boxes = problem(40, 3, noise=0.02)
    plain = BoxRegressor(penalties=(1.0,)).fit(z, boxes)
    # Constant, and constant but for float32's rounding.
    wobbling = np.float32(0.3) * (1 + 6e-8 * RNG.choice([-1, 0, 1], size=40))
    wider = np.c_[z, np.full(40, 7.0), wobbling]
    found = BoxRegressor(penalties=(1.0,)).fit(wider, boxes)
    np.testing.assert_allclose(found.coef_[:, :3], plain.coef_, rtol=1e-9)
    np.testing.assert_allclose(found.coef_[:, 3:], 0, atol=1e-8)
    # For an image where they are otherwise, nothing wild happens.
    odd = wider.copy()
    odd[:, 3:] = [9.0, 0.9]
    np.testing.assert_allclose(found.predict(odd), found.predict(wider), atol=1e-6)


def test_wild_features_still_give_valid_boxes():
    z, boxes = problem(40, 3, noise=0.02)
    found = BoxRegressor().fit(z, boxes).predict(z * 1e6)
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[:, 2:] > found[:, :2]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(value):
    z, boxes = problem(10, 3, noise=0.02)
    fitted = BoxRegressor().fit(z, boxes)
    z[4, 1] = value
    for call in (lambda: BoxRegressor().fit(z, boxes), lambda: fitted.predict(z)):
        with pytest.raises(ValueError, match="hold NaN or infinity; expected finite"):
            call()


def test_one_image_is_too_few():
    z, boxes = problem(10, 3, noise=0.02)
    with pytest.raises(ValueError, match="needs two images with one box each; received one"):
        BoxRegressor().fit(z, [boxes[:1], *[[]] * 9])


def test_another_number_of_features_is_refused():
    z, boxes = problem(10, 3, noise=0.02)
    with pytest.raises(ValueError, match="fitted on 3 features; received 2"):
        BoxRegressor().fit(z, boxes).predict(z[:, :2])


def test_an_unknown_kind_of_features_is_refused():
    with pytest.raises(ValueError, match="no 'median' among the features"):
        BoxRegressor("median").fit(np.ones((3, 4, 4)), [[0, 0, 1, 1]] * 3)


# scikit-learn's checks of what an estimator is. Those that fit are for any targets, and boxes
# are not that: they have four numbers and must be valid.
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
    ],
)
def test_scikit_learns_checks(check):
    check("BoxRegressor", BoxRegressor())


# --- On disk ---


@pytest.fixture
def fitted():
    z, boxes = problem(30, 5, noise=0.02)
    return BoxRegressor("pooled", penalties=(0.5, 2.0)).fit(z, boxes)


def test_a_loaded_regressor_predicts_the_same_bytes(fitted, tmp_path):
    fitted.save(tmp_path / "regressor.npz")
    loaded = BoxRegressor.load(tmp_path / "regressor.npz")
    z = RNG.normal(size=(100, 5))
    assert loaded.predict(z).tobytes() == fitted.predict(z).tobytes()
    assert loaded.get_params() == fitted.get_params()
    assert (loaded.penalty_, loaded.images_) == (fitted.penalty_, fitted.images_)
    assert set(vars(loaded)) == set(vars(fitted))
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "regressor.npz").read_bytes()


def test_no_pickle_is_on_the_disk(fitted, tmp_path):
    fitted.save(tmp_path / "regressor.npz")
    with zipfile.ZipFile(tmp_path / "regressor.npz") as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                version = np.lib.format.read_magic(file)
                assert version == (1, 0)
                dtype = np.lib.format.read_array_header_1_0(file)[2]
                assert not dtype.hasobject


def test_an_unfitted_regressor_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        BoxRegressor().save(tmp_path / "regressor.npz")
    assert not list(tmp_path.iterdir())


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no box regressor at .*regressor\.npz"):
        BoxRegressor.load(tmp_path / "regressor.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file(fitted, tmp_path, share):
    path = tmp_path / "regressor.npz"
    fitted.save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"regressor\.npz is not a box regressor, or is damaged"):
        BoxRegressor.load(path)


def test_a_damaged_file(fitted, tmp_path):
    path = tmp_path / "regressor.npz"
    fitted.save(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"NUMPY") + 200] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged"):
        BoxRegressor.load(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"coef": None},
        {"coef": np.zeros((3, 5))},
        {"mean": np.zeros(4)},
        {"intercept": np.array(0.0)},
        {"penalty": np.array([{}], dtype=object)},
    ],
    ids=["one missing", "three sides", "another count", "a scalar", "a pickle"],
)
def test_files_of_other_contents(fitted, tmp_path, changed):
    path = tmp_path / "regressor.npz"
    fitted.save(path)
    with np.load(path) as stored:
        contents = {**stored, **changed}
    np.savez(path, **{name: array for name, array in contents.items() if array is not None})
    with pytest.raises(ValueError, match="is not a box regressor, or is damaged"):
        BoxRegressor.load(path)


@pytest.mark.parametrize("data", [b"hello", b"\x80\x04}\x94.", b"PK\x03\x04"])
def test_files_of_other_kinds(tmp_path, data):
    path = tmp_path / "regressor.npz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is not a box regressor, or is damaged"):
        BoxRegressor.load(path)
